/* test-recovery-target.c - what a user can name as recovery target, and which point in time it is.
 */
#include "source/pg/format/pg-time.h"
#include "source/pg/restore/recovery-target.h"

#include <string.h>

#define NOW_US (INT64_C(1795256100) * BK_USEC_PER_SEC) /* 2026-11-21 10:15:00 UTC, a Saturday */

typedef struct TimeCase {
    const char *zone; /* TZ */
    const char *text;
    const char *utc; /* NULL: refused */
} TimeCase;

static const TimeCase TIME_CASES[] = {
    /* ISO 8601, RFC 3339 */
    {"UTC", "2026-11-21 10:15:00", "2026-11-21 10:15:00.000000"},
    {"UTC", "2026-11-21T10:15:00Z", "2026-11-21 10:15:00.000000"},
    {"UTC", "2026-11-21t10:15:00z", "2026-11-21 10:15:00.000000"},
    {"UTC", "2026-11-21T10:15", "2026-11-21 10:15:00.000000"},
    {"UTC", "20261121T101500", "2026-11-21 10:15:00.000000"},
    {"UTC", "20261121T101500.5+0200", "2026-11-21 08:15:00.500000"},
    {"UTC", "20261121 1015", "2026-11-21 10:15:00.000000"},
    {"UTC", "2026-11-21", "2026-11-21 00:00:00.000000"},
    {"UTC", "  2026-11-21 10:15  UTC ", "2026-11-21 10:15:00.000000"},
    {"UTC", "2028-02-29", "2028-02-29 00:00:00.000000"},
    {"UTC", "9999-12-31 23:59:59", "9999-12-31 23:59:59.000000"},
    {"UTC", "1970-01-01 00:00:00", "1970-01-01 00:00:00.000000"},
    /* Fractions are cut off, never carried. */
    {"UTC", "2026-11-21 10:15:00.5", "2026-11-21 10:15:00.500000"},
    {"UTC", "2026-11-21 10:15:00,25", "2026-11-21 10:15:00.250000"},
    {"UTC", "2026-11-21 10:15:00.123456999", "2026-11-21 10:15:00.123456"},
    {"UTC", "2026-12-31 23:59:59.9999999", "2026-12-31 23:59:59.999999"},
    /* Zones */
    {"Asia/Tokyo", "2026-11-21 10:15:00+02", "2026-11-21 08:15:00.000000"},
    {"Asia/Tokyo", "2026-11-21 10:15:00 +02:00", "2026-11-21 08:15:00.000000"},
    {"Asia/Tokyo", "2026-11-21 10:15:00-03:30", "2026-11-21 13:45:00.000000"},
    {"Asia/Tokyo", "2026-11-21 10:15:00 -0330", "2026-11-21 13:45:00.000000"},
    {"Asia/Tokyo", "2026-11-21 10:15:00 GMT", "2026-11-21 10:15:00.000000"},
    {"Asia/Tokyo", "2026-11-21 10:15:00 Europe/Berlin", "2026-11-21 09:15:00.000000"},
    {"Asia/Tokyo", "2026-07-21 10:15:00 Europe/Berlin", "2026-07-21 08:15:00.000000"},
    {"Asia/Tokyo", "2026-07-21 10:15 America/Argentina/Buenos_Aires", "2026-07-21 13:15:00.000000"},
    {"Asia/Tokyo", "2026-11-21 10:15:00", "2026-11-21 01:15:00.000000"},
    {":Asia/Tokyo", "2026-11-21 10:15:00", "2026-11-21 01:15:00.000000"},
    {"/usr/share/zoneinfo/Asia/Tokyo", "2026-11-21 10:15:00", "2026-11-21 01:15:00.000000"},
    {"", "2026-11-21 10:15:00", "2026-11-21 10:15:00.000000"},
    {"EST5", "2026-11-21 10:15:00", "2026-11-21 15:15:00.000000"},
    /* Around the hour that is put forward or back. */
    {"Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59.000000"},
    {"Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00:00.000000"},
    {"Europe/Berlin", "2026-10-25 01:59:59", "2026-10-24 23:59:59.000000"},
    {"Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00:00.000000"},
    {"Europe/Berlin", "2026-10-25 02:30+02:00", "2026-10-25 00:30:00.000000"},
    /* Ago */
    {"UTC", "90 minutes ago", "2026-11-21 08:45:00.000000"},
    {"UTC", "1 minute ago", "2026-11-21 10:14:00.000000"},
    {"UTC", "2 hours ago", "2026-11-21 08:15:00.000000"},
    {"Europe/Berlin", "30 days ago", "2026-10-22 10:15:00.000000"},
    /* Refused */
    {"UTC", "", NULL},
    {"UTC", "2026-02-29", NULL},
    {"UTC", "2026-02-30 10:00", NULL},
    {"UTC", "2026-04-31", NULL},
    {"UTC", "2026-13-01", NULL},
    {"UTC", "2026-00-10", NULL},
    {"UTC", "2026-11-00", NULL},
    {"UTC", "1969-12-31", NULL},
    {"UTC", "2026-1-2 3:04", NULL},
    {"UTC", "2026-11-21 3:04", NULL},
    {"UTC", "2026-11-21 24:00", NULL},
    {"UTC", "2026-11-21 10:60", NULL},
    {"UTC", "2026-11-21 10:15:60", NULL},
    {"UTC", "2026-11-21 10:15:00.", NULL},
    {"UTC", "2026-11-21 10", NULL},
    {"UTC", "2026-11-21 10:5", NULL},
    {"UTC", "2026-11-21 10:15.5", NULL},
    {"UTC", "2026-11-21 10:15 x", NULL},
    {"UTC", "2026-11-21 10:15 10:16", NULL},
    {"UTC", "2026-11-21 1015", NULL},
    {"UTC", "20261121 10:15", NULL},
    {"UTC", "2026-11-21  10:15", NULL},
    {"UTC", "2026-11-21T", NULL},
    {"UTC", "2026-11-21 Z", NULL},
    {"UTC", "2026-11-21-05", NULL},
    {"UTC", "2026-11-21 10:15 UTC+3", NULL},
    {"UTC", "2026-11-21 10:15 Etc/GMT+3", NULL},
    {"UTC", "2026-11-21 10:15 -5", NULL},
    {"UTC", "2026-11-21 10:15 +16", NULL},
    {"UTC", "2026-11-21 10:15 +02x", NULL},
    {"UTC", "2026-11-21 10:15 +02:", NULL},
    {"UTC", "2026-11-21 10:15 CET", NULL}, /* +01:00 to some, with summer time to others */
    {"UTC", "2026-11-21 10:15 EST5EDT", NULL},
    {"UTC", "2026-11-21 10:15 Europe/Nowhere", NULL},
    {"UTC", "2026-11-21 10:15 Europe/../../../etc/passwd", NULL},
    {"UTC", "2026-11-21 10:15 /usr/share/zoneinfo/UTC", NULL},
    {"UTC", "11/21/2026", NULL},
    {"UTC", "01/02/1999", NULL},
    {"UTC", "21.11.2026", NULL},
    {"UTC", "2026/11/21", NULL},
    {"UTC", "Nov 21 2026 10:15", NULL},
    {"UTC", "21 November 2026", NULL},
    {"UTC", "2026", NULL},
    {"UTC", "10:15", NULL},
    {"UTC", "261121", NULL},
    {"UTC", "20261121101500", NULL},
    {"UTC", "2026-11-21 10:15 am", NULL},
    {"UTC", "now", NULL},
    {"UTC", "today", NULL},
    {"UTC", "yesterday 10:15", NULL},
    {"UTC", "infinity", NULL},
    {"UTC", "5 ago", NULL},
    {"UTC", "ago", NULL},
    {"UTC", "-5 minutes ago", NULL},
    {"UTC", "5m ago", NULL},
    {"UTC", "1 day 2 hours ago", NULL},
    {"UTC", "5 fortnights ago", NULL},
    {"UTC", "999999999 days ago", NULL},
    {"UTC", "9999999999 minutes ago", NULL},
    {"UTC", "2026-11-21 \xc3\xa4", NULL},
    {"Europe/Nowhere", "2026-11-21 10:15", NULL},
    {"/usr/share/zoneinfo/Nowhere", "2026-11-21 10:15", NULL},
    {"nonsense", "2026-11-21", NULL},
    {"+03", "2026-11-21", NULL}, /* UTC to the C library */
};

