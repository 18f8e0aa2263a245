/* test-pipeline.c - files into packs and out again: borders, holes, damage, deltas. */
#include "codec/crc32c.h"
#include "engine/backup/assemble.h"
#include "expect.h"
#include "repo-fixture.h"
#include "repo/extract/extract.h"
#include "source/pg/backup/page-selection.h"
#include "source/pg/backup/page-source.h"
#include "source/pg/cluster/data-dir-list.h"
#include "source/pg/format/page.h"
#include "targets-fixture.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Fixture {
    RepoFixture repo;
    TargetsFixture at;
    GPtrArray *source_repos; /* of its targets */
    char *from;
    char *to;
    BkDataDirList tree;
    BkSelection *selection;
    BkPipeline *copy;
    BkSnapshot *snapshot;
    BkPipelineOptions options;
    BkPageSourceOptions page_options;
    BkPageSource *pages;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    *self = (Fixture){.from = temp_dir_new(), .to = temp_dir_new()};
    repo_fixture_init(&self->repo);
    targets_fixture_init(&self->at, &self->repo, NULL, &(BkTargetsOptions){0});
    self->source_repos = self->at.targets.source_repos;
    self->options = (BkPipelineOptions){
        .targets = &self->at.targets, .codec = BK_CODEC_LZ4, .level = 1, .workers = 3};
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_pipeline_free(self->copy);
    bk_page_source_free(self->pages);
    bk_selection_free(self->selection);
    bk_snapshot_free(self->snapshot);
    bk_data_dir_list_clear(&self->tree);
    targets_fixture_clear(&self->at);
    repo_fixture_clear(&self->repo);
    temp_dir_free(self->from);
    temp_dir_free(self->to);
}

static void
write_file(const char *root, const char *path, const void *data, size_t size)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(full, data, (gssize)size, NULL));
}

static void
write_noise(const char *root, const char *path, size_t size)
{
    g_autofree uint8_t *data = g_malloc(size + 1);
    uint32_t state = (uint32_t)g_test_rand_int();

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        data[i] = (uint8_t)(state >> 24);
    }
    write_file(root, path, data, size);
}

static void
list_tree(Fixture *self)
{
    const BkPgControl control = {.relation_segment_blocks = BK_PG_SEGMENT_BLOCKS};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_data_dir_list_list(self->from, &control, &self->tree, self->repo.op, &error));
}

/* Makes a snapshot of what became of the tree's files. */
static void
make_snapshot(Fixture *self)
{
    g_auto(BkAssembly) assembly = {NULL};

    bk_assemble(self->copy, NULL, self->tree.files, NULL, &assembly);
    self->snapshot = g_steal_pointer(&assembly.snapshot);
}

static void
start_copy(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    self->selection = bk_page_selection_new_full(self->tree.files);
    self->page_options.root = self->from;
    self->pages = bk_page_source_new(&self->page_options, &error);
    g_assert_no_error(error);
    self->options.source = bk_page_source_get(self->pages);
    self->copy = bk_pipeline_new(&self->options);
}

static const BkSelected *
selected_at(const Fixture *self, size_t index)
{
    size_t count;

    return &bk_selection_files(self->selection, &count)[index];
}

static void
copy_tree(Fixture *self)
{
    g_autoptr(GError) error = NULL;

    if (self->tree.files == NULL)
        list_tree(self);
    start_copy(self);
    EXPECT_DONE(bk_pipeline_run(self->copy, self->selection, NULL, self->repo.op, &error));
    make_snapshot(self);
}

static void
make_directories(const Fixture *self)
{
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *full = g_build_filename(self->to, files[i].path, NULL);

        if (files[i].kind == BK_FILE_DIRECTORY)
            g_assert_cmpint(g_mkdir_with_parents(full, 0700), ==, 0);
    }
}

