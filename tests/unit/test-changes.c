/* test-changes.c - what changed between two moments: WAL from archives and from the server, against
 * a list of what was written into it; and whatever makes it unreliable. */
#include "source/pg/backup/changes.h"

#include "repo-fixture.h"
#include "source/pg/archive/archive.h"
#include "temp-dir.h"
#include "wal-builder.h"

#include <sys/stat.h>

#define FIRST    5u /* number of the first segment */
#define START    (FIRST * (BkLsn)WAL_SEGMENT)
#define TIMELINE 1u
#define MAGIC    BK_WAL_MAGIC_15

/* A reference in a record; records from `lsn` on, wholly before `end`. */
typedef struct Written {
    BkLsn lsn;
    BkLsn end;
    BkForkKey fork;
    uint32_t block;
} Written;

typedef struct Fixture {
    RepoFixture repo;
    GPtrArray *source_repos;
    char *data_dir;
    WalBuilder builder;
    GArray *written; /* Written */
    BkPgMeta from;
    BkPgMeta to;
    BkChanges found;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autofree char *wal = NULL;

    (void)data;
    *self = (Fixture){
        .source_repos = g_ptr_array_new(),
        .data_dir = temp_dir_new(),
        .written = g_array_new(FALSE, FALSE, sizeof(Written)),
    };
    repo_fixture_init(&self->repo);
    repo_fixture_add_second(&self->repo);
    g_ptr_array_add(self->source_repos, self->repo.source_repo);
    g_ptr_array_add(self->source_repos, self->repo.second);
    wal = g_build_filename(self->data_dir, "pg_wal", NULL);
    g_assert_cmpint(mkdir(wal, 0700), ==, 0);
    wal_builder_init(&self->builder, MAGIC, START);
    bk_pg_meta_init(&self->from);
    bk_pg_meta_init(&self->to);
    self->from.start_lsn = START + 40;
    self->from.system_id = self->to.system_id = WAL_SYSTEM;
    self->from.timeline = self->to.timeline = TIMELINE;
    self->from.segment_size = self->to.segment_size = WAL_SEGMENT;
}

static void
forget(Fixture *self)
{
    bk_changes_clear(&self->found);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    forget(self);
    bk_pg_meta_clear(&self->from);
    bk_pg_meta_clear(&self->to);
    wal_builder_clear(&self->builder);
    g_array_unref(self->written);
    g_ptr_array_unref(self->source_repos);
    repo_fixture_clear(&self->repo);
    temp_dir_free(self->data_dir);
}

static uint32_t
draw(uint32_t end)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)end);
}

/* A record that refers to `block` and has `size` bytes of data behind that. */
static BkLsn
put_block(Fixture *self, const BkForkKey *fork, uint32_t block, size_t size)
{
    g_auto(BkBuf) body = BK_BUF_INIT;
    Written written = {.fork = *fork, .block = block};

    bk_wire_put_u8(&body, 0);
    bk_wire_put_u8(&body, fork->fork);
    bk_wire_put_u16(&body, 0);
    bk_wire_put_u32(&body, fork->tablespace);
    bk_wire_put_u32(&body, fork->database);
    bk_wire_put_u32(&body, fork->file_node);
    bk_wire_put_u32(&body, block);
    wal_builder_main_part(&body, size);
    bk_buf_extend(&body, size);
    written.lsn = wal_builder_body(&self->builder, 10, 0, 77, &body);
    written.end = self->builder.start + self->builder.out.size;
    g_array_append_val(self->written, written);
    return written.lsn;
}

static BkLsn
put_one(Fixture *self, uint32_t block)
{
    return put_block(self, &(BkForkKey){1663, 5, 16384, BK_FORK_MAIN}, block, 8);
}

/* Records up to the very end of the segment. */
static void
fill_segment(WalBuilder *builder)
{
    wal_builder_fill(builder, 32);
    (void)wal_builder_filler(builder, 32);
}

static void
segment_name(size_t number, char name[BK_WAL_NAME_SIZE])
{
    (void)bk_wal_segment_name(TIMELINE, FIRST + number, WAL_SEGMENT, name);
}

