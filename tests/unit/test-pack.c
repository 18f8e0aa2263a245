/* test-pack.c - packs: what is written is read, by parts or whole, and nothing else is. */
#include "repo-fixture.h"
#include "repo/pack/pack.h"

typedef struct Written {
    BkPackRef ref;
    BkBuf object;
    BkBuf raw; /* the whole raw stream */
} Written;

static void
written_clear(Written *self)
{
    bk_buf_clear(&self->object);
    bk_buf_clear(&self->raw);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Written, written_clear)

/* Commits pieces of random sizes, ending chunks early now and then, up to `size` bytes. */
static void
write_pack(RepoFixture *self, BkCodec codec, size_t size, Written *written)
{
    g_autoptr(BkPackWriter) writer = bk_pack_writer_new(self->source_repo, codec, 1);
    g_autoptr(GError) error = NULL;

    g_assert_false(bk_pack_writer_is_open(writer));
    EXPECT_DONE(bk_pack_writer_begin(writer, &written->object, &error));
    while (written->raw.size < size) {
        size_t available;
        uint8_t *room = bk_pack_writer_room(writer, &available);
        size_t wanted = (size_t)g_test_rand_int_range(1, 400000);
        size_t step = MIN(MIN(wanted, available), size - written->raw.size);

        g_assert_cmpuint(available, >=, 1);
        g_assert_cmpuint(bk_pack_writer_position(writer), ==, written->raw.size);
        memset(room, g_test_rand_int_range(0, 256), step);
        room[0] = (uint8_t)g_test_rand_int();
        bk_buf_append(&written->raw, room, step);
        EXPECT_DONE(bk_pack_writer_commit(writer, step, &error));
        if (g_test_rand_int_range(0, 8) == 0)
            EXPECT_DONE(bk_pack_writer_end_chunk(writer, &error));
    }
    EXPECT_DONE(bk_pack_writer_finish(writer, &written->ref, &error));
    g_assert_false(bk_pack_writer_is_open(writer));
    g_assert_cmpuint(written->ref.raw_size, ==, written->raw.size);
    g_assert_cmpuint(written->ref.size, ==, written->object.size);
}

static void
put_pack(RepoFixture *self, const Written *written)
{
    g_autofree char *name = bk_pack_object_name(self->source_repo, written->ref.name);
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_put(self->store, name, &written->object, self->op, &error));
}

static bool
open_pack(RepoFixture *self, BkPackReader *reader, const Written *written, bool whole,
          GError **error)
{
    return bk_pack_reader_open(reader, self->source_repo, &written->ref, whole, self->op, error);
}

static void
check_chunk(RepoFixture *self, BkPackReader *reader, const Written *written, size_t index)
{
    size_t count;
    const BkPackChunk *chunk = &bk_pack_reader_chunks(reader, &count)[index];
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    size_t read_ahead = (size_t)g_test_rand_int_range(0, 4);

    EXPECT_DONE(bk_pack_reader_read(reader, index, read_ahead, &raw, self->op, &error));
    EXPECT_BYTES(raw.data, raw.size, written->raw.data + chunk->raw_start, chunk->raw_size);
    g_assert_true(bk_pack_reader_matches(reader, index, raw.data));
    raw.data[raw.size / 2] ^= 1;
    g_assert_false(bk_pack_reader_matches(reader, index, raw.data));
    g_assert_cmpuint(bk_pack_reader_find(reader, chunk->raw_start), ==, index);
    g_assert_cmpuint(bk_pack_reader_find(reader, chunk->raw_start + chunk->raw_size - 1), ==,
                     index);
}

static void
test_round_trip(RepoFixture *self, const void *data)
{
    static const size_t sizes[] = {1, BK_PACK_CHUNK_SIZE, BK_PACK_CHUNK_SIZE + 1, 3000000};
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(sizes); i++) {
        g_auto(Written) written = {.ref = {.size = 0}};
        size_t count;

        write_pack(self, i % 2 == 0 ? BK_CODEC_ZSTD : BK_CODEC_STORED, sizes[i / 2], &written);
        put_pack(self, &written);
        EXPECT_DONE(open_pack(self, reader, &written, i % 3 == 0, &error));
        (void)bk_pack_reader_chunks(reader, &count);
        g_assert_cmpuint(count, ==, written.ref.chunk_count);
        for (size_t chunk = 0; chunk < count; chunk++)
            check_chunk(self, reader, &written, chunk);
        for (size_t chunk = count; chunk-- > 0;)
            check_chunk(self, reader, &written, chunk);
    }
}

/* The name is the object's SHA-256, and it says so without a key. */
static void
test_name_is_digest(RepoFixture *self, const void *data)
{
    g_auto(Written) written = {.ref = {.size = 0}};
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;
    uint8_t digest[BK_SHA256_SIZE];

    (void)data;
    write_pack(self, BK_CODEC_LZ4, 1000, &written);
    bk_sha256(written.object.data, written.object.size, digest);
    EXPECT_BYTES(written.ref.name, sizeof written.ref.name, digest, sizeof digest);
    EXPECT_DONE(bk_seal_check(&written.object, &error));
    name = bk_pack_object_name(self->source_repo, digest);
    g_assert_true(g_str_has_prefix(name, "orders/packs/"));
    g_assert_cmpuint(strlen(name), ==, strlen("orders/packs/ab/") + 64);
}

