#include "source/pg/pg-time.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECS_PER_DAY INT64_C(86400)
#define MAX_NUMBERS  3

typedef struct Number {
    unsigned value;
    size_t digits;
} Number;

typedef struct TimeParser {
    const char *start;
    const char *next;
    int64_t now_us;
    Number numbers[MAX_NUMBERS]; /* of a date, in their order; `month` may stand between them */
    unsigned number_count;
    unsigned month;   /* by name; 0: none */
    unsigned weekday; /* 1 is Sunday; 0: none */
    char separator;   /* of the numbers of a date; 0: none yet */
    bool has_days;    /* `days` since 1970 is set, by 8 digits or a word */
    int64_t days;
    bool has_instant; /* "now", "epoch" */
    int64_t instant_us;
    bool has_clock;
    unsigned hour;
    int64_t rest_us; /* of the clock, past the hour */
    char half;       /* 'a' or 'p'; 0: 24 hours */
    bool has_zone;
    int offset;      /* seconds east, where `zone` is NULL */
    GTimeZone *zone; /* owned */
    unsigned zone_since;
} TimeParser;

static void
time_parser_clear(TimeParser *self)
{
    g_clear_pointer(&self->zone, g_time_zone_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TimeParser, time_parser_clear)

static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const WEEKDAYS[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

/* Abbreviations as the server's default set has them, with their offsets in our time. Left out are
 * those that mean different things to different people (IST). */
typedef struct Abbreviation {
    const char *name;
    int minutes;    /* east */
    unsigned since; /* year from which it means that; 0: always */
} Abbreviation;

static const Abbreviation ABBREVIATIONS[] = {
    {"z", 0, 0},        {"zulu", 0, 0},   {"utc", 0, 0},    {"uct", 0, 0},     {"ut", 0, 0},
    {"gmt", 0, 0},      {"wet", 0, 0},    {"west", 60, 0},  {"bst", 60, 0},    {"cet", 60, 0},
    {"cest", 120, 0},   {"met", 60, 0},   {"mest", 120, 0}, {"eet", 120, 0},   {"eest", 180, 0},
    {"msk", 180, 2015}, {"nst", -210, 0}, {"ndt", -150, 0}, {"ast", -240, 0},  {"adt", -180, 0},
    {"est", -300, 0},   {"edt", -240, 0}, {"cst", -360, 0}, {"cdt", -300, 0},  {"mst", -420, 0},
    {"mdt", -360, 0},   {"pst", -480, 0}, {"pdt", -420, 0}, {"akst", -540, 0}, {"akdt", -480, 0},
    {"hst", -600, 0},   {"jst", 540, 0},  {"kst", 540, 0},  {"hkt", 480, 0},   {"aest", 600, 0},
    {"aedt", 660, 0},   {"acst", 570, 0}, {"acdt", 630, 0}, {"awst", 480, 0},  {"nzst", 720, 0},
    {"nzdt", 780, 0},
};

/* --- calendar ----------------------------------------------------------------------------- */

static bool
is_leap_year(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned
days_of_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap_year(year) ? 1u : 0u);
}

/* Days from 1970-01-01 to a date from 1970 on. */
static int64_t
days_of_date(unsigned year, unsigned month, unsigned day)
{
    unsigned last = year - 1;
    int64_t days = (int64_t)365 * (year - 1970) + (last / 4 - last / 100 + last / 400) - 477;

    for (unsigned i = 1; i < month; i++)
        days += days_of_month(year, i);
    return days + day - 1;
}

static int
offset_at(GTimeZone *zone, int64_t unix_time)
{
    int interval = g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, unix_time);

    return interval < 0 ? 0 : g_time_zone_get_offset(zone, interval);
}

/* Seconds east of UTC that the clocks of `zone` are at `wall`, the time they show. */
static int
offset_of_wall(GTimeZone *zone, int64_t wall)
{
    int before = offset_at(zone, wall - SECS_PER_DAY);
    int after = offset_at(zone, wall + SECS_PER_DAY);
    bool is_before = offset_at(zone, wall - before) == before;
    bool is_after = offset_at(zone, wall - after) == after;

    if (is_before != is_after)
        return is_before ? before : after;
    /* Shown twice, or never (clocks put forward). */
    return is_before ? after : before;
}

