/* test-wal-wait.c - the WAL of a backup is in the archive when it is the server's own. */
#include "hook-store.h"
#include "repo-fixture.h"
#include "source/pg/archive/archive.h"
#include "source/pg/history/wal-wait.h"
#include "temp-dir.h"
#include "wal-builder.h"

#include <unistd.h>

#define START (5 * (BkLsn)WAL_SEGMENT)
#define NOON  (INT64_C(1795224000) * BK_USEC_PER_SEC)
#define NAME  "000000010000000000000005"

typedef struct Fixture {
    RepoFixture repo;
    char *data_dir;
    char *path; /* of the segment in it */
    GPtrArray *source_repos;
    BkPgMeta meta;
    BkWalWait wait;
} Fixture;

/* The segment as the server writes it when `xid` commits in it. */
static uint8_t *
make_segment(uint32_t xid)
{
    g_auto(WalBuilder) builder = {0};

    wal_builder_init(&builder, BK_WAL_MAGIC_15, START);
    (void)wal_builder_xact(&builder, 0x00, xid, NOON);
    wal_builder_pad(&builder);
    return g_memdup2(builder.out.data, WAL_SEGMENT);
}

static void
archive(Fixture *self, uint32_t xid)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autofree uint8_t *segment = make_segment(xid);
    BkBuf content = {segment, WAL_SEGMENT, WAL_SEGMENT};
    BkArchiveFile file = {.name = NAME, .content = &content, .is_ready = true};
    g_autoptr(GError) error = NULL;

    g_assert_true(bk_wal_name_parse(NAME, &file.parsed));
    EXPECT_DONE(
        bk_archive_put(writer, self->source_repos, &file, WAL_SYSTEM, self->repo.op, &error));
}

static void
write_live(const Fixture *self, uint32_t xid)
{
    g_autofree uint8_t *segment = make_segment(xid);

    g_assert_true(g_file_set_contents(self->path, (const char *)segment, WAL_SEGMENT, NULL));
}

static void
set_up(Fixture *self, const void *data)
{
    g_autofree char *directory = NULL;

    (void)data;
    repo_fixture_init(&self->repo);
    self->data_dir = temp_dir_new();
    directory = g_build_filename(self->data_dir, "pg_wal", NULL);
    self->path = g_build_filename(directory, NAME, NULL);
    g_assert_cmpint(mkdir(directory, 0700), ==, 0);
    self->source_repos = g_ptr_array_new();
    g_ptr_array_add(self->source_repos, self->repo.source_repo);
    bk_pg_meta_init(&self->meta);
    self->meta.segment_size = WAL_SEGMENT;
    self->meta.system_id = WAL_SYSTEM;
    self->meta.timeline = 1;
    self->meta.start_lsn = START + 40;
    self->meta.stop_lsn = START + WAL_SEGMENT;
    self->wait = (BkWalWait){.source_repos = self->source_repos, .data_dir = self->data_dir};
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_pg_meta_clear(&self->meta);
    g_ptr_array_unref(self->source_repos);
    g_free(self->path);
    temp_dir_free(self->data_dir);
    repo_fixture_clear(&self->repo);
}

static bool
wait_for_wal(Fixture *self, GError **error)
{
    return bk_wal_wait(&self->wait, &self->meta, self->repo.op, error);
}

static void
test_own_content(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    archive(self, 700);
    write_live(self, 700);
    EXPECT_DONE(wait_for_wal(self, &error));
}

/* What the archive has under the name is that of another past of the cluster. */
static void
test_foreign_content(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    archive(self, 700);
    write_live(self, 701);
    g_assert_false(wait_for_wal(self, &error));
    g_assert_nonnull(strstr(error->message, NAME));
    EXPECT_ERROR(false, BK_ERROR_CONFLICT);
}

/* The server removes a segment once it is archived. */
static void
test_removed(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    archive(self, 700);
    EXPECT_DONE(wait_for_wal(self, &error));
}

static void
remove_live(void *data)
{
    const Fixture *self = data;

    g_assert_cmpint(unlink(self->path), ==, 0);
}

/* Another file under the name: what a file looks like that was renamed while it was read. */
static void
replace_live(void *data)
{
    const Fixture *self = data;
    g_autofree char *away = g_strconcat(self->path, ".away", NULL);

    g_assert_cmpint(rename(self->path, away), ==, 0);
    write_live(self, 702);
}

/* Archives the segment, and waits for it, with `hook` called when the first repository is asked for
 * its content. */
static bool
wait_with_hook(Fixture *self, void (*hook)(void *), GError **failure)
{
    HookStore *hooked = hook_store_new(self->repo.store);
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(BkSourceRepo) source_repo = NULL;
    g_autoptr(GError) error = NULL;
    bool ok;

    archive(self, 700);
    write_live(self, 700);
    repository = bk_repository_open(&hooked->base, "local", &self->repo.key, self->repo.op, &error);
    g_assert_no_error(error);
    source_repo = bk_source_repo_open(repository, "orders", self->repo.op, &error);
    g_assert_no_error(error);
    self->source_repos->pdata[0] = source_repo;
    hooked->get = NAME;
    hooked->hook = hook;
    hooked->data = self;
    ok = wait_for_wal(self, failure);
    g_assert_null(hooked->get);
    return ok;
}

static void
check_recycled(Fixture *self, void (*hook)(void *))
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(wait_with_hook(self, hook, &error));
}

/* The server may make a later segment of the file while it is looked at. */
static void
test_recycled(Fixture *self, const void *data)
{
    (void)data;
    check_recycled(self, remove_live);
}

static void
test_recycled_while_read(Fixture *self, const void *data)
{
    (void)data;
    check_recycled(self, replace_live);
}

/* The same, and the second repository has lost it: that it is the server's no more is no proof that
 * every repository has it. */
static void
lose_in_second(void *data)
{
    const Fixture *self = data;
    g_autoptr(GPtrArray) names =
        repo_fixture_names(self->repo.second_store, "orders/wal/", self->repo.op);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(names->len, ==, 1);
    EXPECT_DONE(bk_store_delete(self->repo.second_store, g_ptr_array_index(names, 0), self->repo.op,
                                &error));
}

static void
remove_live_and_lose(void *data)
{
    remove_live(data);
    lose_in_second(data);
}

static void
replace_live_and_lose(void *data)
{
    replace_live(data);
    lose_in_second(data);
}

static void
expect_gone(Fixture *self, void (*hook)(void *))
{
    g_autoptr(GError) error = NULL;

    repo_fixture_add_second(&self->repo);
    g_ptr_array_add(self->source_repos, self->repo.second);
    EXPECT_ERROR(wait_with_hook(self, hook, &error), BK_ERROR_STORE);
}

static void
test_recycled_and_not_everywhere(Fixture *self, const void *data)
{
    (void)data;
    expect_gone(self, remove_live_and_lose);
}

static void
test_recycled_while_read_and_not_everywhere(Fixture *self, const void *data)
{
    (void)data;
    expect_gone(self, replace_live_and_lose);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/wal-wait/own-content", test_own_content);
    TEST("/wal-wait/foreign-content", test_foreign_content);
    TEST("/wal-wait/removed", test_removed);
    TEST("/wal-wait/recycled", test_recycled);
    TEST("/wal-wait/recycled-while-read", test_recycled_while_read);
    TEST("/wal-wait/recycled-and-not-everywhere", test_recycled_and_not_everywhere);
    TEST("/wal-wait/recycled-while-read-and-not-everywhere",
         test_recycled_while_read_and_not_everywhere);
    return g_test_run();
}