/* By parts only what is wanted is fetched; read ahead, neighbours come in one piece. */
static void
test_fetched(RepoFixture *self, const void *data)
{
    g_auto(Written) written = {.ref = {.size = 0}};
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    g_autoptr(GError) error = NULL;
    const BkPackChunk *chunks;
    uint64_t before;
    size_t count;

    (void)data;
    write_pack(self, BK_CODEC_STORED, 10 * BK_PACK_CHUNK_SIZE, &written);
    put_pack(self, &written);
    EXPECT_DONE(open_pack(self, reader, &written, false, &error));
    before = bk_pack_reader_fetched(reader);
    g_assert_cmpuint(before, ==, BK_SEAL_HEADER_SIZE + written.ref.tail_size);
    chunks = bk_pack_reader_chunks(reader, &count);
    EXPECT_DONE(bk_pack_reader_read(reader, 2, 3, &raw, self->op, &error));
    for (size_t i = 3; i < 6; i++)
        EXPECT_DONE(bk_pack_reader_read(reader, i, 0, &raw, self->op, &error));
    g_assert_cmpuint(bk_pack_reader_fetched(reader) - before, ==,
                     chunks[6].frame_start - chunks[2].frame_start);
    before = bk_pack_reader_fetched(reader);
    EXPECT_DONE(open_pack(self, reader, &written, true, &error));
    for (size_t i = 0; i < count; i++)
        EXPECT_DONE(bk_pack_reader_read(reader, i, 0, &raw, self->op, &error));
    g_assert_cmpuint(bk_pack_reader_fetched(reader) - before, ==, written.ref.size);
}

static void
test_is_full(RepoFixture *self, const void *data)
{
    g_autoptr(BkPackWriter) writer = bk_pack_writer_new(self->source_repo, BK_CODEC_STORED, 1);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkPackRef ref;

    (void)data;
    EXPECT_DONE(bk_pack_writer_begin(writer, &object, &error));
    while (!bk_pack_writer_is_full(writer)) {
        size_t available;

        memset(bk_pack_writer_room(writer, &available), 1, 10);
        EXPECT_DONE(bk_pack_writer_commit(writer, available, &error));
    }
    EXPECT_DONE(bk_pack_writer_finish(writer, &ref, &error));
    g_assert_cmpuint(ref.size, >=, BK_PACK_TARGET_SIZE);
    g_assert_cmpuint(ref.size, <, BK_PACK_TARGET_SIZE + 2 * BK_PACK_CHUNK_SIZE);
    g_assert_cmpuint(ref.size, <=, BK_PACK_MAX_SIZE);
}

static void
test_swapped_missing_cut(RepoFixture *self, const void *data)
{
    g_auto(Written) one = {.ref = {.size = 0}};
    g_auto(Written) two = {.ref = {.size = 0}};
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    write_pack(self, BK_CODEC_STORED, 5000, &one);
    do {
        two.raw.size = 0;
        write_pack(self, BK_CODEC_STORED, 5000, &two);
    } while (two.ref.size != one.ref.size || two.ref.tail_size != one.ref.tail_size);
    name = bk_pack_object_name(self->source_repo, one.ref.name);
    for (unsigned whole = 0; whole < 2; whole++) {
        EXPECT_ERROR(open_pack(self, reader, &one, whole != 0, &error), BK_ERROR_CORRUPT);
        EXPECT_DONE(bk_store_put(self->store, name, &two.object, self->op, &error));
        EXPECT_ERROR(open_pack(self, reader, &one, whole != 0, &error), BK_ERROR_CORRUPT);
        for (size_t cut = 0; cut < one.ref.size; cut += 500) {
            BkBuf object = {one.object.data, cut, cut};

            repo_fixture_overwrite(self->store, name, &object, self->op);
            EXPECT_ERROR(open_pack(self, reader, &one, whole != 0, &error), BK_ERROR_CORRUPT);
        }
        EXPECT_DONE(bk_store_delete(self->store, name, self->op, &error));
    }
}

/* Reads the whole pack; false when any part of it was found to be wrong. */
static bool
read_all(RepoFixture *self, const Written *written, bool whole, GError **error)
{
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    g_auto(BkBuf) raw = BK_BUF_INIT;
    size_t count;

    if (!open_pack(self, reader, written, whole, error))
        return false;
    (void)bk_pack_reader_chunks(reader, &count);
    for (size_t i = 0; i < count; i++)
        if (!bk_pack_reader_read(reader, i, 1, &raw, self->op, error))
            return false;
    return true;
}

static void
test_every_flipped_byte(RepoFixture *self, const void *data)
{
    g_auto(Written) written = {.ref = {.size = 0}};
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    write_pack(self, BK_CODEC_ZSTD, 3000, &written);
    put_pack(self, &written);
    EXPECT_DONE(read_all(self, &written, true, &error));
    name = bk_pack_object_name(self->source_repo, written.ref.name);
    for (size_t i = 0; i < written.object.size; i++) {
        written.object.data[i] ^= 0x20;
        repo_fixture_overwrite(self->store, name, &written.object, self->op);
        g_assert_false(read_all(self, &written, i % 2 == 0, &error));
        g_assert_true(bk_error_is(error, BK_ERROR_CORRUPT) ||
                      bk_error_is(error, BK_ERROR_UNSUPPORTED));
        g_assert_nonnull(strstr(error->message, name));
        g_clear_error(&error);
        written.object.data[i] ^= 0x20;
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/pack/round-trip", test_round_trip);
    REPO_TEST("/pack/name-is-digest", test_name_is_digest);
    REPO_TEST("/pack/fetched", test_fetched);
    REPO_TEST("/pack/is-full", test_is_full);
    REPO_TEST("/pack/swapped-missing-cut", test_swapped_missing_cut);
    REPO_TEST("/pack/every-flipped-byte", test_every_flipped_byte);
    return g_test_run();
}
