/* test-copy-parent.c - copies that build upon an earlier snapshot: random changes to a small
 * cluster whose log is known, read by the word of the log or compared, interrupted and carried on.
 */
#include "cluster-fixture.h"
#include "engine/backup/assemble.h"
#include "repo-fixture.h"
#include "repo/extract/extract.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/backup/page-sample.h"
#include "source/pg/backup/page-selection.h"
#include "source/pg/backup/page-source.h"
#include "source/pg/cluster/data-dir-list.h"
#include "targets-fixture.h"

#define OLD_LSN (2 * BK_MIB) /* before anything that the cluster logs */

typedef struct Fixture {
    RepoFixture repo;
    TargetsFixture at;
    GPtrArray *source_repos; /* of its targets */
    Cluster cluster;

    BkSnapshot *parent;
    BkLsn parent_redo;

    BkPipelineOptions options; /* what follows belongs to the copy at hand */
    BkDataDirList tree;
    BkBlockMap *map; /* NULL: compare */
    bool *is_given_up;
    BkPageSourceOptions page_options;
    BkPageSource *pages;
    BkSelection *selection;
    BkPipeline *copy;
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
    *self = (Fixture){.copy = NULL};
    cluster_init(&self->cluster);
    repo_fixture_init(&self->repo);
    targets_fixture_init(&self->at, &self->repo, NULL, &(BkTargetsOptions){0});
    self->source_repos = self->at.targets.source_repos;
    self->options = (BkPipelineOptions){
        .targets = &self->at.targets, .codec = BK_CODEC_LZ4, .level = 1, .workers = 2};
}

static void
end_copy(Fixture *self)
{
    g_clear_pointer(&self->copy, bk_pipeline_free);
    g_clear_pointer(&self->pages, bk_page_source_free);
    g_clear_pointer(&self->selection, bk_selection_free);
    g_clear_pointer(&self->map, bk_block_map_free);
    g_clear_pointer(&self->is_given_up, g_free);
    g_clear_pointer(&self->before, bk_snapshot_free);
    bk_data_dir_list_clear(&self->tree);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    end_copy(self);
    bk_snapshot_free(self->parent);
    bk_snapshot_free(self->saved);
    targets_fixture_clear(&self->at);
    repo_fixture_clear(&self->repo);
    cluster_clear(&self->cluster);
}

typedef enum { READ_FULL, READ_COMPARED, READ_CHANGED, READ_REFRESHED } Way;

static void
select_files(Fixture *self, Way way)
{
    BkPageSelectionOptions options = {.parent = self->parent};
    size_t packs;

    if (way == READ_FULL)
        g_clear_pointer(&self->parent, bk_snapshot_free);
    if (self->parent == NULL) {
        self->selection = bk_page_selection_new_full(self->tree.files);
        return;
    }
    (void)bk_snapshot_packs(self->parent, &packs);
    self->options.first_pack = (uint32_t)packs;
    self->page_options.parent_lsn = self->parent_redo;
    if (way != READ_COMPARED)
        self->map = cluster_make_map(&self->cluster, self->parent_redo);
    if (way == READ_REFRESHED) {
        self->is_given_up = g_new0(bool, packs + 1);
        for (size_t i = 0; i < packs; i++)
            self->is_given_up[i] = g_test_rand_bit();
    }
    options.map = self->map;
    options.is_given_up = self->is_given_up;
    self->selection = bk_page_selection_new(self->tree.files, &options);
}

static void
begin_copy(Fixture *self, Way way)
{
    const BkPgControl control = {.relation_segment_blocks = BK_PG_SEGMENT_BLOCKS};
    g_autoptr(GError) error = NULL;

    end_copy(self);
    self->options.first_pack = 0;
    self->checkpoints = 0;
    self->redo = self->cluster.now;
    EXPECT_DONE(
        bk_data_dir_list_list(self->cluster.root, &control, &self->tree, self->repo.op, &error));
    select_files(self, way);
    self->page_options.root = self->cluster.root;
    self->pages = bk_page_source_new(&self->page_options, &error);
    g_assert_no_error(error);
    self->options.source = bk_page_source_get(self->pages);
    self->copy = bk_pipeline_new(&self->options);
}

