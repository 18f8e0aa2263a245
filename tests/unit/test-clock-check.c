/* test-clock-check.c - how clocks are compared, and ids of snapshots that are dated ahead. */
#include "expect-problem.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/history/clock-check.h"

#include <string.h>

#define SECOND BK_USEC_PER_SEC
#define DAY    (86400 * SECOND)
#define NOW    (INT64_C(1795996800) * SECOND) /* 2026-11-30T00:00:00Z */

static void
test_describe(void)
{
    static const struct {
        int64_t ahead_us;
        const char *text;
    } cases[] = {
        {90 * SECOND, "90 s ahead of"},
        {-119 * SECOND, "119 s behind"},
        {120 * SECOND, "2 minutes ahead of"},
        {-2 * DAY + SECOND, "48 hours behind"},
        {3 * DAY - SECOND / 4, "3 days ahead of"},
        {365 * DAY, "365 days ahead of"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = bk_clock_describe(cases[i].ahead_us);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void
test_server(void)
{
    g_autoptr(GPtrArray) problems = bk_problem_list_new();

    bk_clock_check_server("orders", BK_CLOCK_SLACK_US, problems);
    bk_clock_check_server("orders", -BK_CLOCK_SLACK_US, problems);
    g_assert_cmpuint(problems->len, ==, 0);
    bk_clock_check_server("orders", BK_CLOCK_SLACK_US + 1, problems);
    bk_clock_check_server("orders", -BK_CLOCK_SLACK_US - 1, problems);
    g_assert_nonnull(strstr(problem_text(problems, 0), "60 s ahead of this host's"));
    g_assert_nonnull(strstr(problem_text(problems, 1), "60 s behind this host's"));
    g_assert_cmpint(problem_at(problems, 1)->code, ==, BK_PROBLEM_SERVER_CLOCK);
}

static void
test_ids(void)
{
    static const BkSnapshotEntry entries[] = {
        {.id = "20261129T235959Z-00000001"}, {.id = "20261130T000100Z-00000002"}, {.id = "no id"},
        {.id = "20261399T999999Z-00000003"}, /* no date */
        {.id = "20261203T000000Z-00000004"}, {.id = "20261202T000000Z-00000005"},
    };
    g_autoptr(GPtrArray) listed = g_ptr_array_new();
    g_autoptr(GPtrArray) problems = bk_problem_list_new();

    bk_clock_check_ids(listed, NOW, problems);
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
        if (i == 4) {
            bk_clock_check_ids(listed, NOW, problems);
            g_assert_cmpuint(problems->len, ==, 0);
        }
        g_ptr_array_add(listed, (void *)(uintptr_t)&entries[i]);
    }
    bk_clock_check_ids(listed, NOW, problems);
    g_assert_nonnull(
        strstr(problem_text(problems, 0), "20261203T000000Z-00000004 is dated 3 days ahead of"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock-check/describe", test_describe);
    g_test_add_func("/clock-check/server", test_server);
    g_test_add_func("/clock-check/ids", test_ids);
    return g_test_run();
}
