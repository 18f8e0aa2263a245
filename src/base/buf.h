/* buf.h - growing byte buffers.
 *
 * Sizes that come from outside are bounded by the caller before they reach a buffer; a large
 * allocation that fails is an error (BK_ERROR_MEMORY), not an abort.
 * Threads: a buffer belongs to one thread at a time. */
#pragma once
#include "base/error.h"

typedef struct BkBuf {
    uint8_t *data; /* owned; NULL while capacity is 0 */
    size_t size;
    size_t capacity;
} BkBuf;

#define BK_BUF_INIT ((BkBuf){0})

BkBuf *bk_buf_new(void);
void bk_buf_free(BkBuf *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkBuf, bk_buf_free)

/* For buffers in the caller's memory. clear frees the content and leaves an empty buffer. */
void bk_buf_clear(BkBuf *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkBuf, bk_buf_clear)

/* Makes room for at least `extra` bytes past the present size. Fails with BK_ERROR_MEMORY. */
bool bk_buf_reserve(BkBuf *self, size_t extra, GError **error) BK_MUST_USE;

/* Appends bytes; the buffer grows by doubling. Aborts like g_malloc when memory runs out, so it is
 * for sizes that the program itself bounds. `data` may be NULL when size is 0. */
void bk_buf_append(BkBuf *self, const void *data, size_t size);

/* Appends `size` zero bytes and returns where they start; the pointer holds until the next growth.
 */
uint8_t *bk_buf_extend(BkBuf *self, size_t size);
