/* cache-file.h - small files in a local directory, each of which may be lost at any time.
 *
 * A file is read as it was written or not at all: its SHA-256 stands before the content. Files are
 * replaced in one step and not synced. A directory that is not this user's alone is not used.
 * Threads: safe, also between processes. */
#pragma once
#include "base/buf.h"

/* The directory `name` below BACKSTAY_CACHE, /var/cache/backstay for root, or else the user's own
 * cache directory. A new string. */
char *bk_cache_directory(const char *name);

/* Makes the directory. Returns true if it is there and belongs to this user alone. */
bool bk_cache_directory_make(const char *directory);

/* Returns true if the file is written. */
bool bk_cache_file_put(const char *directory, const char *name, const BkBuf *content);

/* Appends the content of the file to `out`, or returns false. */
bool bk_cache_file_get(const char *directory, const char *name, size_t limit,
                       BkBuf *out) BK_MUST_USE;
void bk_cache_file_drop(const char *directory, const char *name);