/* Archives segment `number` of the builder in one of the parts. */
static void
archive_in(Fixture *self, BkSourceRepo *source_repo, const WalBuilder *builder, size_t number)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_LZ4, 1);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    g_autofree uint8_t *copy = g_memdup2(wal_builder_segment(builder, number), WAL_SEGMENT);
    BkBuf content = {copy, WAL_SEGMENT, WAL_SEGMENT};
    g_autoptr(GError) error = NULL;
    char name[BK_WAL_NAME_SIZE];
    BkArchiveFile file = {.name = name, .content = &content, .is_ready = true};

    g_ptr_array_add(source_repos, source_repo);
    segment_name((size_t)((builder->start - START) / WAL_SEGMENT) + number, name);
    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    EXPECT_DONE(bk_archive_put(writer, source_repos, &file, WAL_SYSTEM, self->repo.op, &error));
}

static void
archive(Fixture *self, size_t number)
{
    archive_in(self, self->repo.source_repo, &self->builder, number);
}

static char *
live_path(const Fixture *self, size_t number)
{
    char name[BK_WAL_NAME_SIZE];

    segment_name(number, name);
    return g_build_filename(self->data_dir, "pg_wal", name, NULL);
}

/* The server has `data` as segment `number`. */
static void
put_live(const Fixture *self, size_t number, const uint8_t *data)
{
    g_autofree char *path = live_path(self, number);

    g_assert_true(g_file_set_contents(path, (const char *)data, WAL_SEGMENT, NULL));
}

static void
live(const Fixture *self, size_t number)
{
    put_live(self, number, wal_builder_segment(&self->builder, number));
}

static void
find(Fixture *self)
{
    const BkChangesRequest request = {.source_repos = self->source_repos,
                                      .data_dir = self->data_dir,
                                      .from = &self->from,
                                      .to = &self->to,
                                      .workers = 3};
    g_autoptr(GError) error = NULL;

    forget(self);
    EXPECT_DONE(bk_changes_find(&request, &self->found, self->repo.op, &error));
    g_assert_true((self->found.map == NULL) == (self->found.why != NULL));
}

static void
expect_why(Fixture *self, const char *text)
{
    find(self);
    g_assert_nonnull(self->found.why);
    if (strstr(self->found.why, text) == NULL)
        g_error("\"%s\" does not say \"%s\"", self->found.why, text);
}

static bool
has(const Fixture *self, const BkForkKey *fork, uint32_t block)
{
    uint32_t first, count;

    return bk_block_map_next(self->found.map, fork, block, block + 1, &first, &count);
}

static void
expect_found(Fixture *self)
{
    find(self);
    g_assert_cmpstr(self->found.why, ==, NULL);
}

/* The map has what the records say that are wholly in segments 0 to `last`, and nothing else. */
static void
check_map(const Fixture *self, size_t last)
{
    const BkLsn limit = START + (last + 1) * (BkLsn)WAL_SEGMENT;
    g_autoptr(BkBlockMap) expected = bk_block_map_new();

    for (guint i = 0; i < self->written->len; i++) {
        const Written *written = &g_array_index(self->written, Written, i);

        if (written->end > limit)
            continue;
        g_assert_true(has(self, &written->fork, written->block));
        bk_block_map_add(expected, &written->fork, written->block);
    }
    g_assert_cmpuint(bk_block_map_count(self->found.map), ==, bk_block_map_count(expected));
}

/* Records until segment `last` is begun, and then up to a part of it. */
static void
write_random(Fixture *self, size_t last)
{
    const size_t end = last * WAL_SEGMENT + 100000 + draw(WAL_SEGMENT - 200000);

    while (self->builder.out.size < end) {
        const BkForkKey fork = {1663 + draw(2), draw(3), 16384 + draw(4),
                                draw(5) == 0 ? BK_FORK_VM : BK_FORK_MAIN};
        size_t size = draw(10) == 0 ? draw(60000) : draw(9000);

        if (draw(100) == 0 && self->builder.out.size < last * WAL_SEGMENT) {
            /* The rest of the segment stays empty. */
            (void)wal_builder_record(&self->builder, BK_WAL_RM_XLOG, 0x40, 0, NULL, 0);
            wal_builder_pad(&self->builder);
        }
        if (draw(60) == 0 && self->builder.out.size < last * WAL_SEGMENT &&
            self->builder.out.size % WAL_SEGMENT < WAL_SEGMENT - 10000)
            wal_builder_fill(&self->builder, 8 + 8 * draw(12));
        (void)put_block(self, &fork, draw(1000), size);
    }
}

/* Each segment is where it may be: archived here or there, still live, or several of these. The
 * last one is growing: the server's own is newer than what may be anywhere else. */
static void
place_random(Fixture *self, size_t last)
{
    for (size_t i = 0; i < last; i++) {
        uint32_t places = 1 + draw(7);

        if ((places & 1) != 0)
            archive(self, i);
        if ((places & 2) != 0)
            archive_in(self, self->repo.second, &self->builder, i);
        if ((places & 4) != 0)
            live(self, i);
    }
    live(self, last);
}

