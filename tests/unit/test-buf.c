/* test-buf.c - growing byte buffers. */
#include "base/buf.h"
#include "expect.h"

#include <string.h>

static void
test_append_keeps_what_was_there(void)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;

    for (uint32_t i = 0; i < 10000; i++)
        bk_buf_append(&buf, &i, sizeof i);
    g_assert_cmpuint(buf.size, ==, 10000 * sizeof(uint32_t));
    g_assert_cmpuint(buf.capacity, >=, buf.size);
    for (uint32_t i = 0; i < 10000; i++)
        g_assert_cmpint(memcmp(buf.data + i * sizeof i, &i, sizeof i), ==, 0);
}

static void
test_append_nothing(void)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;

    bk_buf_append(&buf, NULL, 0);
    g_assert_null(buf.data);
    bk_buf_append(&buf, "a", 1);
    bk_buf_append(&buf, NULL, 0);
    g_assert_cmpuint(buf.size, ==, 1);
}

static void
test_extend_gives_zeros(void)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;
    uint8_t *start;

    bk_buf_append(&buf, "xyz", 3);
    buf.size = 1; /* what was behind must not shine through */
    start = bk_buf_extend(&buf, 100);
    g_assert_true(start == buf.data + 1);
    g_assert_cmpuint(buf.size, ==, 101);
    for (size_t i = 1; i < buf.size; i++)
        g_assert_cmpuint(buf.data[i], ==, 0);
}

static void
test_reserve_makes_room(void)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_buf_append(&buf, "abc", 3);
    EXPECT_DONE(bk_buf_reserve(&buf, 5000, &error));
    g_assert_cmpuint(buf.capacity - buf.size, >=, 5000);
    g_assert_cmpuint(buf.size, ==, 3);
    g_assert_cmpint(memcmp(buf.data, "abc", 3), ==, 0);
}

/* A size that overflows is an error, and the buffer stays as it was. */
static void
test_reserve_too_much(void)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_buf_append(&buf, "abc", 3);
    EXPECT_ERROR(bk_buf_reserve(&buf, SIZE_MAX - 1, &error), BK_ERROR_MEMORY);
    g_assert_cmpuint(buf.size, ==, 3);
    g_assert_cmpint(memcmp(buf.data, "abc", 3), ==, 0);
}

static void
test_clear_and_free(void)
{
    BkBuf *buf = bk_buf_new();

    bk_buf_append(buf, "abc", 3);
    bk_buf_clear(buf);
    g_assert_null(buf->data);
    g_assert_cmpuint(buf->size + buf->capacity, ==, 0);
    bk_buf_append(buf, "abc", 3);
    bk_buf_free(buf);
    bk_buf_free(NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/buf/append-keeps-what-was-there", test_append_keeps_what_was_there);
    g_test_add_func("/buf/append-nothing", test_append_nothing);
    g_test_add_func("/buf/extend-gives-zeros", test_extend_gives_zeros);
    g_test_add_func("/buf/reserve-makes-room", test_reserve_makes_room);
    g_test_add_func("/buf/reserve-too-much", test_reserve_too_much);
    g_test_add_func("/buf/clear-and-free", test_clear_and_free);
    return g_test_run();
}
