/* test-block-map.c - block maps against a plain list of bits, and their encoding. */
#include "codec/wire.h"
#include "expect.h"
#include "source/pg/wal/block-map.h"

#define FORKS    4
#define UNIVERSE (5 * 65536u) /* blocks of each fork */

/* Far from the start of the fork, so that the last stretch is used too. */
static const uint32_t bases[FORKS] = {0, 0, 3 * 65536 - 100, UINT32_MAX - UNIVERSE};

static const BkForkKey keys[FORKS] = {
    {1663, 5, 16384, BK_FORK_MAIN},
    {1663, 5, 16384, BK_FORK_VM},
    {1663, 5, 16385, BK_FORK_MAIN},
    {1664, 0, 1262, BK_FORK_MAIN},
};

/* What a map must say. */
typedef struct Model {
    uint8_t *bits[FORKS];
    uint32_t limits[FORKS];
    uint64_t count;
} Model;

static void
model_clear(Model *self)
{
    for (size_t i = 0; i < FORKS; i++)
        g_free(self->bits[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Model, model_clear)

static void
model_init(Model *self)
{
    *self = (Model){0};
    for (size_t i = 0; i < FORKS; i++) {
        self->bits[i] = g_malloc0(UNIVERSE);
        self->limits[i] = BK_BLOCK_NO_LIMIT;
    }
}

static void
add(BkBlockMap *map, Model *model, size_t fork, uint32_t at)
{
    bk_block_map_add(map, &keys[fork], bases[fork] + at);
    model->count += model->bits[fork][at] == 0;
    model->bits[fork][at] = 1;
}

static bool
model_next(const Model *self, size_t fork, uint32_t from, uint32_t end, uint32_t *first,
           uint32_t *count)
{
    while (from < end && self->bits[fork][from] == 0)
        from++;
    *first = bases[fork] + from;
    for (*count = 0; from < end && self->bits[fork][from] != 0; from++)
        (*count)++;
    return *count > 0;
}

static void
check_range(const BkBlockMap *map, const Model *model, size_t fork, uint32_t from, uint32_t end)
{
    while (from < end) {
        uint32_t expected_first, expected_count, first, count;
        bool expected = model_next(model, fork, from, end, &expected_first, &expected_count);

        g_assert_true(bk_block_map_next(map, &keys[fork], bases[fork] + from, bases[fork] + end,
                                        &first, &count) == expected);
        if (!expected)
            return;
        g_assert_cmpuint(first, ==, expected_first);
        g_assert_cmpuint(count, ==, expected_count);
        from = first + count - bases[fork];
    }
}

static void
check(const BkBlockMap *map, const Model *model)
{
    g_assert_cmpuint(bk_block_map_count(map), ==, model->count);
    for (size_t fork = 0; fork < FORKS; fork++) {
        g_assert_cmpuint(bk_block_map_get_limit(map, &keys[fork]), ==, model->limits[fork]);
        check_range(map, model, fork, 0, UNIVERSE);
        for (int i = 0; i < 50; i++) {
            uint32_t from = (uint32_t)g_test_rand_int_range(0, UNIVERSE);

            check_range(map, model, fork, from,
                        (uint32_t)g_test_rand_int_range((int)from, UNIVERSE) + 1);
        }
    }
}

/* Single blocks, rows of them, rows with gaps, a limit. */
static void
change(BkBlockMap *map, Model *model)
{
    size_t fork = (size_t)g_test_rand_int_range(0, FORKS);
    uint32_t at = (uint32_t)g_test_rand_int_range(0, UNIVERSE);
    uint32_t step = (uint32_t)g_test_rand_int_range(1, 40);
    uint32_t count = 1;

    switch (g_test_rand_int_range(0, 20)) {
    case 0:
        count = (uint32_t)g_test_rand_int_range(1, 100000);
        step = 1;
        break;
    case 1:
        count = (uint32_t)g_test_rand_int_range(1, 5000);
        break;
    case 2:
        bk_block_map_limit(map, &keys[fork], at);
        model->limits[fork] = MIN(model->limits[fork], at);
        return;
    case 3: /* downwards */
        for (uint32_t i = 0; i < 300 && i <= at; i++)
            add(map, model, fork, at - i);
        return;
    default:
        break;
    }
    for (uint32_t i = 0; i < count && at < UNIVERSE; i++, at += step)
        add(map, model, fork, at);
}

static void
test_random(void)
{
    for (int round = 0; round < 10; round++) {
        g_autoptr(BkBlockMap) map = bk_block_map_new();
        g_auto(Model) model = {0};
        int changes = 1 << round;

        model_init(&model);
        for (int i = 0; i < changes; i++)
            change(map, &model);
        check(map, &model);
    }
}

static void
merge_models(Model *model, const Model *other)
{
    for (size_t fork = 0; fork < FORKS; fork++) {
        model->limits[fork] = MIN(model->limits[fork], other->limits[fork]);
        for (uint32_t at = 0; at < UNIVERSE; at++) {
            model->count += model->bits[fork][at] == 0 && other->bits[fork][at] != 0;
            model->bits[fork][at] |= other->bits[fork][at];
        }
    }
}

static BkBuf
encode(const BkBlockMap *map)
{
    BkBuf out = BK_BUF_INIT;

    bk_block_map_encode(map, &out);
    return out;
}

/* Merging is the union, and so is decoding into a map; maps that say the same are encoded to the
 * same bytes, however they came to be. */
static void
test_merge_and_decode(void)
{
    g_autoptr(BkBlockMap) all = bk_block_map_new();
    g_autoptr(BkBlockMap) decoded = bk_block_map_new();
    g_auto(Model) model = {0};
    g_autoptr(GError) error = NULL;

    model_init(&model);
    for (int source_repo = 0; source_repo < 20; source_repo++) {
        g_autoptr(BkBlockMap) map = bk_block_map_new();
        g_auto(Model) own = {0};
        g_auto(BkBuf) bytes = BK_BUF_INIT;
        g_auto(BkBuf) once = BK_BUF_INIT;
        g_auto(BkBuf) twice = BK_BUF_INIT;

        model_init(&own);
        for (int i = 0; i < 1 << (source_repo % 8); i++)
            change(map, &own);
        bk_block_map_renew(map, 1663, (uint32_t)source_repo);
        merge_models(&model, &own);
        bk_block_map_merge(all, map);
        bytes = encode(map);
        EXPECT_DONE(bk_block_map_decode(decoded, bytes.data, bytes.size, &error));
        once = encode(all);
        twice = encode(decoded);
        EXPECT_BYTES(once.data, once.size, twice.data, twice.size);
        g_assert_true(bk_block_map_is_renewed(all, 1663, (uint32_t)source_repo));
        g_assert_false(bk_block_map_is_renewed(decoded, 1663, (uint32_t)source_repo + 1));
    }
    check(all, &model);
    check(decoded, &model);
}

static void
test_empty(void)
{
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_auto(BkBuf) bytes = encode(map);
    g_autoptr(GError) error = NULL;
    uint32_t first, count;

    g_assert_cmpuint(bytes.size, ==, 4);
    EXPECT_DONE(bk_block_map_decode(map, bytes.data, bytes.size, &error));
    g_assert_cmpuint(bk_block_map_count(map), ==, 0);
    g_assert_false(bk_block_map_next(map, &keys[0], 0, UINT32_MAX, &first, &count));
    g_assert_cmpuint(bk_block_map_get_limit(map, &keys[0]), ==, BK_BLOCK_NO_LIMIT);
    g_assert_false(bk_block_map_is_renewed(map, 0, 0));
    bk_block_map_renew(map, 0, 0);
    g_assert_true(bk_block_map_is_renewed(map, 0, 0));
    g_assert_false(bk_block_map_is_renewed(map, 1, 0));
    bk_block_map_free(NULL);
}

/* Copies are kept once, in order, over merging and encoding; what is copied to is new, what is
 * copied from is touched only when something else says so. */
static void
test_copies(void)
{
    static const BkDatabaseCopy copies[] = {{{1663, 1}, {1663, 20}}, {{1663, 5}, {16384, 5}}};
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_autoptr(BkBlockMap) merged = bk_block_map_new();
    g_autoptr(BkBlockMap) decoded = bk_block_map_new();
    g_autoptr(GArray) found = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) bytes = BK_BUF_INIT;

    bk_block_map_copy(map, &copies[1]);
    bk_block_map_copy(map, &copies[0]);
    bk_block_map_copy(map, &copies[1]);
    bk_block_map_merge(merged, map);
    bk_block_map_encode(merged, &bytes);
    EXPECT_DONE(bk_block_map_decode(decoded, bytes.data, bytes.size, &error));
    found = bk_block_map_get_copies(decoded);
    EXPECT_BYTES((const uint8_t *)found->data, found->len * sizeof(BkDatabaseCopy),
                 (const uint8_t *)copies, sizeof copies);
    g_assert_true(bk_block_map_is_renewed(decoded, 1663, 20));
    g_assert_true(bk_block_map_is_renewed(decoded, 16384, 5));
    g_assert_true(bk_block_map_is_touched(decoded, &copies[0].to));
    g_assert_false(bk_block_map_is_touched(decoded, &copies[0].from));
    g_assert_false(bk_block_map_is_touched(decoded, &copies[1].from));
    bk_block_map_add(decoded, &(BkForkKey){1663, 1, 1259, 0}, 7);
    g_assert_true(bk_block_map_is_touched(decoded, &copies[0].from));
    bk_block_map_renew(decoded, 1663, 5); /* dropped there */
    g_assert_true(bk_block_map_is_touched(decoded, &copies[1].from));
}

/* What the first version wrote. */
static void
test_without_copies(void)
{
    static const uint8_t bytes[] = {1, 1, 2, 3, 0};
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) copies = NULL;

    EXPECT_DONE(bk_block_map_decode(map, bytes, sizeof bytes, &error));
    g_assert_true(bk_block_map_is_renewed(map, 2, 3));
    copies = bk_block_map_get_copies(map);
    g_assert_cmpuint(copies->len, ==, 0);
}