static void
assert_same_file(const Fixture *self, BkExtract *extract, size_t index, const BkFile *file)
{
    g_autofree char *from = g_build_filename(self->from, file->path, NULL);
    g_autofree char *to = g_build_filename(self->to, file->path, NULL);
    g_autofree char *expected = NULL;
    g_autofree char *found = NULL;
    gsize expected_size, found_size;
    struct stat st;

    g_assert_true(g_file_get_contents(from, &expected, &expected_size, NULL));
    g_assert_true(g_file_get_contents(to, &found, &found_size, NULL));
    EXPECT_BYTES(found, found_size, expected, expected_size);
    g_assert_cmpuint(bk_extract_crc32c(extract, index), ==, bk_crc32c(0, expected, expected_size));
    g_assert_cmpint(stat(to, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, file->mode);
}

/* Extracts and compares every file with its source; returns the bytes that were reused. */
static uint64_t
extract_and_compare(Fixture *self, bool delta)
{
    g_autoptr(BkChownMap) owners = bk_chown_map_new(self->snapshot, 0);
    g_autoptr(BkBeneath) place = bk_beneath_new(open(self->to, O_RDONLY | O_DIRECTORY), NULL);
    BkExtractOptions options = {.source_repos = self->source_repos,
                                .snapshot = self->snapshot,
                                .owners = owners,
                                .place = place,
                                .delta = delta,
                                .workers = 2};
    g_autoptr(BkExtract) extract = bk_extract_new(&options);
    g_autoptr(GError) error = NULL;
    size_t count;
    const BkFile *files = bk_snapshot_files(self->snapshot, &count);

    make_directories(self);
    EXPECT_DONE(bk_extract_run(extract, self->repo.op, &error));
    for (size_t i = 0; i < count; i++) {
        g_auto(BkBuf) content = BK_BUF_INIT;

        if (files[i].kind != BK_FILE_REGULAR)
            continue;
        assert_same_file(self, extract, i, &files[i]);
        if (files[i].size > 300000)
            continue;
        EXPECT_DONE(
            bk_extract_read(&options, &files[i], SIZE_MAX, &content, self->repo.op, &error));
        g_assert_cmpuint(bk_crc32c(0, content.data, content.size), ==,
                         bk_extract_crc32c(extract, i));
    }
    return bk_extract_reused_bytes(extract);
}

static void
test_sizes_at_borders(Fixture *self, const void *data)
{
    static const size_t sizes[] = {0,      1,      8191,   8192,    8193,
                                   262143, 262144, 262145, 4194303, 4194305};

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *paged = g_strdup_printf("base/5/%zu", i + 1);
        g_autofree char *other = g_strdup_printf("pg_xact/%zu", i + 1);

        write_noise(self->from, paged, sizes[i]);
        write_noise(self->from, other, sizes[i]);
    }
    copy_tree(self);
    (void)extract_and_compare(self, false);
}

/* Larger than a piece and than a pack. */
static void
test_large_file(Fixture *self, const void *data)
{
    size_t count;

    (void)data;
    self->options.codec = BK_CODEC_STORED;
    self->options.workers = 2;
    write_noise(self->from, "base/5/1", 34 * BK_MIB + 4096);
    copy_tree(self);
    (void)bk_pipeline_packs(self->copy, &count);
    g_assert_cmpuint(count, >=, 2);
    (void)extract_and_compare(self, false);
}

static void
test_many_small_files(Fixture *self, const void *data)
{
    (void)data;
    for (unsigned i = 0; i < 600; i++) {
        g_autofree char *path = g_strdup_printf("base/%u/%u", i % 7 + 1, i + 1);

        write_noise(self->from, path, i * 13 % 3000);
    }
    copy_tree(self);
    (void)extract_and_compare(self, false);
}

/* Zeros take no room in packs and come back as zeros, also over what was there before. */
static void
test_holes(Fixture *self, const void *data)
{
    g_autofree char *path = g_build_filename(self->from, "base/5/1", NULL);
    size_t count;
    const BkPackRef *packs;

    (void)data;
    write_noise(self->from, "base/5/1", 8192);
    write_noise(self->from, "base/5/2", 3);
    g_assert_cmpint(truncate(path, 5 * 1024 * 1024 + 100), ==, 0);
    self->options.workers = 1;
    copy_tree(self);
    packs = bk_pipeline_packs(self->copy, &count);
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpuint(packs[0].raw_size, <=, 2 * BK_PACK_CHUNK_SIZE);
    write_noise(self->to, "base/5/1", 6 * BK_MIB);
    (void)extract_and_compare(self, true);
}

static void
test_nothing_but_zeros(Fixture *self, const void *data)
{
    g_autofree char *path = g_build_filename(self->from, "a", NULL);
    size_t count;

    (void)data;
    write_file(self->from, "a", "", 0);
    g_assert_cmpint(truncate(path, 1024 * 1024), ==, 0);
    copy_tree(self);
    (void)bk_pipeline_packs(self->copy, &count);
    g_assert_cmpuint(count, ==, 0);
    (void)extract_and_compare(self, false);
}

static void
test_vanished_and_shrunk(Fixture *self, const void *data)
{
    g_autofree char *gone = g_build_filename(self->from, "base/5/1", NULL);
    g_autofree char *shrunk = g_build_filename(self->from, "base/5/2", NULL);
    g_autofree char *grown = g_build_filename(self->from, "base/5/3", NULL);
    size_t count;

    (void)data;
    for (unsigned i = 1; i < 4; i++) {
        g_autofree char *path = g_strdup_printf("base/5/%u", i);

        write_noise(self->from, path, 300000);
    }
    list_tree(self);
    g_assert_cmpint(unlink(gone), ==, 0);
    g_assert_cmpint(truncate(shrunk, 100000), ==, 0);
    write_noise(self->from, "base/5/3", 300000); /* what comes behind is left to replay */
    copy_tree(self);
    (void)bk_snapshot_files(self->snapshot, &count);
    g_assert_cmpuint(count, ==, 4);
    (void)extract_and_compare(self, false);
}

