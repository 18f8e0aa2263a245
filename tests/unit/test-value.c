#include "config/value.h"

#include <string.h>

static uint64_t
size_of(const char *text)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 0;
    bool ok = bk_value_parse_size(text, &size, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
    return size;
}

static void
test_sizes(void)
{
    static const char *const bad[] = {"",     "MiB",  "-1",        "1.5M",
                                      "1 M",  "1Q",   "1mib",      "+1",
                                      "0x10", "1MB ", "16777216T", "99999999999999999999"};

    g_assert_cmpuint(size_of("0"), ==, 0);
    g_assert_cmpuint(size_of("4096"), ==, 4096);
    g_assert_cmpuint(size_of("512k"), ==, 512 * 1024);
    g_assert_cmpuint(size_of("100MiB"), ==, 100 * 1024 * 1024);
    g_assert_cmpuint(size_of("1GB"), ==, 1000 * 1000 * 1000);
    g_assert_cmpuint(size_of("2T"), ==, 2ULL << 40);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        uint64_t size;

        g_assert_false(bk_value_parse_size(bad[i], &size, &error));
        g_assert_true(bk_error_is(error, BK_ERROR_USAGE));
        g_assert_nonnull(strstr(error->message, bad[i]));
    }
}

static void
test_durations(void)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"0", 0},
                {"250ms", 250000},
                {"30s", 30 * BK_USEC_PER_SEC},
                {"5m", 300 * BK_USEC_PER_SEC},
                {"12h", 12 * 3600 * BK_USEC_PER_SEC},
                {"7d", 7 * 86400 * BK_USEC_PER_SEC},
                {"4w", 28 * 86400 * BK_USEC_PER_SEC}};
    static const char *const bad[] = {"", "30", "s", "5 m", "-5m", "5M", "1y", "99999999999w"};
    int64_t us;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(bk_value_parse_duration_us(good[i].text, &us, &error));
        g_assert_cmpint(us, ==, good[i].us);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(bk_value_parse_duration_us(bad[i], &us, NULL));
}

static void
test_words_and_numbers(void)
{
    bool yes = false;
    int method = -1;
    int64_t number;

    g_assert_true(bk_value_parse_bool("true", &yes, NULL));
    g_assert_true(yes);
    g_assert_true(bk_value_parse_bool("false", &yes, NULL));
    g_assert_false(yes);
    g_assert_false(bk_value_parse_bool("yes", &yes, NULL));
    g_assert_true(bk_value_parse_method("lz4", &method, NULL));
    g_assert_cmpint(method, ==, 2);
    g_assert_false(bk_value_parse_method("gzip", &method, NULL));
    g_assert_true(bk_value_parse_int("-7", -10, 10, &number, NULL));
    g_assert_cmpint(number, ==, -7);
    g_assert_false(bk_value_parse_int("11", -10, 10, &number, NULL));
    g_assert_false(bk_value_parse_int("1x", -10, 10, &number, NULL));
    g_assert_false(bk_value_parse_int("--1", -10, 10, &number, NULL));
    g_assert_false(bk_value_parse_int("9223372036854775808", 0, INT64_MAX, &number, NULL));
}

static void
test_schedules(void)
{
    static const char *const good[] = {"0 2 * * *",        "*/15 * * * *",
                                       "0 0 1,15 * 5",     "5-55/10 1-3 * * 7 ",
                                       "0 4 8-14 jan sun", "0\t2 *  * mon-fri"};
    static const char *const bad[] = {
        "",           "0 2 * *",    "0 2 * * * *", "60 * * * *",  "* 24 * * *",
        "* * 0 * *",  "* * * 13 *", "* * * * 8",   "5-1 * * * *", "*/0 * * * *",
        "1, * * * *", "@daily",     "x * * * *",   "*-3 * * * *"};

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;

        if (!bk_value_check_cron(good[i], &error))
            g_error("%s", error->message);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(bk_value_check_cron(bad[i], NULL));
}

static void
test_names(void)
{
    static const char *const good[] = {"orders", "0", "a-b_c9"};
    static const char *const bad[] = {"", "Orders", "-a", "_a", "a.b", "a/b", "keys", "audit", "ü"};
    g_autofree char *longest = g_strnfill(63, 'a');
    g_autofree char *longer = g_strnfill(64, 'a');

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(bk_value_check_name(good[i], NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(bk_value_check_name(bad[i], NULL));
    g_assert_true(bk_value_check_name(longest, NULL));
    g_assert_false(bk_value_check_name(longer, NULL));
}

static void
test_similar(void)
{
    static const char *const words[] = {"last", "daily", "weekly", "monthly", NULL};
    g_autofree char *longer = g_strnfill(1000, 'a');

    g_assert_cmpstr(bk_value_find_similar("dayly", words), ==, "daily");
    g_assert_cmpstr(bk_value_find_similar("dialy", words), ==, "daily");
    g_assert_cmpstr(bk_value_find_similar("montly", words), ==, "monthly");
    g_assert_null(bk_value_find_similar("compress", words));
    g_assert_null(bk_value_find_similar(longer, words));
    g_assert_null(bk_value_find_similar("", words));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/value/sizes", test_sizes);
    g_test_add_func("/value/durations", test_durations);
    g_test_add_func("/value/words-and-numbers", test_words_and_numbers);
    g_test_add_func("/value/schedules", test_schedules);
    g_test_add_func("/value/names", test_names);
    g_test_add_func("/value/similar", test_similar);
    return g_test_run();
}