/* A limit of the first block and one of the last that there can be. */
static void
test_limits(void)
{
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_autoptr(BkBlockMap) again = bk_block_map_new();
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    uint32_t first, count;

    bk_block_map_limit(map, &keys[0], 0);
    bk_block_map_limit(map, &keys[1], UINT32_MAX - 1);
    bk_block_map_add(map, &keys[2], UINT32_MAX - 1);
    bk_block_map_add(map, &keys[2], 0);
    bytes = encode(map);
    EXPECT_DONE(bk_block_map_decode(again, bytes.data, bytes.size, &error));
    g_assert_cmpuint(bk_block_map_get_limit(again, &keys[0]), ==, 0);
    g_assert_cmpuint(bk_block_map_get_limit(again, &keys[1]), ==, UINT32_MAX - 1);
    g_assert_cmpuint(bk_block_map_get_limit(again, &keys[2]), ==, BK_BLOCK_NO_LIMIT);
    g_assert_true(bk_block_map_next(again, &keys[2], 1, UINT32_MAX, &first, &count));
    g_assert_cmpuint(first, ==, UINT32_MAX - 1);
    g_assert_cmpuint(count, ==, 1);
}

/* A run goes on over the borders within the map, in all forms of its stretches. */
static void
test_long_run(void)
{
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    uint32_t first, count;

    for (uint32_t block = 65000; block < 20 * 65536; block++)
        bk_block_map_add(map, &keys[0], block);
    for (uint32_t block = 21 * 65536; block < 23 * 65536; block += 2)
        bk_block_map_add(map, &keys[0], block);
    g_assert_true(bk_block_map_next(map, &keys[0], 0, UINT32_MAX, &first, &count));
    g_assert_cmpuint(first, ==, 65000);
    g_assert_cmpuint(count, ==, 20 * 65536 - 65000);
    g_assert_true(bk_block_map_next(map, &keys[0], 70000, 150000, &first, &count));
    g_assert_cmpuint(first, ==, 70000);
    g_assert_cmpuint(count, ==, 80000);
    g_assert_true(bk_block_map_next(map, &keys[0], 20 * 65536, UINT32_MAX, &first, &count));
    g_assert_cmpuint(first, ==, 21 * 65536);
    g_assert_cmpuint(count, ==, 1);
    bytes = encode(map);
    g_assert_cmpuint(bytes.size, <, 20 * 4 + 65536 + 100);
}

