/* test-copy-parent.c - copies that build upon an earlier snapshot: random changes to a small
 * cluster whose log is known, read by the word of the log or compared, interrupted and carried on.
 */
#include "engine/assemble.h"
#include "engine/extract.h"
#include "expect.h"
#include "repo-fixture.h"
#include "source/pg/page.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Fixture {
    RepoFixture repo;
    GPtrArray *parts;
    char *from;
    GArray *log; /* Logged */
    BkLsn now;

    BkSnapshot *parent;
    BkLsn parent_redo;

    BkCopyOptions options; /* what follows belongs to the copy at hand */
    BkTree tree;
    BkBlockMap *map; /* NULL: compare */
    bool *is_given_up;
    BkSelection *selection;
    BkCopy *copy;
    BkLsn redo;
    BkSnapshot *before;   /* the parent of the copy that is finished */
    unsigned checkpoints; /* seen */
    unsigned stop_at;     /* this one ends the copy; 0: none */
    BkSnapshot *saved;    /* by the last checkpoint */
    BkLsn saved_redo;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    *self = (Fixture){
        .parts = g_ptr_array_new(),
        .from = temp_dir_new(),
        .log = g_array_new(FALSE, FALSE, sizeof(Logged)),
        .now = 1000000,
    };
    repo_fixture_init(&self->repo);
    g_ptr_array_add(self->parts, self->repo.part);
    self->options = (BkCopyOptions){
        .parts = self->parts, .root = self->from, .codec = BK_CODEC_LZ4, .level = 1, .workers = 2};
}

static void
end_copy(Fixture *self)
{
    g_clear_pointer(&self->copy, bk_copy_free);
    g_clear_pointer(&self->selection, bk_selection_free);
    g_clear_pointer(&self->map, bk_block_map_free);
    g_clear_pointer(&self->is_given_up, g_free);
    g_clear_pointer(&self->before, bk_snapshot_free);
    bk_tree_clear(&self->tree);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    end_copy(self);
    bk_snapshot_free(self->parent);
    bk_snapshot_free(self->saved);
    g_array_unref(self->log);
    g_ptr_array_unref(self->parts);
    repo_fixture_clear(&self->repo);
    temp_dir_free(self->from);
}

typedef enum { READ_FULL, READ_COMPARED, READ_CHANGED, READ_REFRESHED } Way;

static void
select_files(Fixture *self, Way way)
{
    BkSelectionOptions options = {.parent = self->parent};
    size_t packs;

    if (way == READ_FULL)
        g_clear_pointer(&self->parent, bk_snapshot_free);
    if (self->parent == NULL) {
        self->selection = bk_selection_new_full(self->tree.files);
        return;
    }
    (void)bk_snapshot_packs(self->parent, &packs);
    self->options.first_pack = (uint32_t)packs;
    self->options.base_lsn = self->parent_redo;
    if (way != READ_COMPARED)
        make_map(self);
    if (way == READ_REFRESHED) {
        self->is_given_up = g_new0(bool, packs + 1);
        for (size_t i = 0; i < packs; i++)
            self->is_given_up[i] = g_test_rand_bit();
    }
    options.map = self->map;
    options.is_given_up = self->is_given_up;
    self->selection = bk_selection_new(self->tree.files, &options);
}

static void
begin_copy(Fixture *self, Way way)
{
    const BkPgControl control = {.relation_segment_blocks = BK_PG_SEGMENT_BLOCKS};
    g_autoptr(GError) error = NULL;

    end_copy(self);
    self->options.first_pack = 0;
    self->checkpoints = 0;
    self->redo = self->now;
    EXPECT_DONE(bk_tree_list(self->from, &control, &self->tree, self->repo.op, &error));
    select_files(self, way);
    self->copy = bk_copy_new(&self->options);
}

static void
run_copy(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_copy_run(self->copy, self->selection, NULL, self->repo.op, &error));
}

