/* queue.c - a bounded queue that moves ownership of items between threads. */
#include "base/queue.h"

#include "base/cond.h"

#include <pthread.h>
#include <time.h>

struct BkQueue {
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t changed;
    void **items; /* ring of `capacity` */
    size_t capacity;
    size_t first;
    size_t count;
    bool closed;
    GDestroyNotify free_item;
};

BkQueue *
bk_queue_new(size_t capacity, GDestroyNotify free_item)
{
    BkQueue *self = g_new0(BkQueue, 1);

    g_assert(capacity >= 1);
    (void)pthread_mutex_init(&self->mutex, NULL);
    bk_cond_init(&self->changed);
    self->items = g_new0(void *, capacity);
    self->capacity = capacity;
    self->free_item = free_item;
    return self;
}

void
bk_queue_free(BkQueue *self)
{
    if (self == NULL)
        return;
    for (; self->count > 0; self->count--) {
        if (self->free_item != NULL)
            self->free_item(self->items[self->first]);
        self->first = (self->first + 1) % self->capacity;
    }
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self->items);
    g_free(self);
}

/* Waits for a change, but not for ever: a signal handler can set the operation's flag but cannot
 * signal a condition, so the flag is looked at a few times a second. */
static void
wait_a_while(BkQueue *self)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&self->changed, &self->mutex, &until);
}

bool
bk_queue_push(BkQueue *self, void *item, const BkOp *op, GError **error)
{
    bool running;

    g_assert(item != NULL);
    (void)pthread_mutex_lock(&self->mutex);
    while ((running = bk_op_check(op, error)) && self->count == self->capacity)
        wait_a_while(self);
    if (running) {
        g_assert(!self->closed);
        self->items[(self->first + self->count) % self->capacity] = item;
        self->count++;
        (void)pthread_cond_broadcast(&self->changed);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return running;
}

bool
bk_queue_pop(BkQueue *self, void **item, const BkOp *op, GError **error)
{
    bool running;

    *item = NULL;
    (void)pthread_mutex_lock(&self->mutex);
    while ((running = bk_op_check(op, error)) && self->count == 0 && !self->closed)
        wait_a_while(self);
    if (running && self->count > 0) {
        *item = self->items[self->first];
        self->first = (self->first + 1) % self->capacity;
        self->count--;
        (void)pthread_cond_broadcast(&self->changed);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return running;
}

void
bk_queue_close(BkQueue *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->closed = true;
    (void)pthread_cond_broadcast(&self->changed);
    (void)pthread_mutex_unlock(&self->mutex);
}
