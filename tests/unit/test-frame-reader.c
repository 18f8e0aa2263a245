/* test-frame-reader.c - objects of several windows: read frame by frame, and no more of one that
 * lies about its size than a window. */
#include "../repo-fixture.h"
#include "repo/frame-reader.h"

#define NAME  "orders/snapshots/x"
#define FRAME ((size_t)2 * 1024 * 1024)
#define COUNT 9

typedef struct Fixture {
    BkOp *op;
    BkStore *store;
    BkKeyring *keys;
    BkFrameSource source;
    uint8_t *content; /* of all frames, which do not compress */
    BkBuf object;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_autoptr(GError) error = NULL;
    BkSecret secret = {{7}};

    (void)data;
    *self = (Fixture){.op = bk_op_new(NULL), .store = bk_store_mem_new(), .keys = bk_keyring_new()};
    bk_keyring_add(self->keys, 1, &secret);
    self->content = g_malloc(COUNT * FRAME);
    EXPECT_DONE(bk_random_fill(self->content, COUNT * FRAME, &error));
    self->source = (BkFrameSource){
        .store = self->store,
        .name = NAME,
        .as = {self->keys, BK_SEAL_SNAPSHOT, NAME},
        .window = BK_FRAME_WINDOW,
    };
    EXPECT_DONE(bk_sealer_begin(sealer, &self->source.as, &self->object, &error));
    for (size_t i = 0; i < COUNT; i++)
        EXPECT_DONE(
            bk_sealer_add(sealer, self->content + i * FRAME, FRAME, i == COUNT - 1, &error));
    EXPECT_DONE(bk_sealer_finish(sealer, NULL, &error));
    EXPECT_DONE(bk_store_put(self->store, NAME, &self->object, self->op, &error));
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_store_free(self->store);
    bk_keyring_free(self->keys);
    bk_op_free(self->op);
    bk_buf_clear(&self->object);
    g_free(self->content);
}

/* Reads all frames and compares them; the most that was in the window at once. */
static bool
read_all(Fixture *self, size_t *most, GError **error)
{
    g_auto(BkFrameReader) reader = {.op = NULL};
    g_auto(BkBuf) raw = BK_BUF_INIT;

    *most = 0;
    if (!bk_frame_reader_begin(&reader, &self->source, self->op, error)) {
        *most = reader.window.capacity;
        return false;
    }
    for (size_t i = 0; !reader.has_had_last; i++) {
        if (!bk_frame_reader_next(&reader, &raw, error))
            return false;
        EXPECT_BYTES(raw.data, raw.size, self->content + i * FRAME, FRAME);
        *most = MAX(*most, reader.window.capacity);
    }
    return true;
}

static void
test_windows(Fixture *self, const void *data)
{
    static const size_t windows[] = {BK_FRAME_WINDOW, BK_FRAME_WINDOW + 1, 4 * BK_FRAME_WINDOW};
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) kept = BK_BUF_INIT;
    size_t most;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(windows); i++) {
        self->source.window = windows[i];
        self->source.keep = i > 0 ? &kept : NULL;
        EXPECT_DONE(read_all(self, &most, &error));
        g_assert_cmpuint(most, <=, 2 * windows[i]);
        if (i > 0)
            EXPECT_BYTES(kept.data, kept.size, self->object.data, self->object.size);
    }
}

/* A window that ends exactly with the object, and one byte before and behind that. */
static void
test_edges(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    size_t most;

    (void)data;
    for (size_t window = self->object.size - 1; window <= self->object.size + 1; window++) {
        self->source.window = window;
        EXPECT_DONE(read_all(self, &most, &error));
    }
}

/* An object that is here already: the store is not asked, and what is wrong with it is noticed. */
static void
test_whole(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) cut = BK_BUF_INIT;
    g_auto(BkBuf) empty = BK_BUF_INIT;
    size_t most;

    (void)data;
    EXPECT_DONE(bk_store_delete(self->store, NAME, self->op, &error));
    self->source.whole = &self->object;
    EXPECT_DONE(read_all(self, &most, &error));
    bk_buf_append(&cut, self->object.data, self->object.size - 1);
    self->source.whole = &cut;
    EXPECT_ERROR(read_all(self, &most, &error), BK_ERROR_CORRUPT);
    self->source.whole = &empty;
    EXPECT_ERROR(read_all(self, &most, &error), BK_ERROR_CORRUPT);
    self->source.whole = &self->object;
    self->object.data[self->object.size / 2] ^= 1;
    EXPECT_ERROR(read_all(self, &most, &error), BK_ERROR_CORRUPT);
}

/* A byte of the trailer, or of a frame; an end that is cut off or added to; a huge object. */
static void
test_damage(Fixture *self, const void *data)
{
    const size_t places[] = {20, 60, 100, 3 * FRAME, self->object.size - 60, self->object.size - 1};
    const size_t sizes[] = {0,
                            79,
                            200,
                            BK_FRAME_WINDOW,
                            self->object.size - 1,
                            self->object.size + 1,
                            (size_t)64 * 1024 * 1024};
    g_autoptr(GError) error = NULL;
    size_t most;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        self->object.data[places[i]] ^= 1;
        repo_fixture_overwrite(self->store, NAME, &self->object, self->op);
        EXPECT_ERROR(read_all(self, &most, &error), BK_ERROR_CORRUPT);
        self->object.data[places[i]] ^= 1;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_auto(BkBuf) other = BK_BUF_INIT;

        bk_buf_append(&other, self->object.data, MIN(sizes[i], self->object.size));
        if (sizes[i] > other.size)
            (void)bk_buf_extend(&other, sizes[i] - other.size);
        repo_fixture_overwrite(self->store, NAME, &other, self->op);
        EXPECT_ERROR(read_all(self, &most, &error), BK_ERROR_CORRUPT);
        g_assert_cmpuint(most, <=, 2 * BK_FRAME_WINDOW);
    }
}

static void
test_prove_size(Fixture *self, const void *data)
{
    const uint64_t size = self->object.size;
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_frame_prove_size(&self->source, size, self->op, &error));
    EXPECT_ERROR(bk_frame_prove_size(&self->source, size - 1, self->op, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(bk_frame_prove_size(&self->source, size + 1, self->op, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(bk_frame_prove_size(&self->source, 10, self->op, &error), BK_ERROR_CORRUPT);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/frame-reader/windows", test_windows);
    TEST("/frame-reader/edges", test_edges);
    TEST("/frame-reader/whole", test_whole);
    TEST("/frame-reader/damage", test_damage);
    TEST("/frame-reader/prove-size", test_prove_size);
    return g_test_run();
}
