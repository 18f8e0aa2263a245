/* pg-time.c - see pg-time.h. A text is read from the left, without going back. */
#include "source/pg/format/pg-time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECS_PER_DAY INT64_C(86400)
#define FORMS                                                                                      \
    "write it like 2026-11-21 10:15:00+01:00, 2026-11-21T09:15:00Z, 2026-11-21 10:15 "             \
    "Europe/Berlin or 90 minutes ago"

static size_t
count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

static bool
refuse_text(GError **error)
{
    return bk_throw(error, BK_ERROR_USAGE, "it is not a time: " FORMS);
}

/* Takes exactly `digits` digits that end there, at `*next`. */
static bool
take_time_number(const char **next, size_t digits, unsigned *value)
{
    if (count_digits(*next) < digits)
        return false;
    *value = 0;
    for (; digits > 0; digits--)
        *value = *value * 10 + (unsigned)(*(*next)++ - '0');
    return true;
}

static bool
take_char(const char **next, char c)
{
    if (**next != c)
        return false;
    (*next)++;
    return true;
}

static void
skip_time_blanks(const char **next)
{
    *next += strspn(*next, " \t");
}

/* --- date and time of day --------------------------------------------------------------------- */

static unsigned
days_of_month(unsigned year, unsigned month)
{
    return g_date_get_days_in_month((GDateMonth)month, (GDateYear)year);
}

static bool
check_date(unsigned year, unsigned month, unsigned day, GError **error)
{
    if (year < 1970 || year > 9999)
        return bk_throw(error, BK_ERROR_USAGE, "the year %u is not between 1970 and 9999", year);
    if (month < 1 || month > 12)
        return bk_throw(error, BK_ERROR_USAGE, "there is no month %u: a date is YEAR-MONTH-DAY",
                        month);
    if (day < 1 || day > days_of_month(year, month))
        return bk_throw(error, BK_ERROR_USAGE, "month %u of %u has %u days", month, year,
                        days_of_month(year, month));
    return true;
}

/* YYYY-MM-DD or YYYYMMDD: days since 1970. `*is_basic` says that it was the second. */
static bool
take_date(const char **next, int64_t *days, bool *is_basic, GError **error)
{
    const size_t digits = count_digits(*next);
    unsigned year, month, day;
    GDate date;

    *is_basic = digits == 8;
    if ((digits != 4 && digits != 8) || !take_time_number(next, 4, &year) ||
        (!*is_basic && !take_char(next, '-')) || !take_time_number(next, 2, &month) ||
        (!*is_basic && !take_char(next, '-')) || !take_time_number(next, 2, &day))
        return refuse_text(error);
    if (!check_date(year, month, day, error))
        return false;
    g_date_clear(&date, 1);
    g_date_set_dmy(&date, (GDateDay)day, (GDateMonth)month, (GDateYear)year);
    *days = (int64_t)g_date_get_julian(&date) - 719163; /* of 1970-01-01 */
    return true;
}

/* The digits behind the point; those past the microsecond are cut off: a target is not passed. */
static bool
take_fraction(const char **next, int64_t *us)
{
    const size_t digits = count_digits(*next);
    int64_t unit = BK_USEC_PER_SEC / 10;

    for (size_t i = 0; i < digits; i++, unit /= 10)
        *us += unit * ((*next)[i] - '0');
    *next += digits;
    return digits > 0;
}

/* HH:MM[:SS[.f]] or HHMM[SS[.f]]: microseconds of the day. */
static bool
take_clock(const char **next, bool is_basic, int64_t *us, GError **error)
{
    unsigned hour, minute, second = 0;
    bool has_seconds;

    if ((!is_basic && count_digits(*next) != 2) || !take_time_number(next, 2, &hour) ||
        (!is_basic && !take_char(next, ':')) || !take_time_number(next, 2, &minute))
        return refuse_text(error);
    has_seconds = is_basic ? g_ascii_isdigit(**next) : take_char(next, ':');
    if (has_seconds && !take_time_number(next, 2, &second))
        return refuse_text(error);
    if (hour > 23 || minute > 59 || second > 59)
        return bk_throw(error, BK_ERROR_USAGE,
                        "the time of day must be between 00:00:00 and 23:59:59");
    *us = (((int64_t)hour * 60 + minute) * 60 + second) * BK_USEC_PER_SEC;
    if (has_seconds && (take_char(next, '.') || take_char(next, ',')) && !take_fraction(next, us))
        return refuse_text(error);
    return true;
}

