#include "cli/options.h"

#include <string.h>

/* A command line as one text, its words divided by blanks. */
static BkArgs *
parse(const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    return bk_args_parse((int)g_strv_length(words), words, error);
}

static void
test_values(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkArgs) args = parse("backstay -c x.yaml -vv backup --full --workers 4 orders "
                                   "--max-rate=100MiB --compress zstd:3 -q",
                                   &error);

    g_assert_no_error(error);
    g_assert_cmpstr(bk_args_get_command(args), ==, "backup");
    g_assert_cmpstr(bk_args_get_string(args, "source"), ==, "orders");
    g_assert_cmpstr(bk_args_get_string(args, "config"), ==, "x.yaml");
    g_assert_cmpuint(bk_args_get_count(args, "verbose"), ==, 2);
    g_assert_true(bk_args_get_flag(args, "quiet"));
    g_assert_true(bk_args_get_flag(args, "full"));
    g_assert_false(bk_args_get_flag(args, "json"));
    g_assert_cmpint(bk_args_get_int(args, "workers", 1), ==, 4);
    g_assert_cmpuint(bk_args_get_size(args, "max-rate", 0), ==, 100 * BK_MIB);
    g_assert_cmpstr(bk_args_get_string(args, "compress"), ==, "zstd:3");
    g_assert_cmpstr(bk_args_get_string(args, "checkpoint"), ==, "fast");
    g_assert_false(bk_args_has(args, "checkpoint"));
    g_assert_null(bk_args_get_string(args, "label"));
}

static void
test_two_words(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkArgs) args = parse("backstay wal -c x push orders -- -odd", &error);
    g_autoptr(BkArgs) fetch = NULL;

    g_assert_null(args);
    g_assert_true(bk_error_is(error, BK_ERROR_USAGE));
    g_clear_error(&error);
    fetch = parse("backstay wal fetch --config=x orders 000000010000000000000001 -- -odd", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(bk_args_get_command(fetch), ==, "wal fetch");
    g_assert_cmpstr(bk_args_get_string(fetch, "path"), ==, "-odd");
    g_assert_cmpint(bk_args_get_int(fetch, "prefetch", 16), ==, 16);
}

static void
test_list(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkArgs) args =
        parse("backstay restore orders --to /x --tablespace a=/1 --tablespace=b=/2", &error);
    g_autoptr(BkArgs) none = NULL;
    const char *const *list;

    g_assert_no_error(error);
    list = bk_args_get_list(args, "tablespace");
    g_assert_cmpstr(list[0], ==, "a=/1");
    g_assert_cmpstr(list[1], ==, "b=/2");
    g_assert_null(list[2]);
    none = parse("backstay restore orders --to /x", &error);
    g_assert_no_error(error);
    g_assert_null(bk_args_get_list(none, "tablespace")[0]);
}

static void
test_help(void)
{
    static const char *const lines[] = {"backstay --help",      "backstay restore --help",
                                        "backstay -h wal push", "backstay wal --help",
                                        "backstay backup -h",   "backstay --version"};

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BkArgs) args = parse(lines[i], &error);

        g_assert_no_error(error);
        g_assert_true(g_str_has_prefix(bk_args_get_help(args), "usage: backstay"));
        g_assert_null(strstr(bk_args_get_help(args), "list-faults"));
    }
}

static const struct {
    const char *line;
    const char *complaint;
} mistakes[] = {
    {"backstay", "no command given"},
    {"backstay bakup", "unknown command \"bakup\" (did you mean \"backup\"?)"},
    {"backstay frobnicate", "unknown command \"frobnicate\""},
    {"backstay wal", "\"wal\" needs another word after it"},
    {"backstay wal psuh", "unknown command \"wal psuh\" (did you mean \"wal push\"?)"},
    {"backstay backup", "\"backup\" needs SOURCE"},
    {"backstay wal push orders", "\"wal push\" needs PATH"},
    {"backstay backup a b", "unexpected argument \"b\" for \"backup\""},
    {"backstay backup a --ful", "unknown option \"--ful\" (did you mean \"--full\"?)"},
    {"backstay --full backup a", "unknown option \"--full\""},
    {"backstay backup a --passwrd=swordfish", "unknown option \"--passwrd\""},
    {"backstay backup a -x", "unknown option \"-x\""},
    {"backstay backup a --full --full", "\"--full\" is given twice"},
    {"backstay backup a --full=yes", "\"--full\" takes no value"},
    {"backstay backup a --workers", "\"--workers\" needs a value"},
    {"backstay backup a --workers=", "--workers: the value is empty"},
    {"backstay backup a --workers many", "--workers: \"many\" is not a whole number"},
    {"backstay backup a --workers 0", "--workers: \"0\" is not in the range 1 to 256"},
    {"backstay backup a --max-rate 1Q", "--max-rate: \"1Q\" is not a size such as 512k, 100MiB or "
                                        "1GB"},
    {"backstay backup a --checkpoint slow", "--checkpoint: \"slow\" is not one of fast, spread"},
    {"backstay restore a", "\"restore\" needs \"--to\""},
    {"backstay restore a --to d --delta --replace",
     "\"--delta\" and \"--replace\" cannot be used together"},
    {"backstay restore  --to d", "SOURCE is empty"},
};

static void
test_mistakes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BkArgs) args = parse(mistakes[i].line, &error);

        g_assert_null(args);
        g_assert_true(bk_error_is(error, BK_ERROR_USAGE));
        g_assert_cmpstr(error->message, ==, mistakes[i].complaint);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/values", test_values);
    g_test_add_func("/options/two-words", test_two_words);
    g_test_add_func("/options/list", test_list);
    g_test_add_func("/options/help", test_help);
    g_test_add_func("/options/mistakes", test_mistakes);
    return g_test_run();
}
