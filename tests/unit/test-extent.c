/* test-extent.c - extents against a map of bytes, and against malformed bytes. */
#include "expect.h"
#include "repo/pack/extent.h"

#define FILE_MAX 300u

/* Where a byte of the file is; no pack: in a hole. */
typedef struct Place {
    bool is_data;
    uint32_t pack;
    uint64_t offset;
} Place;

/* Random extents in order, with gaps, holes, empty ones and neighbours that continue each other. */
static size_t
make_extents(BkExtent *extents, size_t limit, uint64_t size)
{
    size_t count = 0;
    uint64_t at = 0;

    while (count < limit && at <= size) {
        BkExtent *extent = &extents[count];
        const BkExtent *last = count > 0 ? extent - 1 : NULL;
        uint64_t length = (uint64_t)g_test_rand_int_range(0, 12);

        at += g_test_rand_bit() ? 0 : (uint64_t)g_test_rand_int_range(0, 5);
        if (at > size)
            break;
        *extent = (BkExtent){
            .file_offset = at,
            .length = MIN(length, size - at),
            .is_hole = g_test_rand_int_range(0, 4) == 0,
        };
        if (!extent->is_hole && last != NULL && !last->is_hole && g_test_rand_bit()) {
            extent->pack = last->pack;
            extent->pack_offset = last->pack_offset + last->length;
        } else if (!extent->is_hole) {
            extent->pack = g_test_rand_bit() ? UINT32_MAX : (uint32_t)g_test_rand_int_range(0, 3);
            extent->pack_offset = g_test_rand_bit()
                                      ? (uint64_t)g_test_rand_int_range(0, 1000)
                                      : (UINT64_C(1) << 62) + (uint32_t)g_test_rand_int();
        }
        at += extent->length;
        count++;
    }
    return count;
}

static void
draw(Place *map, const BkExtent *extent)
{
    for (uint64_t i = 0; i < extent->length && !extent->is_hole; i++)
        map[extent->file_offset + i] = (Place){true, extent->pack, extent->pack_offset + i};
}

static void
check_round_trip(const BkExtent *extents, size_t count, uint64_t size)
{
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    g_auto(BkBuf) again = BK_BUF_INIT;
    g_autoptr(GArray) read = g_array_new(FALSE, FALSE, sizeof(BkExtent));
    Place expected[FILE_MAX] = {{0}};
    Place found[FILE_MAX] = {{0}};
    BkExtentIter iter;
    BkExtent extent;
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++)
        draw(expected, &extents[i]);
    bk_extents_encode(extents, count, size, &encoded);
    bk_extent_iter_init(&iter, encoded.data, encoded.size, size);
    while (bk_extent_iter_next(&iter, &extent)) {
        g_assert_cmpuint(extent.file_offset, ==, at);
        g_assert_cmpuint(extent.length, >, 0);
        at += extent.length;
        draw(found, &extent);
        g_array_append_val(read, extent);
    }
    g_assert_true(bk_extent_iter_is_complete(&iter));
    g_assert_cmpuint(at, ==, size);
    for (uint64_t i = 0; i < size; i++) {
        g_assert_true(expected[i].is_data == found[i].is_data);
        g_assert_cmpuint(expected[i].pack, ==, found[i].pack);
        g_assert_cmpuint(expected[i].offset, ==, found[i].offset);
    }
    bk_extents_encode((const BkExtent *)(const void *)read->data, read->len, size, &again);
    EXPECT_BYTES(again.data, again.size, encoded.data, encoded.size);
}

static void
test_against_a_map(void)
{
    BkExtent extents[60];

    for (unsigned round = 0; round < 3000; round++) {
        uint64_t size = (uint64_t)g_test_rand_int_range(0, FILE_MAX);

        check_round_trip(extents, make_extents(extents, G_N_ELEMENTS(extents), size), size);
    }
}

static size_t
count_extents(const BkExtent *extents, size_t count, uint64_t size)
{
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    BkExtentIter iter;
    BkExtent extent;
    size_t found = 0;

    bk_extents_encode(extents, count, size, &encoded);
    bk_extent_iter_init(&iter, encoded.data, encoded.size, size);
    while (bk_extent_iter_next(&iter, &extent))
        found++;
    g_assert_true(bk_extent_iter_is_complete(&iter));
    return found;
}

static void
test_neighbours_are_joined(void)
{
    static const BkExtent joined[] = {{0, 10, false, 1, 100}, {10, 5, false, 1, 110}};
    static const BkExtent apart[] = {{0, 10, false, 1, 100}, {10, 5, false, 2, 110}};
    static const BkExtent holes[] = {{5, 5, true, 0, 0}, {10, 5, true, 0, 0}};

    g_assert_cmpuint(count_extents(joined, 2, 15), ==, 1);
    g_assert_cmpuint(count_extents(apart, 2, 15), ==, 2);
    g_assert_cmpuint(count_extents(holes, 2, 100), ==, 1); /* with the gaps around them */
    g_assert_cmpuint(count_extents(NULL, 0, 100), ==, 1);
    g_assert_cmpuint(count_extents(NULL, 0, 0), ==, 0);
}

