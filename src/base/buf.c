/* buf.c - growing byte buffers. */
#include "base/buf.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_FROM (4 * BK_MIB)

BkBuf *
bk_buf_new(void)
{
    return g_new0(BkBuf, 1);
}

void
bk_buf_clear(BkBuf *self)
{
    g_free(self->data);
    *self = BK_BUF_INIT;
}

void
bk_buf_free(BkBuf *self)
{
    if (self == NULL)
        return;
    bk_buf_clear(self);
    g_free(self);
}

/* A large buffer is touched from end to end at once, and would cost a page fault for every 4 KiB of
 * it. */
static void
use_huge_pages(const BkBuf *self)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)self->data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)self->data + self->capacity) / page * page;

    if (self->capacity >= HUGE_FROM)
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
}

bool
bk_buf_reserve(BkBuf *self, size_t extra, GError **error)
{
    size_t needed;
    size_t capacity;
    uint8_t *data;

    if (__builtin_add_overflow(self->size, extra, &needed))
        return bk_throw(error, BK_ERROR_MEMORY, "buffer of more than %zu bytes", SIZE_MAX);
    if (needed <= self->capacity)
        return true;
    capacity = MAX(needed, self->capacity + self->capacity / 2);
    data = g_try_realloc(self->data, capacity);
    if (data == NULL)
        return bk_throw(error, BK_ERROR_MEMORY, "not enough memory for a buffer of %zu bytes",
                        capacity);
    self->data = data;
    self->capacity = capacity;
    use_huge_pages(self);
    return true;
}

uint8_t *
bk_buf_extend(BkBuf *self, size_t size)
{
    uint8_t *start;

    if (size > self->capacity - self->size) {
        size_t capacity = MAX(self->size + size, self->capacity * 2);

        self->data = g_realloc(self->data, capacity);
        self->capacity = capacity;
    }
    if (self->data == NULL)
        return NULL; /* nothing was asked of an empty buffer */
    start = self->data + self->size;
    if (size > 0)
        memset(start, 0, size);
    self->size += size;
    return start;
}

void
bk_buf_append(BkBuf *self, const void *data, size_t size)
{
    uint8_t *start = bk_buf_extend(self, size);

    if (size > 0)
        memcpy(start, data, size);
}
