/* macros.h - attributes and small macros that every module uses.
 *
 * Threads: nothing here has state. */
#pragma once
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The caller must look at the result: ignoring it would swallow an error. */
#define BK_MUST_USE __attribute__((warn_unused_result))

/* A printf-like function: `text` is the index of the format, `first` that of its first argument. */
#define BK_PRINTF(text, first) __attribute__((format(printf, text, first)))

#define BK_KIB ((size_t)1024)
#define BK_MIB (1024 * BK_KIB)
#define BK_GIB (1024 * BK_MIB)

#define BK_USEC_PER_SEC INT64_C(1000000)
