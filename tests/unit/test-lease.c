/* test-lease.c - one holder at a time, whatever dies or is late. */
#include "codec/wire.h"
#include "hook-store.h"
#include "repo-fixture.h"
#include "repo/lease-owner.h"
#include "repo/lease.h"
#include "store/cache.h"
#include "temp-dir.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static char other_host[] = "elsewhere";
static char other_boot[] = "another boot";
static const BkLeaseOwner elsewhere = {other_host, other_boot, 1, 1};

static const BkLeaseOptions plain = {0};
static const BkLeaseOptions breaking = {.break_held = true};
static const BkLeaseOptions brief = {.ttl_us = 90 * 1000};
static const int64_t year_us = 365 * 86400 * BK_USEC_PER_SEC;

static BkLease *
acquire(RepoFixture *self, const BkLeaseOptions *options)
{
    g_autoptr(GError) error = NULL;
    BkLease *lease = bk_lease_acquire(self->source_repo, options, self->op, &error);

    g_assert_no_error(error);
    g_assert_nonnull(lease);
    return lease;
}

/* Puts the state of epoch `epoch` as `holder` would. */
static void
put_state(RepoFixture *self, uint64_t epoch, int64_t expires_us, const BkLeaseOwner *holder)
{
    g_autofree char *name = g_strdup_printf("orders/lease/%016" G_GINT64_MODIFIER "x", epoch);
    const BkSealAs as = {bk_source_repo_keys(self->source_repo), BK_SEAL_LEASE, name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_wire_put_u8(&raw, 2);
    bk_wire_put_u64(&raw, epoch);
    bk_wire_put_u8(&raw, true);
    bk_wire_put_zigzag(&raw, expires_us);
    bk_lease_owner_encode(holder, &raw);
    bk_wire_put_u64(&raw, 1);
    bk_wire_put_bytes(&raw, NULL, 0);
    EXPECT_DONE(bk_seal(sealer, &as, raw.data, raw.size, &object, &error));
    EXPECT_DONE(bk_store_put(self->store, name, &object, self->op, &error));
}

static void
delete_epoch(RepoFixture *self, uint64_t epoch)
{
    g_autofree char *name = g_strdup_printf("orders/lease/%016" G_GINT64_MODIFIER "x", epoch);
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_delete(self->store, name, self->op, &error));
}

static void
test_held_once(RepoFixture *self, const void *data)
{
    g_autoptr(BkLease) lease = acquire(self, &plain);
    g_autoptr(GError) error = NULL;
    g_auto(BkLeaseInfo) info = {0};

    (void)data;
    EXPECT_ERROR(bk_lease_acquire(self->source_repo, &plain, self->op, &error) != NULL,
                 BK_ERROR_BUSY);
    EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
    g_assert_true(info.is_held);
    g_assert_false(info.is_dead);
    g_assert_cmpuint(info.epoch, ==, bk_lease_epoch(lease));
    g_assert_cmpint(info.expires_us, >, g_get_real_time());
    g_assert_nonnull(strstr(info.holder, g_get_host_name()));
}

static void
test_never_held(RepoFixture *self, const void *data)
{
    g_auto(BkLeaseInfo) info = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
    g_assert_false(info.is_held);
    g_assert_cmpuint(info.epoch, ==, 0);
    bk_lease_release(NULL);
}

/* Each step has a higher epoch, and only the newest object stays. */
static void
test_epoch_grows(RepoFixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    uint64_t last = 0;

    (void)data;
    for (int round = 0; round < 3; round++) {
        BkLease *lease = acquire(self, &plain);
        g_autoptr(GPtrArray) names = NULL;

        g_assert_cmpuint(bk_lease_epoch(lease), >, last);
        last = bk_lease_epoch(lease);
        EXPECT_DONE(bk_lease_confirm(lease, &error));
        g_assert_cmpuint(bk_lease_epoch(lease), >, last);
        last = bk_lease_epoch(lease);
        bk_lease_release(lease);
        names = repo_fixture_names(self->store, "orders/lease/", self->op);
        g_assert_cmpuint(names->len, ==, 1);
    }
}

static void
test_silent_holder_is_replaced(RepoFixture *self, const void *data)
{
    g_autoptr(BkLease) lease = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_state(self, 7, g_get_real_time() + 60 * BK_USEC_PER_SEC, &elsewhere);
    EXPECT_ERROR(bk_lease_acquire(self->source_repo, &plain, self->op, &error) != NULL,
                 BK_ERROR_BUSY);
    put_state(self, 8, g_get_real_time() - 1, &elsewhere);
    lease = acquire(self, &brief);
    g_assert_cmpuint(bk_lease_epoch(lease), ==, 9);
}