static void
test_time(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(TIME_CASES); i++) {
        const TimeCase *each = &TIME_CASES[i];
        char text[BK_PG_TIME_TEXT_SIZE];
        g_autoptr(GError) error = NULL;
        int64_t time_us;
        bool fine;

        g_test_message("%s (%s)", each->text, each->zone);
        g_setenv("TZ", each->zone, TRUE);
        fine = bk_pg_time_parse(each->text, NOW_US, &time_us, &error);
        if (each->utc == NULL) {
            g_assert_false(fine);
            g_assert_error(error, BK_ERROR, BK_ERROR_USAGE);
            continue;
        }
        g_assert_no_error(error);
        g_assert_true(fine);
        g_assert_cmpstr(bk_pg_time_format(time_us, text), ==, each->utc);
    }
    g_setenv("TZ", "UTC", TRUE);
}

static void
test_time_reasons(void)
{
    static const char *const cases[][3] = {
        {"UTC", "2026-11-31", "month 11 of 2026 has 30 days"},
        {"UTC", "2026-21-11", "there is no month 21: a date is YEAR-MONTH-DAY"},
        {"UTC", "2026-11-21 10:15 Mars/Base",
         "\"Mars/Base\" is not a known time zone: use an offset such as +01:00, Z, UTC, or a name "
         "such "
         "as "
         "Europe/Berlin"},
        {"Mars/Base", "2026-11-21 10:15",
         "it has no time zone, and the local one is unknown (TZ=Mars/Base): add an offset such as "
         "+01:00"},
        {"UTC", "11/21/2026",
         "it is not a time: write it like 2026-11-21 10:15:00+01:00, "
         "2026-11-21T09:15:00Z, 2026-11-21 10:15 Europe/Berlin or 90 minutes ago"},
        {"Europe/Berlin", "2026-10-25 02:30",
         "the clock in Europe/Berlin showed this time twice: write \"2026-10-25 02:30:00+02:00\" "
         "or "
         "\"2026-10-25 02:30:00+01:00\""},
        {"UTC", "2026-10-25T02:30:00 Europe/Berlin",
         "the clock in Europe/Berlin showed this time twice: write \"2026-10-25 02:30:00+02:00\" "
         "or "
         "\"2026-10-25 02:30:00+01:00\""},
        {"Europe/Berlin", "2026-03-29 02:30",
         "the clock in Europe/Berlin never showed this time: write \"2026-03-29 01:30:00+01:00\" "
         "or "
         "\"2026-03-29 03:30:00+02:00\""},
        {"America/New_York", "2026-11-01 01:30",
         "the clock in America/New_York showed this time twice: write \"2026-11-01 "
         "01:30:00-04:00\" or "
         "\"2026-11-01 01:30:00-05:00\""},
        {"Australia/Lord_Howe", "2026-10-04 02:15",
         "the clock in Australia/Lord_Howe never showed this time: write \"2026-10-04 "
         "01:45:00+10:30\" or "
         "\"2026-10-04 02:45:00+11:00\""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int64_t time_us;

        g_setenv("TZ", cases[i][0], TRUE);
        g_assert_false(bk_pg_time_parse(cases[i][1], NOW_US, &time_us, &error));
        g_assert_cmpstr(error->message, ==, cases[i][2]);
    }
    g_setenv("TZ", "UTC", TRUE);
}

/* What was printed is read back as the same moment. */
static void
test_time_round_trip(void)
{
    for (int64_t time_us = -BK_USEC_PER_SEC; time_us < INT64_C(4000000000) * BK_USEC_PER_SEC;
         time_us += INT64_C(86399123457) * 37) {
        char text[BK_PG_TIME_TEXT_SIZE];
        int64_t again_us;

        if (time_us < 0)
            continue;
        g_assert_true(bk_pg_time_parse(bk_pg_time_format(time_us, text), 0, &again_us, NULL));
        g_assert_cmpint(again_us, ==, time_us);
    }
}

typedef struct TargetCase {
    const char *text;
    BkRecoveryTargetKind kind;
    const char *value;
    const char *description;
} TargetCase;

static void
test_forms(void)
{
    static const TargetCase cases[] = {
        {"latest", BK_RECOVERY_TARGET_LATEST, NULL, "latest"},
        {"immediate", BK_RECOVERY_TARGET_IMMEDIATE, NULL, "immediate"},
        {"20261121T003905Z-1a2b3c4d", BK_RECOVERY_TARGET_SNAPSHOT, "20261121T003905Z-1a2b3c4d",
         "snapshot 20261121T003905Z-1a2b3c4d"},
        {"lsn:0/3000028", BK_RECOVERY_TARGET_LSN, "0/3000028", "lsn 0/3000028"},
        {"lsn:1a/ff", BK_RECOVERY_TARGET_LSN, "1A/FF", "lsn 1A/FF"},
        {"xid:731", BK_RECOVERY_TARGET_XID, "731", "xid 731"},
        {"xid:4294968027", BK_RECOVERY_TARGET_XID, "731", "xid 731"}, /* with an epoch */
        {"name:before the mistake", BK_RECOVERY_TARGET_NAME, "before the mistake",
         "restore point \"before the mistake\""},
        {"name:latest", BK_RECOVERY_TARGET_NAME, "latest", "restore point \"latest\""},
        {"2026-11-21T11:15:00+01:00", BK_RECOVERY_TARGET_TIME, "2026-11-21 10:15:00.000000+00",
         "time 2026-11-21 10:15:00.000000 UTC"},
        {"0 minutes ago", BK_RECOVERY_TARGET_TIME, "2026-11-21 10:15:00.000000+00",
         "time 2026-11-21 10:15:00.000000 UTC"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(BkRecoveryTarget) target = BK_RECOVERY_TARGET_INIT;
        g_autofree char *value = NULL;
        g_autofree char *description = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_true(bk_recovery_target_parse(cases[i].text, NOW_US, &target, &error));
        g_assert_no_error(error);
        g_assert_cmpint(target.kind, ==, cases[i].kind);
        g_assert_false(target.exclusive);
        value = bk_recovery_target_value(&target);
        description = bk_recovery_target_describe(&target);
        g_assert_cmpstr(value, ==, cases[i].value);
        g_assert_cmpstr(description, ==, cases[i].description);
    }
}

static void
test_exclusive(void)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_XID, .xid = 7, .exclusive = true};
    g_autofree char *description = bk_recovery_target_describe(&target);

    g_assert_cmpstr(description, ==, "xid 7 (exclusive)");
    g_assert_cmpstr(bk_recovery_target_kind_name(target.kind), ==, "xid");
}