/* Seals a manifest, puts it and loads it again: loading checks its extents. */
static BkSnapshot *
put_and_load(Fixture *self, BkSnapshot *snapshot)
{
    BkSnapshotHead *head = bk_snapshot_head(snapshot);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkSnapshot *loaded;

    EXPECT_DONE(bk_snapshot_make_id(g_get_real_time(), head->id, &error));
    head->source = g_strdup("orders");
    head->kind = g_strdup("postgres");
    head->parent = g_strdup("");
    head->mode = BK_SNAPSHOT_INCREMENT;
    head->why = g_strdup("");
    head->label = g_strdup("");
    head->host = g_strdup("here");
    head->program = g_strdup("test");
    head->state = BK_SNAPSHOT_COMPLETE;
    EXPECT_DONE(bk_snapshot_seal(snapshot, self->repo.part, &object, &error));
    EXPECT_DONE(bk_snapshot_put(self->repo.part, head->id, &object, self->repo.op, &error));
    loaded = bk_snapshot_load(self->repo.part, head->id, self->repo.op, &error);
    g_assert_no_error(error);
    return loaded;
}

static BkSnapshot *
assemble(Fixture *self, const BkSnapshot *parent, bool *is_behind)
{
    g_auto(BkAssembly) assembly = {NULL};

    bk_assemble(self->copy, parent, self->tree.files, NULL, &assembly);
    *is_behind = assembly.is_behind;
    return put_and_load(self, assembly.snapshot);
}

static void
make_folders(const BkSnapshot *snapshot, const char *to)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *full = g_build_filename(to, files[i].path, NULL);

        if (files[i].kind == BK_FILE_DIRECTORY)
            g_assert_cmpint(g_mkdir_with_parents(full, 0700), ==, 0);
    }
}

static void
restore(Fixture *self, const BkSnapshot *snapshot, const char *to)
{
    g_autoptr(BkOwnerMap) owners = bk_owner_map_new(snapshot);
    g_auto(BkFd) root = open(to, O_RDONLY | O_DIRECTORY);
    const BkExtractOptions options = {
        .parts = self->parts, .snapshot = snapshot, .owners = owners, .root = root, .workers = 2};
    g_autoptr(BkExtract) extract = bk_extract_new(&options);
    g_autoptr(GError) error = NULL;

    make_folders(snapshot, to);
    EXPECT_DONE(bk_extract_run(extract, self->repo.op, &error));
}

static void
read_file(const char *root, const char *path, BkBuf *content)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autoptr(GError) error = NULL;

    content->size = 0;
    EXPECT_DONE(bk_file_read(AT_FDCWD, full, SIZE_MAX, content, &error));
}

/* The snapshot restored is the cluster: the same files with the same bytes. */
static void
assert_restores_source(Fixture *self, const BkSnapshot *snapshot)
{
    char *to = temp_dir_new();
    g_auto(BkBuf) expected = BK_BUF_INIT;
    g_auto(BkBuf) found = BK_BUF_INIT;
    size_t count;

    (void)bk_snapshot_files(snapshot, &count);
    g_assert_cmpuint(count, ==, self->tree.files->len);
    restore(self, snapshot, to);
    for (guint i = 0; i < self->tree.files->len; i++) {
        const BkTreeFile *file = g_ptr_array_index(self->tree.files, i);

        if (!S_ISREG(file->mode))
            continue;
        read_file(self->from, file->path, &expected);
        read_file(to, file->path, &found);
        EXPECT_BYTES(found.data, found.size, expected.data, expected.size);
    }
    temp_dir_free(to);
}

/* What was done is the parent of the next. */
static void
finish_copy(Fixture *self)
{
    bool is_behind;

    self->before = self->parent;
    self->parent = assemble(self, self->before, &is_behind);
    g_assert_false(is_behind);
    self->parent_redo = self->redo;
}

static void
copy_cluster(Fixture *self, Way way)
{
    begin_copy(self, way);
    run_copy(self);
    finish_copy(self);
}

