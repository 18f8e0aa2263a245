#include "source/files/files-meta.h"

#include <string.h>

static void
fill(BkFilesMeta *meta)
{
    g_autoptr(BkPatterns) patterns = bk_patterns_new();

    bk_files_meta_init(meta);
    bk_files_meta_add_root(meta, "/etc")->entries = 7;
    bk_files_meta_add_root(meta, "/srv/d\xff")->entries = 1;
    g_assert_true(bk_patterns_exclude(patterns, "*.tmp", NULL));
    g_assert_true(bk_patterns_include(patterns, "keep.tmp", NULL));
    bk_patterns_count(patterns, 0);
    bk_files_meta_set_patterns(meta, patterns);
    meta->one_file_system = true;
    for (size_t kind = 0; kind < BK_FILES_KINDS; kind++)
        meta->kinds[kind] = kind * 1000;
    meta->excluded = 1;
    meta->sockets = 2;
    meta->vanished = 3;
    meta->links_apart = UINT64_MAX;
    bk_files_notes_add(&meta->mounts, "srv/d/proc", "it is a file system of kind proc");
    bk_files_notes_add(&meta->errors, "etc/shadow", "open: Permission denied");
    bk_files_notes_add(&meta->errors, "etc/gshadow", "open: Permission denied");
    bk_files_notes_add(&meta->changed, "srv/log", "");
}

static const BkFilesNote *
get_note(const BkFilesNotes *notes, guint index)
{
    return g_ptr_array_index(notes->first, index);
}

static void
test_round_trip(void)
{
    g_auto(BkFilesMeta) meta = {0};
    g_auto(BkFilesMeta) again = {0};
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    const BkFilesRoot *root;
    const BkFilesPattern *pattern;

    fill(&meta);
    bk_files_meta_encode(&meta, &bytes);
    g_assert_true(bk_files_meta_decode(&again, &bytes, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(again.roots->len, ==, 2);
    root = g_ptr_array_index(again.roots, 1);
    g_assert_cmpstr(root->path, ==, "/srv/d\xff");
    g_assert_cmpuint(root->entries, ==, 1);
    g_assert_cmpuint(again.patterns->len, ==, 2);
    pattern = g_ptr_array_index(again.patterns, 0);
    g_assert_cmpstr(pattern->text, ==, "*.tmp");
    g_assert_cmpuint(pattern->count, ==, 1);
    pattern = g_ptr_array_index(again.patterns, 1);
    g_assert_cmpstr(pattern->text, ==, "!keep.tmp");
    g_assert_true(again.one_file_system);
    g_assert_cmpuint(again.kinds[BK_FILE_REGULAR], ==, 1000);
    g_assert_cmpuint(again.kinds[BK_FILE_BLOCK_DEVICE], ==, 7000);
    g_assert_cmpuint(again.excluded, ==, 1);
    g_assert_cmpuint(again.sockets, ==, 2);
    g_assert_cmpuint(again.vanished, ==, 3);
    g_assert_cmpuint(again.links_apart, ==, UINT64_MAX);
    g_assert_cmpstr(get_note(&again.mounts, 0)->path, ==, "srv/d/proc");
    g_assert_cmpuint(again.errors.count, ==, 2);
    g_assert_cmpstr(get_note(&again.errors, 1)->path, ==, "etc/gshadow");
    g_assert_cmpstr(get_note(&again.errors, 1)->why, ==, "open: Permission denied");
    g_assert_cmpstr(get_note(&again.changed, 0)->path, ==, "srv/log");
}

/* Whatever is cut off, or behind it, is no meta. */
static void
test_malformed(void)
{
    g_auto(BkFilesMeta) meta = {0};
    g_auto(BkBuf) bytes = BK_BUF_INIT;

    fill(&meta);
    bk_files_meta_encode(&meta, &bytes);
    bk_wire_put_u8(&bytes, 0);
    for (size_t size = 0; size <= bytes.size; size++) {
        BkBuf part = {bytes.data, size, size};
        g_auto(BkFilesMeta) again = {0};
        g_autoptr(GError) error = NULL;

        if (size == bytes.size - 1)
            continue;
        g_assert_false(bk_files_meta_decode(&again, &part, &error));
        g_assert_true(bk_error_is(error, BK_ERROR_CORRUPT));
        g_assert_cmpuint(again.roots->len, ==, 0);
    }
    bytes.size--;
    bytes.data[0] = 2;
    {
        g_auto(BkFilesMeta) again = {0};

        g_assert_false(bk_files_meta_decode(&again, &bytes, NULL));
    }
}

/* Whatever is noted, the lists stay within what a head takes. */
static void
test_bounds(void)
{
    g_autofree char *name = g_strnfill(300, 'n');
    g_autofree char *longest = g_strnfill(65535, 'n');
    g_autoptr(BkPatterns) patterns = bk_patterns_new();
    g_auto(BkFilesMeta) meta = {0};
    g_auto(BkFilesMeta) again = {0};
    g_auto(BkBuf) bytes = BK_BUF_INIT;

    bk_files_meta_init(&meta);
    for (int i = 0; i < 5000; i++) {
        bk_files_notes_add(&meta.errors, name, "why");
        bk_files_notes_add(&meta.mounts, "a", "");
        bk_files_notes_add(&meta.changed, longest, "why");
    }
    for (unsigned i = 0; i < BK_PATTERNS_MAX; i++)
        g_assert_true(bk_patterns_exclude(patterns, name, NULL));
    bk_files_meta_set_patterns(&meta, patterns);
    bk_files_meta_encode(&meta, &bytes);
    g_assert_cmpuint(bytes.size, <, BK_MIB / 2);
    g_assert_true(bk_files_meta_decode(&again, &bytes, NULL));
    g_assert_cmpuint(again.errors.count, ==, 5000);
    g_assert_cmpuint(again.errors.first->len, ==, BK_FILES_TEXTS_MAX / 303);
    g_assert_cmpuint(again.mounts.first->len, ==, BK_FILES_LISTED_MAX);
    g_assert_cmpuint(again.changed.count, ==, 5000);
}

/* A root whose file system is not mounted looks like one where everything was deleted. */
static void
test_roots_emptied(void)
{
    g_auto(BkFilesMeta) parent = {0};
    g_auto(BkFilesMeta) now = {0};
    g_autoptr(GError) error = NULL;

    fill(&parent);
    fill(&now);
    g_assert_true(bk_files_meta_check_roots(&now, &parent, NULL));
    ((BkFilesRoot *)g_ptr_array_index(now.roots, 0))->entries = 1;
    g_assert_false(bk_files_meta_check_roots(&now, &parent, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_UNFIT));
    g_assert_nonnull(strstr(error->message, "\"/etc\" is empty, and had 7 entries"));
    g_ptr_array_remove_index(now.roots, 0); /* not among the roots any more */
    g_assert_true(bk_files_meta_check_roots(&now, &parent, NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/files-meta/round-trip", test_round_trip);
    g_test_add_func("/files-meta/malformed", test_malformed);
    g_test_add_func("/files-meta/bounds", test_bounds);
    g_test_add_func("/files-meta/roots-emptied", test_roots_emptied);
    return g_test_run();
}
