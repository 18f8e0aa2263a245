/* test-system.c - the order of a source's clusters, and which one is current. */
#include "source/pg/history/system.h"

#include <stdlib.h>

#define SYSTEMS 6

static int
compare(const void *a, const void *b)
{
    return bk_system_compare(a, b);
}

/* Whatever the clocks, the names of snapshots and the identifiers say: what was declared current
 * last is current. */
static void
test_last_declared_is_current(void)
{
    for (unsigned round = 0; round < 2000; round++) {
        BkSystemEvidence systems[SYSTEMS];
        char ids[SYSTEMS][32];
        uint64_t newest = 0;

        for (size_t i = 0; i < SYSTEMS; i++) {
            (void)g_snprintf(ids[i], sizeof ids[i], "%010d", g_test_rand_int_range(0, 1000));
            systems[i] = (BkSystemEvidence){
                .system_id = i + 1,
                .decision =
                    g_test_rand_bit() ? (uint64_t)g_test_rand_int_range(1, 1000) * 10 + i : 0,
                .snapshot = g_test_rand_bit() ? ids[i] : NULL,
                .archived_us = g_test_rand_bit() ? g_test_rand_int_range(0, 1000) : 0,
            };
            newest = MAX(newest, systems[i].decision);
        }
        qsort(systems, SYSTEMS, sizeof *systems, compare);
        g_assert_cmpuint(systems[SYSTEMS - 1].decision, ==, newest);
        for (size_t i = 1; i < SYSTEMS; i++) {
            g_assert_cmpuint(systems[i - 1].decision, <=, systems[i].decision);
            g_assert_cmpint(bk_system_compare(&systems[i - 1], &systems[i]), <, 0);
            g_assert_cmpint(bk_system_compare(&systems[i], &systems[i - 1]), >, 0);
        }
    }
}

/* A total order: what is before something that is before a third is before the third. */
static void
test_order_is_total(void)
{
    static const char *const snapshots[] = {NULL, "a", "b"};
    BkSystemEvidence all[54];
    size_t count = 0;

    for (uint64_t decision = 0; decision < 3; decision++)
        for (size_t i = 0; i < G_N_ELEMENTS(snapshots); i++)
            for (int64_t archived_us = 0; archived_us < 3; archived_us++)
                for (uint64_t id = 1; id < 3; id++)
                    all[count++] = (BkSystemEvidence){id, decision, snapshots[i], archived_us};
    g_assert_cmpuint(count, ==, G_N_ELEMENTS(all));
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++) {
            const int order = bk_system_compare(&all[a], &all[b]);

            g_assert_true((order == 0) == (a == b));
            for (size_t c = 0; order < 0 && c < count; c++)
                if (bk_system_compare(&all[b], &all[c]) < 0)
                    g_assert_cmpint(bk_system_compare(&all[a], &all[c]), <, 0);
        }
}

/* A cluster without any decision about it comes before those with one, though its snapshot may have
 * been taken under a clock that was ahead. */
static void
test_clock_decides_nothing_against_a_decision(void)
{
    const BkSystemEvidence old = {.system_id = 1, .snapshot = "2099", .archived_us = 99};
    const BkSystemEvidence new = {.system_id = 2, .decision = 1};

    g_assert_cmpint(bk_system_compare(&old, &new), <, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/system/last-declared-is-current", test_last_declared_is_current);
    g_test_add_func("/system/order-is-total", test_order_is_total);
    g_test_add_func("/system/clock-decides-nothing", test_clock_decides_nothing_against_a_decision);
    return g_test_run();
}