/* --- zones ------------------------------------------------------------------------------------ */

static int
offset_at(GTimeZone *zone, int64_t unix_time)
{
    int interval = g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, unix_time);

    return interval < 0 ? 0 : g_time_zone_get_offset(zone, interval);
}

/* "2026-10-25 02:30:00+02:00", in a form that is read again. */
static char *
format_with_offset(int64_t unix_time, int offset)
{
    char text[BK_PG_TIME_TEXT_SIZE];
    const int minutes = ABS(offset) / 60;

    bk_pg_time_format((unix_time + offset) * BK_USEC_PER_SEC, text);
    return g_strdup_printf("%.19s%c%02d:%02d", text, offset < 0 ? '-' : '+', minutes / 60,
                           minutes % 60);
}

/* Finds the time at which the clocks of `zone`, called `name`, showed `wall`. */
static bool
resolve_wall(GTimeZone *zone, const char *name, int64_t wall, int64_t *unix_time, GError **error)
{
    const int before = offset_at(zone, wall - SECS_PER_DAY);
    const int after = offset_at(zone, wall + SECS_PER_DAY);
    const bool is_before = offset_at(zone, wall - before) == before;
    const bool is_after = offset_at(zone, wall - after) == after;
    g_autofree char *one = NULL;
    g_autofree char *other = NULL;

    *unix_time = wall - (is_before ? before : after);
    if (is_before != is_after || (is_before && before == after))
        return true;
    one = format_with_offset(wall - MAX(before, after), offset_at(zone, wall - MAX(before, after)));
    other =
        format_with_offset(wall - MIN(before, after), offset_at(zone, wall - MIN(before, after)));
    return bk_throw(error, BK_ERROR_USAGE,
                    is_before ? "the clock in %s showed this time twice: write \"%s\" or \"%s\""
                              : "the clock in %s never showed this time: write \"%s\" or \"%s\"",
                    name, one, other);
}

/* The zone of this host: TZ, or /etc/localtime. The C library takes what it does not know for UTC.
 */
static GTimeZone *
open_local_zone(const char **name, GError **error)
{
    const char *tz = g_getenv("TZ");
    GTimeZone *zone = NULL;

    *name = tz != NULL ? tz : "this host";
    if (tz != NULL && *tz == ':')
        tz++;
    if (tz != NULL && *tz == '\0')
        return g_time_zone_new_utc();
    if (tz == NULL || g_ascii_isalpha(*tz) || g_path_is_absolute(tz))
        zone = g_time_zone_new_identifier(tz);
    if (zone == NULL && tz == NULL && access("/etc/localtime", F_OK) != 0)
        return g_time_zone_new_utc();
    if (zone == NULL)
        (void)bk_throw(error, BK_ERROR_USAGE,
                       "it has no time zone, and the local one is unknown (%s%s): add an offset "
                       "such as +01:00",
                       tz != NULL ? "TZ=" : "/etc/localtime cannot be read", tz != NULL ? tz : "");
    return zone;
}

/* Region/City. Abbreviations mean different things to different people, and the sign of Etc/GMT+3
 * the opposite of what it says. */
static GTimeZone *
open_named_zone(const char *name, GError **error)
{
    GTimeZone *zone = NULL;

    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_/-") == strlen(name) &&
        strchr(name, '/') != NULL && name[0] != '/')
        zone = g_time_zone_new_identifier(name);
    if (zone == NULL)
        (void)bk_throw(
            error, BK_ERROR_USAGE,
            "\"%s\" is not a known time zone: use an offset such as +01:00, Z, UTC, or a name "
            "such as Europe/Berlin",
            name);
    return zone;
}

/* +HH, +HHMM, +HH:MM, also with minus: seconds east, to the end of the text. */
static bool
take_time_offset(const char **next, int *offset)
{
    const int sign = **next == '-' ? -1 : 1;
    unsigned hours, minutes = 0;

    (*next)++;
    if (!take_time_number(next, 2, &hours))
        return false;
    if (take_char(next, ':') ? !take_time_number(next, 2, &minutes)
                             : g_ascii_isdigit(**next) && !take_time_number(next, 2, &minutes))
        return false;
    *offset = sign * (int)(hours * 3600 + minutes * 60);
    return hours <= 15 && minutes <= 59 && **next == '\0';
}

