/* boot.h - which run of this host's kernel it is.
 *
 * Threads: safe. */
#pragma once
#include "base/macros.h"

/* An id that is new with each boot: a new string, "" where the kernel tells none. */
char *bk_boot_id(void);