/* --- scanning ----------------------------------------------------------------------------- */

static bool
date_is_whole(const TimeParser *self)
{
    return self->has_days || self->number_count + (self->month != 0 ? 1u : 0u) == MAX_NUMBERS;
}

static bool
is_separator(char c)
{
    return c == '-' || c == '/' || c == '.';
}

static size_t
digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

static size_t
letters_at(const char *text)
{
    size_t count = 0;

    while (g_ascii_isalpha(text[count]))
        count++;
    return count;
}

/* Value of the `count` (at most 9) digits at `text`. */
static unsigned
number_at(const char *text, size_t count)
{
    unsigned value = 0;

    for (size_t i = 0; i < count; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    return value;
}

static bool
fail_at(const char *text, GError **error)
{
    return bk_throw(error, BK_ERROR_USAGE, "\"%.*s\" is not understood", (int)MIN(strlen(text), 40),
                    text);
}

/* ISO 8601's T between the date and the time. */
static void
skip_t(TimeParser *self)
{
    if (date_is_whole(self) && (*self->next == 't' || *self->next == 'T') &&
        g_ascii_isdigit(self->next[1]))
        self->next++;
}

static bool
set_clock(TimeParser *self, unsigned hour, unsigned minute, int64_t second_us, GError **error)
{
    int64_t rest_us = (int64_t)minute * 60 * BK_USEC_PER_SEC + second_us;

    if (self->has_clock)
        return bk_throw(error, BK_ERROR_USAGE, "the time of day is given twice");
    if (hour > 24 || (hour == 24 && rest_us > 0) || minute > 59 || second_us > 60 * BK_USEC_PER_SEC)
        return bk_throw(error, BK_ERROR_USAGE, "there is no such time of day");
    self->has_clock = true;
    self->hour = hour;
    self->rest_us = rest_us;
    return true;
}

/* The two digits of the seconds and their fraction, at self->next. */
static bool
scan_seconds(TimeParser *self, int64_t *second_us, GError **error)
{
    const char *text = self->next;
    char fraction[32] = "0";
    size_t digits;

    if (digits_at(text) != 2)
        return fail_at(text, error);
    *second_us = number_at(text, 2) * BK_USEC_PER_SEC;
    self->next += 2;
    if (*self->next != '.')
        return true;
    digits = digits_at(self->next + 1);
    /* More digits than these make no difference to a microsecond. */
    (void)snprintf(fraction, sizeof fraction, "0%.*s", (int)MIN(digits + 1, 20), self->next);
    *second_us += (int64_t)rint(g_ascii_strtod(fraction, NULL) * (double)BK_USEC_PER_SEC);
    self->next += 1 + digits;
    return true;
}

/* HH:MM, HH:MM:SS, HH:MM:SS.FFF; `digits` is the length of the hour. */
static bool
scan_clock(TimeParser *self, size_t digits, GError **error)
{
    const char *text = self->next;
    unsigned hour;
    unsigned minute;
    int64_t second_us = 0;

    if (digits > 2 || digits_at(text + digits + 1) != 2)
        return fail_at(text, error);
    hour = number_at(text, digits);
    minute = number_at(text + digits + 1, 2);
    self->next = text + digits + 3;
    if (*self->next == ':') {
        self->next++;
        if (!scan_seconds(self, &second_us, error))
            return false;
    }
    return set_clock(self, hour, minute, second_us, error);
}

/* HHMM, HHMMSS, HHMMSS.FFF */
static bool
scan_compact_clock(TimeParser *self, size_t digits, GError **error)
{
    const char *text = self->next;
    unsigned hour = number_at(text, 2);
    unsigned minute = number_at(text + 2, 2);
    int64_t second_us = 0;

    self->next += 4;
    if (digits == 6) {
        if (!scan_seconds(self, &second_us, error))
            return false;
    }
    return set_clock(self, hour, minute, second_us, error);
}

static bool
set_date(TimeParser *self, unsigned year, unsigned month, unsigned day, GError **error)
{
    if (year < 1970 || year > 9999)
        return bk_throw(error, BK_ERROR_USAGE, "the year %u is not one from 1970 to 9999", year);
    if (month < 1 || month > 12)
        return bk_throw(error, BK_ERROR_USAGE,
                        "there is no month %u (a date is year-month-day or month/day/year)", month);
    if (day < 1 || day > days_of_month(year, month))
        return bk_throw(error, BK_ERROR_USAGE, "%s %u has %u days", MONTHS[month - 1], year,
                        days_of_month(year, month));
    self->has_days = true;
    self->days = days_of_date(year, month, day);
    return true;
}

/* A number of a date with the separator after it. */
static bool
scan_date_number(TimeParser *self, size_t digits, GError **error)
{
    const char *text = self->next;
    char after = text[digits];

    if (digits == 3 || digits > 4)
        return fail_at(text, error);
    self->numbers[self->number_count++] = (Number){number_at(text, digits), digits};
    self->next += digits;
    if (date_is_whole(self) || !is_separator(after) || !g_ascii_isalnum(self->next[1])) {
        skip_t(self);
        return true;
    }
    if (self->separator != 0 && self->separator != after)
        return fail_at(self->next, error);
    self->separator = after;
    self->next++;
    return true;
}

static bool
scan_number(TimeParser *self, GError **error)
{
    const char *text = self->next;
    size_t digits = digits_at(text);

    if (text[digits] == ':')
        return scan_clock(self, digits, error);
    if (date_is_whole(self)) {
        if (digits == 4 || digits == 6)
            return scan_compact_clock(self, digits, error);
        return fail_at(text, error);
    }
    if (digits != 8)
        return scan_date_number(self, digits, error);
    if (self->number_count > 0 || self->month != 0)
        return fail_at(text, error);
    self->next += digits;
    if (!set_date(self, number_at(text, 4), number_at(text + 4, 2), number_at(text + 6, 2), error))
        return false;
    skip_t(self);
    return true;
}

static bool
claim_zone(TimeParser *self, GError **error)
{
    if (self->has_zone)
        return bk_throw(error, BK_ERROR_USAGE, "the zone is given twice");
    self->has_zone = true;
    return true;
}

/* +H, +HH, +HHMM, +HH:MM, +HH:MM:SS, all also with minus. */
static bool
scan_offset(TimeParser *self, GError **error)
{
    const char *text = self->next;
    size_t digits = digits_at(text + 1);
    unsigned hours;
    unsigned minutes = 0;
    unsigned seconds = 0;

    /* Close behind a date a minus is rather a slip than a zone. */
    if (text > self->start && g_ascii_isalpha(text[-1]))
        return bk_throw(error, BK_ERROR_USAGE,
                        "\"%.*s\" sticks to a word (an offset stands alone: +02:00)",
                        (int)MIN(strlen(text), 40), text);
    if (*text == '-' && !self->has_clock && (text == self->start || text[-1] != ' '))
        return fail_at(text, error);
    if (digits < 1 || digits > 4)
        return fail_at(text, error);
    hours = number_at(text + 1, digits);
    if (digits > 2) {
        minutes = hours % 100;
        hours /= 100;
    }
    self->next += 1 + digits;
    if (digits <= 2 && *self->next == ':' && digits_at(self->next + 1) == 2) {
        minutes = number_at(self->next + 1, 2);
        self->next += 3;
        if (*self->next == ':' && digits_at(self->next + 1) == 2) {
            seconds = number_at(self->next + 1, 2);
            self->next += 3;
        }
    }
    if (hours > 15 || minutes > 59 || seconds > 59 ||
        (*self->next != '\0' && *self->next != ' ' && *self->next != ','))
        return fail_at(text, error);
    self->offset = (int)(hours * 3600 + minutes * 60 + seconds) * (*text == '-' ? -1 : 1);
    return claim_zone(self, error);
}

/* --- words -------------------------------------------------------------------------------- */

/* Index of the name that `word` is or, with at least three letters, abbreviates; otherwise -1. */
static int
find_name(const char *const names[], int count, const char *word)
{
    size_t size = strlen(word);

    for (int i = 0; i < count; i++)
        if (g_ascii_strncasecmp(names[i], word, size) == 0 &&
            (size == 3 || size == strlen(names[i]) ||
             (size == 4 && names[i][0] == 'S' && names[i][1] == 'e') || /* sept */
             (size == 4 && names[i][0] == 'T') ||                       /* tues, thur */
             (size == 5 && names[i][0] == 'T' && names[i][1] == 'h')))  /* thurs */
            return i;
    return -1;
}

static GTimeZone *
find_zone(const char *name)
{
    g_autofree char *proper = g_ascii_strdown(name, -1);
    GTimeZone *zone;

    /* A name is a path below the data base's folder. */
    if (strstr(name, "..") != NULL)
        return NULL;
    zone = g_time_zone_new_identifier(name);
    if (zone != NULL)
        return zone;
    /* The data base is case-sensitive where the server is not. */
    for (char *c = proper; *c != '\0'; c++)
        if (c == proper || strchr("/_-", c[-1]) != NULL)
            *c = g_ascii_toupper(*c);
    return g_time_zone_new_identifier(proper);
}

static bool
set_zone(TimeParser *self, const char *name, GError **error)
{
    if (!claim_zone(self, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(ABBREVIATIONS); i++)
        if (g_ascii_strcasecmp(ABBREVIATIONS[i].name, name) == 0) {
            self->offset = ABBREVIATIONS[i].minutes * 60;
            self->zone_since = ABBREVIATIONS[i].since;
            return true;
        }
    self->zone = find_zone(name);
    if (self->zone == NULL)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not a known word or zone", name);
    return true;
}

/* today, yesterday, tomorrow: days of the local zone. */
static bool
set_day_from_now(TimeParser *self, int days, GError **error)
{
    g_autoptr(GTimeZone) local = g_time_zone_new_local();
    int64_t now = self->now_us / BK_USEC_PER_SEC;

    if (date_is_whole(self) || self->number_count > 0 || self->month != 0)
        return bk_throw(error, BK_ERROR_USAGE, "the date is given twice");
    self->has_days = true;
    self->days = (now + offset_at(local, now)) / SECS_PER_DAY + days;
    return true;
}

static bool
set_instant(TimeParser *self, int64_t instant_us)
{
    self->has_instant = true;
    self->instant_us = instant_us;
    return true;
}

static bool
set_half(TimeParser *self, char half, GError **error)
{
    if (self->half != 0 || !self->has_clock)
        return bk_throw(error, BK_ERROR_USAGE, "\"%cm\" belongs behind one time of day", half);
    self->half = half;
    return true;
}

static bool
set_month(TimeParser *self, int index, GError **error)
{
    if (self->month != 0 || date_is_whole(self))
        return bk_throw(error, BK_ERROR_USAGE, "the month is given twice");
    self->month = (unsigned)index + 1;
    /* Nov-21-2026 */
    if (is_separator(*self->next) && g_ascii_isdigit(self->next[1]) && !date_is_whole(self))
        self->next++;
    return true;
}

static bool
use_word(TimeParser *self, const char *word, GError **error)
{
    int index;

    if (g_ascii_strcasecmp(word, "am") == 0 || g_ascii_strcasecmp(word, "pm") == 0)
        return set_half(self, g_ascii_tolower(*word), error);
    if (g_ascii_strcasecmp(word, "at") == 0 || g_ascii_strcasecmp(word, "on") == 0)
        return true;
    if (g_ascii_strcasecmp(word, "now") == 0)
        return set_instant(self, self->now_us);
    if (g_ascii_strcasecmp(word, "epoch") == 0)
        return set_instant(self, 0);
    if (g_ascii_strcasecmp(word, "today") == 0)
        return set_day_from_now(self, 0, error);
    if (g_ascii_strcasecmp(word, "yesterday") == 0)
        return set_day_from_now(self, -1, error);
    if (g_ascii_strcasecmp(word, "tomorrow") == 0)
        return set_day_from_now(self, 1, error);
    index = find_name(MONTHS, G_N_ELEMENTS(MONTHS), word);
    if (index >= 0)
        return set_month(self, index, error);
    index = find_name(WEEKDAYS, G_N_ELEMENTS(WEEKDAYS), word);
    if (index < 0)
        return set_zone(self, word, error);
    if (self->weekday != 0)
        return bk_throw(error, BK_ERROR_USAGE, "the day of the week is given twice");
    self->weekday = (unsigned)index + 1;
    return true;
}

static bool
scan_word(TimeParser *self, GError **error)
{
    static const char *const with_digits[] = {"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT"};
    static const char zone_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789_/+-";
    size_t size = letters_at(self->next);
    g_autofree char *word = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(with_digits); i++)
        if (g_ascii_strncasecmp(self->next, with_digits[i], 7) == 0 &&
            !g_ascii_isalnum(self->next[7])) {
            self->next += 7;
            return set_zone(self, with_digits[i], error);
        }
    if ((self->next[size] == '/' || self->next[size] == '_') &&
        g_ascii_isalpha(self->next[size + 1]))
        size = strspn(self->next, zone_letters);
    word = g_strndup(self->next, size);
    self->next += size;
    return use_word(self, word, error);
}

/* --- putting together --------------------------------------------------------------------- */

static bool
full_year(Number number, unsigned *year, GError **error)
{
    if (number.digits != 2 && number.digits != 4)
        return bk_throw(error, BK_ERROR_USAGE, "a year has four digits");
    *year = number.value;
    if (number.digits == 2)
        *year += number.value < 70 ? 2000 : 1900;
    return true;
}

/* The order is the server's: a first number of four digits is the year. */
static bool
resolve_date(TimeParser *self, GError **error)
{
    const Number *numbers = self->numbers;
    bool year_first = numbers[0].digits == 4;
    Number month = {self->month, 2};
    Number day;
    unsigned year = 0;

    if (self->has_days)
        return true;
    if (!date_is_whole(self))
        return bk_throw(error, BK_ERROR_USAGE, "the date is missing or not whole");
    if (self->month != 0) {
        day = numbers[year_first ? 1 : 0];
    } else {
        month = numbers[year_first ? 1 : 0];
        day = numbers[year_first ? 2 : 1];
    }
    if (month.digits > 2 || day.digits > 2)
        return bk_throw(error, BK_ERROR_USAGE, "the date has two years");
    return full_year(numbers[year_first ? 0 : self->number_count - 1], &year, error) &&
           set_date(self, year, month.value, day.value, error);
}

static bool
check_weekday(const TimeParser *self, GError **error)
{
    unsigned weekday = (unsigned)((self->days + 4) % 7);

    if (self->weekday == 0 || self->weekday - 1 == weekday)
        return true;
    return bk_throw(error, BK_ERROR_USAGE, "that day is a %s and not a %s", WEEKDAYS[weekday],
                    WEEKDAYS[self->weekday - 1]);
}

static bool
resolve_hour(TimeParser *self, GError **error)
{
    if (self->half == 0)
        return true;
    if (self->hour > 12)
        return bk_throw(error, BK_ERROR_USAGE, "there is no such time of day");
    self->hour = self->hour % 12 + (self->half == 'p' ? 12 : 0);
    return true;
}

static bool
resolve(TimeParser *self, int64_t *time_us, GError **error)
{
    int64_t wall;

    if (self->has_instant) {
        if (self->has_days || self->number_count > 0 || self->has_clock || self->has_zone ||
            self->month != 0 || self->weekday != 0)
            return bk_throw(error, BK_ERROR_USAGE, "\"now\" and \"epoch\" stand alone");
        *time_us = self->instant_us;
        return true;
    }
    if (!resolve_date(self, error) || !check_weekday(self, error) || !resolve_hour(self, error))
        return false;
    if (self->zone_since > 0 && self->days < days_of_date(self->zone_since, 1, 1))
        return bk_throw(error, BK_ERROR_USAGE,
                        "its zone meant something else before %u: give an offset such as +03:00",
                        self->zone_since);
    wall = self->days * SECS_PER_DAY + (int64_t)self->hour * 3600 + self->rest_us / BK_USEC_PER_SEC;
    if (!self->has_zone)
        self->zone = g_time_zone_new_local();
    if (self->zone != NULL)
        self->offset = offset_of_wall(self->zone, wall);
    *time_us = (wall - self->offset) * BK_USEC_PER_SEC + self->rest_us % BK_USEC_PER_SEC;
    return true;
}

static bool
scan(TimeParser *self, GError **error)
{
    for (;;) {
        bool fine;

        self->next += strspn(self->next, " \t,");
        if (*self->next == '\0')
            return true;
        if (g_ascii_isdigit(*self->next))
            fine = scan_number(self, error);
        else if (*self->next == '+' || *self->next == '-')
            fine = scan_offset(self, error);
        else if (g_ascii_isalpha(*self->next))
            fine = scan_word(self, error);
        else
            fine = fail_at(self->next, error);
        if (!fine)
            return false;
    }
}

/* --- ago ---------------------------------------------------------------------------------- */

static int64_t
seconds_of_unit(const char *unit)
{
    static const struct {
        const char *names;
        int64_t seconds;
    } units[] = {
        {" s sec secs second seconds ", 1},   {" m min mins minute minutes ", 60},
        {" h hr hrs hour hours ", 3600},      {" d day days ", SECS_PER_DAY},
        {" w week weeks ", 7 * SECS_PER_DAY},
    };
    g_autofree char *lower = g_ascii_strdown(unit, -1);
    g_autofree char *wanted = g_strdup_printf(" %s ", lower);

    for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
        if (strstr(units[i].names, wanted) != NULL)
            return units[i].seconds;
    return 0;
}

static bool
parse_ago(const char *text, int64_t now_us, int64_t *time_us, GError **error)
{
    const char *next = text + strspn(text, " \t");
    int64_t seconds = 0;

    while (g_ascii_strncasecmp(next, "ago", 3) != 0) {
        size_t digits = digits_at(next);
        const char *unit = next + digits + strspn(next + digits, " \t");
        size_t size = letters_at(unit);
        g_autofree char *name = g_strndup(unit, size);
        int64_t unit_seconds = seconds_of_unit(name);

        if (digits < 1 || digits > 9 || size == 0 || unit_seconds == 0)
            return fail_at(next, error);
        seconds += number_at(next, digits) * unit_seconds;
        if (seconds > now_us / BK_USEC_PER_SEC)
            return bk_throw(error, BK_ERROR_USAGE, "that is before 1970");
        next = unit + size;
        next += strspn(next, " \t,");
    }
    if (next == text + strspn(text, " \t") || next[3 + strspn(next + 3, " \t")] != '\0')
        return fail_at(next, error);
    *time_us = now_us - seconds * BK_USEC_PER_SEC;
    return true;
}

static bool
ends_with_ago(const char *text)
{
    g_autofree char *copy = g_strstrip(g_ascii_strdown(text, -1));

    return g_str_has_suffix(copy, "ago") && copy[0] >= '0' && copy[0] <= '9';
}

bool
bk_pg_time_parse(const char *text, int64_t now_us, int64_t *time_us, GError **error)
{
    g_auto(TimeParser) self = {.start = text, .next = text, .now_us = now_us};

    *time_us = 0;
    if (ends_with_ago(text))
        return parse_ago(text, now_us, time_us, error);
    return scan(&self, error) && resolve(&self, time_us, error);
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