/* How many bytes the selection says are refreshed. */
static uint64_t
refreshed_bytes(const Fixture *self)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));
    uint64_t refreshed = 0;
    size_t count;
    const BkSelected *selected = bk_selection_files(self->selection, &count);

    for (size_t i = 0; i < count; i++) {
        if (selected[i].how != BK_READ_RANGES)
            continue;
        bk_selection_get_ranges(self->selection, &selected[i], 0, selected[i].file->size, ranges);
        for (guint j = 0; j < ranges->len; j++) {
            const BkRange *range = &g_array_index(ranges, BkRange, j);

            refreshed += range->is_refresh ? range->length : 0;
        }
    }
    return refreshed;
}

/* Every byte was stored anew or taken over, and is counted once. */
static void
check_work(const Fixture *self)
{
    const BkSnapshotHead *head = bk_snapshot_head(self->parent);

    g_assert_cmpuint(head->bytes, ==, self->tree.bytes);
    g_assert_cmpuint(head->work.read, ==, bk_selection_to_read(self->selection));
    g_assert_cmpuint(head->work.refreshed, ==, refreshed_bytes(self));
    g_assert_cmpuint(head->work.changed + head->work.refreshed + head->work.taken, ==, head->bytes);
}

/* Nothing lies in the packs that were given up any more. */
static void
check_given_up(const Fixture *self)
{
    size_t old_count, new_count;
    const BkPackRef *new_packs = bk_snapshot_packs(self->parent, &new_count);
    const BkPackRef *old_packs;

    if (self->is_given_up == NULL)
        return;
    old_packs = bk_snapshot_packs(self->before, &old_count);
    for (size_t i = 0; i < old_count * new_count; i++)
        g_assert_false(self->is_given_up[i / new_count] &&
                       memcmp(old_packs[i / new_count].name, new_packs[i % new_count].name,
                              sizeof old_packs->name) == 0);
}

/* One upon the other, in random ways. */
static void
test_chain(Fixture *self, const void *data)
{
    (void)data;
    make_cluster(self, 60);
    copy_cluster(self, READ_FULL);
    check_work(self);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.taken, ==, 0);
    for (unsigned round = 0; round < 25; round++) {
        change_cluster(self);
        copy_cluster(self, (Way)(READ_COMPARED + draw(3)));
        assert_restores_source(self, self->parent);
        check_work(self);
        check_given_up(self);
        g_assert_cmpuint(bk_snapshot_head(self->parent)->work.taken, >, 0);
    }
}

/* One relation of 40 pages, another file, and a snapshot of both. */
static void
make_small(Fixture *self)
{
    for (uint32_t page = 0; page < 40; page++)
        write_pages(self, relations[0].path, page, 1, 500 + page);
    write_other(self, others[2], 700000);
    copy_cluster(self, READ_FULL);
}

/* Restores and asserts that page `page` of the relation is that of `expected` (all its pages). */
static void
assert_page(Fixture *self, uint32_t page, const BkBuf *expected)
{
    char *to = temp_dir_new();
    g_auto(BkBuf) found = BK_BUF_INIT;

    restore(self, self->parent, to);
    read_file(to, relations[0].path, &found);
    g_assert_cmpuint(found.size, ==, expected->size);
    EXPECT_BYTES(found.data + page * PAGE, PAGE, expected->data + page * PAGE, PAGE);
    temp_dir_free(to);
}

/* What the log does not name is not read: the parent's bytes come back. */
static void
test_ranges(Fixture *self, const void *data)
{
    g_auto(BkBuf) before = BK_BUF_INIT;
    g_auto(BkBuf) after = BK_BUF_INIT;
    BkSnapshotWork work;

    (void)data;
    make_small(self);
    read_file(self->from, relations[0].path, &before);
    write_pages(self, relations[0].path, 7, 1, 400); /* behind the log's back */
    change_pages(self, &relations[0], 9, 2);
    read_file(self->from, relations[0].path, &after);
    copy_cluster(self, READ_CHANGED);
    work = bk_snapshot_head(self->parent)->work;
    g_assert_cmpuint(work.changed, ==, 2 * PAGE);
    g_assert_cmpuint(work.read, ==, 2 * PAGE + 700000);
    g_assert_cmpuint(work.taken, ==, 38 * PAGE + 700000);
    assert_page(self, 7, &before);
    assert_page(self, 9, &after);
    assert_page(self, 10, &after);
    assert_page(self, 11, &before);
}

