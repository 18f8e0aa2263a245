/* value.c - small values in text form: sizes, durations, booleans, schedules, names. */
#include "config/value.h"

#include <string.h>

typedef struct Unit {
    const char *name;
    uint64_t factor;
} Unit;

static const Unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"k", 1ULL << 10},
    {"K", 1ULL << 10},
    {"KiB", 1ULL << 10},
    {"kB", 1000ULL},
    {"KB", 1000ULL},
    {"M", 1ULL << 20},
    {"MiB", 1ULL << 20},
    {"MB", 1000ULL * 1000},
    {"G", 1ULL << 30},
    {"GiB", 1ULL << 30},
    {"GB", 1000ULL * 1000 * 1000},
    {"T", 1ULL << 40},
    {"TiB", 1ULL << 40},
    {"TB", 1000ULL * 1000 * 1000 * 1000},
};

static const Unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000ULL},
    {"m", 60ULL * 1000000},
    {"h", 3600ULL * 1000000},
    {"d", 24ULL * 3600 * 1000000},
    {"w", 7ULL * 24 * 3600 * 1000000},
};

/* Reads the digits at the start of `text`; where they end, or NULL when there are none or they
 * exceed 64 bits. */
static const char *
scan_number(const char *text, uint64_t *number)
{
    const char *end = text;

    *number = 0;
    for (; g_ascii_isdigit(*end); end++) {
        if (__builtin_mul_overflow(*number, 10ULL, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*end - '0'), number))
            return NULL;
    }
    return end > text ? end : NULL;
}

/* A number with a unit, at most `limit`. */
static bool
scan_quantity(const char *text, const Unit *units, size_t count, uint64_t limit, uint64_t *value)
{
    const char *end = scan_number(text, value);

    if (end == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(*value, units[i].factor, value) && *value <= limit;
    return *value == 0 && *end == 0;
}

bool
bk_value_parse_size(const char *text, uint64_t *size, GError **error)
{
    if (scan_quantity(text, size_units, G_N_ELEMENTS(size_units), INT64_MAX, size))
        return true;
    return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not a size such as 512k, 100MiB or 1GB",
                    text);
}

bool
bk_value_parse_duration_us(const char *text, int64_t *duration_us, GError **error)
{
    uint64_t value;

    if (!scan_quantity(text, duration_units, G_N_ELEMENTS(duration_units), INT64_MAX, &value))
        return bk_throw(error, BK_ERROR_USAGE,
                        "\"%s\" is not a duration such as 30s, 5m, 12h or 7d", text);
    *duration_us = (int64_t)value;
    return true;
}

bool
bk_value_parse_bool(const char *text, bool *value, GError **error)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0 ||
           bk_throw(error, BK_ERROR_USAGE, "\"%s\" is neither true nor false", text);
}

bool
bk_value_parse_int(const char *text, int64_t min, int64_t max, int64_t *value, GError **error)
{
    bool negative = text[0] == '-';
    uint64_t magnitude;
    const char *end = scan_number(text + (negative ? 1 : 0), &magnitude);

    if (end == NULL || *end != 0 || magnitude > INT64_MAX)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not a whole number", text);
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (*value < min || *value > max)
        return bk_throw(error, BK_ERROR_USAGE,
                        "\"%s\" is not in the range %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                        text, min, max);
    return true;
}

bool
bk_value_parse_method(const char *text, int *method, GError **error)
{
    static const char *const names[] = {"none", "zstd", "lz4"}; /* in the order of their numbers */

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *method = (int)i;
            return true;
        }
    return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not one of zstd, lz4, none", text);
}

typedef struct CronField {
    const char *name;
    unsigned min;
    unsigned max;
    const char *words; /* names of three letters for min, min + 1 ..., or NULL */
} CronField;

static const CronField cron_fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

/* A number or name of a field; where it ends, or NULL. */
static const char *
scan_cron_value(const CronField *field, const char *text, uint64_t *value)
{
    const char *end = scan_number(text, value);

    if (end != NULL)
        return *value >= field->min && *value <= field->max ? end : NULL;
    for (size_t i = 0; field->words != NULL && field->words[i] != 0; i += 3)
        if (g_ascii_strncasecmp(text, field->words + i, 3) == 0) {
            *value = field->min + i / 3;
            return text + 3;
        }
    return NULL;
}

/* One item of a field's list: *, N or N-M, and perhaps /STEP. */
static const char *
scan_cron_item(const CronField *field, const char *text)
{
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t step;
    const char *end = *text == '*' ? text + 1 : scan_cron_value(field, text, &first);

    if (end != NULL && *end == '-' && *text != '*') {
        end = scan_cron_value(field, end + 1, &last);
        if (end == NULL || last < first)
            return NULL;
    }
    if (end != NULL && *end == '/') {
        end = scan_number(end + 1, &step);
        if (end == NULL || step < 1 || step > field->max)
            return NULL;
    }
    return end;
}

static bool
is_cron_field(const CronField *field, const char *text)
{
    const char *end = scan_cron_item(field, text);

    while (end != NULL && *end == ',')
        end = scan_cron_item(field, end + 1);
    return end != NULL && *end == 0;
}

bool
bk_value_check_cron(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit_set(text, " \t", -1);
    size_t count = 0;

    for (size_t i = 0; parts[i] != NULL; i++) {
        if (parts[i][0] == 0)
            continue; /* between two blanks */
        if (count < G_N_ELEMENTS(cron_fields) && !is_cron_field(&cron_fields[count], parts[i]))
            return bk_throw(error, BK_ERROR_USAGE,
                            "\"%s\" is not a schedule: \"%s\" is not a valid %s", text, parts[i],
                            cron_fields[count].name);
        count++;
    }
    if (count != G_N_ELEMENTS(cron_fields))
        return bk_throw(error, BK_ERROR_USAGE,
                        "\"%s\" is not a schedule: it has %zu fields instead of 5", text, count);
    return true;
}

bool
bk_value_check_name(const char *text, GError **error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t size = strlen(text);

    if (size < 1 || size > 63 || !(g_ascii_islower(*text) || g_ascii_isdigit(*text)) ||
        strspn(text, allowed) != size)
        return bk_throw(
            error, BK_ERROR_USAGE,
            "\"%s\" is not a valid name: use a to z, 0 to 9, _ and -, at most 63 characters", text);
    if (strcmp(text, "keys") == 0 || strcmp(text, "audit") == 0)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is reserved", text);
    return true;
}

#define LONGEST_WORD 63

/* Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to`, both at
 * most LONGEST_WORD long. */
static size_t
edit_distance(const char *from, const char *to)
{
    size_t rows[3][LONGEST_WORD + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];
    size_t width = strlen(to);

    for (size_t j = 0; j <= width; j++)
        above[j] = j;
    for (size_t i = 1; from[i - 1] != 0; i++) {
        size_t *spare = before;

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = above[j - 1] + (from[i - 1] != to[j - 1] ? 1 : 0);

            row[j] = MIN(MIN(above[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                row[j] = MIN(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[width];
}

const char *
bk_value_find_similar(const char *word, const char *const *candidates)
{
    size_t size = strlen(word);
    size_t best_distance = MIN(size / 3 + 1, 3); /* a slip or two, not another word */
    const char *best = NULL;

    if (size > LONGEST_WORD)
        return NULL;
    for (size_t i = 0; candidates[i] != NULL; i++) {
        size_t distance;

        if (strlen(candidates[i]) > LONGEST_WORD)
            continue;
        distance = edit_distance(word, candidates[i]);
        if (distance < best_distance || (best == NULL && distance == best_distance)) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}