static void
test_large(void)
{
    static const BkExtent extents[] = {
        {0, (uint64_t)1 << 62, true, 0, 0},
        {(uint64_t)1 << 62, (uint64_t)1 << 60, false, UINT32_MAX, (uint64_t)1 << 62},
        {((uint64_t)1 << 62) + ((uint64_t)1 << 60), 1, false, 0, 0}};

    g_assert_cmpuint(count_extents(extents, 3, INT64_MAX), ==, 4);
}

/* Ranges in order that are new: as a copy stores them, in packs that the base does not have. */
static size_t
make_ranges(BkExtent *over, size_t limit, uint64_t size)
{
    size_t count = make_extents(over, limit, size);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (over[i].length == 0)
            continue;
        over[kept] = over[i];
        over[kept++].pack = over[i].is_hole ? 0 : 1000;
    }
    return kept;
}

/* What is merged is in order, lies within the file, and says of each byte what the newer of both
 * says; of what neither knows it logged nothing. */
static void
check_overlay(const GArray *merged, const Place *expected, const bool *is_known, uint64_t size)
{
    Place found[FILE_MAX] = {{0}};
    bool is_found[FILE_MAX] = {false};
    uint64_t at = 0;

    for (guint i = 0; i < merged->len; i++) {
        const BkExtent *extent = &g_array_index(merged, BkExtent, i);

        g_assert_cmpuint(extent->file_offset, >=, at);
        g_assert_cmpuint(extent->length, >, 0);
        at = extent->file_offset + extent->length;
        g_assert_cmpuint(at, <=, size);
        draw(found, extent);
        memset(is_found + extent->file_offset, true, extent->length);
    }
    for (uint64_t i = 0; i < size; i++) {
        g_assert_true(is_found[i] == is_known[i]);
        g_assert_true(found[i].is_data == expected[i].is_data);
        g_assert_cmpuint(found[i].pack, ==, expected[i].pack);
        g_assert_cmpuint(found[i].offset, ==, expected[i].offset);
    }
}

static void
overlay(uint64_t base_size, uint64_t size, GArray *merged)
{
    BkExtent base[60], over[20];
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    Place expected[FILE_MAX] = {{0}};
    bool is_known[FILE_MAX] = {false};
    size_t count = make_extents(base, G_N_ELEMENTS(base), base_size);
    BkExtentIter iter;

    bk_extents_encode(base, count, base_size, &encoded);
    for (size_t i = 0; i < count; i++)
        draw(expected, &base[i]);
    memset(is_known, true, base_size);
    count = make_ranges(over, (size_t)g_test_rand_int_range(0, G_N_ELEMENTS(over)), size);
    for (size_t i = 0; i < count; i++) {
        memset(expected + over[i].file_offset, 0, over[i].length * sizeof *expected);
        draw(expected, &over[i]);
        memset(is_known + over[i].file_offset, true, over[i].length);
    }
    bk_extent_iter_init(&iter, encoded.data, encoded.size, base_size);
    bk_extents_overlay(over, count, iter, size, merged);
    check_overlay(merged, expected, is_known, size);
    encoded.size = 0; /* what came out can be put down */
    bk_extents_encode((const BkExtent *)(const void *)merged->data, merged->len, size, &encoded);
}

/* The file has grown, shrunk or kept its size; the array is used again and again. */
static void
test_overlay(void)
{
    g_autoptr(GArray) merged = g_array_new(FALSE, FALSE, sizeof(BkExtent));

    for (unsigned round = 0; round < 6000; round++) {
        uint64_t base_size = (uint64_t)g_test_rand_int_range(0, FILE_MAX);
        uint64_t size = (uint64_t)g_test_rand_int_range(0, FILE_MAX);

        overlay(base_size, round % 3 == 0 ? base_size : size, merged);
    }
    overlay(0, FILE_MAX - 1, merged);
    overlay(FILE_MAX - 1, 0, merged);
    g_assert_cmpuint(merged->len, ==, 0);
}

/* Pages of many packs, each left and taken up again: behind its last run, in step with the file, or
 * anywhere. */
