/* test-wire.c - wire form: what is written is read back, and nothing is read past the end. */
#include "codec/wire.h"
#include "expect.h"

#include <string.h>

static const uint64_t edges[] = {0,
                                 1,
                                 0x7f,
                                 0x80,
                                 0x3fff,
                                 0x4000,
                                 0xffff,
                                 0x10000,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 INT64_C(1) << 56,
                                 UINT64_C(1) << 63,
                                 UINT64_MAX};

static uint64_t
random_u64(void)
{
    uint64_t value = (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();

    return value >> g_test_rand_int_range(0, 64); /* all lengths alike */
}

static void
put_all(BkBuf *out, uint64_t value)
{
    bk_wire_put_u8(out, (uint8_t)value);
    bk_wire_put_u16(out, (uint16_t)value);
    bk_wire_put_u32(out, (uint32_t)value);
    bk_wire_put_u64(out, value);
    bk_wire_put_varint(out, value);
    bk_wire_put_zigzag(out, (int64_t)value);
    bk_wire_put_zigzag(out, -(int64_t)(value >> 1) - 1);
}

static void
check_all(BkWireReader *reader, uint64_t value)
{
    g_assert_cmpuint(bk_wire_get_u8(reader), ==, (uint8_t)value);
    g_assert_cmpuint(bk_wire_get_u16(reader), ==, (uint16_t)value);
    g_assert_cmpuint(bk_wire_get_u32(reader), ==, (uint32_t)value);
    g_assert_cmpuint(bk_wire_get_u64(reader), ==, value);
    g_assert_cmpuint(bk_wire_get_varint(reader), ==, value);
    g_assert_cmpint(bk_wire_get_zigzag(reader), ==, (int64_t)value);
    g_assert_cmpint(bk_wire_get_zigzag(reader), ==, -(int64_t)(value >> 1) - 1);
}

static void
test_numbers(void)
{
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkWireReader reader;
    uint64_t values[1000];

    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        values[i] = i < G_N_ELEMENTS(edges) ? edges[i] : random_u64();
        put_all(&out, values[i]);
    }
    bk_wire_reader_init(&reader, out.data, out.size);
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
        check_all(&reader, values[i]);
    EXPECT_DONE(bk_wire_end(&reader, "numbers", &error));
}

/* The form on disk is little-endian, LEB128 and zigzag, whatever the machine. */
static void
test_bytes_on_disk(void)
{
    static const uint8_t expected[] = {0x04, 0x03, 0x02, 0x01, 0xac, 0x02, 0x03,
                                       0x80, 0x01, 0x02, 'h',  'i',  0x00};
    g_auto(BkBuf) out = BK_BUF_INIT;

    bk_wire_put_u32(&out, 0x01020304);
    bk_wire_put_varint(&out, 300);
    bk_wire_put_zigzag(&out, -2);
    bk_wire_put_zigzag(&out, 64);
    bk_wire_put_string(&out, "hi");
    bk_wire_put_string(&out, NULL);
    EXPECT_BYTES(out.data, out.size, expected, sizeof expected);
}

static void
put_record(BkBuf *out)
{
    put_all(out, UINT64_MAX);
    bk_wire_put_bytes(out, "\0\1\2", 3);
    bk_wire_put_string(out, "text");
    bk_wire_put_varint(out, 12);
}

static bool
get_record(const uint8_t *data, size_t size, GError **error)
{
    g_autofree char *text = NULL;
    BkWireReader reader;
    size_t bytes_size;

    bk_wire_reader_init(&reader, data, size);
    (void)bk_wire_get_raw(&reader, 1 + 2 + 4 + 8);
    (void)bk_wire_get_varint(&reader);
    (void)bk_wire_get_zigzag(&reader);
    (void)bk_wire_get_zigzag(&reader);
    (void)bk_wire_get_bytes(&reader, 3, &bytes_size);
    text = bk_wire_get_string(&reader, 4);
    g_assert_nonnull(text);
    (void)bk_wire_get_bounded(&reader, 12);
    return bk_wire_end(&reader, "record", error);
}

static void
test_truncated_anywhere(void)
{
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    put_record(&out);
    EXPECT_DONE(get_record(out.data, out.size, &error));
    for (size_t size = 0; size < out.size; size++) {
        g_autofree uint8_t *cut = g_malloc(size + 1); /* a read past the end is one past this */

        memcpy(cut + 1, out.data, size);
        EXPECT_ERROR(get_record(cut + 1, size, &error), BK_ERROR_CORRUPT);
    }
    bk_wire_put_u8(&out, 0);
    EXPECT_ERROR(get_record(out.data, out.size, &error), BK_ERROR_CORRUPT); /* left over */
}