/* Also one whose clock was wrong, which does not lock the source for a year. */
static void
test_silent_owner_with_a_wrong_clock(RepoFixture *self, const void *data)
{
    const int64_t offsets_us[] = {year_us, -year_us};

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(offsets_us); i++) {
        BkLease *lease;

        put_state(self, 10 * (i + 1), g_get_real_time() + offsets_us[i], &elsewhere);
        lease = acquire(self, &brief);
        g_assert_true(bk_lease_was_left(lease));
        bk_lease_release(lease);
    }
}

typedef struct Renewal {
    RepoFixture *self;
    int64_t expires_us;
    uint64_t epoch;
} Renewal;

static void *
renew_later(void *data)
{
    const Renewal *renewal = data;

    g_usleep(100 * 1000);
    put_state(renewal->self, renewal->epoch, renewal->expires_us, &elsewhere);
    return NULL;
}

/* An owner that renews keeps its lease, whatever its clock or this one shows. */
static void
test_live_owner_with_a_wrong_clock(RepoFixture *self, const void *data)
{
    const int64_t offsets_us[] = {year_us, -year_us, -1};
    const BkLeaseOptions options = {.ttl_us = 6 * BK_USEC_PER_SEC};

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(offsets_us); i++) {
        int64_t expires_us = g_get_real_time() + offsets_us[i];
        Renewal renewal = {self, expires_us, 10 * (i + 1) + 1};
        g_autoptr(GError) error = NULL;
        pthread_t thread;

        put_state(self, 10 * (i + 1), expires_us, &elsewhere);
        g_assert_cmpint(pthread_create(&thread, NULL, renew_later, &renewal), ==, 0);
        EXPECT_ERROR(bk_lease_acquire(self->source_repo, &options, self->op, &error) != NULL,
                     BK_ERROR_BUSY);
        g_assert_cmpint(pthread_join(thread, NULL), ==, 0);
    }
}

/* A holder that was replaced fails at its next step, and giving up does no harm to the new one. */
static void
test_takeover_is_noticed(RepoFixture *self, const void *data)
{
    BkLease *first = acquire(self, &plain);
    g_autoptr(BkLease) second = acquire(self, &breaking);
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_ERROR(bk_lease_confirm(first, &error), BK_ERROR_LEASE_LOST);
    EXPECT_ERROR(bk_lease_confirm(first, &error), BK_ERROR_LEASE_LOST);
    bk_lease_release(first);
    EXPECT_DONE(bk_lease_confirm(second, &error));
}

/* Giving up what was taken over and has gone on since: the one given up counts for nothing. */
static void
test_given_up_late(RepoFixture *self, const void *data)
{
    BkLease *first = acquire(self, &plain);
    g_autoptr(BkLease) second = acquire(self, &breaking);
    g_autoptr(GError) error = NULL;
    g_auto(BkLeaseInfo) info = {0};

    (void)data;
    EXPECT_DONE(bk_lease_confirm(second, &error));
    delete_epoch(self, bk_lease_epoch(second) - 1);
    bk_lease_release(first);
    EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
    g_assert_cmpuint(info.epoch, ==, bk_lease_epoch(second));
    g_assert_true(info.is_held);
    EXPECT_DONE(bk_lease_confirm(second, &error));
}

/* A holder that slept while another took over and went on finds the next name free, and fails all
 * the same. */
static void
test_taken_over_asleep(RepoFixture *self, const void *data)
{
    g_autoptr(BkLease) first = acquire(self, &plain);
    g_autoptr(BkLease) second = acquire(self, &breaking);
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_lease_confirm(second, &error));
    delete_epoch(self, bk_lease_epoch(second) - 1);
    EXPECT_ERROR(bk_lease_confirm(first, &error), BK_ERROR_LEASE_LOST);
    EXPECT_DONE(bk_lease_confirm(second, &error));
}

static bool
count_epoch(const BkStoreEntry *entry, void *data, GError **error)
{
    unsigned *count = data;

    (void)entry;
    (void)error;
    (*count)++;
    return true;
}

