/* test-extension.c - areas of tagged values: what is passed over, and what is refused. */
#include "codec/extension.h"
#include "expect.h"

static const uint16_t known_tags[] = {1, BK_EXTENSION_CRITICAL | 5};

static bool
check(const BkBuf *area, GError **error)
{
    return bk_extensions_check(area->data, area->size, known_tags, G_N_ELEMENTS(known_tags),
                               "a cake", error);
}

static void
test_found(void)
{
    g_auto(BkBuf) area = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkExtension extension;

    EXPECT_DONE(check(&area, &error));
    g_assert_false(bk_extension_find(area.data, area.size, 1, &extension));
    bk_extension_put(&area, 1, "one", 3);
    bk_extension_put(&area, 0x7fff, "", 0); /* nobody knows it, and it may be passed over */
    bk_extension_put(&area, BK_EXTENSION_CRITICAL | 5, "five", 4);
    EXPECT_DONE(check(&area, &error));
    g_assert_true(bk_extension_find(area.data, area.size, 1, &extension));
    EXPECT_BYTES(extension.data, extension.size, "one", 3);
    g_assert_true(bk_extension_find(area.data, area.size, BK_EXTENSION_CRITICAL | 5, &extension));
    EXPECT_BYTES(extension.data, extension.size, "five", 4);
    g_assert_false(bk_extension_find(area.data, area.size, 5, &extension));
}

static void
test_unknown_critical(void)
{
    g_auto(BkBuf) area = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_extension_put(&area, 1, "one", 3);
    bk_extension_put(&area, BK_EXTENSION_CRITICAL | 4, "four", 4);
    g_assert_false(check(&area, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_UNSUPPORTED));
    g_assert_cmpstr(error->message, ==,
                    "a cake has extension 32772, which needs a newer version of this program");
}

/* Equal and descending tags, and every truncation but those between two values. */
static void
test_malformed(void)
{
    static const uint16_t wrong[][2] = {{3, 3}, {3, 2}, {BK_EXTENSION_CRITICAL | 5, 1}};
    g_auto(BkBuf) area = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    size_t border;

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        area.size = 0;
        bk_extension_put(&area, wrong[i][0], "a", 1);
        bk_extension_put(&area, wrong[i][1], "b", 1);
        EXPECT_ERROR(check(&area, &error), BK_ERROR_CORRUPT);
    }
    area.size = 0;
    bk_extension_put(&area, 1, "one", 3);
    border = area.size;
    bk_extension_put(&area, 2, "two", 3);
    for (size_t size = 0; size <= area.size; size++) {
        const BkBuf cut = {area.data, size, size};

        if (size == 0 || size == border || size == area.size)
            EXPECT_DONE(check(&cut, &error));
        else
            EXPECT_ERROR(check(&cut, &error), BK_ERROR_CORRUPT);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/extension/found", test_found);
    g_test_add_func("/extension/unknown-critical", test_unknown_critical);
    g_test_add_func("/extension/malformed", test_malformed);
    return g_test_run();
}
