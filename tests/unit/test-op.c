/* test-op.c - cancelling, deadlines and progress, queues between threads, teams of workers. */
#include "base/op.h"
#include "base/queue.h"
#include "base/workers.h"
#include "expect.h"

#include <pthread.h>
#include <stdatomic.h>

static void
test_children(void)
{
    g_autoptr(BkOp) parent = bk_op_new(NULL);
    g_autoptr(BkOp) child = bk_op_new(parent);
    g_autoptr(BkOp) other = bk_op_new(parent);
    g_autoptr(GError) error = NULL;

    bk_op_cancel(child);
    EXPECT_ERROR(bk_op_check(child, &error), BK_ERROR_CANCELLED);
    EXPECT_DONE(bk_op_check(other, &error));
    EXPECT_DONE(bk_op_check(parent, &error));
    g_assert_false(bk_op_is_cancelled(parent));
    bk_op_cancel(parent);
    EXPECT_ERROR(bk_op_check(other, &error), BK_ERROR_CANCELLED);
    g_assert_true(bk_op_is_cancelled(other));
}

/* What ended the work is what everybody in it reports, not that it was cancelled. */
static void
test_cause(void)
{
    g_autoptr(BkOp) parent = bk_op_new(NULL);
    g_autoptr(BkOp) child = bk_op_new(parent);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GError) later = NULL;
    g_autoptr(GError) error = NULL;

    bk_throw(&cause, BK_ERROR_LEASE_LOST, "the lease is gone");
    bk_throw(&later, BK_ERROR_STORE, "the store is gone");
    bk_op_fail(parent, cause);
    bk_op_fail(parent, later);
    bk_op_cancel(child);
    bk_op_cancel(parent);
    g_assert_false(bk_op_sleep(child, 60 * BK_USEC_PER_SEC, &error));
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_LEASE_LOST);
    g_assert_cmpstr(error->message, ==, "the lease is gone");
}

/* Somebody who cancelled first need not hear of what failed because of it. */
static void
test_cause_after_cancelling(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GError) error = NULL;

    bk_throw(&cause, BK_ERROR_LEASE_LOST, "the lease is gone");
    bk_op_cancel(op);
    bk_op_fail(op, cause);
    EXPECT_ERROR(bk_op_check(op, &error), BK_ERROR_CANCELLED);
}

static void
test_deadline(void)
{
    g_autoptr(BkOp) parent = bk_op_new(NULL);
    g_autoptr(BkOp) child = bk_op_new(parent);
    g_autoptr(GError) error = NULL;
    int64_t start_us = g_get_monotonic_time();

    bk_op_set_deadline(parent, start_us + 20 * 1000);
    EXPECT_DONE(bk_op_check(child, &error));
    EXPECT_ERROR(bk_op_sleep(child, 60 * BK_USEC_PER_SEC, &error), BK_ERROR_TIMEOUT);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 10 * BK_USEC_PER_SEC);
    bk_op_cancel(child); /* says more than the deadline */
    EXPECT_ERROR(bk_op_check(child, &error), BK_ERROR_CANCELLED);
    bk_op_set_deadline(parent, 0);
    EXPECT_DONE(bk_op_check(parent, &error));
}

static void
test_sleep(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    int64_t start_us = g_get_monotonic_time();

    EXPECT_DONE(bk_op_sleep(op, 10 * 1000, &error));
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 10 * 1000);
    bk_op_cancel(op);
    EXPECT_ERROR(bk_op_sleep(op, 60 * BK_USEC_PER_SEC, &error), BK_ERROR_CANCELLED);
}