static void
expect_malformed(const void *data, size_t size)
{
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_autoptr(GError) error = NULL;

    EXPECT_ERROR(bk_block_map_decode(map, data, size, &error), BK_ERROR_CORRUPT);
}

static void
test_malformed(void)
{
    static const struct {
        uint8_t size;
        uint8_t bytes[40];
    } cases[] = {
        {1, {1}},
        {3, {1, 0, 1}},
        {4, {1, 0, 0, 0}},                                   /* something behind */
        {7, {1, 2, 5, 1, 5, 1, 0}},                          /* a database twice */
        {7, {1, 2, 5, 1, 4, 9, 0}},                          /* not in order */
        {9, {1, 0, 1, 1, 1, 1, 0, 0, 0}},                    /* a fork of which nothing is said */
        {10, {1, 0, 1, 1, 1, 1, 4, 0, 1, 2}},                /* no such fork */
        {10, {1, 0, 1, 1, 1, 1, 0, 0, 2, 2}},                /* a run is missing */
        {11, {1, 0, 1, 1, 1, 1, 0, 0, 2, 2, 0}},             /* two runs that touch */
        {12, {1, 0, 1, 1, 1, 1, 0, 0, 1, 0x81, 0x80, 0x80}}, /* cut off */
        {13, {1, 0, 1, 1, 1, 1, 0, 0, 1, 3, 0xFE, 0xFF, 0x03}},          /* past its stretch */
        {13, {1, 0, 1, 1, 1, 1, 0, 0, 1, 3, 0xFF, 0xFF, 0x03}},          /* longer than one */
        {14, {1, 0, 1, 1, 1, 1, 0, 0, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0x1F}}, /* past the last */
        {17, {1, 0, 2, 1, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0}},       /* a fork twice */
    };
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        expect_malformed(cases[i].bytes, cases[i].size);
    expect_malformed("", 0);
    EXPECT_ERROR(bk_block_map_decode(map, "\3\0\0", 3, &error), BK_ERROR_UNSUPPORTED);
}