static void
run_copy(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_pipeline_run(self->copy, self->selection, NULL, self->repo.op, &error));
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
    head->mode = BK_SNAPSHOT_INCREMENTAL;
    head->why = g_strdup("");
    head->label = g_strdup("");
    head->host = g_strdup("here");
    head->program = g_strdup("test");
    head->state = BK_SNAPSHOT_COMPLETE;
    EXPECT_DONE(bk_snapshot_seal(snapshot, self->repo.source_repo, &object, &error));
    EXPECT_DONE(bk_snapshot_put(self->repo.source_repo, head->id, &object, self->repo.op, &error));
    loaded = bk_snapshot_load(self->repo.source_repo, head->id, self->repo.op, &error);
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
make_directories(const BkSnapshot *snapshot, const char *to)
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
    g_autoptr(BkChownMap) owners = bk_chown_map_new(snapshot, 0);
    g_autoptr(BkBeneath) place = bk_beneath_new(open(to, O_RDONLY | O_DIRECTORY), NULL);
    const BkExtractOptions options = {.source_repos = self->source_repos,
                                      .snapshot = snapshot,
                                      .owners = owners,
                                      .place = place,
                                      .workers = 2};
    g_autoptr(BkExtract) extract = bk_extract_new(&options);
    g_autoptr(GError) error = NULL;

    make_directories(snapshot, to);
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

/* Each page of the source that a note may be of. */
static guint
count_notable_pages(const Fixture *self)
{
    guint count = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++) {
        g_auto(BkBuf) content = BK_BUF_INIT;
        BkLsn lsn;

        if (cluster_size_of(&self->cluster, cluster_relations[i].path) == SIZE_MAX)
            continue;
        read_file(self->cluster.root, cluster_relations[i].path, &content);
        for (size_t at = 0; at + PAGE <= content.size; at += PAGE)
            count += bk_pg_page_get_lsn(content.data + at, &lsn);
    }
    return count;
}

/* What is noted of pages is true of the source, which the snapshot is a copy of. Returns the count.
 */
static guint
check_notes(const Fixture *self, const BkSnapshot *snapshot)
{
    guint total = 0;
    size_t count;
    const BkFile *files = bk_snapshot_files(snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(BkPageNote));
        g_auto(BkBuf) content = BK_BUF_INIT;
        g_autoptr(GError) error = NULL;

        EXPECT_DONE(bk_page_notes_decode(files[i].notes, files[i].notes_size, notes, &error));
        if (notes->len > 0)
            read_file(self->cluster.root, files[i].path, &content);
        for (guint j = 0; j < notes->len; j++) {
            const BkPageNote *note = &g_array_index(notes, BkPageNote, j);

            g_assert_cmpuint(note->offset + PAGE, <=, content.size);
            g_assert_true(bk_page_note_fits(note, content.data + note->offset));
        }
        total += notes->len;
    }
    g_assert_cmpuint(total, <=, BK_PAGE_SAMPLE_SIZE);
    return total;
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
        const BkSourceFile *file = g_ptr_array_index(self->tree.files, i);

        if (!S_ISREG(file->mode))
            continue;
        read_file(self->cluster.root, file->path, &expected);
        read_file(to, file->path, &found);
        EXPECT_BYTES(found.data, found.size, expected.data, expected.size);
    }
    (void)check_notes(self, snapshot);
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

/* How many bytes of main forks the selection says are refreshed. */
static uint64_t
repacked_bytes(const Fixture *self)
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

            refreshed += range->is_repack ? range->length : 0;
        }
    }
    return refreshed;
}

/* And how many of other files may be. */
static uint64_t
digested_bytes(const Fixture *self)
{
    uint64_t bytes = 0;
    size_t count;
    const BkSelected *selected = bk_selection_files(self->selection, &count);

    for (size_t i = 0; i < count; i++)
        if (selected[i].how == BK_READ_DIGESTED && selected[i].is_given_up)
            bytes += selected[i].file->size;
    return bytes;
}