/* Compared, a page is the parent's when its LSN is older than the parent's start. */
static void
test_compared(Fixture *self, const void *data)
{
    static const uint8_t strange[PAGE] = {1}; /* whose LSN is not to be trusted */
    g_auto(BkBuf) before = BK_BUF_INIT;
    g_auto(BkBuf) after = BK_BUF_INIT;
    BkLsn start = self->now;
    BkSnapshotWork work;

    (void)data;
    make_small(self);
    read_file(self->from, relations[0].path, &before);
    self->parent_redo = start;
    write_at(self, relations[0].path, strange, PAGE, 20 * PAGE);
    write_at(self, relations[0].path, before.data + 8, 8, 3 * PAGE + 5000);
    write_pages(self, relations[0].path, 30, 1, start - 1);
    write_pages(self, relations[0].path, 31, 1, start);
    read_file(self->from, relations[0].path, &after);
    copy_cluster(self, READ_COMPARED);
    work = bk_snapshot_head(self->parent)->work;
    g_assert_cmpuint(work.read, ==, 40 * PAGE + 700000);
    g_assert_cmpuint(work.changed, ==, 2 * PAGE);
    assert_page(self, 20, &after);
    assert_page(self, 31, &after);
    assert_page(self, 30, &before);
    assert_page(self, 3, &before);
}

/* Of other files a piece of 256 KiB is stored anew when it differs. */
static void
test_digested(Fixture *self, const void *data)
{
    (void)data;
    make_small(self);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, 0);
    write_at(self, others[2], "differs", 7, 300000);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, BK_FILE_DIGEST_UNIT);
    assert_restores_source(self, self->parent);
    cut_file(self, others[2], 600000);
    copy_cluster(self, READ_COMPARED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==,
                     600000 - 2 * BK_FILE_DIGEST_UNIT);
    assert_restores_source(self, self->parent);
    write_at(self, others[2], "more", 4, 600000);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==,
                     600004 - 2 * BK_FILE_DIGEST_UNIT);
    assert_restores_source(self, self->parent);
    cut_file(self, others[2], 2 * BK_FILE_DIGEST_UNIT);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, 0);
    assert_restores_source(self, self->parent);
}

/* Content of a file of a snapshot; empty when it has none of this path. */
static void
read_from(Fixture *self, const BkSnapshot *snapshot, const char *path, BkBuf *content)
{
    const BkFile *file = snapshot != NULL ? bk_snapshot_find_file(snapshot, path) : NULL;
    const BkExtractOptions options = {.parts = self->parts, .snapshot = snapshot, .workers = 1};
    g_autoptr(GError) error = NULL;

    content->size = 0;
    if (file != NULL)
        EXPECT_DONE(bk_extract_read(&options, file, SIZE_MAX, content, self->repo.op, &error));
}

static bool
is_equal_at(const BkBuf *one, const BkBuf *other, size_t at)
{
    size_t size = MIN(PAGE, one->size - at);

    return at + size <= other->size && memcmp(one->data + at, other->data + at, size) == 0;
}

/* A file of a checkpoint is the source's when it is complete, and else a part of it from its start
 * on, or the parent's with some of it as in the source. */
static void
check_partial_file(Fixture *self, const BkTreeFile *file, const BkCopied *copied)
{
    g_auto(BkBuf) source = BK_BUF_INIT;
    g_auto(BkBuf) parent = BK_BUF_INIT;
    g_auto(BkBuf) found = BK_BUF_INIT;

    read_file(self->from, file->path, &source);
    read_from(self, self->saved, file->path, &found);
    read_from(self, self->parent, file->path, &parent);
    g_assert_cmpuint(found.size, ==, copied->size);
    if (copied->is_complete)
        g_assert_cmpuint(found.size, ==, source.size);
    else if (copied->is_behind)
        g_assert_cmpuint(found.size, ==, MIN(source.size, parent.size));
    for (size_t at = 0; at < found.size; at += PAGE)
        g_assert_true(is_equal_at(&found, &source, at) ||
                      (copied->is_behind && is_equal_at(&found, &parent, at)));
}

