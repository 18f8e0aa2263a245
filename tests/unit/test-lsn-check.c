/* test-lsn-check.c - pages that contradict the map of changes: each kind is found, and nothing
 * else. */
#include "cluster-fixture.h"
#include "engine/backup/assemble.h"
#include "repo-fixture.h"
#include "source/pg/backup/lsn-check.h"
#include "source/pg/backup/page-selection.h"
#include "source/pg/backup/page-source.h"
#include "source/pg/cluster/data-dir-list.h"
#include "targets-fixture.h"

#define PAGES   60u          /* of each relation */
#define OLD_LSN (2 * BK_MIB) /* before anything that the cluster logs */

typedef struct Fixture {
    RepoFixture repo;
    Cluster cluster;
    TargetsFixture at;
    GPtrArray *source_repos; /* of its targets */
    BkDataDirList old_tree;
    BkSnapshot *parent;
    BkDataDirList tree;
    BkBlockMap *map;
    BkSelection *selection;
    BkLsnCheckRequest request;
    uint64_t bytes; /* looked at by the last audit of all */
    char *found;    /* by the last audit */
} Fixture;

static const ClusterRelation *const table = &cluster_relations[0];
static const ClusterRelation *const second_file = &cluster_relations[3];

static void
list_tree(Fixture *self, BkDataDirList *tree)
{
    const BkPgControl control = {.relation_segment_blocks = BK_PG_SEGMENT_BLOCKS};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_data_dir_list_list(self->cluster.root, &control, tree, self->repo.op, &error));
}

static void
make_parent(Fixture *self)
{
    g_autoptr(GError) error = NULL;
    const BkPageSourceOptions page_options = {.root = self->cluster.root};
    g_autoptr(BkPageSource) pages = bk_page_source_new(&page_options, &error);
    const BkPipelineOptions options = {.targets = &self->at.targets,
                                       .source = bk_page_source_get(pages),
                                       .codec = BK_CODEC_LZ4,
                                       .level = 1,
                                       .workers = 2};
    g_autoptr(BkPipeline) copy = bk_pipeline_new(&options);
    g_autoptr(BkSelection) selection = NULL;
    g_auto(BkAssembly) assembly = {NULL};

    g_assert_no_error(error);
    list_tree(self, &self->old_tree);
    selection = bk_page_selection_new_full(self->old_tree.files);
    EXPECT_DONE(bk_pipeline_run(copy, selection, NULL, self->repo.op, &error));
    bk_assemble(copy, NULL, self->old_tree.files, NULL, &assembly);
    self->parent = g_steal_pointer(&assembly.snapshot);
}

/* What a backup does before it audits. */
static void
select_changes(Fixture *self)
{
    list_tree(self, &self->tree);
    self->map = cluster_make_map(&self->cluster, self->request.from);
    self->selection = bk_page_selection_new(
        self->tree.files, &(BkPageSelectionOptions){.parent = self->parent, .map = self->map});
    self->request.root = self->cluster.root;
    self->request.selection = self->selection;
    self->request.workers = 3;
    self->request.to = self->cluster.now + 1000;
}

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    *self = (Fixture){.parent = NULL};
    repo_fixture_init(&self->repo);
    cluster_init(&self->cluster);
    targets_fixture_init(&self->at, &self->repo, NULL, &(BkTargetsOptions){0});
    self->source_repos = self->at.targets.source_repos;
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
        for (uint32_t page = 0; page < PAGES; page++)
            cluster_write_pages(&self->cluster, cluster_relations[i].path, page, 1, OLD_LSN + page);
    cluster_write_other(&self->cluster, cluster_others[2], 100000);
    make_parent(self);
    self->request.from = self->cluster.now;
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
        cluster_change_pages(&self->cluster, &cluster_relations[i], 10 + (uint32_t)i, 3);
    select_changes(self);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_free(self->found);
    bk_selection_free(self->selection);
    bk_block_map_free(self->map);
    bk_data_dir_list_clear(&self->tree);
    bk_snapshot_free(self->parent);
    bk_data_dir_list_clear(&self->old_tree);
    targets_fixture_clear(&self->at);
    cluster_clear(&self->cluster);
    repo_fixture_clear(&self->repo);
}

static const char *
sample(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    g_clear_pointer(&self->found, g_free);
    EXPECT_DONE(bk_lsn_check_sample(&self->request, &self->found, self->repo.op, &error));
    return self->found;
}

static const char *
audit_all(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    g_clear_pointer(&self->found, g_free);
    self->bytes = 0;
    EXPECT_DONE(
        bk_lsn_check_all(&self->request, &self->bytes, &self->found, self->repo.op, &error));
    return self->found;
}