/* Every byte was stored anew or taken over, and is counted once. */
static void
check_work(const Fixture *self)
{
    const BkSnapshotHead *head = bk_snapshot_head(self->parent);

    g_assert_cmpuint(head->bytes, ==, self->tree.bytes);
    /* Holes are taken without being read. */
    g_assert_cmpuint(head->work.read, <=, bk_selection_to_read(self->selection));
    g_assert_cmpuint(head->work.repacked, >=, repacked_bytes(self));
    g_assert_cmpuint(head->work.repacked, <=, repacked_bytes(self) + digested_bytes(self));
    g_assert_cmpuint(head->work.changed + head->work.repacked + head->work.reused, ==, head->bytes);
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
    uint64_t taken = 0;

    (void)data;
    cluster_make(&self->cluster, 60);
    copy_cluster(self, READ_FULL);
    check_work(self);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.reused, ==, 0);
    for (unsigned round = 0; round < 25; round++) {
        cluster_change(&self->cluster);
        copy_cluster(self, (Way)(READ_COMPARED + cluster_draw(3)));
        assert_restores_source(self, self->parent);
        check_work(self);
        check_given_up(self);
        taken += bk_snapshot_head(self->parent)->work.reused;
    }
    g_assert_cmpuint(taken, >, 20 * BK_MIB);
}

/* One relation of 40 pages, another file, and a snapshot of both. */
static void
make_small(Fixture *self)
{
    for (uint32_t page = 0; page < 40; page++)
        cluster_write_pages(&self->cluster, cluster_relations[0].path, page, 1, OLD_LSN + page);
    cluster_write_other(&self->cluster, cluster_others[2], 700000);
    copy_cluster(self, READ_FULL);
}

/* Restores and asserts that page `page` of the relation is that of `expected` (all its pages). */
static void
assert_page(Fixture *self, uint32_t page, const BkBuf *expected)
{
    char *to = temp_dir_new();
    g_auto(BkBuf) found = BK_BUF_INIT;

    restore(self, self->parent, to);
    read_file(to, cluster_relations[0].path, &found);
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
    read_file(self->cluster.root, cluster_relations[0].path, &before);
    cluster_write_pages(&self->cluster, cluster_relations[0].path, 7, 1,
                        OLD_LSN - 1); /* behind the log's back */
    cluster_change_pages(&self->cluster, &cluster_relations[0], 9, 2);
    read_file(self->cluster.root, cluster_relations[0].path, &after);
    copy_cluster(self, READ_CHANGED);
    work = bk_snapshot_head(self->parent)->work;
    g_assert_cmpuint(work.changed, ==, 2 * PAGE);
    g_assert_cmpuint(work.read, ==, 2 * PAGE + 700000);
    g_assert_cmpuint(work.reused, ==, 38 * PAGE + 700000);
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
    BkLsn start = self->cluster.now;
    BkSnapshotWork work;

    (void)data;
    make_small(self);
    read_file(self->cluster.root, cluster_relations[0].path, &before);
    self->parent_redo = start;
    cluster_write_at(&self->cluster, cluster_relations[0].path, strange, PAGE, 20 * PAGE);
    cluster_write_at(&self->cluster, cluster_relations[0].path, before.data + 8, 8,
                     3 * PAGE + 5000);
    cluster_write_pages(&self->cluster, cluster_relations[0].path, 30, 1, start - 1);
    cluster_write_pages(&self->cluster, cluster_relations[0].path, 31, 1, start);
    read_file(self->cluster.root, cluster_relations[0].path, &after);
    copy_cluster(self, READ_COMPARED);
    work = bk_snapshot_head(self->parent)->work;
    g_assert_cmpuint(work.read, ==, 40 * PAGE + 700000);
    g_assert_cmpuint(work.changed, ==, 2 * PAGE);
    assert_page(self, 20, &after);
    assert_page(self, 31, &after);
    assert_page(self, 30, &before);
    assert_page(self, 3, &before);
}

/* Past the parent's length there is nothing to take over, however old a page looks. */
static void
test_compared_and_grown(Fixture *self, const void *data)
{
    (void)data;
    make_small(self);
    cluster_write_pages(&self->cluster, cluster_relations[0].path, 40, 2, OLD_LSN);
    copy_cluster(self, READ_COMPARED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, 2 * PAGE);
    assert_restores_source(self, self->parent);
}

/* Without checksums a page may have become all-visible without a higher LSN. */
static void
test_compared_all_visible(Fixture *self, const void *data)
{
    static const uint16_t all_visible = 4;

    (void)data;
    make_small(self);
    cluster_write_at(&self->cluster, cluster_relations[0].path, &all_visible, sizeof all_visible,
                     5 * PAGE + 10);
    copy_cluster(self, READ_COMPARED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, PAGE);
    assert_restores_source(self, self->parent);
    self->page_options.verify_pages = true;
    copy_cluster(self, READ_COMPARED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, 0);
}

