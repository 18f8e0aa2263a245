/* json.h - writing JSON.
 *
 * Members are written in the order of the calls, one a line, indented. In an object every call
 * names its `key`; in an array, and for the outermost value, it is NULL. Text that is not UTF-8 (a
 * file name may be anything) is written with U+FFFD for each byte that does not belong. Threads: a
 * writer belongs to one thread at a time. */
#pragma once
#include "base/macros.h"

typedef struct BkJson BkJson;

BkJson *bk_json_new(void);
void bk_json_free(BkJson *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkJson, bk_json_free)

void bk_json_begin_object(BkJson *self, const char *key);
void bk_json_end_object(BkJson *self);
void bk_json_begin_array(BkJson *self, const char *key);
void bk_json_end_array(BkJson *self);

void bk_json_add_string(BkJson *self, const char *key, const char *value); /* NULL: null */
void bk_json_add_bytes(BkJson *self, const char *key, const void *value, size_t size);
void bk_json_add_format(BkJson *self, const char *key, const char *format, ...) BK_PRINTF(3, 4);
void bk_json_add_int(BkJson *self, const char *key, int64_t value);
void bk_json_add_uint(BkJson *self, const char *key, uint64_t value);
void bk_json_add_double(BkJson *self, const char *key, double value); /* not finite: null */
void bk_json_add_bool(BkJson *self, const char *key, bool value);
void bk_json_add_null(BkJson *self, const char *key);

/* What was written, with a line feed at the end. Everything that was begun must be ended. The
 * string lives until the next call. */
const char *bk_json_text(const BkJson *self);
