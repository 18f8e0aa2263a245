/* test-marks.c - what a host remembers of a source, and how it is kept. */
#include "base/state-dir.h"
#include "expect.h"
#include "repo/targets/marks.h"
#include "temp-dir.h"

#include <sys/stat.h>

static const BkMarks full = {
    .repository = "0123456789abcdef0123456789abcdef",
    .generation = 3,
    .snapshot = "20261121T003905Z-1a2b3c4d",
    .system_id = UINT64_C(7710425677334803374),
    .segment = "0000000200000001000000AB",
    .lost = "20261120T003905Z-1a2b3c4d",
};

static bool
parse(const char *text, BkMarks *marks, GError **error)
{
    return bk_marks_parse(text, strlen(text), marks, error);
}

static void
test_round_trip(void)
{
    BkMarks empty = full;
    const BkMarks *const all[] = {&full, &empty};
    g_autoptr(GError) error = NULL;

    empty.snapshot[0] = empty.segment[0] = empty.lost[0] = 0;
    empty.system_id = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_auto(BkBuf) text = BK_BUF_INIT;
        BkMarks read;

        bk_marks_format(all[i], &text);
        EXPECT_DONE(bk_marks_parse(text.data, text.size, &read, &error));
        g_assert_cmpstr(read.repository, ==, all[i]->repository);
        g_assert_cmpuint(read.generation, ==, all[i]->generation);
        g_assert_cmpstr(read.snapshot, ==, all[i]->snapshot);
        g_assert_cmpuint(read.system_id, ==, all[i]->system_id);
        g_assert_cmpstr(read.segment, ==, all[i]->segment);
        g_assert_cmpstr(read.lost, ==, all[i]->lost);
        for (size_t size = 0; size < text.size; size++) {
            g_assert_false(bk_marks_parse(text.data, size, &read, &error));
            g_assert_cmpstr(read.repository, ==, "");
            g_clear_error(&error);
        }
    }
}

static void
test_malformed(void)
{
    static const char *const texts[] = {
        "\n",
        "backstay marks 2\nrepository 0123\ngeneration 1\nsnapshot -\nsegment -\nlost -\n",
        "backstay marks 2\nrepository 0123456789abcdef0123456789abcdef\ngeneration 1x\nsnapshot "
        "-\nsegment -\nlost -\n",
        "backstay marks 2\nrepository 0123456789abcdef0123456789abcdef\ngeneration 1\nsnapshot "
        "../../../etc/passwd\nsegment -\nlost -\n",
        "backstay marks 2\nrepository 0123456789abcdef0123456789abcdef\ngeneration 1\nsnapshot "
        "-\nsegment 77 00000002.history\nlost -\n",
        "backstay marks 2\nrepository 0123456789abcdef0123456789abcdef\ngeneration 1\nsnapshot "
        "-\nsegment -\nlost -\nmore\n",
        "backstay marks 2\nrepository 0123456789abcdef0123456789abcdef\ngeneration 1\nsnapshot "
        "-\nsegment -\nlost /etc/passwd\n",
    };
    g_autofree char *large = g_strnfill(BK_MARKS_MAX_SIZE + 1, 'a');
    g_autoptr(GError) error = NULL;
    BkMarks marks;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        EXPECT_ERROR(parse(texts[i], &marks, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(parse(large, &marks, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(parse("backstay marks 3\n", &marks, &error), BK_ERROR_UNSUPPORTED);
}

static void
test_raise(void)
{
    BkMarks marks = full;
    BkMarks seen = {.generation = 2,
                    .system_id = UINT64_C(7710425677334803374),
                    .segment = "0000000200000001000000AA"};

    memcpy(seen.repository, full.repository, sizeof seen.repository);
    g_assert_false(bk_marks_raise(&marks, &seen)); /* all of it is older */
    memcpy(seen.segment, "000000030000000000000001", sizeof seen.segment);
    memcpy(seen.snapshot, "20201121T003905Z-1a2b3c4d", BK_SNAPSHOT_ID_SIZE + 1);
    g_assert_true(bk_marks_raise(&marks, &seen));
    g_assert_cmpstr(marks.segment, ==, seen.segment);
    g_assert_cmpstr(marks.snapshot, ==, seen.snapshot); /* a clock may have been set back */
    g_assert_cmpuint(marks.generation, ==, 3);
    g_assert_cmpstr(marks.lost, ==, full.lost); /* until the source is begun anew */
    memcpy(seen.lost, seen.snapshot, sizeof seen.lost);
    g_assert_false(bk_marks_raise(&marks, &seen));
    g_assert_cmpstr(marks.lost, ==, full.lost);
    seen.repository[0] = 'f';
    g_assert_true(bk_marks_raise(&marks, &seen));
    g_assert_cmpuint(marks.generation, ==, 2);
}

static bool
append_x(const BkBuf *before, BkBuf *after, void *data)
{
    (void)data;
    bk_buf_append(after, before->data, before->size);
    bk_buf_append(after, "x", 1);
    return after->size <= 2;
}

static void
test_files(TempDir *dir, const void *data)
{
    g_autofree char *top = g_build_filename(dir->root, "a/b", NULL);
    g_autofree char *own = g_build_filename(top, "orders", NULL);
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;
    struct stat st;

    (void)data;
    EXPECT_DONE(bk_state_read(top, "orders", "marks", 100, &content, &error));
    g_assert_cmpuint(content.size, ==, 0);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_DONE(bk_state_change(top, "orders", "marks", 100, append_x, NULL, op, &error));
    EXPECT_DONE(bk_state_read(top, "orders", "marks", 100, &content, &error));
    EXPECT_BYTES(content.data, content.size, "xx", 2u);
    EXPECT_ERROR(bk_state_read(top, "orders", "marks", 1, &content, &error), BK_ERROR_UNSUPPORTED);
    g_assert_cmpint(stat(own, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0700);
    g_assert_cmpint(renameat(dir->dir, "a/b/orders", dir->dir, "elsewhere"), ==, 0);
    g_assert_cmpint(symlinkat("../../elsewhere", dir->dir, "a/b/orders"), ==, 0);
    g_assert_false(bk_state_read(top, "orders", "marks", 100, &content, &error)); /* not followed */
    g_clear_error(&error);
    g_assert_false(bk_state_change(top, "orders", "marks", 100, append_x, NULL, op, &error));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/marks/round-trip", test_round_trip);
    g_test_add_func("/marks/malformed", test_malformed);
    g_test_add_func("/marks/raise", test_raise);
    TEMP_DIR_TEST("/state-dir/files", test_files);
    return g_test_run();
}
