#include "cli/progress.h"

static void
test_format(void)
{
    BkOpProgress progress = {.phase = "copying", .done = 512 * BK_MIB, .total = BK_GIB};
    BkOpProgress counted = {.phase = "reading files", .done = 12};
    BkOpProgress grown = {.phase = "copying", .done = 2 * BK_MIB, .total = BK_MIB};
    g_autofree char *plain = bk_progress_format(&progress, 4 * BK_USEC_PER_SEC, 0);
    g_autofree char *bar = bk_progress_format(&progress, 4 * BK_USEC_PER_SEC, 10);
    g_autofree char *items = bk_progress_format(&counted, 2 * BK_USEC_PER_SEC, 10);
    g_autofree char *whole = bk_progress_format(&grown, 0, 4);

    g_assert_cmpstr(plain, ==, "copying  50% 512 MiB of 1.0 GiB, 128 MiB/s, 4s left");
    g_assert_cmpstr(bar, ==, "copying [#####.....]  50% 512 MiB of 1.0 GiB, 128 MiB/s, 4s left");
    g_assert_cmpstr(items, ==, "reading files 12, 6/s");
    g_assert_cmpstr(whole, ==, "copying [####] 100% 2.0 MiB of 2.0 MiB");
}

static void
test_sizes(void)
{
    static const struct {
        uint64_t size;
        const char *text;
    } cases[] = {{0, "0 bytes"},          {1023, "1023 bytes"},
                 {1024, "1.0 KiB"},       {1000 * BK_KIB, "1.0 MiB"},
                 {16 * BK_MIB, "16 MiB"}, {UINT64_MAX, "16 EiB"}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = bk_progress_format_size(cases[i].size);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

/* Stopping does not wait for the next time to draw. */
static void
test_stop(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    int64_t start_us = g_get_monotonic_time();

    bk_op_begin_phase(op, "copying", 10);
    for (unsigned i = 0; i < 20; i++)
        bk_progress_stop(bk_progress_start(op, false));
    g_assert_null(bk_progress_start(op, true));
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 5 * BK_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/progress/format", test_format);
    g_test_add_func("/progress/sizes", test_sizes);
    g_test_add_func("/progress/stop", test_stop);
    return g_test_run();
}
