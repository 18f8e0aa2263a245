/* value.h - small values in text form: sizes, durations, booleans, schedules, names.
 *
 * Used for the configuration and for the command line. Every failure is BK_ERROR_USAGE with a
 * message that begins with the text in quotes; the configuration passes it on with file and line.
 * Threads: nothing here has state. */
#pragma once
#include "base/error.h"

/* "4096", "512k", "100MiB", "1GB" to bytes: k, K, M, G and T, and KiB, MiB, GiB and TiB are powers
 * of 1024, kB, KB, MB, GB and TB powers of 1000. No fractions. */
bool bk_value_parse_size(const char *text, uint64_t *size, GError **error) BK_MUST_USE;

/* "250ms", "30s", "5m", "12h", "7d", "4w" to microseconds; a unit is required but for 0. */
bool bk_value_parse_duration_us(const char *text, int64_t *duration_us, GError **error) BK_MUST_USE;

/* "true" or "false", and nothing else. */
bool bk_value_parse_bool(const char *text, bool *value, GError **error) BK_MUST_USE;

/* A decimal whole number from `min` to `max`. */
bool bk_value_parse_int(const char *text, int64_t min, int64_t max, int64_t *value,
                        GError **error) BK_MUST_USE;

/* A method of compression, "zstd", "lz4" or "none", to what is written for it on disk (1, 2, 0). */
bool bk_value_parse_method(const char *text, int *method, GError **error) BK_MUST_USE;

/* Returns true if `text` is a schedule of five fields as in cron: minute, hour, day, month, day of
 * the week. Each is "*", a number, a range or a list of those, with "/STEP"; months and days also
 * by name. */
bool bk_value_check_cron(const char *text, GError **error) BK_MUST_USE;

/* Checks that `text` is a name of a source or repository: [a-z0-9][a-z0-9_-]{0,62}, and not one
 * that a repository uses itself ("keys", "audit"). */
bool bk_value_check_name(const char *text, GError **error) BK_MUST_USE;

/* That one of `candidates` (NULL-terminated) that `word` is probably a slip of the pen for, or
 * NULL. */
const char *bk_value_find_similar(const char *word, const char *const *candidates);
