/* test-kept.c - the cached keys of a repository on the host, and when it is not used. */
#include "expect.h"
#include "repo/kept.h"
#include "temp-dir.h"

#include <string.h>
#include <sys/stat.h>

#define NOW  INT64_C(1795256100000000)
#define SLOT "0123456789abcdef"

static const BkS3Options bucket = {.bucket = "b", .prefix = "p"};
static const BkLocation place = {.s3 = &bucket};

static void
set_text(BkBuf *out, const char *text)
{
    bk_buf_append(out, text, strlen(text));
}

static void
expect_bytes(const BkBuf *content, const char *text)
{
    g_assert_cmpuint(content->size, ==, strlen(text));
    g_assert_cmpint(memcmp(content->data, text, content->size), ==, 0);
}

static void
fill(BkKept *kept)
{
    g_auto(BkBuf) object = BK_BUF_INIT;

    bk_kept_init(kept);
    kept->made_us = NOW;
    kept->has_no_versions = true;
    memcpy(kept->slot, SLOT, sizeof kept->slot);
    set_text(&kept->identity, "identity");
    set_text(&kept->slot_object, "slot");
    set_text(&object, "key");
    bk_kept_add_key(kept, 1, &object);
    bk_kept_add_key(kept, 7, &object);
}

static bool
loads(const char *source, const char *slot, int64_t now_us)
{
    g_auto(BkKept) kept = {0};

    bk_kept_init(&kept);
    return bk_kept_load(&kept, &place, source, slot, now_us);
}

static void
test_round_trip(void)
{
    g_auto(BkKept) kept = {0};
    g_auto(BkKept) again = {0};
    const BkKeptKey *key;

    fill(&kept);
    bk_kept_save(&kept, &place, "orders");
    bk_kept_init(&again);
    g_assert_true(bk_kept_load(&again, &place, "orders", SLOT, NOW + 1));
    g_assert_cmpint(again.made_us, ==, NOW);
    g_assert_true(again.has_no_versions);
    expect_bytes(&again.identity, "identity");
    expect_bytes(&again.slot_object, "slot");
    g_assert_cmpuint(again.keys->len, ==, 2);
    key = &g_array_index(again.keys, BkKeptKey, 1);
    g_assert_cmpuint(key->generation, ==, 7);
    expect_bytes(&key->object, "key");
}

static void
test_what_is_not_used(void)
{
    g_auto(BkKept) kept = {0};
    const BkS3Options other = {.bucket = "b", .prefix = "q"};
    const BkLocation elsewhere = {.s3 = &other};

    fill(&kept);
    bk_kept_save(&kept, &place, "orders");
    g_assert_true(loads("orders", SLOT, NOW + BK_KEPT_US - 1));
    g_assert_false(loads("orders", SLOT, NOW + BK_KEPT_US)); /* too old */
    g_assert_false(loads("orders", SLOT, NOW - 1));          /* from the future */
    g_assert_false(loads("orders", "0000000000000000", NOW + 1));
    g_assert_false(loads("web", SLOT, NOW + 1));
    g_assert_false(bk_kept_load(&kept, &elsewhere, "orders", SLOT, NOW + 1));
    bk_kept_drop(&place, "orders");
    g_assert_false(loads("orders", SLOT, NOW + 1));
}

static void
test_a_directory_of_others(void)
{
    g_autofree char *directory = g_build_filename(g_getenv("BACKSTAY_CACHE"), "opened", NULL);
    g_auto(BkKept) kept = {0};

    fill(&kept);
    bk_kept_save(&kept, &place, "orders");
    g_assert_true(loads("orders", SLOT, NOW + 1));
    g_assert_cmpint(chmod(directory, 0777), ==, 0);
    g_assert_false(loads("orders", SLOT, NOW + 1));
    g_assert_cmpint(chmod(directory, 0700), ==, 0);
}

static void
test_damage(void)
{
    g_auto(BkKept) kept = {0};
    g_auto(BkBuf) encoded = BK_BUF_INIT;

    fill(&kept);
    bk_kept_encode(&kept, &encoded);
    for (size_t size = 0; size < encoded.size; size++) {
        g_auto(BkKept) cut = {0};
        g_autoptr(GError) error = NULL;

        bk_kept_init(&cut);
        EXPECT_ERROR(bk_kept_decode(encoded.data, size, &cut, &error), BK_ERROR_CORRUPT);
    }
}

static void
test_generations_that_do_not_rise(void)
{
    g_auto(BkKept) kept = {0};
    g_auto(BkKept) again = {0};
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    fill(&kept);
    g_array_index(kept.keys, BkKeptKey, 1).generation = 1;
    bk_kept_encode(&kept, &encoded);
    bk_kept_init(&again);
    EXPECT_ERROR(bk_kept_decode(encoded.data, encoded.size, &again, &error), BK_ERROR_CORRUPT);
}

int
main(int argc, char **argv)
{
    char *top = temp_dir_new();
    int result;

    g_test_init(&argc, &argv, NULL);
    g_assert_true(g_setenv("BACKSTAY_CACHE", top, TRUE));
    g_test_add_func("/kept/round-trip", test_round_trip);
    g_test_add_func("/kept/not-used", test_what_is_not_used);
    g_test_add_func("/kept/a-directory-of-others", test_a_directory_of_others);
    g_test_add_func("/kept/damage", test_damage);
    g_test_add_func("/kept/generations", test_generations_that_do_not_rise);
    result = g_test_run();
    temp_dir_free(top);
    return result;
}