static void
test_random(Fixture *self, const void *data)
{
    const size_t last = draw(5);

    (void)data;
    write_random(self, last);
    self->to.start_lsn = g_array_index(self->written, Written, self->written->len - 1).lsn;
    wal_builder_pad(&self->builder);
    place_random(self, last);
    expect_found(self);
    check_map(self, last);
}

/* Four segments, of which the last is not full. */
static void
write_four(Fixture *self)
{
    for (uint32_t i = 0; i < 3; i++) {
        (void)put_one(self, i);
        fill_segment(&self->builder);
    }
    self->to.start_lsn = put_one(self, 3);
    wal_builder_pad(&self->builder);
}

static void
test_last_is_live(Fixture *self, const void *data)
{
    g_autofree char *path = live_path(self, 3);

    (void)data;
    write_four(self);
    for (size_t i = 0; i < 3; i++)
        archive(self, i);
    expect_why(self, "000000010000000000000008");
    live(self, 3);
    expect_found(self);
    check_map(self, 3);
    g_assert_cmpint(remove(path), ==, 0);
    archive(self, 3); /* archived meanwhile */
    expect_found(self);
    check_map(self, 3);
}

/* The last one in the archive is an older one of that name; the server's own goes further. */
static void
test_live_is_newer(Fixture *self, const void *data)
{
    (void)data;
    (void)put_one(self, 1);
    wal_builder_pad(&self->builder);
    archive(self, 0);
    wal_builder_clear(&self->builder);
    wal_builder_init(&self->builder, MAGIC, START);
    g_array_set_size(self->written, 0);
    (void)put_one(self, 1);
    (void)put_one(self, 2);
    self->to.start_lsn = put_one(self, 3);
    wal_builder_pad(&self->builder);
    expect_why(self, "not complete");
    live(self, 0);
    expect_found(self);
    check_map(self, 0);
}

static void
test_gap(Fixture *self, const void *data)
{
    (void)data;
    write_four(self);
    for (size_t missing = 0; missing < 4; missing++) {
        g_autofree char *path = live_path(self, missing);
        char name[BK_WAL_NAME_SIZE];

        for (size_t i = 0; i < 4; i++)
            live(self, i);
        expect_found(self);
        g_assert_cmpint(remove(path), ==, 0);
        segment_name(missing, name);
        expect_why(self, name);
        g_assert_false(self->found.is_contradictory);
    }
}

/* What came before the parent's segment is not asked for. */
static void
test_from_the_parents_segment(Fixture *self, const void *data)
{
    (void)data;
    write_four(self);
    for (size_t i = 2; i < 4; i++)
        live(self, i);
    expect_why(self, "000000010000000000000005");
    self->from.start_lsn = START + 2 * WAL_SEGMENT + 40;
    expect_found(self);
    g_assert_cmpuint(bk_block_map_count(self->found.map), ==, 2);
}

/* The records of a segment do not follow those of the one before: it is of another history. */
static void
test_other_history(Fixture *self, const void *data)
{
    g_auto(WalBuilder) other = {0};

    (void)data;
    write_four(self);
    wal_builder_init(&other, MAGIC, START + WAL_SEGMENT);
    other.prev = START + 400000;
    fill_segment(&other);
    for (size_t i = 0; i < 4; i++)
        live(self, i);
    archive_in(self, self->repo.second, &other, 0);
    expect_why(self, "000000010000000000000006");
    g_assert_true(self->found.is_contradictory);
}

static void
test_incomplete(Fixture *self, const void *data)
{
    g_autofree uint8_t *cut = NULL;

    (void)data;
    write_four(self);
    for (size_t i = 0; i < 4; i++)
        live(self, i);
    cut = g_memdup2(wal_builder_segment(&self->builder, 1), WAL_SEGMENT);
    memset(cut + 50 * WAL_PAGE, 0, WAL_SEGMENT - 50 * WAL_PAGE);
    put_live(self, 1, cut);
    expect_why(self, "000000010000000000000006 is not complete");
    g_assert_false(self->found.is_contradictory);
    archive(self, 1); /* the archive has it whole */
    expect_found(self);
    check_map(self, 3);
    self->to.start_lsn += 1000; /* the last ends before this backup began */
    expect_why(self, "000000010000000000000008 is not complete");
}