static void
check_checkpoint(Fixture *self, bool is_behind)
{
    g_auto(BkCopied) copied = {NULL};
    bool any_behind = false;

    bk_copied_init(&copied);
    for (guint i = 0; i < self->tree.files->len; i++) {
        const BkTreeFile *file = g_ptr_array_index(self->tree.files, i);
        bool is_known = S_ISDIR(file->mode) || bk_copy_get_file(self->copy, file, &copied);

        g_assert_true((bk_snapshot_find_file(self->saved, file->path) != NULL) == is_known);
        if (S_ISDIR(file->mode) || !is_known)
            continue;
        any_behind |= copied.is_behind;
        check_partial_file(self, file, &copied);
    }
    g_assert_true(any_behind == is_behind);
}

static bool
on_checkpoint(BkCopy *copy, void *data, BkOp *op, GError **error)
{
    Fixture *self = data;
    bool is_behind;

    (void)op;
    g_assert_true(copy == self->copy);
    bk_snapshot_free(self->saved);
    self->saved = assemble(self, self->parent, &is_behind);
    self->saved_redo = is_behind ? self->parent_redo : self->redo;
    check_checkpoint(self, is_behind);
    return ++self->checkpoints != self->stop_at ||
           bk_throw(error, BK_ERROR_CANCELLED, "stopped here");
}

static void
want_checkpoints(Fixture *self, BkCopyCheckpoint checkpoint)
{
    self->options.checkpoint = checkpoint;
    self->options.checkpoint_us = 1;
    self->options.data = self;
}

static void
test_checkpoints(Fixture *self, const void *data)
{
    (void)data;
    want_checkpoints(self, on_checkpoint);
    self->options.workers = 1;
    make_cluster(self, 200);
    copy_cluster(self, READ_FULL);
    g_assert_cmpuint(self->checkpoints, >=, 2);
    assert_restores_source(self, self->parent);
    change_pages(self, &relations[1], 0, 300);
    change_pages(self, &relations[2], 30, 320);
    change_pages(self, &relations[3], 50, 180);
    write_other(self, others[3], 3000000);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(self->checkpoints, >=, 2);
    assert_restores_source(self, self->parent);
    check_work(self);
}

/* As the first, which died, was: what its last checkpoint put down is the parent of the next. A
 * part that is as old as the parent makes all of it so. */
static void
carry_on(Fixture *self)
{
    end_copy(self);
    bk_snapshot_free(self->parent);
    self->parent = g_steal_pointer(&self->saved);
    self->parent_redo = self->saved_redo;
}

/* Much of a large relation: more than one worker reads at once. */
static void
change_much(Fixture *self)
{
    size_t size = size_of(self, relations[0].path);
    uint32_t pages = size == SIZE_MAX ? 0 : (uint32_t)(size / PAGE);

    if (pages < 5000)
        change_pages(self, &relations[0], pages, 5000 - pages);
    for (uint32_t i = 0; i < 5; i++)
        change_pages(self, &relations[0], i * 1000 + draw(400), 500 + draw(60));
}

static void
test_interrupted(Fixture *self, const void *data)
{
    unsigned stopped = 0;

    (void)data;
    want_checkpoints(self, on_checkpoint);
    make_cluster(self, 200);
    change_pages(self, &relations[0], 100, 2500);
    while (stopped < 10) {
        g_autoptr(GError) error = NULL;

        self->options.workers = 1 + draw(3);
        self->stop_at = 1 + draw(3);
        begin_copy(self, (Way)(READ_COMPARED + draw(3)));
        if (bk_copy_run(self->copy, self->selection, NULL, self->repo.op, &error)) {
            finish_copy(self);
            assert_restores_source(self, self->parent);
        } else {
            g_assert_error(error, BK_ERROR, BK_ERROR_CANCELLED);
            carry_on(self);
            stopped++;
        }
        change_cluster(self);
        if (draw(3) == 0)
            change_much(self);
    }
    self->stop_at = 0;
    copy_cluster(self, READ_CHANGED);
    assert_restores_source(self, self->parent);
    check_work(self);
}