/* The zone takes the rest of the text: from the time that clocks show to a Unix time. */
static bool
apply_zone(const char *text, int64_t wall, int64_t *unix_time, GError **error)
{
    g_autoptr(GTimeZone) zone = NULL;
    const char *name = text;
    int offset;

    if (*text == '+' || *text == '-') {
        if (!take_time_offset(&text, &offset))
            return refuse_text(error);
        *unix_time = wall - offset;
        return true;
    }
    if (g_ascii_strcasecmp(text, "Z") == 0 || strcmp(text, "UTC") == 0 ||
        strcmp(text, "GMT") == 0) {
        *unix_time = wall;
        return true;
    }
    zone = *text == '\0' ? open_local_zone(&name, error) : open_named_zone(text, error);
    return zone != NULL && resolve_wall(zone, name, wall, unix_time, error);
}

/* --- the forms -------------------------------------------------------------------------------- */

static int64_t
seconds_of_unit(const char *unit)
{
    static const struct {
        const char *one;
        const char *many;
        int64_t seconds;
    } units[] = {
        {"minute", "minutes", 60},
        {"hour", "hours", 3600},
        {"day", "days", SECS_PER_DAY},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
        if (strcmp(units[i].one, unit) == 0 || strcmp(units[i].many, unit) == 0)
            return units[i].seconds;
    return 0;
}

/* "90 minutes ago" */
static bool
parse_ago(const char *text, int64_t now_us, int64_t *time_us, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);
    int64_t unit = g_strv_length(words) == 3 ? seconds_of_unit(words[1]) : 0;
    uint64_t count;

    if (unit == 0 || strcmp(words[2], "ago") != 0 ||
        !g_ascii_string_to_unsigned(words[0], 10, 0, 999999999, &count, NULL))
        return refuse_text(error);
    if ((int64_t)count * unit > now_us / BK_USEC_PER_SEC)
        return bk_throw(error, BK_ERROR_USAGE, "that is before 1970");
    *time_us = now_us - (int64_t)count * unit * BK_USEC_PER_SEC;
    return true;
}

static bool
parse_date_and_time(const char *next, int64_t *time_us, GError **error)
{
    int64_t days = 0, clock_us = 0, unix_time = 0;
    bool is_basic;

    if (!take_date(&next, &days, &is_basic, error))
        return false;
    if (*next != '\0') {
        if (!take_char(&next, 'T') && !take_char(&next, 't') && !take_char(&next, ' '))
            return refuse_text(error);
        if (!take_clock(&next, is_basic, &clock_us, error))
            return false;
    }
    skip_time_blanks(&next);
    if (!apply_zone(next, days * SECS_PER_DAY + clock_us / BK_USEC_PER_SEC, &unix_time, error))
        return false;
    *time_us = unix_time * BK_USEC_PER_SEC + clock_us % BK_USEC_PER_SEC;
    return true;
}

bool
bk_pg_time_parse(const char *text, int64_t now_us, int64_t *time_us, GError **error)
{
    g_autofree char *trimmed = NULL;
    size_t size;

    text += strspn(text, " \t");
    for (size = strlen(text); size > 0 && strchr(" \t", text[size - 1]) != NULL; size--)
        ;
    trimmed = g_strndup(text, size);
    *time_us = 0;
    if (g_str_has_suffix(trimmed, " ago"))
        return parse_ago(trimmed, now_us, time_us, error);
    return parse_date_and_time(trimmed, time_us, error);
}

const char *
bk_pg_time_format(int64_t time_us, char text[BK_PG_TIME_TEXT_SIZE])
{
    int64_t rest_us = time_us % BK_USEC_PER_SEC;
    time_t seconds;
    struct tm tm;
    size_t size;

    if (rest_us < 0)
        rest_us += BK_USEC_PER_SEC;
    seconds = (time_t)((time_us - rest_us) / BK_USEC_PER_SEC);
    g_assert(gmtime_r(&seconds, &tm) != NULL);
    size = strftime(text, BK_PG_TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
    (void)snprintf(text + size, BK_PG_TIME_TEXT_SIZE - size, ".%06d", (int)rest_us);
    return text;
}
