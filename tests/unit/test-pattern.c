#include "source/files/pattern.h"

#include <string.h>

/* Patterns, separated by spaces, in the order in which they were written; a path from the root
 * "srv/data" that ends with a slash is a directory; whether it is backed up. */
static const struct {
    const char *patterns;
    const char *path;
    bool is_in;
} cases[] = {
    {"", "a", true},
    {"a", "a", false},
    {"a", "x/a", false},
    {"a", "x/a/y", false}, /* all below */
    {"a", "ab", true},
    {"a", "x/ba", true},
    {"*.tmp", "x/.tmp", false},
    {"*.tmp", "x/b.tmp", false},
    {"*.tmp", "x/b.tmpo", true},
    {"a*b*c", "axxbxxbxc", false},
    {"a*b*c", "axxbxx/bxc", true}, /* no name is matched over a slash */
    {"?", "a", false},
    {"?", "ab", true},
    {"x?y", "x/y", true},
    {"x/y", "x/y", false},
    {"x/y", "z/x/y", true}, /* anchored */
    {"x/*", "x/y", false},
    {"x/*", "x/", true},
    {"x/*/z", "x/y/z", false},
    {"x/*/z", "x/y/y/z", true},
    {"x/y*", "x/y/z", false}, /* by x/y */
    {"x/**/z", "x/z", false},
    {"x/**/z", "x/y/z", false},
    {"x/**/z", "x/y/y/z", false},
    {"x/**/z", "x/yz", true},
    {"**/z", "z", false},
    {"**/z", "x/y/z", false},
    {"**/z", "x/yz", true},
    {"x/**", "x/", true},
    {"x/**", "x/y/z", false},
    {"x**z", "x/y/z", true}, /* no slash: of a name */
    {"x/y**z", "x/ya/bz", false},
    {"a/", "a/", false},
    {"a/", "a", true},
    {"a/", "x/a/", false},
    {"a/", "x/a/y", false},
    {"/srv/data/a", "a", false},
    {"/srv/data/a", "x/a", true},
    {"/srv/*/a", "a", false},
    {"/**/a", "x/a", false},
    {"\\*", "*", false},
    {"\\*", "a", true},
    {"\\!a", "!a", false},
    {"[ab]", "a", true}, /* no classes */
    {"[ab]", "[ab]", false},
    {"\xff?", "\xff\xfe", false}, /* bytes, not text */
    {"A", "a", true},
    /* The last one wins. */
    {"*.log !keep.log", "x/keep.log", true},
    {"!keep.log *.log", "x/keep.log", false},
    {"cache !*.conf", "cache/x/a.conf", true},
    {"cache !*.conf", "cache/x/a.txt", false},
    {"cache !cache/keep", "cache/keep/x/y", true},
    {"cache !cache/keep", "cache/other/x", false},
    {"!cache/keep cache", "cache/keep/x", false},
    {"cache !cache/keep *.tmp", "cache/keep/a.tmp", false},
    {"*.log !logs/", "logs/a.log", true},
    {"*.log !logs/", "logs", true},
    {"a !a a", "a", false},
};

static int
find(const BkPatterns *patterns, const char *below)
{
    g_autofree char *full = g_strconcat("srv/data/", below, NULL);
    const size_t root = strlen("srv/data/");
    int found = BK_PATTERN_NONE;

    /* Each directory on the way is decided about first. */
    for (size_t i = root; full[i] != 0; i++) {
        bool is_directory = full[i + 1] == '/';
        g_autofree char *part = NULL;

        if (full[i + 1] != '/' && full[i + 1] != 0)
            continue;
        if (full[i] == '/')
            break;
        part = g_strndup(full, i + 1);
        found = bk_patterns_find(patterns, &(BkPatternPath){part, root, is_directory}, found);
    }
    return found;
}

static BkPatterns *
make(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    g_autoptr(BkPatterns) patterns = bk_patterns_new();
    g_autoptr(GError) error = NULL;

    for (char **word = words; *word != NULL; word++) {
        g_assert_true(bk_patterns_exclude(patterns, *word, &error));
        g_assert_no_error(error);
    }
    return g_steal_pointer(&patterns);
}

static void
test_rules(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(BkPatterns) patterns = make(cases[i].patterns);
        int found = find(patterns, cases[i].path);

        if (bk_patterns_is_left_out(patterns, found) == cases[i].is_in)
            g_error("\"%s\": \"%s\" is decided wrongly", cases[i].patterns, cases[i].path);
    }
}

/* Directories that are left out, and whether they have to be walked all the same. */
static void
test_below(void)
{
    static const struct {
        const char *patterns;
        const char *path;
        bool is_walked;
    } below[] = {
        {"cache", "cache/", false},
        {"cache !*.conf", "cache/", true},
        {"!*.conf cache", "cache/", false}, /* it does not win */
        {"cache !cache/keep/this", "cache/", true},
        {"cache !cache/keep/this", "cache/keep/", true},
        {"cache !cache/keep/this", "cache/other/", false},
        {"cache !other/keep", "cache/", false},
        {"cache !**/keep", "cache/x/", true},
        {"cache !/srv/data/cache/keep", "cache/", true},
        {"cache !/srv/data/x", "cache/", false},
        {"cache !cache", "cache/", true},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(below); i++) {
        g_autoptr(BkPatterns) patterns = make(below[i].patterns);
        g_autofree char *full = g_strconcat("srv/data/", below[i].path, NULL);
        BkPatternPath path = {full, strlen("srv/data/"), true};

        full[strlen(full) - 1] = 0;
        if (bk_patterns_has_include_below(patterns, &path, 0) != below[i].is_walked)
            g_error("\"%s\": \"%s\" below is decided wrongly", below[i].patterns, below[i].path);
    }
}