/* What holders that died have left is cleared away, a few at a time, and never the newest. */
static void
test_litter(RepoFixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    unsigned left = 20;

    (void)data;
    for (unsigned epoch = 1; epoch <= left; epoch++)
        put_state(self, epoch, g_get_real_time() - 1, &elsewhere);
    for (unsigned turn = 0; turn < 2; turn++) {
        BkLease *lease = acquire(self, &brief);

        EXPECT_DONE(bk_lease_confirm(lease, &error));
        bk_lease_release(lease);
        left = 0;
        EXPECT_DONE(bk_store_list(self->store, "orders/lease/", NULL, count_epoch, &left, self->op,
                                  &error));
        g_assert_cmpuint(left, <=, turn == 0 ? 20 + 3 - 16 : 2);
        g_assert_cmpuint(left, >=, 1);
    }
}

static void
test_damaged_lease(RepoFixture *self, const void *data)
{
    g_auto(BkBuf) rubbish = BK_BUF_INIT;
    g_autoptr(BkLease) lease = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_buf_append(&rubbish, "rubbish", 7);
    EXPECT_DONE(
        bk_store_put(self->store, "orders/lease/000000000000000a", &rubbish, self->op, &error));
    EXPECT_ERROR(bk_lease_acquire(self->source_repo, &plain, self->op, &error) != NULL,
                 BK_ERROR_CORRUPT);
    lease = acquire(self, &breaking);
    g_assert_cmpuint(bk_lease_epoch(lease), ==, 11);
}

static void
test_names_out_of_place(RepoFixture *self, const void *data)
{
    static const char *const names[] = {
        "orders/lease/000000000000000A", "orders/lease/1", "orders/lease/0x00000000000001",
        "orders/lease/-000000000000001", "orders/lease/.nfs0000000000a1"};
    g_autoptr(BkLease) lease = NULL;
    g_auto(BkBuf) rubbish = BK_BUF_INIT;
    g_auto(BkLeaseInfo) info = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    put_state(self, 7, g_get_real_time() - 1, &elsewhere);
    bk_buf_append(&rubbish, "rubbish", 7);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        EXPECT_DONE(bk_store_put(self->store, names[i], &rubbish, self->op, &error));
    EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
    g_assert_cmpuint(info.epoch, ==, 7);
    lease = acquire(self, &brief);
    g_assert_cmpuint(bk_lease_epoch(lease), ==, 8);
}

/* The state of one epoch under the name of another is not believed. */
static void
test_replayed_state(RepoFixture *self, const void *data)
{
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkLeaseInfo) info = {0};
    g_autoptr(GError) error = NULL;

    (void)data;
    put_state(self, 3, 0, &elsewhere);
    repo_fixture_get(self->store, "orders/lease/0000000000000003", &object, self->op);
    EXPECT_DONE(
        bk_store_put(self->store, "orders/lease/0000000000000009", &object, self->op, &error));
    EXPECT_ERROR(bk_lease_read(self->source_repo, &info, self->op, &error), BK_ERROR_CORRUPT);
}

/* A process of this host that died is recognised, however long its lease would last. */
static void
test_dead_holder(RepoFixture *self, const void *data)
{
    g_auto(BkLeaseOwner) holder = {0};
    g_auto(BkLeaseInfo) info = {0};
    g_autoptr(BkLease) lease = NULL;
    g_autoptr(GError) error = NULL;
    int ends[2];
    pid_t pid;

    (void)data;
    g_assert_cmpint(pipe(ends), ==, 0);
    pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        (void)!read(ends[0], &ends[0], 1); /* until the parent has looked */
        _exit(0);
    }
    (void)close(ends[0]);
    bk_lease_owner_init_self(&holder);
    g_assert_false(bk_lease_owner_is_dead(&holder));
    holder.pid = pid;
    g_assert_true(bk_lease_owner_is_dead(&holder)); /* that number started at another moment */
    put_state(self, 1, g_get_real_time() + 3600 * BK_USEC_PER_SEC, &holder);
    (void)close(ends[1]);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
    g_assert_true(info.is_held && info.is_dead);
    lease = acquire(self, &plain);
}

static void
test_holder_of_another_boot(void)
{
    g_auto(BkLeaseOwner) holder = {0};

    bk_lease_owner_init_self(&holder);
    holder.pid = INT64_MAX;
    g_assert_true(bk_lease_owner_is_dead(&holder));
    holder.boot[0] ^= 1;
    g_assert_false(bk_lease_owner_is_dead(&holder)); /* not certain */
}