/* Of other files a piece of 256 KiB is stored anew when it differs. */
static void
test_digested(Fixture *self, const void *data)
{
    (void)data;
    make_small(self);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, 0);
    cluster_write_at(&self->cluster, cluster_others[2], "differs", 7, 300000);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, BK_FILE_DIGEST_UNIT);
    assert_restores_source(self, self->parent);
    cluster_cut_file(&self->cluster, cluster_others[2], 600000);
    copy_cluster(self, READ_COMPARED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==,
                     600000 - 2 * BK_FILE_DIGEST_UNIT);
    assert_restores_source(self, self->parent);
    cluster_write_at(&self->cluster, cluster_others[2], "more", 4, 600000);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==,
                     600004 - 2 * BK_FILE_DIGEST_UNIT);
    assert_restores_source(self, self->parent);
    cluster_cut_file(&self->cluster, cluster_others[2], 2 * BK_FILE_DIGEST_UNIT);
    copy_cluster(self, READ_CHANGED);
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.changed, ==, 0);
    assert_restores_source(self, self->parent);
}

/* Content of a file of a snapshot; empty when it has none of this path. */
static void
read_from(Fixture *self, const BkSnapshot *snapshot, const char *path, BkBuf *content)
{
    const BkFile *file = snapshot != NULL ? bk_snapshot_find_file(snapshot, path) : NULL;
    const BkExtractOptions options = {
        .source_repos = self->source_repos, .snapshot = snapshot, .workers = 1};
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
check_partial_file(Fixture *self, const BkSourceFile *file, const BkPipelineFile *copied)
{
    g_auto(BkBuf) source = BK_BUF_INIT;
    g_auto(BkBuf) parent = BK_BUF_INIT;
    g_auto(BkBuf) found = BK_BUF_INIT;

    read_file(self->cluster.root, file->path, &source);
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
    g_auto(BkPipelineFile) copied = {NULL};
    bool any_behind = false;

    bk_pipeline_file_init(&copied);
    for (guint i = 0; i < self->tree.files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(self->tree.files, i);
        bool is_known = S_ISDIR(file->mode) || bk_pipeline_get_file(self->copy, file, &copied);

        g_assert_true((bk_snapshot_find_file(self->saved, file->path) != NULL) == is_known);
        if (S_ISDIR(file->mode) || !is_known)
            continue;
        any_behind |= copied.is_behind;
        check_partial_file(self, file, &copied);
    }
    g_assert_true(any_behind == is_behind);
}

/* Saves what there is, as a backup does. */
static bool
on_bare_checkpoint(BkPipeline *copy, void *data, BkOp *op, GError **error)
{
    Fixture *self = data;
    bool is_behind;

    (void)op;
    g_assert_true(copy == self->copy);
    bk_snapshot_free(self->saved);
    self->saved = assemble(self, self->parent, &is_behind);
    self->saved_redo = is_behind ? self->parent_redo : self->redo;
    return ++self->checkpoints != self->stop_at ||
           bk_throw(error, BK_ERROR_CANCELLED, "stopped here");
}

/* The same, and looks at what was saved. */
static bool
on_checkpoint(BkPipeline *copy, void *data, BkOp *op, GError **error)
{
    Fixture *self = data;
    bool go_on = on_bare_checkpoint(copy, data, op, error);

    check_checkpoint(self, self->saved_redo != self->redo);
    return go_on;
}

static void
want_checkpoints(Fixture *self, BkPipelineResumePoint checkpoint)
{
    self->options.checkpoint = checkpoint;
    self->options.resume_interval_us = 1;
    self->options.data = self;
}

static void
test_checkpoints(Fixture *self, const void *data)
{
    (void)data;
    want_checkpoints(self, on_checkpoint);
    self->options.workers = 1;
    cluster_make(&self->cluster, 200);
    copy_cluster(self, READ_FULL);
    g_assert_cmpuint(self->checkpoints, >=, 2);
    assert_restores_source(self, self->parent);
    cluster_change_pages(&self->cluster, &cluster_relations[1], 0, 300);
    cluster_change_pages(&self->cluster, &cluster_relations[2], 30, 320);
    cluster_change_pages(&self->cluster, &cluster_relations[3], 50, 180);
    cluster_write_other(&self->cluster, cluster_others[3], 3000000);
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

/* Runs the copy up to a checkpoint at which it dies, and carries on. False when it was done before.
 */
static bool
interrupt_copy(Fixture *self, Way way, unsigned stop_at)
{
    g_autoptr(GError) error = NULL;

    self->stop_at = stop_at;
    begin_copy(self, way);
    if (bk_pipeline_run(self->copy, self->selection, NULL, self->repo.op, &error)) {
        finish_copy(self);
        return false;
    }
    g_assert_error(error, BK_ERROR, BK_ERROR_CANCELLED);
    carry_on(self);
    return true;
}

static void
test_interrupted(Fixture *self, const void *data)
{
    unsigned stopped = 0;

    (void)data;
    want_checkpoints(self, on_bare_checkpoint);
    cluster_make(&self->cluster, 140);
    while (stopped < 10) {
        self->options.workers = 1 + cluster_draw(2);
        if (interrupt_copy(self, (Way)(READ_COMPARED + cluster_draw(3)), 1 + cluster_draw(2)))
            stopped++;
        else
            assert_restores_source(self, self->parent);
        cluster_change(&self->cluster);
        cluster_change_half(&self->cluster);
    }
    self->stop_at = 0;
    copy_cluster(self, READ_CHANGED);
    assert_restores_source(self, self->parent);
    check_work(self);
}

/* A file that is read in pieces: a checkpoint may know of one and not of the other. */
static void
test_pieces(Fixture *self, const void *data)
{
    const ClusterRelation *relation = &cluster_relations[0];
    BkLsn redo;

    (void)data;
    want_checkpoints(self, on_checkpoint);
    self->options.workers = 1;
    cluster_change_pages(&self->cluster, relation, 0, 2600);
    redo = self->cluster.now;
    g_assert_true(interrupt_copy(self, READ_FULL, 1));
    g_assert_cmpuint(bk_snapshot_find_file(self->parent, relation->path)->size, ==, 16 * BK_MIB);
    g_assert_cmpuint(self->parent_redo, ==, redo);
    redo = self->cluster.now;
    g_assert_false(interrupt_copy(self, READ_CHANGED, 0));
    g_assert_cmpuint(bk_snapshot_head(self->parent)->work.reused, ==, 16 * BK_MIB);
    assert_restores_source(self, self->parent);
    for (uint32_t page = 0; page < 2600; page += 520)
        cluster_change_pages(&self->cluster, relation, page + cluster_draw(60), 440);
    g_assert_true(interrupt_copy(self, READ_CHANGED, 1));
    g_assert_cmpuint(bk_snapshot_find_file(self->parent, relation->path)->size, ==, 2600 * PAGE);
    g_assert_cmpuint(self->parent_redo, ==, redo); /* a part is as old as that */
    g_assert_false(interrupt_copy(self, READ_CHANGED, 0));
    assert_restores_source(self, self->parent);
}

static bool
on_growing_checkpoint(BkPipeline *copy, void *data, BkOp *op, GError **error)
{
    Fixture *self = data;

    (void)copy;
    (void)op;
    (void)error;
    self->checkpoints++;
    cluster_write_pages(&self->cluster, cluster_relations[0].path, 1000, 1600, 1);
    return true;
}

/* One piece of a file finds that it was cut off; before the next is read it has grown again. What
 * is behind the cut is left to replay. */
static void
test_cut_and_grown(Fixture *self, const void *data)
{
    g_auto(BkBuf) expected = BK_BUF_INIT;
    g_auto(BkBuf) found = BK_BUF_INIT;

    (void)data;
    want_checkpoints(self, on_growing_checkpoint);
    self->options.workers = 1;
    cluster_change_pages(&self->cluster, &cluster_relations[0], 0, 2600);
    begin_copy(self, READ_FULL);
    cluster_cut_file(&self->cluster, cluster_relations[0].path, 1000 * PAGE);
    read_file(self->cluster.root, cluster_relations[0].path, &expected);
    run_copy(self);
    g_assert_cmpuint(self->checkpoints, ==, 1);
    finish_copy(self);
    read_from(self, self->parent, cluster_relations[0].path, &found);
    EXPECT_BYTES(found.data, found.size, expected.data, expected.size);
}

/* Files of the source as they were when they were listed: path -> BkBuf. */
static GHashTable *
remember(const Fixture *self)
{
    GHashTable *contents =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)bk_buf_free);

    for (guint i = 0; i < self->tree.files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(self->tree.files, i);
        BkBuf *content = bk_buf_new();

        if (S_ISREG(file->mode))
            read_file(self->cluster.root, file->path, content);
        g_hash_table_insert(contents, g_strdup(file->path), content);
    }
    return contents;
}