/* Progress, also a child's, moves the end on; without it the operation ends. */
static void
test_patience(void)
{
    g_autoptr(BkOp) parent = bk_op_new(NULL);
    g_autoptr(BkOp) op = bk_op_new(parent);
    g_autoptr(BkOp) child = bk_op_new(op);
    g_autoptr(GError) error = NULL;

    bk_op_set_patience(op, 1);
    g_usleep(1000);
    EXPECT_ERROR(bk_op_check(child, &error), BK_ERROR_TIMEOUT);
    EXPECT_DONE(bk_op_check(parent, &error));
    bk_op_set_deadline(op, 1); /* long ago: what progress moves on */
    bk_op_set_patience(op, 3600 * BK_USEC_PER_SEC);
    EXPECT_DONE(bk_op_check(child, &error));
    bk_op_set_deadline(op, 1);
    EXPECT_ERROR(bk_op_check(child, &error), BK_ERROR_TIMEOUT);
    bk_op_advance(child, 1);
    EXPECT_DONE(bk_op_check(child, &error));
    bk_op_set_patience(op, 0);
    bk_op_set_deadline(op, 1);
    bk_op_advance(child, 1);
    EXPECT_ERROR(bk_op_check(child, &error), BK_ERROR_TIMEOUT);
}

static void
test_progress_goes_to_the_top(void)
{
    g_autoptr(BkOp) parent = bk_op_new(NULL);
    g_autoptr(BkOp) child = bk_op_new(parent);
    BkOpProgress progress;

    bk_op_get_progress(child, &progress);
    g_assert_null(progress.phase);
    bk_op_begin_phase(child, "copying", 100);
    bk_op_advance(child, 30);
    bk_op_advance(parent, 5);
    bk_op_get_progress(parent, &progress);
    g_assert_cmpstr(progress.phase, ==, "copying");
    g_assert_cmpuint(progress.done, ==, 35);
    g_assert_cmpuint(progress.total, ==, 100);
    bk_op_begin_phase(child, "waiting", 0);
    bk_op_get_progress(child, &progress);
    g_assert_cmpuint(progress.done, ==, 0);
}

#define PRODUCERS 3u
#define CONSUMERS 3u
#define ITEMS     2000u

typedef struct Exchange {
    BkQueue *queue;
    atomic_uint producers;
    atomic_uint_fast64_t sum;
    atomic_uint count;
} Exchange;

static bool
produce(Exchange *exchange, BkOp *op, GError **error)
{
    for (unsigned i = 1; i <= ITEMS; i++) {
        unsigned *item = g_new(unsigned, 1);

        *item = i;
        if (!bk_queue_push(exchange->queue, item, op, error)) {
            g_free(item);
            return false;
        }
    }
    if (atomic_fetch_sub(&exchange->producers, 1) == 1)
        bk_queue_close(exchange->queue);
    return true;
}

static bool
consume(Exchange *exchange, BkOp *op, GError **error)
{
    for (;;) {
        g_autofree unsigned *number = NULL;
        void *item;

        if (!bk_queue_pop(exchange->queue, &item, op, error))
            return false;
        if (item == NULL)
            return true;
        number = item;
        atomic_fetch_add(&exchange->sum, *number);
        atomic_fetch_add(&exchange->count, 1);
    }
}

static bool
exchange_items(unsigned index, void *data, BkOp *op, GError **error)
{
    return index < PRODUCERS ? produce(data, op, error) : consume(data, op, error);
}

static void
test_queue_moves_each_item_once(void)
{
    g_autoptr(BkQueue) queue = bk_queue_new(4, g_free);
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    Exchange exchange = {.queue = queue, .producers = PRODUCERS};

    EXPECT_DONE(bk_workers_run(PRODUCERS + CONSUMERS, exchange_items, &exchange, op, &error));
    g_assert_cmpuint(atomic_load(&exchange.count), ==, PRODUCERS * ITEMS);
    g_assert_cmpuint(atomic_load(&exchange.sum), ==, (uint64_t)PRODUCERS * ITEMS * (ITEMS + 1) / 2);
}