/* The keeper renews in time: a lease far shorter than the work is still held at its end. */
static void
test_keeper_renews(RepoFixture *self, const void *data)
{
    const BkLeaseOptions tiny = {.ttl_us = 90 * 1000};
    g_autoptr(BkLease) lease = acquire(self, &tiny);
    uint64_t first = bk_lease_epoch(lease);
    g_autoptr(GError) error = NULL;
    int64_t end_us = g_get_monotonic_time() + 5 * BK_USEC_PER_SEC;

    (void)data;
    while (bk_lease_epoch(lease) < first + 4 && g_get_monotonic_time() < end_us)
        g_usleep(5 * 1000);
    g_assert_cmpuint(bk_lease_epoch(lease), >=, first + 4);
    EXPECT_DONE(bk_lease_confirm(lease, &error));
    g_assert_false(bk_op_is_cancelled(self->op));
}

/* The keeper that finds the lease taken ends the work, and the work says why. */
static void
test_keeper_cancels(RepoFixture *self, const void *data)
{
    const BkLeaseOptions tiny = {.ttl_us = 60 * 1000};
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;
    BkLease *first = bk_lease_acquire(self->source_repo, &tiny, op, &error);
    g_autoptr(BkLease) second = NULL;

    (void)data;
    g_assert_no_error(error);
    for (unsigned attempt = 0; second == NULL && attempt < 100; attempt++) {
        g_clear_error(&error); /* the keeper may have been first */
        second = bk_lease_acquire(self->source_repo, &breaking, self->op, &error);
    }
    g_assert_nonnull(second);
    EXPECT_ERROR(bk_op_sleep(op, 60 * BK_USEC_PER_SEC, &error), BK_ERROR_LEASE_LOST);
    g_clear_error(&error);
    bk_lease_release(first);
    EXPECT_DONE(bk_lease_confirm(second, &error));
}

/* A store that fails for a moment costs nothing: the next turn renews. */
static void
test_store_out_for_a_moment(RepoFixture *self, const void *data)
{
    g_autoptr(BkLease) lease = acquire(self, &plain);
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 1, BK_ERROR_STORE, false);
    EXPECT_ERROR(bk_lease_confirm(lease, &error), BK_ERROR_STORE);
    EXPECT_DONE(bk_lease_confirm(lease, &error));
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_LIST, 1, BK_ERROR_STORE, false);
    EXPECT_ERROR(bk_lease_confirm(lease, &error), BK_ERROR_STORE);
    EXPECT_DONE(bk_lease_confirm(lease, &error));
}

/* A put whose answer is lost has been done: by the store's own word at a second attempt, or found
 * at the next step. The lease is still held, and given up for good at the end. */
static void
test_lost_answers(RepoFixture *self, const void *data)
{
    static const BkErrorCode codes[] = {BK_ERROR_EXISTS, BK_ERROR_STORE};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_auto(BkLeaseInfo) info = {0};
        g_autoptr(GPtrArray) names = NULL;
        BkLease *lease = acquire(self, &plain);

        bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 1, codes[i], true);
        if (!bk_lease_confirm(lease, &error))
            EXPECT_ERROR(false, BK_ERROR_STORE);
        g_clear_error(&error);
        EXPECT_DONE(bk_lease_confirm(lease, &error));
        EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
        g_assert_true(info.is_held);
        g_assert_cmpuint(info.epoch, ==, bk_lease_epoch(lease));
        bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 1, codes[i], true);
        (void)!bk_lease_confirm(lease, NULL);
        bk_lease_release(lease);
        bk_lease_info_clear(&info);
        EXPECT_DONE(bk_lease_read(self->source_repo, &info, self->op, &error));
        g_assert_false(info.is_held);
        names = repo_fixture_names(self->store, "orders/lease/", self->op);
        g_assert_cmpuint(names->len, ==, 1);
    }
}

/* The same when the lease is taken. */
static void
test_lost_answer_to_the_first_put(RepoFixture *self, const void *data)
{
    g_autoptr(BkLease) lease = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 1, BK_ERROR_EXISTS, true);
    lease = acquire(self, &plain);
    EXPECT_DONE(bk_lease_confirm(lease, &error));
}

/* --- leases whose objects were deleted by somebody ----------------------------------------- */

static void
delete_all(RepoFixture *self)
{
    g_autoptr(GPtrArray) names = repo_fixture_names(self->store, "orders/lease/", self->op);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(names->len, >=, 1);
    for (guint i = 0; i < names->len; i++)
        EXPECT_DONE(bk_store_delete(self->store, g_ptr_array_index(names, i), self->op, &error));
}