/* All pages of all relations but the changed ones get this LSN. */
static void
rewrite_unchanged(Fixture *self, BkLsn lsn)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++) {
        uint32_t changed = 10 + (uint32_t)i;

        cluster_write_pages(&self->cluster, cluster_relations[i].path, 0, changed, lsn);
        cluster_write_pages(&self->cluster, cluster_relations[i].path, changed + 3,
                            PAGES - changed - 3, lsn);
    }
}

static void
test_clean(Fixture *self, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 20; i++)
        g_assert_cmpstr(sample(self), ==, NULL);
    g_assert_cmpstr(audit_all(self), ==, NULL);
    g_assert_cmpuint(self->bytes, ==, G_N_ELEMENTS(cluster_relations) * (PAGES - 3) * PAGE);
}

/* One page in each place where one may be: before, between and behind what is read. */
static void
test_all_finds_any_page(Fixture *self, const void *data)
{
    (void)data;
    for (uint32_t page = 0; page < PAGES; page++) {
        g_autofree char *expected = NULL;

        cluster_write_pages(&self->cluster, second_file->path, page, 1, self->request.from + 1);
        expected = g_strdup_printf("block %u of \"%s\" ", second_file->first_block + page,
                                   second_file->path);
        if (page >= 13 && page < 16)
            g_assert_cmpstr(audit_all(self), ==, NULL); /* it is read anyway */
        else
            g_assert_true(g_str_has_prefix(audit_all(self), expected));
        cluster_write_pages(&self->cluster, second_file->path, page, 1, OLD_LSN);
    }
}

static void
test_range(Fixture *self, const void *data)
{
    const BkLsnCheckRequest *request = &self->request;

    (void)data;
    cluster_write_pages(&self->cluster, table->path, 40, 1, request->from);
    g_assert_cmpstr(audit_all(self), ==, NULL);
    cluster_write_pages(&self->cluster, table->path, 40, 1, request->from + 1);
    g_assert_nonnull(audit_all(self));
    cluster_write_pages(&self->cluster, table->path, 40, 1, request->to);
    g_assert_nonnull(audit_all(self));
    cluster_write_pages(&self->cluster, table->path, 40, 1, request->to + 1);
    g_assert_cmpstr(audit_all(self), ==, NULL); /* changed since the backup began */
    rewrite_unchanged(self, request->to + 1);
    g_assert_cmpstr(sample(self), ==, NULL);
    rewrite_unchanged(self, request->from + 1);
    g_assert_nonnull(strstr(sample(self), "without a record in the WAL"));
    rewrite_unchanged(self, request->to);
    g_assert_nonnull(sample(self));
}

/* An LSN from before the parent, but not that of the parent's copy: restored from elsewhere, or the
 * parent has another page. The LSN alone does not tell. */
static void
test_parent_has_another_lsn(Fixture *self, const void *data)
{
    (void)data;
    rewrite_unchanged(self, OLD_LSN - 1);
    g_assert_cmpstr(audit_all(self), ==, NULL);
    g_assert_nonnull(strstr(sample(self), ", but the parent stored it with LSN 0/2000"));
    self->request.is_other_timeline = true;
    g_assert_nonnull(sample(self));
}

/* The parent itself stored pages that changed after its redo, of which the map knows nothing: also
 * when they have been changed again since this backup began. */
static void
test_parent_noted_an_unknown_change(Fixture *self, const void *data)
{
    (void)data;
    rewrite_unchanged(self, self->request.to + 1);
    g_assert_cmpstr(sample(self), ==, NULL);
    self->request.from = OLD_LSN - 1;
    g_assert_nonnull(strstr(sample(self), "without a record in the WAL"));
}

/* Writes at the same place of each unchanged page of the tables. */
static void
patch_unchanged(Fixture *self, size_t at, const void *data, size_t size)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
        for (uint32_t page = 0; page < PAGES; page++)
            if (page < 10 + i || page >= 13 + i)
                cluster_write_at(&self->cluster, cluster_relations[i].path, data, size,
                                 page * PAGE + at);
}

static void
test_parent_has_another_layout(Fixture *self, const void *data)
{
    const uint16_t lower = 28;

    (void)data;
    patch_unchanged(self, 12, &lower, sizeof lower);
    g_assert_cmpstr(audit_all(self), ==, NULL);
    g_assert_nonnull(strstr(sample(self), "and layout 28/8000/8192, but the parent"));
    self->request.is_other_timeline = true; /* where replay wrote the page */
    g_assert_cmpstr(sample(self), ==, NULL);
}

/* That all rows of a page are visible is set by the log's word, and cleared also by a change that
 * the page's LSN need not tell. */