static void
test_malformed_varints(void)
{
    static const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                       0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t largest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    BkWireReader reader;

    bk_wire_reader_init(&reader, too_large, sizeof too_large);
    g_assert_cmpuint(bk_wire_get_varint(&reader), ==, 0);
    g_assert_false(bk_wire_is_ok(&reader));
    bk_wire_reader_init(&reader, too_long, sizeof too_long);
    g_assert_cmpuint(bk_wire_get_varint(&reader), ==, 0);
    g_assert_false(bk_wire_is_ok(&reader));
    bk_wire_reader_init(&reader, largest, sizeof largest);
    g_assert_cmpuint(bk_wire_get_varint(&reader), ==, UINT64_MAX);
    g_assert_true(bk_wire_is_ok(&reader));
}

/* After a failure everything is zero or empty, and stays so. */
static void
test_failure_is_final(void)
{
    static const uint8_t data[] = {5, 'a', 'b', 1, 2, 3, 4, 5, 6, 7, 8};
    g_autofree char *text = NULL;
    BkWireReader reader;
    size_t size = 99;

    bk_wire_reader_init(&reader, data, sizeof data);
    g_assert_null(bk_wire_get_raw(&reader, 12));
    g_assert_cmpuint(bk_wire_get_u8(&reader), ==, 0);
    g_assert_cmpuint(bk_wire_get_varint(&reader), ==, 0);
    g_assert_cmpint(bk_wire_get_zigzag(&reader), ==, 0);
    g_assert_cmpuint(bk_wire_get_bounded(&reader, 9), ==, 0);
    g_assert_null(bk_wire_get_bytes(&reader, 9, &size));
    g_assert_cmpuint(size, ==, 0);
    text = bk_wire_get_string(&reader, 9);
    g_assert_cmpstr(text, ==, "");
    g_assert_cmpuint(bk_wire_left(&reader), ==, sizeof data);
}

/* Bytes that claim to be more than there are come back as none. */
static void
test_bytes_cut_off(void)
{
    static const uint8_t data[] = {5, 'a', 'b'};
    BkWireReader reader;
    size_t size = 99;

    bk_wire_reader_init(&reader, data, sizeof data);
    g_assert_null(bk_wire_get_bytes(&reader, 100, &size));
    g_assert_cmpuint(size, ==, 0);
}

static void
test_limits(void)
{
    static const uint8_t zero_inside[] = {3, 'a', 0, 'b'};
    g_auto(BkBuf) out = BK_BUF_INIT;
    g_autofree char *fits = NULL;
    g_autofree char *too_long = NULL;
    g_autofree char *with_zero = NULL;
    BkWireReader reader;

    bk_wire_put_varint(&out, 300);
    bk_wire_put_string(&out, "four");
    bk_wire_reader_init(&reader, out.data, out.size);
    g_assert_cmpuint(bk_wire_get_bounded(&reader, 300), ==, 300);
    fits = bk_wire_get_string(&reader, 4);
    g_assert_cmpstr(fits, ==, "four");
    bk_wire_reader_init(&reader, out.data, out.size);
    g_assert_cmpuint(bk_wire_get_bounded(&reader, 299), ==, 0);
    g_assert_false(bk_wire_is_ok(&reader));
    bk_wire_reader_init(&reader, out.data + 2, out.size - 2);
    too_long = bk_wire_get_string(&reader, 3);
    g_assert_cmpstr(too_long, ==, "");
    g_assert_false(bk_wire_is_ok(&reader));
    bk_wire_reader_init(&reader, zero_inside, sizeof zero_inside);
    with_zero = bk_wire_get_string(&reader, 9);
    g_assert_cmpstr(with_zero, ==, "");
    g_assert_false(bk_wire_is_ok(&reader));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/numbers", test_numbers);
    g_test_add_func("/wire/bytes-on-disk", test_bytes_on_disk);
    g_test_add_func("/wire/truncated-anywhere", test_truncated_anywhere);
    g_test_add_func("/wire/malformed-varints", test_malformed_varints);
    g_test_add_func("/wire/failure-is-final", test_failure_is_final);
    g_test_add_func("/wire/bytes-cut-off", test_bytes_cut_off);
    g_test_add_func("/wire/limits", test_limits);
    return g_test_run();
}