/* Every beginning of an encoding is refused. */
static void
test_cut_off(void)
{
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    g_auto(Model) model = {0};
    g_auto(BkBuf) bytes = BK_BUF_INIT;

    model_init(&model);
    for (uint32_t i = 0; i < 300; i++)
        add(map, &model, i % FORKS, i * i % UNIVERSE);
    bk_block_map_renew(map, 1663, 7);
    bytes = encode(map);
    for (size_t size = 0; size < bytes.size; size++) {
        g_autofree uint8_t *exact = g_memdup2(bytes.data, size);

        expect_malformed(exact, size);
    }
}

/* Memory in use, as the system counts it. */
static size_t
resident(void)
{
    g_autofree char *text = NULL;
    const char *at;

    g_assert_true(g_file_get_contents("/proc/self/status", &text, NULL, NULL));
    at = strstr(text, "VmRSS:");
    g_assert_nonnull(at);
    return (size_t)g_ascii_strtoull(at + strlen("VmRSS:"), NULL, 10) * BK_KIB;
}

/* The blocks of 10 GB at random places of 512 GB: about two bytes each, and up to 2 MiB that make
 * adding quick. Sanitizers need memory of their own. */
static void
test_memory(void)
{
    const uint32_t blocks = 1u << 26, count = 1250000;
    g_autoptr(BkBlockMap) map = bk_block_map_new();
    size_t before = resident();
    uint64_t state = 42;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    g_test_skip("sanitizers keep memory of their own");
    return;
#endif
    for (uint32_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        bk_block_map_add(map, &keys[0], (uint32_t)(state >> 33) % blocks);
    }
    g_assert_cmpuint(bk_block_map_count(map), >, count - count / 50);
    g_assert_cmpuint(resident() - before, <, 16 * BK_MIB);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block-map/empty", test_empty);
    g_test_add_func("/block-map/copies", test_copies);
    g_test_add_func("/block-map/without-copies", test_without_copies);
    g_test_add_func("/block-map/limits", test_limits);
    g_test_add_func("/block-map/random", test_random);
    g_test_add_func("/block-map/merge-and-decode", test_merge_and_decode);
    g_test_add_func("/block-map/long-run", test_long_run);
    g_test_add_func("/block-map/malformed", test_malformed);
    g_test_add_func("/block-map/cut-off", test_cut_off);
    g_test_add_func("/block-map/memory", test_memory);
    return g_test_run();
}