static void
test_include(void)
{
    g_autoptr(BkPatterns) patterns = make("cache *.log");
    g_autoptr(GError) error = NULL;
    uint64_t count;

    g_assert_true(bk_patterns_include(patterns, "keep.log", &error));
    g_assert_no_error(error);
    g_assert_false(bk_patterns_is_left_out(patterns, find(patterns, "cache/keep.log")));
    g_assert_false(bk_patterns_include(patterns, "!x", &error));
    g_assert_true(bk_error_is(error, BK_ERROR_CONFIG));
    g_assert_cmpuint(bk_patterns_size(patterns), ==, 3);
    bk_patterns_count(patterns, find(patterns, "x/a.log"));
    bk_patterns_count(patterns, find(patterns, "x/b.log"));
    bk_patterns_count(patterns, find(patterns, "x/c"));
    bk_patterns_count(patterns, find(patterns, "keep.log"));
    g_assert_cmpstr(bk_patterns_get(patterns, 0, &count), ==, "cache");
    g_assert_cmpuint(count, ==, 0);
    g_assert_cmpstr(bk_patterns_get(patterns, 1, &count), ==, "*.log");
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpstr(bk_patterns_get(patterns, 2, &count), ==, "!keep.log");
    g_assert_cmpuint(count, ==, 1);
}

static void
test_malformed(void)
{
    g_autofree char *longest = g_strnfill(BK_PATTERN_SIZE_MAX, 'a');
    g_autofree char *longer = g_strnfill(BK_PATTERN_SIZE_MAX + 1, 'a');
    const char *const texts[] = {"",     "/",    "!",    "//",    "a//b",  "a//",
                                 "./a",  "a/..", "../a", "a\\",   "a/./b", "!/",
                                 "!a//", longer, "/",    "a/b\\", ".",     ".."};
    g_autoptr(BkPatterns) patterns = bk_patterns_new();
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (bk_patterns_exclude(patterns, texts[i], &error))
            g_error("\"%s\" was taken", texts[i]);
        g_assert_true(bk_error_is(error, BK_ERROR_CONFIG));
        g_clear_error(&error);
    }
    g_assert_cmpuint(bk_patterns_size(patterns), ==, 0);
    for (unsigned i = 0; i < BK_PATTERNS_MAX; i++)
        g_assert_true(bk_patterns_exclude(patterns, i == 0 ? longest : "a", NULL));
    g_assert_false(bk_patterns_exclude(patterns, "a", &error));
    g_assert_true(bk_error_is(error, BK_ERROR_CONFIG));
}

/* A full path that is below no root is a mistake that would go unnoticed. */
static void
test_roots(void)
{
    static const struct {
        const char *pattern;
        bool is_fit;
    } fits[] = {{"/srv/data/x", true},  {"/cache", false},      {"cache", true}, {"x/y", true},
                {"/srv/data", false},   {"/etc/ng*/x", true},   {"/**/x", true}, {"/etc", false},
                {"/etc/nginx/", false}, {"/etc/nginx/**", true}};
    char data[] = "srv/data";
    char nginx[] = "etc/nginx";
    g_autoptr(GPtrArray) roots = g_ptr_array_new();

    g_ptr_array_add(roots, data);
    g_ptr_array_add(roots, nginx);
    for (size_t i = 0; i < G_N_ELEMENTS(fits); i++) {
        g_autoptr(BkPatterns) patterns = make(fits[i].pattern);
        g_autoptr(GError) error = NULL;

        if (bk_patterns_check_roots(patterns, roots, &error) != fits[i].is_fit)
            g_error("\"%s\" is decided wrongly", fits[i].pattern);
        g_assert_true(error == NULL || bk_error_is(error, BK_ERROR_CONFIG));
    }
    g_ptr_array_set_size(roots, 0);
    g_ptr_array_add(roots, (char[]){""}); /* the root of the file system */
    {
        g_autoptr(BkPatterns) patterns = make("/cache");

        g_assert_true(bk_patterns_check_roots(patterns, roots, NULL));
    }
}

/* What would take an exponential or cubic time by trying: ends before the test is killed. */
static void
test_bounded(void)
{
    g_autoptr(GString) stars = g_string_new(NULL);
    g_autoptr(GString) deep = g_string_new(NULL);
    g_autofree char *name = g_strnfill(65000, 'a');
    g_autofree char *path = g_strconcat("srv/data/", name, NULL);
    const BkPatternPath subject = {path, strlen("srv/data/"), false};
    g_autoptr(BkPatterns) patterns = bk_patterns_new();

    while (stars->len + 3 < BK_PATTERN_SIZE_MAX)
        g_string_append(stars, "a*");
    g_string_append_c(stars, 'b');
    while (deep->len + 4 < BK_PATTERN_SIZE_MAX)
        g_string_append(deep, "**");
    g_string_append_c(deep, 'b');
    g_assert_true(bk_patterns_exclude(patterns, stars->str, NULL));
    g_assert_true(bk_patterns_exclude(patterns, deep->str, NULL));
    g_assert_cmpint(bk_patterns_find(patterns, &subject, BK_PATTERN_NONE), ==, BK_PATTERN_NONE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pattern/rules", test_rules);
    g_test_add_func("/pattern/below", test_below);
    g_test_add_func("/pattern/include", test_include);
    g_test_add_func("/pattern/malformed", test_malformed);
    g_test_add_func("/pattern/roots", test_roots);
    g_test_add_func("/pattern/bounded", test_bounded);
    return g_test_run();
}