static void
test_all_visible(Fixture *self, const void *data)
{
    const uint16_t all_visible = 4;
    const uint16_t none = 0;

    (void)data;
    patch_unchanged(self, 10, &all_visible, sizeof all_visible);
    g_assert_nonnull(sample(self));
    patch_unchanged(self, 10, &none, sizeof none);
    g_assert_cmpstr(sample(self), ==, NULL);
}

/* Hints are set without the log. */
static void
test_hints(Fixture *self, const void *data)
{
    (void)data;
    patch_unchanged(self, 5000, "hint", 4);
    for (unsigned i = 0; i < 10; i++)
        g_assert_cmpstr(sample(self), ==, NULL);
    g_assert_cmpstr(audit_all(self), ==, NULL);
}

/* Pages without an LSN to be trusted say nothing. */
static void
test_pages_without_lsn(Fixture *self, const void *data)
{
    static const uint8_t zeros[PAGE] = {0};

    (void)data;
    patch_unchanged(self, 0, zeros, sizeof zeros);
    g_assert_cmpstr(sample(self), ==, NULL);
    g_assert_cmpstr(audit_all(self), ==, NULL);
}

/* The manifest is authenticated, so only another program could have written them. */
static void
test_malformed_notes(Fixture *self, const void *data)
{
    const BkFile *file = bk_snapshot_find_file(self->parent, table->path);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpuint(file->notes_size, >, 1);
    ((BkFile *)(uintptr_t)file)->notes_size--;
    g_assert_false(bk_lsn_check_sample(&self->request, &self->found, self->repo.op, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_CORRUPT);
    g_assert_nonnull(strstr(error->message, table->path));
    g_assert_null(self->found);
    g_assert_cmpstr(audit_all(self), ==, NULL); /* which asks the pages alone */
}

/* A parent that noted nothing, as one without pages: the LSN alone is looked at. */
static void
test_no_notes(Fixture *self, const void *data)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->parent, &count);

    (void)data;
    for (size_t i = 0; i < count; i++)
        ((BkFile *)(uintptr_t)&files[i])->notes_size = 0;
    rewrite_unchanged(self, OLD_LSN - 1);
    g_assert_cmpstr(sample(self), ==, NULL);
    rewrite_unchanged(self, self->request.from + 1);
    g_assert_nonnull(sample(self));
}

/* The server drops and cuts files meanwhile: replay will do it too. */
static void
test_vanished_and_shrunk(Fixture *self, const void *data)
{
    (void)data;
    cluster_remove_file(&self->cluster, table->path);
    cluster_cut_file(&self->cluster, second_file->path, 20 * PAGE + 100);
    for (unsigned i = 0; i < 20; i++)
        g_assert_cmpstr(sample(self), ==, NULL);
    g_assert_cmpstr(audit_all(self), ==, NULL);
}

static void
test_nothing_taken_over(Fixture *self, const void *data)
{
    g_autoptr(BkSelection) full = bk_page_selection_new_full(self->tree.files);

    (void)data;
    rewrite_unchanged(self, self->request.from + 1);
    self->request.selection = full;
    g_assert_cmpstr(sample(self), ==, NULL);
    g_assert_cmpstr(audit_all(self), ==, NULL);
    g_assert_cmpuint(self->bytes, ==, 0);
}

static void
test_cancelled(Fixture *self, const void *data)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_op_cancel(op);
    EXPECT_ERROR(bk_lsn_check_sample(&self->request, &self->found, op, &error), BK_ERROR_CANCELLED);
    EXPECT_ERROR(bk_lsn_check_all(&self->request, &self->bytes, &self->found, op, &error),
                 BK_ERROR_CANCELLED);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/lsn-check/clean", test_clean);
    TEST("/lsn-check/all-finds-any-page", test_all_finds_any_page);
    TEST("/lsn-check/range", test_range);
    TEST("/lsn-check/parent-has-another-lsn", test_parent_has_another_lsn);
    TEST("/lsn-check/parent-noted-an-unknown-change", test_parent_noted_an_unknown_change);
    TEST("/lsn-check/parent-has-another-layout", test_parent_has_another_layout);
    TEST("/lsn-check/all-visible", test_all_visible);
    TEST("/lsn-check/hints", test_hints);
    TEST("/lsn-check/pages-without-lsn", test_pages_without_lsn);
    TEST("/lsn-check/malformed-notes", test_malformed_notes);
    TEST("/lsn-check/no-notes", test_no_notes);
    TEST("/lsn-check/vanished-and-shrunk", test_vanished_and_shrunk);
    TEST("/lsn-check/nothing-taken-over", test_nothing_taken_over);
    TEST("/lsn-check/cancelled", test_cancelled);
    return g_test_run();
}