/* A host to which the store is far away, and which notes what it gave up. */
typedef struct Host {
    char *directory;
    HookStore *hooked; /* owned by the repository */
    BkRepository *repository;
    BkSourceRepo *source_repo;
} Host;

static void
host_clear(Host *self)
{
    bk_source_repo_free(self->source_repo);
    bk_repository_free(self->repository);
    temp_dir_free(self->directory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Host, host_clear)

static void
host_init(Host *self, RepoFixture *fixture)
{
    g_autoptr(GError) error = NULL;

    self->directory = temp_dir_new();
    self->hooked = hook_store_new(fixture->store);
    self->repository = bk_repository_open(bk_store_cache_new(&self->hooked->base, self->directory),
                                          "local", &fixture->key, fixture->op, &error);
    g_assert_no_error(error);
    self->source_repo = bk_source_repo_open(self->repository, "orders", fixture->op, &error);
    g_assert_no_error(error);
}

/* Takes the lease and gives it up, so that the host has a note of that. */
static uint64_t
host_give_up(const Host *self, BkOp *op)
{
    g_autoptr(GError) error = NULL;
    BkLease *lease = bk_lease_acquire(self->source_repo, &plain, op, &error);
    uint64_t epoch;

    g_assert_no_error(error);
    epoch = bk_lease_epoch(lease);
    bk_lease_release(lease);
    return epoch + 1;
}

static BkLease *
host_acquire(const Host *self, BkOp *op)
{
    g_autoptr(GError) error = NULL;
    BkLease *lease = bk_lease_acquire(self->source_repo, &plain, op, &error);

    g_assert_no_error(error);
    return lease;
}

static void
expect_busy(const BkSourceRepo *source_repo, BkOp *op)
{
    g_autoptr(GError) error = NULL;

    EXPECT_ERROR(bk_lease_acquire(source_repo, &plain, op, &error) != NULL, BK_ERROR_BUSY);
}

static void
fail_by_call(void *data)
{
    (void)data;
    g_assert_not_reached();
}

/* A note leads to the next epoch without a question, and is proven by the objects. */
static void
test_after_own(RepoFixture *self, const void *data)
{
    g_auto(Host) host = {0};
    g_autoptr(BkLease) lease = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t given_up;

    (void)data;
    host_init(&host, self);
    given_up = host_give_up(&host, self->op);
    host.hooked->get = "lease/";
    host.hooked->hook = fail_by_call;
    lease = host_acquire(&host, self->op);
    g_assert_cmpuint(bk_lease_epoch(lease), ==, given_up + 1);
    EXPECT_DONE(bk_lease_confirm(lease, &error));
    expect_busy(self->source_repo, self->op);
}

/* Another host holds the lease, begun anew after all was gone: the note that is far above leads to
 * nothing, does the owner no harm, and is forgotten. */
static void
test_note_of_a_chain_that_vanished(RepoFixture *self, const void *data)
{
    g_auto(Host) host = {0};
    g_autoptr(GError) error = NULL;
    BkLease *lease;

    (void)data;
    host_init(&host, self);
    (void)host_give_up(&host, self->op);
    delete_all(self);
    lease = acquire(self, &plain);
    expect_busy(host.source_repo, self->op);
    EXPECT_DONE(bk_lease_confirm(lease, &error));
    host.hooked->name_part = "lease/";
    host.hooked->hook = fail_by_call;
    expect_busy(host.source_repo, self->op); /* without a put */
    host.hooked->name_part = NULL;
    EXPECT_DONE(bk_lease_confirm(lease, &error));
    bk_lease_release(lease);
    bk_lease_release(host_acquire(&host, self->op));
}

typedef struct Other {
    RepoFixture *self;
    BkLease *lease;
} Other;

static void
acquire_other(void *data)
{
    Other *other = data;

    other->lease = acquire(other->self, &plain);
}

/* The same when the other one takes it in the very moment. */
static void
test_note_and_another_at_once(RepoFixture *self, const void *data)
{
    g_auto(Host) host = {0};
    Other other = {self, NULL};
    g_autoptr(GError) error = NULL;

    (void)data;
    host_init(&host, self);
    (void)host_give_up(&host, self->op);
    delete_all(self);
    host.hooked->name_part = "lease/";
    host.hooked->hook = acquire_other;
    host.hooked->data = &other;
    expect_busy(host.source_repo, self->op);
    g_assert_nonnull(other.lease);
    EXPECT_DONE(bk_lease_confirm(other.lease, &error));
    bk_lease_release(other.lease);
}

/* Who held it when all vanished loses it once another has it, whoever of the two moves first, and
 * does not take it from that one again. */
static void
test_vanished_while_held(RepoFixture *self, const void *data)
{
    const bool is_far = GPOINTER_TO_INT(data) & 1;
    const bool takes_first = GPOINTER_TO_INT(data) & 2;
    const bool has_note = GPOINTER_TO_INT(data) & 4;
    g_autoptr(GError) error = NULL;
    g_auto(Host) old = {0};
    g_auto(Host) new = {0};
    BkLease *first, *second;

    host_init(&old, self);
    host_init(&new, self);
    if (has_note)
        (void)host_give_up(&new, self->op);
    first = is_far ? host_acquire(&old, self->op) : acquire(self, &plain);
    delete_all(self);
    second = host_acquire(&new, self->op);
    if (takes_first)
        EXPECT_DONE(bk_lease_confirm(second, &error));
    EXPECT_ERROR(bk_lease_confirm(first, &error), BK_ERROR_LEASE_LOST);
    EXPECT_ERROR(bk_lease_confirm(first, &error), BK_ERROR_LEASE_LOST);
    bk_lease_release(first);
    EXPECT_DONE(bk_lease_confirm(second, &error));
    expect_busy(self->source_repo, self->op);
    bk_lease_release(second);
    bk_lease_release(acquire(self, &plain));
}

/* Nobody has taken it since: it is lost all the same, and free. */
static void
test_vanished_and_not_taken(RepoFixture *self, const void *data)
{
    BkLease *lease = acquire(self, &plain);
    g_autoptr(GError) error = NULL;

    (void)data;
    delete_all(self);
    EXPECT_ERROR(bk_lease_confirm(lease, &error), BK_ERROR_LEASE_LOST);
    bk_lease_release(lease);
    bk_lease_release(acquire(self, &plain));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/lease/held-once", test_held_once);
    REPO_TEST("/lease/never-held", test_never_held);
    REPO_TEST("/lease/epoch-grows", test_epoch_grows);
    REPO_TEST("/lease/silent-holder-is-replaced", test_silent_holder_is_replaced);
    REPO_TEST("/lease/silent-owner-with-a-wrong-clock", test_silent_owner_with_a_wrong_clock);
    REPO_TEST("/lease/live-owner-with-a-wrong-clock", test_live_owner_with_a_wrong_clock);
    REPO_TEST("/lease/takeover-is-noticed", test_takeover_is_noticed);
    REPO_TEST("/lease/given-up-late", test_given_up_late);
    REPO_TEST("/lease/taken-over-asleep", test_taken_over_asleep);
    REPO_TEST("/lease/litter", test_litter);
    REPO_TEST("/lease/damaged-lease", test_damaged_lease);
    REPO_TEST("/lease/names-out-of-place", test_names_out_of_place);
    REPO_TEST("/lease/replayed-state", test_replayed_state);
    REPO_TEST("/lease/dead-holder", test_dead_holder);
    g_test_add_func("/lease/holder-of-another-boot", test_holder_of_another_boot);
    REPO_TEST("/lease/keeper-renews", test_keeper_renews);
    REPO_TEST("/lease/keeper-cancels", test_keeper_cancels);
    REPO_TEST("/lease/store-out-for-a-moment", test_store_out_for_a_moment);
    REPO_TEST("/lease/lost-answers", test_lost_answers);
    REPO_TEST("/lease/lost-answer-to-the-first-put", test_lost_answer_to_the_first_put);
    REPO_TEST("/lease/after-own", test_after_own);
    REPO_TEST("/lease/note-of-a-chain-that-vanished", test_note_of_a_chain_that_vanished);
    REPO_TEST("/lease/note-and-another-at-once", test_note_and_another_at_once);
    for (int i = 0; i < 8; i++) {
        g_autofree char *path = g_strdup_printf("/lease/vanished-while-held/%d", i);

        g_test_add(path, RepoFixture, GINT_TO_POINTER(i), repo_fixture_set_up,
                   test_vanished_while_held, repo_fixture_tear_down);
    }
    REPO_TEST("/lease/vanished-and-not-taken", test_vanished_and_not_taken);
    return g_test_run();
}