static void
test_queue_order_and_close(void)
{
    g_autoptr(BkQueue) queue = bk_queue_new(3, NULL);
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    char items[] = "abc";
    void *item;

    for (size_t round = 0; round < 5; round++) { /* goes round in the ring */
        for (size_t i = 0; i < 2; i++)
            EXPECT_DONE(bk_queue_push(queue, &items[i], op, &error));
        for (size_t i = 0; i < 2; i++) {
            EXPECT_DONE(bk_queue_pop(queue, &item, op, &error));
            g_assert_true(item == &items[i]);
        }
    }
    EXPECT_DONE(bk_queue_push(queue, &items[2], op, &error));
    bk_queue_close(queue);
    bk_queue_close(queue);
    EXPECT_DONE(bk_queue_pop(queue, &item, op, &error)); /* what waits is still given out */
    g_assert_true(item == &items[2]);
    EXPECT_DONE(bk_queue_pop(queue, &item, op, &error));
    g_assert_null(item);
}

static void *
cancel_soon(void *data)
{
    g_usleep(20 * 1000);
    bk_op_cancel(data);
    return NULL;
}

static void
test_queue_cancel_ends_waiting(void)
{
    g_autoptr(BkQueue) queue = bk_queue_new(1, g_free);
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(BkOp) free_op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *kept = g_strdup("kept");
    pthread_t thread;
    void *item;

    g_assert_cmpint(pthread_create(&thread, NULL, cancel_soon, op), ==, 0);
    EXPECT_ERROR(bk_queue_pop(queue, &item, op, &error), BK_ERROR_CANCELLED);
    (void)pthread_join(thread, NULL);
    /* Full, and the caller still owns what did not get in. */
    EXPECT_DONE(bk_queue_push(queue, g_strdup("left"), free_op, &error));
    EXPECT_ERROR(bk_queue_push(queue, kept, op, &error), BK_ERROR_CANCELLED);
    bk_op_set_deadline(free_op, g_get_monotonic_time() + 1000);
    EXPECT_ERROR(bk_queue_push(queue, kept, free_op, &error), BK_ERROR_TIMEOUT);
}

static bool
fail_or_wait(unsigned index, void *data, BkOp *op, GError **error)
{
    (void)data;
    if (index == 2)
        return bk_throw(error, BK_ERROR_STORE, "the first one");
    return bk_op_sleep(op, 60 * BK_USEC_PER_SEC, error);
}

static void
test_workers_first_error_wins(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(bk_workers_run(4, fail_or_wait, NULL, op, &error));
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_STORE);
    g_assert_cmpstr(error->message, ==, "the first one");
    g_assert_false(bk_op_is_cancelled(op)); /* only the team was */
}

static bool
mark_index(unsigned index, void *data, BkOp *op, GError **error)
{
    atomic_uint *seen = data;

    (void)op;
    (void)error;
    atomic_fetch_or(seen, 1u << index);
    return true;
}

static void
test_workers_have_each_index_once(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    atomic_uint seen = 0;

    EXPECT_DONE(bk_workers_run(7, mark_index, &seen, op, &error));
    g_assert_cmpuint(atomic_load(&seen), ==, 0x7f);
}

static void
test_workers_end_with_their_caller(void)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;

    bk_op_set_deadline(op, g_get_monotonic_time() + 1000);
    EXPECT_ERROR(bk_workers_run(1, fail_or_wait, NULL, op, &error), BK_ERROR_TIMEOUT);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/op/cause", test_cause);
    g_test_add_func("/op/cause-after-cancelling", test_cause_after_cancelling);
    g_test_add_func("/op/children", test_children);
    g_test_add_func("/op/deadline", test_deadline);
    g_test_add_func("/op/patience", test_patience);
    g_test_add_func("/op/sleep", test_sleep);
    g_test_add_func("/op/progress-goes-to-the-top", test_progress_goes_to_the_top);
    g_test_add_func("/queue/moves-each-item-once", test_queue_moves_each_item_once);
    g_test_add_func("/queue/order-and-close", test_queue_order_and_close);
    g_test_add_func("/queue/cancel-ends-waiting", test_queue_cancel_ends_waiting);
    g_test_add_func("/workers/first-error-wins", test_workers_first_error_wins);
    g_test_add_func("/workers/have-each-index-once", test_workers_have_each_index_once);
    g_test_add_func("/workers/end-with-their-caller", test_workers_end_with_their_caller);
    return g_test_run();
}