/* After a switch the rest of a segment is empty, and it is complete. */
static void
test_switch(Fixture *self, const void *data)
{
    (void)data;
    (void)put_one(self, 1);
    (void)wal_builder_record(&self->builder, BK_WAL_RM_XLOG, 0x40, 0, NULL, 0);
    wal_builder_pad(&self->builder);
    self->to.start_lsn = put_one(self, 2);
    wal_builder_pad(&self->builder);
    archive(self, 0);
    live(self, 1);
    expect_found(self);
    check_map(self, 1);
}

static void
test_minimal(Fixture *self, const void *data)
{
    const uint32_t parameters[7] = {100, 8, 10, 0, 64, 0 /* wal_level */, 0};

    (void)data;
    (void)put_one(self, 1);
    (void)wal_builder_record(&self->builder, BK_WAL_RM_XLOG, 0x60, 0, parameters,
                             sizeof parameters);
    fill_segment(&self->builder);
    self->to.start_lsn = put_one(self, 2);
    wal_builder_pad(&self->builder);
    live(self, 0);
    live(self, 1);
    expect_why(self, "minimal");
    archive(self, 0);
    expect_why(self, "minimal");
}

/* A record counts when both of its ends are there: not one that ends in the first segment, nor one
 * that ends behind the last. */
static void
test_records_over_borders(Fixture *self, const void *data)
{
    const BkForkKey fork = {1663, 5, 16384, BK_FORK_MAIN};

    (void)data;
    for (uint32_t i = 0; i < 4; i++) {
        wal_builder_fill(&self->builder, 48 + 24 * i);
        self->to.start_lsn = self->builder.start + self->builder.out.size;
        (void)put_block(self, &fork, i, 500);
    }
    wal_builder_pad(&self->builder);
    for (size_t i = 0; i < 4; i++) {
        live(self, i);
        archive(self, i);
    }
    expect_found(self);
    check_map(self, 3);
    g_assert_cmpuint(bk_block_map_count(self->found.map), ==, 3);
    self->from.start_lsn = START + WAL_SEGMENT + 1000;
    expect_found(self);
    g_assert_cmpuint(bk_block_map_count(self->found.map), ==, 2);
    g_assert_true(has(self, &fork, 1) && has(self, &fork, 2));
}

/* A record that is longer than a segment. */
static void
test_long_record(Fixture *self, const void *data)
{
    const BkForkKey fork = {1663, 5, 16384, BK_FORK_MAIN};

    (void)data;
    wal_builder_fill(&self->builder, 3000);
    (void)put_block(self, &fork, 7, 2 * WAL_SEGMENT);
    self->to.start_lsn = put_one(self, 8);
    wal_builder_pad(&self->builder);
    for (size_t i = 0; i < 3; i++)
        archive(self, i);
    live(self, 3);
    g_assert_cmpuint(self->builder.out.size, ==, 4 * WAL_SEGMENT);
    expect_found(self);
    check_map(self, 3);
}

static void
test_other_system(Fixture *self, const void *data)
{
    (void)data;
    write_four(self);
    for (size_t i = 0; i < 4; i++)
        archive(self, i);
    self->to.system_id++;
    expect_why(self, "has no");
}

/* The server renames segments that it no longer needs: under the name is an older one's content. */
static void
test_recycled(Fixture *self, const void *data)
{
    (void)data;
    write_four(self);
    for (size_t i = 0; i < 3; i++)
        live(self, i);
    put_live(self, 3, wal_builder_segment(&self->builder, 0));
    expect_why(self, "000000010000000000000008");
    archive(self, 3);
    expect_found(self);
    check_map(self, 3);
}

/* Damage in the archive does no harm while the server has the segment, and is told of when not. */
static void
test_damaged_archive(Fixture *self, const void *data)
{
    g_autoptr(GPtrArray) names = NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autofree char *path = live_path(self, 1);

    (void)data;
    write_four(self);
    archive(self, 1);
    for (size_t i = 0; i < 4; i++)
        live(self, i);
    names = repo_fixture_names(self->repo.store, "orders/wal/", self->repo.op);
    g_assert_cmpuint(names->len, ==, 1);
    repo_fixture_get(self->repo.store, g_ptr_array_index(names, 0), &object, self->repo.op);
    memset(object.data + 20, 0x5A, object.size - 20);
    repo_fixture_overwrite(self->repo.store, g_ptr_array_index(names, 0), &object, self->repo.op);
    expect_found(self);
    check_map(self, 3);
    g_assert_cmpint(remove(path), ==, 0);
    expect_why(self, g_ptr_array_index(names, 0)); /* and not only that nobody has it */
}

