#include "source/pg/format/timeline-history.h"

#include <string.h>

static void
test_parse(void)
{
    static const char text[] = "# kept by the administrator\n"
                               "1\t0/3000000\tno recovery target specified\n"
                               "\n"
                               "  2\t0/5000148\tbefore 2026-11-20 10:00:00.123+01\r\n"
                               "7 1/0\tat restore point \"x\"";
    g_auto(BkTimelineHistory) history = {0};
    g_auto(BkTimelineHistory) again = {0};
    g_auto(BkBuf) formatted = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkLsn lsn;

    g_assert_true(bk_timeline_history_parse(9, text, strlen(text), &history, &error));
    g_assert_cmpuint(history.timeline, ==, 9);
    g_assert_cmpuint(history.count, ==, 3);
    g_assert_true(bk_timeline_history_switch_lsn(&history, 2, &lsn));
    g_assert_cmphex(lsn, ==, 0x5000148);
    g_assert_false(bk_timeline_history_switch_lsn(&history, 3, &lsn));
    g_assert_false(bk_timeline_history_switch_lsn(&history, 9, &lsn));
    g_assert_cmpuint(bk_timeline_history_timeline_at(&history, 0x2FFFFFF), ==, 1);
    g_assert_cmpuint(bk_timeline_history_timeline_at(&history, 0x3000000), ==, 2);
    g_assert_cmpuint(bk_timeline_history_timeline_at(&history, 0x100000000), ==, 9);

    bk_timeline_history_format(&history, &formatted);
    g_assert_true(bk_timeline_history_parse(9, formatted.data, formatted.size, &again, &error));
    g_assert_cmpuint(again.count, ==, history.count);
    for (size_t i = 0; i < again.count; i++) {
        g_assert_cmpuint(again.entries[i].timeline, ==, history.entries[i].timeline);
        g_assert_cmphex(again.entries[i].switch_lsn, ==, history.entries[i].switch_lsn);
    }
}

static void
test_empty(void)
{
    g_auto(BkTimelineHistory) history = {0};

    g_assert_true(bk_timeline_history_parse(1, NULL, 0, &history, NULL));
    g_assert_cmpuint(history.count, ==, 0);
    g_assert_cmpuint(bk_timeline_history_timeline_at(&history, 5), ==, 1);
}

static void
test_long_reason(void)
{
    g_autofree char *reason = g_strnfill(5000, 'x');
    g_autofree char *text = g_strdup_printf("1\t0/3000000\t%s\n2\t0/4000000\t%s\n", reason, reason);
    g_auto(BkTimelineHistory) history = {0};

    g_assert_true(bk_timeline_history_parse(3, text, strlen(text), &history, NULL));
    g_assert_cmpuint(history.count, ==, 2);
}

static void
expect_refused(const char *text, size_t size, BkErrorCode code)
{
    g_auto(BkTimelineHistory) history = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(bk_timeline_history_parse(5, text, size, &history, &error));
    g_assert_true(bk_error_is(error, code));
    g_assert_null(history.entries);
}

static void
test_refused(void)
{
    static const char *const bad[] = {
        "x",
        "1",
        "1\t",
        "1\t0",
        "1\t0/X",
        "0\t0/1",
        "-1\t0/1",
        "5\t0/1",
        "4294967297\t0/1",
        "2\t0/2\tr\n1\t0/3\tr\n",
        "2\t0/2\tr\n2\t0/3\tr\n",
        "1\t0/2\tr\n2\t0/1\tr\n",
        "1\t0000000000000000000000000/1",
    };
    g_autofree char *large = g_strnfill(BK_HISTORY_MAX_SIZE + 1, '#');

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        expect_refused(bad[i], strlen(bad[i]), BK_ERROR_CORRUPT);
    expect_refused("1\t0/1\t\0\n", 8, BK_ERROR_CORRUPT);
    expect_refused(large, BK_HISTORY_MAX_SIZE + 1, BK_ERROR_UNSUPPORTED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/timeline-history/parse", test_parse);
    g_test_add_func("/timeline-history/empty", test_empty);
    g_test_add_func("/timeline-history/long-reason", test_long_reason);
    g_test_add_func("/timeline-history/refused", test_refused);
    return g_test_run();
}
