/* pattern.h - which entries of a file tree are left out, by patterns that people write.
 *
 * All of the rules, for names that are bytes:
 *   - Without a slash a pattern matches a name at any depth: "*.tmp".
 *   - With a slash inside it matches a path from the root that the entry is below: "cache/tmp". One
 *     that begins with a slash matches the full path: "/srv/data/cache".
 *   - "*" and "?" match any bytes, and any one byte, but never a slash. "**" matches slashes, too,
 *     and "**" between slashes also nothing at all: "a/" "**" "/b" matches "a/b". A backslash takes
 *     its special meaning from the next byte. Nothing else is special.
 *   - With a slash at its end it matches only directories.
 *   - What matches a directory holds for all that is below it. Of all patterns that match the last
 *     one wins, and "!" before a pattern takes in again, also below a directory that is left out.
 * A root itself is never matched: it was asked for. Matching takes time in proportion to the
 * lengths of path and pattern, whatever they are. Threads: belongs to one thread. */
#pragma once
#include "base/error.h"

#define BK_PATTERN_SIZE_MAX ((size_t)1024) /* bytes of a pattern */
#define BK_PATTERNS_MAX     4096u
#define BK_PATTERN_NONE     (-1)

typedef struct BkPatterns BkPatterns;

BkPatterns *bk_patterns_new(void);
void bk_patterns_free(BkPatterns *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkPatterns, bk_patterns_free)

/* Adds a pattern that leaves out, or with a leading "!" takes in again. Fails with BK_ERROR_CONFIG
 * when it is malformed, too long, or there are too many. */
bool bk_patterns_exclude(BkPatterns *self, const char *text, GError **error) BK_MUST_USE;

/* Adds a pattern, without "!", that takes in again. Fails as exclude. */
bool bk_patterns_include(BkPatterns *self, const char *text, GError **error) BK_MUST_USE;

/* Fails with BK_ERROR_CONFIG, naming it, when a pattern that begins with a slash can match nothing
 * below any of `roots` (full paths, without their leading slash): somebody took the root for its
 * beginning. */
bool bk_patterns_check_roots(const BkPatterns *self, const GPtrArray *roots,
                             GError **error) BK_MUST_USE;

/* An entry below a root. */
typedef struct BkPatternPath {
    const char *path; /* full, without a leading slash */
    size_t below;     /* offset in it of the path from the root */
    bool is_directory;
} BkPatternPath;

/* The pattern that decides about an entry: its index, or BK_PATTERN_NONE. `above` is what decides
 * about the directory that holds it, BK_PATTERN_NONE for a root. */
int bk_patterns_find(const BkPatterns *self, const BkPatternPath *path, int above);

/* Returns true if what the pattern `index` (or BK_PATTERN_NONE) decides about is left out. */
bool bk_patterns_is_left_out(const BkPatterns *self, int index);

/* Returns true if something below the directory, which `index` leaves out, may be taken in again,
 * so that it has to be walked. */
bool bk_patterns_has_include_below(const BkPatterns *self, const BkPatternPath *path, int index);

/* Counts an entry that the pattern `index` (or BK_PATTERN_NONE) has decided about. */
void bk_patterns_count(BkPatterns *self, int index);

size_t bk_patterns_size(const BkPatterns *self);

/* The pattern as it was written, with "!" if it takes in, and how many entries it decided about: a
 * directory that is left out counts as one. Zero: perhaps a typo. */
const char *bk_patterns_get(const BkPatterns *self, size_t index, uint64_t *count);
