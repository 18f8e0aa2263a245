/* queue.h - a bounded queue that moves ownership of items between threads.
 *
 * Threads: any number of producers and consumers. */
#pragma once
#include "base/op.h"

typedef struct BkQueue BkQueue;

/* At most `capacity` (>= 1) items wait in it. `free_item` (may be NULL) frees what is left when the
 * queue is freed. */
BkQueue *bk_queue_new(size_t capacity, GDestroyNotify free_item);
void bk_queue_free(BkQueue *self); /* NULL is fine; no thread may still use it */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkQueue, bk_queue_free)

/* Moves `item` (not NULL) into the queue, waiting for room. On failure (BK_ERROR_CANCELLED,
 * BK_ERROR_TIMEOUT) the caller still owns it. */
bool bk_queue_push(BkQueue *self, void *item, const BkOp *op, GError **error) BK_MUST_USE;

/* Takes the oldest item into `*item`, waiting for one; NULL once the queue is closed and empty. */
bool bk_queue_pop(BkQueue *self, void **item, const BkOp *op, GError **error) BK_MUST_USE;

/* No more items will come. Closing twice is fine. */
void bk_queue_close(BkQueue *self);