/* One line that says what is wrong and which forms there are. */
static void
test_refused(void)
{
    g_autofree char *long_name = g_strnfill(BK_RECOVERY_TARGET_NAME_MAX + 1, 'n');
    g_autofree char *named = g_strdup_printf("name:%s", long_name);
    const char *const texts[] = {
        "",
        "Latest",
        "lsn:",
        "lsn:0",
        "lsn:0/0",
        "lsn:0/3000028 ",
        "lsn:x/1",
        "xid:",
        "xid:2",
        "xid:-5",
        "xid:7x",
        "xid:4294967296",
        "name:",
        named,
        "name:a\nb",
        "tomorow",
        "20261121T003905Z-1a2b3c4",
        "2026-11-21\n",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        BkRecoveryTarget target;
        g_autoptr(GError) error = NULL;

        g_assert_false(bk_recovery_target_parse(texts[i], NOW_US, &target, &error));
        g_assert_error(error, BK_ERROR, BK_ERROR_USAGE);
        g_assert_cmpint(target.kind, ==, BK_RECOVERY_TARGET_LATEST);
        g_assert_null(target.text);
        g_assert_nonnull(strstr(error->message, "lsn:X/Y, xid:N, name:POINT and a time like"));
        g_assert_null(strchr(error->message, '\n'));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_setenv("TZ", "UTC", TRUE);
    g_test_add_func("/recovery-target/time", test_time);
    g_test_add_func("/recovery-target/time-reasons", test_time_reasons);
    g_test_add_func("/recovery-target/time-round-trip", test_time_round_trip);
    g_test_add_func("/recovery-target/forms", test_forms);
    g_test_add_func("/recovery-target/exclusive", test_exclusive);
    g_test_add_func("/recovery-target/refused", test_refused);
    return g_test_run();
}