/* More segments than are in memory at once. */
static void
test_many(Fixture *self, const void *data)
{
    const BkForkKey fork = {1663, 5, 16384, BK_FORK_MAIN};
    g_autofree char *path = live_path(self, 64);

    (void)data;
    while (self->builder.out.size < 66 * (size_t)WAL_SEGMENT + 100000)
        self->to.start_lsn = put_block(self, &fork, self->written->len, 60000);
    wal_builder_pad(&self->builder);
    for (size_t i = 0; i < 67; i++)
        live(self, i);
    expect_found(self);
    check_map(self, 66);
    g_assert_cmpint(remove(path), ==, 0);
    expect_why(self, "000000010000000000000045");
}

static bool
have_mark(Fixture *self, uint32_t timeline, const BkWalMark *mark)
{
    const BkChangesRequest request = {.source_repos = self->source_repos,
                                      .data_dir = self->data_dir,
                                      .from = &self->from,
                                      .to = &self->to,
                                      .workers = 1};
    g_autoptr(GError) error = NULL;
    bool have;

    EXPECT_DONE(bk_changes_have_mark(&request, timeline, mark, &have, self->repo.op, &error));
    return have;
}

/* A record is recognised where the server or the archive has it, and not where another is. */
static void
test_mark(Fixture *self, const void *data)
{
    g_auto(WalBuilder) other = {0};
    BkWalMark mark, wrong;
    BkLsn lsn;

    (void)data;
    (void)put_one(self, 1);
    lsn = put_one(self, 2);
    wal_builder_pad(&self->builder);
    g_assert_true(bk_wal_mark_find(self->builder.out.data, WAL_SEGMENT, lsn, &mark));
    g_assert_cmpuint(mark.lsn, ==, lsn);
    g_assert_false(have_mark(self, TIMELINE, &mark)); /* nobody has the segment */
    archive_in(self, self->repo.second, &self->builder, 0);
    g_assert_true(have_mark(self, TIMELINE, &mark));
    g_assert_false(have_mark(self, TIMELINE + 1, &mark));
    g_assert_false(have_mark(self, TIMELINE, &(BkWalMark){0}));
    wrong = (BkWalMark){lsn, mark.crc ^ 1};
    g_assert_false(have_mark(self, TIMELINE, &wrong));
    wrong = (BkWalMark){lsn + 8, mark.crc};
    g_assert_false(have_mark(self, TIMELINE, &wrong));
    wal_builder_init(&other, MAGIC, START);
    (void)wal_builder_filler(&other, (size_t)(lsn - START) - 40);
    g_assert_cmpuint(wal_builder_filler(&other, 400), ==, lsn); /* another life of the cluster */
    wal_builder_pad(&other);
    put_live(self, 0, wal_builder_segment(&other, 0));
    g_assert_false(have_mark(self, TIMELINE, &mark));
    live(self, 0);
    g_assert_true(have_mark(self, TIMELINE, &mark));
}

static void
test_cancelled(Fixture *self, const void *data)
{
    const BkChangesRequest request = {.source_repos = self->source_repos,
                                      .data_dir = self->data_dir,
                                      .from = &self->from,
                                      .to = &self->to,
                                      .workers = 2};
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    write_four(self);
    for (size_t i = 0; i < 4; i++)
        live(self, i);
    bk_op_cancel(op);
    EXPECT_ERROR(bk_changes_find(&request, &self->found, op, &error), BK_ERROR_CANCELLED);
    g_assert_null(self->found.map);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < 12; i++) {
        g_autofree char *name = g_strdup_printf("/changes/random/%u", i);

        TEST(name, test_random);
    }
    TEST("/changes/last-is-live", test_last_is_live);
    TEST("/changes/live-is-newer", test_live_is_newer);
    TEST("/changes/gap", test_gap);
    TEST("/changes/from-the-parents-segment", test_from_the_parents_segment);
    TEST("/changes/other-history", test_other_history);
    TEST("/changes/incomplete", test_incomplete);
    TEST("/changes/switch", test_switch);
    TEST("/changes/minimal", test_minimal);
    TEST("/changes/records-over-borders", test_records_over_borders);
    TEST("/changes/long-record", test_long_record);
    TEST("/changes/other-system", test_other_system);
    TEST("/changes/recycled", test_recycled);
    TEST("/changes/damaged-archive", test_damaged_archive);
    TEST("/changes/many", test_many);
    TEST("/changes/mark", test_mark);
    TEST("/changes/cancelled", test_cancelled);
    return g_test_run();
}