static void
set_page(uint8_t *page, uint32_t block, uint64_t lsn, bool valid)
{
    uint32_t high = (uint32_t)(lsn >> 32);
    uint32_t low = (uint32_t)lsn;
    uint16_t words[6] = {0, 0, 24, 8000, 8192, 8192 | 4};
    uint16_t checksum;

    memset(page, 0x3c, BK_PG_PAGE_SIZE);
    memcpy(page, &high, 4);
    memcpy(page + 4, &low, 4);
    memcpy(page + 8, words, sizeof words);
    checksum = (uint16_t)(bk_pg_page_checksum(page, block) + (valid ? 0 : 1));
    memcpy(page + 8, &checksum, 2);
}

static void
test_damaged_pages(Fixture *self, const void *data)
{
    g_autofree uint8_t *pages = g_malloc(100 * BK_PG_PAGE_SIZE);
    const BkPageDamage *damage;
    size_t count;

    (void)data;
    for (uint32_t i = 0; i < 100; i++)
        set_page(pages + i * BK_PG_PAGE_SIZE, 131072 + i, 1000, i != 7 && i != 99);
    set_page(pages + 50 * BK_PG_PAGE_SIZE, 131072 + 50, 5000, false);
    memset(pages + 60 * BK_PG_PAGE_SIZE, 0, BK_PG_PAGE_SIZE); /* not used yet */
    write_file(self->from, "base/5/16384.1", pages, 100 * BK_PG_PAGE_SIZE);
    write_noise(self->from, "base/5/pg_filenode.map", 8192); /* no pages */
    self->page_options.verify_pages = true;
    copy_tree(self);
    damage = bk_page_source_damage(self->pages, &count);
    g_assert_cmpuint(count, ==, 3);
    g_assert_cmpstr(damage[0].file->path, ==, "base/5/16384.1");
    g_assert_cmpuint(damage[0].block + damage[1].block + damage[2].block, ==,
                     3 * 131072 + 7 + 50 + 99);
    for (size_t i = 0; i < count; i++)
        g_assert_cmpuint(damage[i].lsn, ==, damage[i].block == 131072 + 50 ? 5000 : 1000);
    (void)extract_and_compare(self, false); /* kept as it was all the same */
}

static bool
read_last(void *data, BkBuf *content, BkOp *op, GError **error)
{
    const BkBuf *instead = data;

    if (instead == NULL)
        return bk_throw(error, BK_ERROR_SYSTEM, "not readable");
    content->size = 0;
    bk_buf_append(content, instead->data, instead->size);
    return bk_op_check(op, error);
}

/* The last file is what its function says, and is in the pack of the others. */
static void
test_last(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkPipelineLast last = {.read = read_last, .data = &content};
    size_t packs;

    (void)data;
    write_noise(self->from, "global/pg_control", 8192);
    write_noise(self->from, "global/1", 3 * BK_PG_PAGE_SIZE);
    write_noise(self->from, "global/pg_internal.init", 5000);
    list_tree(self);
    start_copy(self);
    for (last.selected = selected_at(self, 0);
         !g_str_has_suffix(last.selected->file->path, "control");)
        last.selected++;
    bk_buf_append(&content, "instead", 7);
    write_file(self->from, "global/pg_control", "instead", 7);
    EXPECT_DONE(bk_pipeline_run(self->copy, self->selection, &last, self->repo.op, &error));
    (void)bk_pipeline_packs(self->copy, &packs);
    g_assert_cmpuint(packs, ==, 1);
    make_snapshot(self);
    (void)extract_and_compare(self, false);
}

static void
test_last_is_not_readable(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    BkPipelineLast last = {.read = read_last};

    (void)data;
    write_noise(self->from, "global/1", 100);
    list_tree(self);
    start_copy(self);
    last.selected = selected_at(self, 1);
    EXPECT_ERROR(bk_pipeline_run(self->copy, self->selection, &last, self->repo.op, &error),
                 BK_ERROR_SYSTEM);
}