/* Files of the source as they were when they were listed: path -> BkBuf. */
static GHashTable *
remember(const Fixture *self)
{
    GHashTable *contents =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)bk_buf_free);

    for (guint i = 0; i < self->tree.files->len; i++) {
        const BkTreeFile *file = g_ptr_array_index(self->tree.files, i);
        BkBuf *content = bk_buf_new();

        if (S_ISREG(file->mode))
            read_file(self->from, file->path, content);
        g_hash_table_insert(contents, g_strdup(file->path), content);
    }
    return contents;
}

/* The server drops files and cuts them off while they are copied. */
static bool
on_disturbing_checkpoint(BkCopy *copy, void *data, BkOp *op, GError **error)
{
    Fixture *self = data;

    (void)copy;
    (void)op;
    (void)error;
    for (unsigned i = 0; i < 3; i++) {
        const BkTreeFile *file = g_ptr_array_index(self->tree.files, draw(self->tree.files->len));
        size_t size = size_of(self, file->path);

        if (!S_ISREG(file->mode) || size == SIZE_MAX)
            continue;
        if (g_test_rand_bit())
            remove_file(self, file->path);
        else
            cut_file(self, file->path, size / 2 / PAGE * PAGE);
    }
    self->checkpoints++;
    return true;
}

/* What is left of each file is what was there, no less than what still is. */
static void
check_disturbed(Fixture *self, GHashTable *contents)
{
    g_auto(BkBuf) found = BK_BUF_INIT;

    for (guint i = 0; i < self->tree.files->len; i++) {
        const BkTreeFile *file = g_ptr_array_index(self->tree.files, i);
        const BkBuf *before = g_hash_table_lookup(contents, file->path);
        size_t left = size_of(self, file->path);

        if (!S_ISREG(file->mode))
            continue;
        read_from(self, self->parent, file->path, &found);
        if (bk_snapshot_find_file(self->parent, file->path) == NULL) {
            g_assert_cmpuint(left, ==, SIZE_MAX); /* vanished, and not only cut off */
            continue;
        }
        g_assert_cmpuint(found.size, <=, before->size);
        g_assert_cmpuint(found.size, >=, left == SIZE_MAX ? 0 : left);
        EXPECT_BYTES(found.data, found.size, before->data, found.size);
    }
}

static void
test_disturbed(Fixture *self, const void *data)
{
    (void)data;
    for (unsigned round = 0; round < 8; round++) {
        g_autoptr(GHashTable) contents = NULL;

        want_checkpoints(self, on_disturbing_checkpoint);
        self->options.workers = 1 + draw(2);
        make_cluster(self, 100);
        if (round % 4 == 0)
            change_much(self);
        begin_copy(self, (Way)draw(4));
        contents = remember(self);
        run_copy(self);
        finish_copy(self);
        check_disturbed(self, contents);
        self->options.checkpoint_us = 0; /* the next comes to rest */
        for (size_t i = 0; i < G_N_ELEMENTS(relations); i++)
            append_log(self, &relations[i], 0, true);
        copy_cluster(self, READ_CHANGED);
        assert_restores_source(self, self->parent);
    }
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/copy-parent/chain", test_chain);
    TEST("/copy-parent/ranges", test_ranges);
    TEST("/copy-parent/compared", test_compared);
    TEST("/copy-parent/digested", test_digested);
    TEST("/copy-parent/checkpoints", test_checkpoints);
    TEST("/copy-parent/interrupted", test_interrupted);
    TEST("/copy-parent/disturbed", test_disturbed);
    return g_test_run();
}