static void
test_pages(void)
{
    for (unsigned round = 0; round < 300; round++) {
        BkExtent extents[400];
        uint64_t ends[80] = {0};
        uint64_t size = 0;
        g_auto(BkBuf) encoded = BK_BUF_INIT;
        BkExtentIter iter;
        BkExtent extent;

        for (size_t i = 0; i < G_N_ELEMENTS(extents); i++) {
            uint32_t pack = (uint32_t)g_test_rand_int_range(0, (int)(round % 80) + 1);
            uint64_t length = BK_EXTENT_UNIT * (uint64_t)g_test_rand_int_range(1, 6);
            int place = g_test_rand_int_range(0, 3);
            uint64_t other = (uint64_t)g_test_rand_int_range(0, 1 << 30);

            extents[i] = (BkExtent){
                .file_offset = size,
                .length = length,
                .pack = pack,
                .pack_offset = place == 0   ? ends[pack]
                               : place == 1 ? size
                                            : other,
            };
            ends[pack] = extents[i].pack_offset + length;
            size += length;
        }
        bk_extents_encode(extents, G_N_ELEMENTS(extents), size, &encoded);
        bk_extent_iter_init(&iter, encoded.data, encoded.size, size);
        for (size_t i = 0; i < G_N_ELEMENTS(extents);) {
            uint64_t at = 0;

            g_assert_true(bk_extent_iter_next(&iter, &extent));
            for (; at < extent.length; at += extents[i++].length) {
                g_assert_cmpuint(extent.pack, ==, extents[i].pack);
                g_assert_cmpuint(extent.pack_offset + at, ==, extents[i].pack_offset);
            }
            g_assert_cmpuint(at, ==, extent.length);
        }
        g_assert_true(bk_extent_iter_is_complete(&iter));
    }
}

/* What an increment makes of a file, a changed page every so often, must stay cheap. */
static void
test_cost_of_an_increment(void)
{
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    BkExtent extents[2000];

    for (size_t i = 0; i < G_N_ELEMENTS(extents); i++) {
        bool is_new = i % 2 == 0;

        extents[i] = (BkExtent){
            .file_offset = (i / 2 * 100 + !is_new) * BK_EXTENT_UNIT,
            .length = (is_new ? 1 : 99) * BK_EXTENT_UNIT,
            .pack = is_new ? 500 : 7,
            .pack_offset = (is_new ? i / 2 : i / 2 * 100 + 1) * BK_EXTENT_UNIT,
        };
    }
    bk_extents_encode(extents, G_N_ELEMENTS(extents), UINT64_C(100000) * BK_EXTENT_UNIT, &encoded);
    g_assert_cmpuint(encoded.size, <, G_N_ELEMENTS(extents) / 2 * 3 + 20);
}

static bool
is_sound(const uint8_t *encoded, size_t encoded_size, uint64_t size)
{
    BkExtentIter iter;
    BkExtent extent;

    bk_extent_iter_init(&iter, encoded, encoded_size, size);
    while (bk_extent_iter_next(&iter, &extent))
        g_assert_cmpuint(extent.file_offset + extent.length, <=, size);
    return bk_extent_iter_is_complete(&iter);
}

static void
test_malformed(void)
{
    static const uint8_t hole_of_nothing[] = {0x01};
    static const uint8_t hole[] = {0x2b};                   /* ten bytes */
    static const uint8_t data[] = {0x8e, 0x05, 0x02, 0x05}; /* ten bytes of pack 1 from 5 on */
    static const uint8_t pack_below_zero[] = {0x8e, 0x05, 0x01, 0x05};
    static const uint8_t offset_wraps[] = {0x8e, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t no_pack_before[] = {0x82, 0x05};
    static const uint8_t not_so_recent[] = {0x8e, 0x05, 0x02, 0x05, 0x8a, 0x05, 0x01};
    static const uint8_t no_such_place[] = {0x8e, 0x05, 0x02, 0x05, 0xb2, 0x05};
    static const uint8_t before_the_pack[] = {0x8e, 0x05, 0x02, 0x05, 0xa2, 0x05, 0x63};
    static const uint8_t units_wrap[] = {0xfc, 0xff, 0xff, 0xff, 0xff,
                                         0xff, 0xff, 0xff, 0xff, 0x01};

    g_assert_true(is_sound(hole, 1, 10));
    g_assert_true(is_sound(data, 4, 10));
    g_assert_false(is_sound(hole, 1, 9));
    g_assert_false(is_sound(hole, 1, 11));
    g_assert_false(is_sound(hole, 0, 10));
    g_assert_false(is_sound(hole_of_nothing, 1, 0));
    for (size_t size = 1; size < sizeof data; size++)
        g_assert_false(is_sound(data, size, 10));
    g_assert_false(is_sound(pack_below_zero, sizeof pack_below_zero, 10));
    g_assert_false(is_sound(offset_wraps, sizeof offset_wraps, 10));
    g_assert_false(is_sound(no_pack_before, sizeof no_pack_before, 10));
    g_assert_false(is_sound(not_so_recent, sizeof not_so_recent, 20));
    g_assert_false(is_sound(no_such_place, sizeof no_such_place, 20));
    g_assert_false(is_sound(before_the_pack, sizeof before_the_pack, 20));
    g_assert_false(is_sound(units_wrap, sizeof units_wrap, UINT64_MAX));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/extent/against-a-map", test_against_a_map);
    g_test_add_func("/extent/neighbours-are-joined", test_neighbours_are_joined);
    g_test_add_func("/extent/overlay", test_overlay);
    g_test_add_func("/extent/large", test_large);
    g_test_add_func("/extent/pages", test_pages);
    g_test_add_func("/extent/cost-of-an-increment", test_cost_of_an_increment);
    g_test_add_func("/extent/malformed", test_malformed);
    return g_test_run();
}
