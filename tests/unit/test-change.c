#include "source/files/change.h"

#define STARTED (INT64_C(1000000) * BK_USEC_PER_SEC)
#define OLD     INT64_C(999939) /* seconds: the last that is not racy */

/* A file now and in the parent: what differs from {size 10, mtime 5.6, ctime OLD.7, inode 9, device
 * 8:1}, whether inodes stay, and what comes of it. */
static const struct {
    const char *what;
    BkFilesEntry entry;
    BkFile parent;
    BkFileIdentity before;
    BkChange change;
} cases[] = {
#define SAME_ENTRY                                                                                 \
    .kind = BK_FILE_REGULAR, .is_local = true, .size = 10, .mtime_sec = 5, .mtime_nsec = 6,        \
    .identity = {OLD, 7, 9, 8, 1}
#define SAME_PARENT .kind = BK_FILE_REGULAR, .size = 10, .mtime_sec = 5, .mtime_nsec = 6
#define SAME_BEFORE                                                                                \
    {                                                                                              \
        OLD, 7, 9, 8, 1                                                                            \
    }
    {"same", {SAME_ENTRY}, {SAME_PARENT}, SAME_BEFORE, BK_CHANGE_NONE},
    {"mode and owner are no content",
     {SAME_ENTRY, .mode = 0600, .uid = 1},
     {SAME_PARENT, .mode = 0644},
     SAME_BEFORE,
     BK_CHANGE_NONE},
    {"size", {SAME_ENTRY}, {.kind = BK_FILE_REGULAR, .size = 9}, SAME_BEFORE, BK_CHANGE_SIZE},
    {"mtime",
     {SAME_ENTRY},
     {.kind = BK_FILE_REGULAR, .size = 10, .mtime_sec = 4, .mtime_nsec = 6},
     SAME_BEFORE,
     BK_CHANGE_MTIME},
    {"mtime by a nanosecond",
     {SAME_ENTRY},
     {.kind = BK_FILE_REGULAR, .size = 10, .mtime_sec = 5, .mtime_nsec = 7},
     SAME_BEFORE,
     BK_CHANGE_MTIME},
    {"mtime set back", {SAME_ENTRY}, {SAME_PARENT}, {OLD - 1, 7, 9, 8, 1}, BK_CHANGE_CTIME},
    {"ctime by a nanosecond", {SAME_ENTRY}, {SAME_PARENT}, {OLD, 8, 9, 8, 1}, BK_CHANGE_CTIME},
    {"ctime went back", {SAME_ENTRY}, {SAME_PARENT}, {OLD + 1, 7, 9, 8, 1}, BK_CHANGE_CTIME},
    {"renamed over", {SAME_ENTRY}, {SAME_PARENT}, {OLD, 7, 10, 8, 1}, BK_CHANGE_INODE},
    {"another disk", {SAME_ENTRY}, {SAME_PARENT}, {OLD, 7, 9, 8, 2}, BK_CHANGE_INODE},
    {"mounted again: the device is anonymous",
     {SAME_ENTRY},
     {SAME_PARENT},
     {OLD, 7, 9, 0, 55},
     BK_CHANGE_NONE},
    {"anonymous, another inode", {SAME_ENTRY}, {SAME_PARENT}, {OLD, 7, 8, 0, 55}, BK_CHANGE_INODE},
    {"a network's inode",
     {.kind = BK_FILE_REGULAR,
      .size = 10,
      .mtime_sec = 5,
      .mtime_nsec = 6,
      .identity = {OLD, 7, 1, 0, 3}},
     {SAME_PARENT},
     SAME_BEFORE,
     BK_CHANGE_NONE},
    {"a network's ctime",
     {.kind = BK_FILE_REGULAR,
      .size = 10,
      .mtime_sec = 5,
      .mtime_nsec = 6,
      .identity = {OLD, 8, 1, 0, 3}},
     {SAME_PARENT},
     SAME_BEFORE,
     BK_CHANGE_CTIME},
    {"racy",
     {.kind = BK_FILE_REGULAR,
      .is_local = true,
      .size = 10,
      .mtime_sec = 5,
      .mtime_nsec = 6,
      .identity = {OLD + 1, 7, 9, 8, 1}},
     {SAME_PARENT},
     {OLD + 1, 7, 9, 8, 1},
     BK_CHANGE_RACY},
    {"of the future",
     {.kind = BK_FILE_REGULAR,
      .is_local = true,
      .size = 10,
      .mtime_sec = 5,
      .mtime_nsec = 6,
      .identity = {INT64_MAX, 7, 9, 8, 1}},
     {SAME_PARENT},
     {INT64_MAX, 7, 9, 8, 1},
     BK_CHANGE_RACY},
    {"the parent's changed while it was read",
     {SAME_ENTRY},
     {SAME_PARENT, .flags = BK_FILE_CHANGED_WHILE_READ},
     SAME_BEFORE,
     BK_CHANGE_PARTIAL},
    {"the parent's is not whole",
     {SAME_ENTRY},
     {SAME_PARENT, .flags = BK_FILE_PARTIAL},
     SAME_BEFORE,
     BK_CHANGE_PARTIAL},
    {"was a link", {SAME_ENTRY}, {.kind = BK_FILE_SYMLINK}, SAME_BEFORE, BK_CHANGE_NEW},
};

static void
test_rule(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(BkBuf) extensions = BK_BUF_INIT;
        BkFile parent = cases[i].parent;

        bk_file_put_identity(&extensions, &cases[i].before);
        parent.extensions = extensions.data;
        parent.extensions_size = (uint32_t)extensions.size;
        if (bk_change_find(&cases[i].entry, &parent, STARTED) != cases[i].change)
            g_error("%s: wrong", cases[i].what);
    }
    g_assert_cmpint(bk_change_find(&cases[0].entry, NULL, STARTED), ==, BK_CHANGE_NEW);
    g_assert_cmpint(bk_change_find(&cases[0].entry, &cases[0].parent, STARTED), ==,
                    BK_CHANGE_UNKNOWN);
}

/* The content of a hard link is that of the path that it is to. */
static void
test_find_parent(void)
{
    g_autoptr(BkSnapshot) parent = bk_snapshot_new();

    (void)bk_snapshot_add_owner(parent, 0, 0, "", "");
    bk_snapshot_add_file(parent, &(BkFile){.path = "a", .link = "", .kind = BK_FILE_REGULAR});
    bk_snapshot_add_file(parent, &(BkFile){.path = "b", .link = "a", .kind = BK_FILE_HARD_LINK});
    bk_snapshot_add_file(parent, &(BkFile){.path = "c", .link = "", .kind = BK_FILE_FIFO});
    bk_snapshot_add_file(parent, &(BkFile){.path = "d", .link = "c", .kind = BK_FILE_HARD_LINK});
    g_assert_cmpstr(bk_change_find_parent(parent, "a")->path, ==, "a");
    g_assert_cmpstr(bk_change_find_parent(parent, "b")->path, ==, "a");
    g_assert_null(bk_change_find_parent(parent, "c"));
    g_assert_null(bk_change_find_parent(parent, "d"));
    g_assert_null(bk_change_find_parent(parent, "e"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/change/rule", test_rule);
    g_test_add_func("/change/find-parent", test_find_parent);
    return g_test_run();
}