static void
test_delta(Fixture *self, const void *data)
{
    uint64_t reused;

    (void)data;
    for (unsigned i = 0; i < 8; i++) {
        g_autofree char *path = g_strdup_printf("base/5/%u", i + 1);

        write_noise(self->from, path, 900000 + i * 100000);
    }
    write_noise(self->from, "small", 77);
    copy_tree(self);
    g_assert_cmpuint(extract_and_compare(self, true), ==, 0);
    reused = extract_and_compare(self, true);
    g_assert_cmpuint(reused, ==, self->tree.bytes); /* all is there */
    write_noise(self->to, "base/5/1", 900000);      /* other content, */
    write_noise(self->to, "base/5/2", 2000000);     /* longer, */
    write_noise(self->to, "base/5/3", 10);          /* shorter, */
    {
        g_autofree char *gone = g_build_filename(self->to, "base/5/4", NULL);
        g_autofree char *flipped = g_build_filename(self->to, "base/5/5", NULL);
        int fd;

        g_assert_cmpint(unlink(gone), ==, 0); /* gone, */
        fd = open(flipped, O_RDWR);
        g_assert_cmpint(pwrite(fd, "\0\1\2", 3, 600000), ==, 3); /* wrong in one place */
        g_assert_cmpint(close(fd), ==, 0);
    }
    reused = extract_and_compare(self, true);
    g_assert_cmpuint(reused, >, 3000000);
    g_assert_cmpuint(reused, <, self->tree.bytes);
}

/* Packs that one repository has lost or damaged are read from the next. */
static void
test_next_repository(Fixture *self, const void *data)
{
    static const char *const others[] = {"second", NULL};
    g_autoptr(GPtrArray) names = NULL;
    BkTarget *second;
    g_autoptr(GError) error = NULL;
    bool created;

    (void)data;
    targets_fixture_clear(&self->at);
    targets_fixture_init(&self->at, &self->repo, others, &(BkTargetsOptions){0});
    self->source_repos = self->at.targets.source_repos;
    second = bk_targets_at(&self->at.targets, 1);
    second->repository = bk_repository_create(bk_store_mem_new(), "second", &self->repo.key,
                                              &created, self->repo.op, &error);
    second->source_repo = bk_source_repo_create(second->repository, "orders",
                                                self->repo.source_repo, self->repo.op, &error);
    g_assert_no_error(error);
    g_ptr_array_add(self->source_repos, second->source_repo);
    for (unsigned i = 0; i < 6; i++) {
        g_autofree char *path = g_strdup_printf("base/5/%u", i + 1);

        write_noise(self->from, path, 700000);
    }
    copy_tree(self);
    names = repo_fixture_names(self->repo.store, "orders/packs/", self->repo.op);
    for (guint i = 0; i < names->len; i++) {
        g_auto(BkBuf) object = BK_BUF_INIT;

        /* Behind the first chunks, so that some of the pack was written before. */
        repo_fixture_get(self->repo.store, g_ptr_array_index(names, i), &object, self->repo.op);
        object.data[object.size * 3 / 4] ^= 1;
        repo_fixture_overwrite(self->repo.store, g_ptr_array_index(names, i), &object,
                               self->repo.op);
    }
    (void)extract_and_compare(self, false);
    g_ptr_array_set_size(self->source_repos, 1); /* the first alone does not do */
    {
        g_autoptr(BkChownMap) owners = bk_chown_map_new(self->snapshot, 0);
        g_autoptr(BkBeneath) place = bk_beneath_new(open(self->to, O_RDONLY | O_DIRECTORY), NULL);
        BkExtractOptions options = {.source_repos = self->source_repos,
                                    .snapshot = self->snapshot,
                                    .owners = owners,
                                    .place = place,
                                    .workers = 1};
        g_autoptr(BkExtract) extract = bk_extract_new(&options);

        EXPECT_ERROR(bk_extract_run(extract, self->repo.op, &error), BK_ERROR_CORRUPT);
    }
}

static void
test_store_fails(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    write_noise(self->from, "a", 100000);
    list_tree(self);
    start_copy(self);
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_PUT, 1, BK_ERROR_NO_SPACE, false);
    EXPECT_ERROR(bk_pipeline_run(self->copy, self->selection, NULL, self->repo.op, &error),
                 BK_ERROR_NO_SPACE);
}

static void
test_rate(Fixture *self, const void *data)
{
    int64_t start_us = g_get_monotonic_time();

    (void)data;
    write_noise(self->from, "a", 100000);
    self->options.max_rate = 1000000;
    copy_tree(self);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 90 * 1000);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/pipeline/sizes-at-borders", test_sizes_at_borders);
    TEST("/pipeline/large-file", test_large_file);
    TEST("/pipeline/many-small-files", test_many_small_files);
    TEST("/pipeline/holes", test_holes);
    TEST("/pipeline/nothing-but-zeros", test_nothing_but_zeros);
    TEST("/pipeline/vanished-and-shrunk", test_vanished_and_shrunk);
    TEST("/pipeline/damaged-pages", test_damaged_pages);
    TEST("/pipeline/last", test_last);
    TEST("/pipeline/last-is-not-readable", test_last_is_not_readable);
    TEST("/pipeline/delta", test_delta);
    TEST("/pipeline/next-repository", test_next_repository);
    TEST("/pipeline/store-fails", test_store_fails);
    TEST("/pipeline/rate", test_rate);
    return g_test_run();
}