/* The server drops files and cuts them off while they are copied. */
static bool
on_disturbing_checkpoint(BkPipeline *copy, void *data, BkOp *op, GError **error)
{
    Fixture *self = data;

    (void)copy;
    (void)op;
    (void)error;
    for (unsigned i = 0; i < 3; i++) {
        const BkSourceFile *file =
            g_ptr_array_index(self->tree.files, cluster_draw(self->tree.files->len));
        size_t size = cluster_size_of(&self->cluster, file->path);

        if (!S_ISREG(file->mode) || size == SIZE_MAX)
            continue;
        if (g_test_rand_bit())
            cluster_remove_file(&self->cluster, file->path);
        else
            cluster_cut_file(&self->cluster, file->path, size / 2 / PAGE * PAGE);
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
        const BkSourceFile *file = g_ptr_array_index(self->tree.files, i);
        const BkBuf *before = g_hash_table_lookup(contents, file->path);
        size_t left = cluster_size_of(&self->cluster, file->path);

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
    for (unsigned round = 0; round < 5; round++) {
        g_autoptr(GHashTable) contents = NULL;

        want_checkpoints(self, on_disturbing_checkpoint);
        self->options.workers = 1 + cluster_draw(2);
        if (round == 0)
            cluster_make(&self->cluster, 400); /* more to read than two workers take at once */
        else
            cluster_change_half(&self->cluster);
        begin_copy(self, round == 0 ? READ_FULL : (Way)(READ_COMPARED + cluster_draw(3)));
        contents = remember(self);
        run_copy(self);
        g_assert_cmpuint(self->checkpoints, >, 0);
        finish_copy(self);
        check_disturbed(self, contents);
        self->options.resume_interval_us = 0; /* the next comes to rest */
        for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
            cluster_append_log(&self->cluster, &cluster_relations[i], 0, true);
        copy_cluster(self, READ_CHANGED);
        assert_restores_source(self, self->parent);
    }
}

/* Of few pages each is noted, whether it was stored now or by an earlier snapshot; of many as many
 * as there may be. */
static void
test_notes(Fixture *self, const void *data)
{
    (void)data;
    cluster_make(&self->cluster, 40);
    copy_cluster(self, READ_FULL);
    for (unsigned round = 0; round < 12; round++) {
        g_assert_cmpuint(check_notes(self, self->parent), ==, count_notable_pages(self));
        for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
            cluster_change_pages(&self->cluster, &cluster_relations[i], cluster_draw(30), 7);
        if (round % 4 == 3) {
            cluster_append_log(&self->cluster, &cluster_relations[1], 37, true);
            cluster_cut_file(&self->cluster, cluster_relations[1].path, 37 * PAGE);
        }
        copy_cluster(self, (Way)(READ_COMPARED + cluster_draw(3)));
        assert_restores_source(self, self->parent);
    }
    cluster_change_pages(&self->cluster, &cluster_relations[0], 0, 700);
    for (unsigned round = 0; round < 3; round++) {
        copy_cluster(self, READ_CHANGED);
        g_assert_cmpuint(check_notes(self, self->parent), ==, BK_PAGE_SAMPLE_SIZE);
        cluster_change_pages(&self->cluster, &cluster_relations[0], cluster_draw(200), 400);
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
    TEST("/copy-parent/compared-and-grown", test_compared_and_grown);
    TEST("/copy-parent/compared-all-visible", test_compared_all_visible);
    TEST("/copy-parent/digested", test_digested);
    TEST("/copy-parent/checkpoints", test_checkpoints);
    TEST("/copy-parent/interrupted", test_interrupted);
    TEST("/copy-parent/pieces", test_pieces);
    TEST("/copy-parent/cut-and-grown", test_cut_and_grown);
    TEST("/copy-parent/disturbed", test_disturbed);
    TEST("/copy-parent/notes", test_notes);
    return g_test_run();
}
