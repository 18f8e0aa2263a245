/* lease.c - the lease of a source: which process may write its snapshots, and delete from it. */
#include "repo/lease.h"

#include "base/cond.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/secret.h"
#include "codec/extension.h"
#include "repo/lease-owner.h"
#include "repo/reread.h"

#include <pthread.h>
#include <string.h>

#define RELEASE_US    (10 * BK_USEC_PER_SEC)
#define EXPLAIN_US    (2 * BK_USEC_PER_SEC)
#define LEASE_VERSION 2
#define MAX_LEASE     16384
#define MAX_LITTER    16 /* deleted at once; where a bucket keeps versions, one by one */

struct BkLease {
    bool was_left; /* by the holder before */
    const BkSourceRepo *source_repo;
    BkOp *op;
    int64_t ttl_us;
    uint64_t token; /* never 0 */
    BkSealer *sealer;

    pthread_t keeper;
    bool has_keeper;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t stop_changed;
    bool stop;
    bool is_lost;       /* and stays so */
    int64_t renewed_us; /* when it was last proven to be held, monotonic */
    uint64_t epoch;
    uint64_t oldest; /* epoch that may still be there */
};

void
bk_lease_info_clear(BkLeaseInfo *self)
{
    g_free(self->holder);
    *self = (BkLeaseInfo){0};
}

/* 0: there is none. */
typedef struct Epochs {
    uint64_t lowest;
    uint64_t before; /* the highest but one */
    uint64_t highest;
} Epochs;

static bool
visit_epoch(const BkStoreEntry *entry, void *data, GError **error)
{
    Epochs *epochs = data;
    const char *base = bk_store_base_name(entry->name);
    uint64_t epoch = g_ascii_strtoull(base, NULL, 16);
    char expected[17];

    (void)error;
    (void)g_snprintf(expected, sizeof expected, "%016" G_GINT64_MODIFIER "x", epoch);
    if (strcmp(base, expected) != 0) {
        bk_repository_warn_foreign(entry->name, "the leases");
        return true;
    }
    if (epoch > epochs->highest) {
        epochs->before = epochs->highest;
        epochs->highest = epoch;
    } else {
        epochs->before = MAX(epochs->before, epoch);
    }
    epochs->lowest = epochs->lowest == 0 ? epoch : MIN(epochs->lowest, epoch);
    return true;
}

static char *
epoch_name(const BkSourceRepo *source_repo, uint64_t epoch)
{
    return bk_source_repo_object_name(source_repo, "lease/%016" G_GINT64_MODIFIER "x", epoch);
}

static bool
find_epochs(const BkSourceRepo *source_repo, Epochs *epochs, BkOp *op, GError **error)
{
    g_autofree char *prefix = bk_source_repo_object_name(source_repo, "lease/");

    *epochs = (Epochs){0};
    return bk_store_list(bk_source_repo_store(source_repo), prefix, NULL, visit_epoch, epochs, op,
                         error);
}

bool
bk_lease_info_decode(BkLeaseInfo *info, const BkBuf *raw, GError **error)
{
    g_auto(BkLeaseOwner) holder = {0};
    BkWireReader reader;
    uint64_t epoch;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    if (bk_wire_get_u8(&reader) != LEASE_VERSION)
        reader.failed = true;
    epoch = bk_wire_get_u64(&reader);
    info->is_held = bk_wire_get_u8(&reader) != 0;
    info->expires_us = bk_wire_get_zigzag(&reader);
    bk_lease_owner_decode(&holder, &reader);
    info->token = bk_wire_get_u64(&reader);
    if (epoch != info->epoch)
        reader.failed = true;
    if (!bk_extensions_end(&reader, "lease", error))
        return false;
    info->holder =
        g_strdup_printf("process %" G_GINT64_FORMAT " on host %s", holder.pid, holder.host);
    info->is_dead = info->is_held && bk_lease_owner_is_dead(&holder);
    return true;
}

static bool
read_epoch_once(const BkSourceRepo *source_repo, const char *name, BkLeaseInfo *info, BkOp *op,
                GError **error)
{
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_LEASE, name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    if (!bk_store_get(bk_source_repo_store(source_repo), name, 0, SIZE_MAX, MAX_LEASE, &object, op,
                      error))
        return false;
    if (!bk_unseal(opener, &as, &object, MAX_LEASE, &raw, error) ||
        !bk_lease_info_decode(info, &raw, error))
        return bk_prefix(error, "object \"%s\"", name);
    return true;
}

/* Reads the object of one epoch. It may be gone: its holder deletes it after the next one is put.
 */
static bool
read_epoch(const BkSourceRepo *source_repo, BkLeaseInfo *info, BkOp *op, GError **error)
{
    g_autofree char *name = epoch_name(source_repo, info->epoch);
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    while (!read_epoch_once(source_repo, name, info, op, &cause))
        if (!bk_reread_is_worth(bk_source_repo_store(source_repo), name, &tries, &cause, op))
            return bk_propagate(error, &cause);
    return true;
}

bool
bk_lease_read(const BkSourceRepo *source_repo, BkLeaseInfo *info, BkOp *op, GError **error)
{
    *info = (BkLeaseInfo){0};
    for (unsigned attempt = 0;; attempt++) {
        g_autoptr(GError) cause = NULL;
        Epochs epochs;

        if (!find_epochs(source_repo, &epochs, op, error))
            return false;
        info->epoch = epochs.highest;
        if (info->epoch == 0 || read_epoch(source_repo, info, op, &cause))
            return true;
        if (attempt == 10 || !bk_error_is(cause, BK_ERROR_ABSENT))
            return bk_propagate(error, &cause);
    }
}

/* Puts `epoch` as held or given up. Fails with BK_ERROR_EXISTS when another process was first. */
static bool
put_epoch(BkLease *self, uint64_t epoch, bool is_held, BkOp *op, GError **error)
{
    g_autofree char *name = epoch_name(self->source_repo, epoch);
    const BkSealAs as = {bk_source_repo_keys(self->source_repo), BK_SEAL_LEASE, name};
    g_auto(BkLeaseOwner) holder = {0};
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    bk_lease_owner_init_self(&holder);
    bk_wire_put_u8(&raw, LEASE_VERSION);
    bk_wire_put_u64(&raw, epoch);
    bk_wire_put_u8(&raw, is_held);
    bk_wire_put_zigzag(&raw, g_get_real_time() + self->ttl_us);
    bk_lease_owner_encode(&holder, &raw);
    bk_wire_put_u64(&raw, self->token);
    bk_extensions_put_none(&raw);
    if (!bk_seal(self->sealer, &as, raw.data, raw.size, &object, error))
        return false;
    return bk_store_put(bk_source_repo_store(self->source_repo), name, &object, op, error);
}

/* Only the newest epoch counts; what is before it is litter, which a holder that died may have
 * left, and it does not matter when it stays. */
static void
delete_litter(BkLease *self, BkOp *op)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) ignored = NULL;

    for (; self->oldest < self->epoch && names->len < MAX_LITTER; self->oldest++)
        g_ptr_array_add(names, epoch_name(self->source_repo, self->oldest));
    if (names->len == 1)
        (void)!bk_store_delete(bk_source_repo_store(self->source_repo), names->pdata[0], op,
                               &ignored);
    else if (names->len > 1)
        (void)!bk_store_delete_many(bk_source_repo_store(self->source_repo),
                                    (const char *const *)names->pdata, names->len, op, &ignored);
}

/* The lease is lost for good. Says so when this process itself let it run out: it was stopped, or
 * the store did not answer. */
static bool
lose(BkLease *self, GError **error)
{
    const int64_t silent_us = g_get_monotonic_time() - self->renewed_us;
    g_autofree char *silence =
        self->renewed_us != 0 && silent_us >= self->ttl_us
            ? g_strdup_printf(": this process had not renewed it for %" G_GINT64_FORMAT
                              " s (was it stopped, or did the repository not answer?)",
                              silent_us / BK_USEC_PER_SEC)
            : g_strdup("");

    self->is_lost = true;
    return bk_throw(error, BK_ERROR_LEASE_LOST,
                    "the lease of source \"%s\" in repository \"%s\" was taken over by another "
                    "process%s",
                    bk_source_repo_source(self->source_repo),
                    bk_repository_name(bk_source_repo_repository(self->source_repo)), silence);
}

/* Is the object of `epoch` one that this very lease has put, as held or given up? Then the answer
 * to that was lost. Fails with BK_ERROR_LEASE_LOST when it is not. */
static bool
find_own(BkLease *self, uint64_t epoch, bool *is_held, BkOp *op, GError **error)
{
    g_auto(BkLeaseInfo) info = {.epoch = epoch};
    g_autoptr(GError) cause = NULL;

    if (!read_epoch(self->source_repo, &info, op, &cause))
        return bk_error_is(cause, BK_ERROR_ABSENT) ? lose(self, error)
                                                   : bk_propagate(error, &cause);
    *is_held = info.is_held;
    return info.token == self->token || lose(self, error);
}

/* Puts `epoch`, or finds that it was put before. Sets `*is_held` to what the object says then.
 * Fails with BK_ERROR_LEASE_LOST when another process was first. */
static bool
take_epoch(BkLease *self, uint64_t epoch, bool *is_held, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (put_epoch(self, epoch, *is_held, op, &cause))
        return true;
    return bk_error_is(cause, BK_ERROR_EXISTS) ? find_own(self, epoch, is_held, op, error)
                                               : bk_propagate(error, &cause);
}

/* Puts the next epoch of the chain; the mutex is held. */
static bool
step(BkLease *self, bool is_held, BkOp *op, GError **error)
{
    bool found;

    if (self->is_lost)
        return lose(self, error);
    do {
        found = is_held;
        if (!take_epoch(self, self->epoch + 1, &found, op, error))
            return false;
        self->epoch++;
    } while (found != is_held);
    return true;
}

/* Sets `*is_next` if the epoch that was just put is the newest, and `before` the newest of the
 * others (0: there are no others). Nobody deletes that one before the next is put, unless the
 * lease's objects were removed by other hands; then another process may have begun them anew. */
static bool
look_behind(BkLease *self, uint64_t before, bool *is_next, BkOp *op, GError **error)
{
    Epochs epochs;

    if (!find_epochs(self->source_repo, &epochs, op, error))
        return false;
    *is_next = epochs.highest == self->epoch && epochs.before == before;
    if (*is_next)
        self->oldest = MIN(self->oldest, epochs.lowest);
    return true;
}

/* Takes back the epoch that was just put, and counts for nothing. */
static void
withdraw(const BkLease *self, BkOp *op)
{
    g_autofree char *name = epoch_name(self->source_repo, self->epoch);
    g_autoptr(GError) ignored = NULL;

    (void)!bk_store_delete(bk_source_repo_store(self->source_repo), name, op, &ignored);
}

/* The next step, and a look whether it is that: another process may have taken over, gone on, and
 * deleted what it had put under that name. The mutex is held. */
static bool
advance(BkLease *self, bool is_held, BkOp *op, GError **error)
{
    bool is_next = false;

    if (!step(self, is_held, op, error) || !look_behind(self, self->epoch - 1, &is_next, op, error))
        return false;
    if (!is_next) {
        withdraw(self, op);
        return lose(self, error);
    }
    self->renewed_us = g_get_monotonic_time();
    return true;
}

/* A listing that runs while a holder takes a step, which puts an object and deletes the one before,
 * may see neither. What was put on such ground counts for nothing. */
static bool
check_taken(BkLease *self, uint64_t before, BkOp *op, GError **error)
{
    bool is_next = false;

    if (!look_behind(self, before, &is_next, op, error))
        return false;
    if (is_next)
        return true;
    withdraw(self, op);
    return bk_throw(error, BK_ERROR_BUSY,
                    "the lease of the lease of source \"%s\" is held by another process",
                    bk_source_repo_source(self->source_repo));
}

/* Waits for a third of the time to live; false when the lease is to end. The mutex is held. */
static bool
wait_for_turn(BkLease *self)
{
    int64_t until_us = g_get_monotonic_time() + self->ttl_us / 3;
    struct timespec until = {
        .tv_sec = (time_t)(until_us / BK_USEC_PER_SEC),
        .tv_nsec = (long)(until_us % BK_USEC_PER_SEC) * 1000,
    };
    int result = 0;

    while (!self->stop && result == 0)
        result = pthread_cond_timedwait(&self->stop_changed, &self->mutex, &until);
    return !self->stop;
}

static void *
keep(void *data)
{
    BkLease *self = data;

    (void)pthread_mutex_lock(&self->mutex);
    while (wait_for_turn(self)) {
        g_autoptr(GError) error = NULL;

        /* A store that cannot be reached for a moment is tried again at the next turn; it is the
         * confirmation before the manifest that decides. */
        if (advance(self, true, self->op, &error)) {
            delete_litter(self, self->op);
        } else if (bk_error_is(error, BK_ERROR_LEASE_LOST)) {
            bk_op_fail(self->op, error);
            break;
        }
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static int64_t
default_ttl_us(void)
{
    return bk_fault_period_us("BACKSTAY_LEASE_TTL_MS", BK_LEASE_DEFAULT_TTL_US);
}

static bool
throw_held(const BkSourceRepo *source_repo, const BkLeaseInfo *info, GError **error)
{
    return bk_throw(
        error, BK_ERROR_BUSY,
        "the lease of source \"%s\" is held by %s: wait for it, or use --break-lease if it is dead",
        bk_source_repo_source(source_repo), info->holder);
}

/* Returns true if the time of expiry can be trusted to say that the lease is held: it lies ahead,
 * and not farther than what two clocks that are nearly right can make of one time to live. */
static bool
is_in_time(const BkLeaseInfo *info, int64_t ttl_us)
{
    int64_t left_us = info->expires_us - g_get_real_time();

    return left_us > 0 && left_us <= 2 * ttl_us;
}

/* Watches whether the owner still renews the lease, by this process's monotonic clock alone: the
 * wall clock of either may be wrong. Fails with BK_ERROR_BUSY when the owner does. */
static bool
watch_owner(const BkSourceRepo *source_repo, BkLeaseInfo *info, int64_t ttl_us, BkOp *op,
            GError **error)
{
    const int64_t end_us = g_get_monotonic_time() + ttl_us / 3 * 2; /* renewed after one third */
    const uint64_t watched = info->epoch;

    bk_log(BK_LOG_INFO,
           "the lease of source \"%s\" is held by %s and has expired, unless a clock is wrong: "
           "watching for %" G_GINT64_FORMAT " s whether it is renewed",
           bk_source_repo_source(source_repo), info->holder, ttl_us / 3 * 2 / BK_USEC_PER_SEC);
    while (g_get_monotonic_time() < end_us) {
        if (!bk_op_sleep(op, ttl_us / 12, error))
            return false;
        bk_lease_info_clear(info);
        if (!bk_lease_read(source_repo, info, op, error))
            return false;
        if (!info->is_held || info->is_dead)
            return true;
        if (info->epoch != watched)
            return throw_held(source_repo, info, error);
    }
    return true;
}

/* Returns true if nobody holds the lease any more. `info` is renewed. */
static bool
await_vacancy(const BkSourceRepo *source_repo, BkLeaseInfo *info, int64_t ttl_us, BkOp *op,
              GError **error)
{
    if (!info->is_held || info->is_dead)
        return true;
    return is_in_time(info, ttl_us) ? throw_held(source_repo, info, error)
                                    : watch_owner(source_repo, info, ttl_us, op, error);
}

static void
lease_free(BkLease *self)
{
    bk_sealer_free(self->sealer);
    (void)pthread_cond_destroy(&self->stop_changed);
    (void)pthread_mutex_destroy(&self->mutex);
    g_free(self);
}

static BkLease *
lease_new(const BkSourceRepo *source_repo, const BkLeaseOptions *options, BkOp *op, GError **error)
{
    BkLease *self;
    uint64_t token;

    if (!bk_random_fill(&token, sizeof token, error))
        return NULL;
    self = g_new0(BkLease, 1);
    self->source_repo = source_repo;
    self->op = op;
    self->ttl_us = options->ttl_us != 0 ? options->ttl_us : default_ttl_us();
    self->token = MAX(token, 1);
    self->sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    (void)pthread_mutex_init(&self->mutex, NULL);
    bk_cond_init(&self->stop_changed);
    return self;
}

/* Reads what is there, and sees to it that it may be replaced. */
static bool
find_vacancy(const BkSourceRepo *source_repo, const BkLeaseOptions *options, BkLeaseInfo *info,
             bool *is_damaged, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (bk_lease_read(source_repo, info, op, &cause))
        return options->break_held ||
               await_vacancy(source_repo, info,
                             options->ttl_us != 0 ? options->ttl_us : default_ttl_us(), op, error);
    /* A damaged lease must not lock a source for ever: its epoch is known from its name. */
    *is_damaged = options->break_held && bk_error_is(cause, BK_ERROR_CORRUPT);
    return *is_damaged || bk_propagate(error, &cause);
}

/* Notes the epoch that this host gave up last; 0: none that counts. */
static void
note_given_up(const BkLease *self, uint64_t epoch)
{
    g_autofree char *name = bk_source_repo_object_name(self->source_repo, "given-up");
    const BkSealAs as = {bk_source_repo_keys(self->source_repo), BK_SEAL_NOTE, name};
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    bk_wire_put_u64(&raw, epoch);
    if (bk_seal(self->sealer, &as, raw.data, raw.size, &note, NULL))
        bk_store_cache_put(bk_source_repo_store(self->source_repo), name, &note);
}

/* 0: nothing is noted. */
static uint64_t
recall_given_up(const BkSourceRepo *source_repo)
{
    g_autofree char *name = bk_source_repo_object_name(source_repo, "given-up");
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_NOTE, name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    BkWireReader reader;
    uint64_t epoch;

    if (!bk_store_cache_get(bk_source_repo_store(source_repo), name, &note) ||
        !bk_unseal(opener, &as, &note, MAX_LEASE, &raw, NULL))
        return 0;
    bk_wire_reader_init(&reader, raw.data, raw.size);
    epoch = bk_wire_get_u64(&reader);
    return bk_wire_end(&reader, "lease", NULL) && epoch < UINT64_MAX ? epoch : 0;
}

/* Takes the epoch behind the one that this host gave up last, without having asked. That is ours
 * alone when both are there and nothing is above them: whoever else had taken the lease meanwhile
 * would have had to put that very epoch first. NULL: then it is asked for. */
static BkLease *
take_after_own(const BkSourceRepo *source_repo, const BkLeaseOptions *options, BkOp *op)
{
    const uint64_t given_up = recall_given_up(source_repo);
    bool is_held = true;
    BkLease *self = given_up > 0 ? lease_new(source_repo, options, op, NULL) : NULL;

    if (self == NULL)
        return NULL;
    if (take_epoch(self, given_up + 1, &is_held, op, NULL)) {
        self->epoch = self->oldest = given_up + 1;
        if (check_taken(self, given_up, op, NULL))
            return self;
    }
    /* Tried again it might disturb an owner whose epochs are below. */
    note_given_up(self, 0);
    lease_free(self);
    return NULL;
}

/* Begins to renew it. */
static BkLease *
start_keeper(BkLease *self)
{
    self->renewed_us = g_get_monotonic_time();
    self->has_keeper = pthread_create(&self->keeper, NULL, keep, self) == 0;
    return self;
}

/* The number with which to go on. One that begins anew, since no object is there, takes none that
 * an owner may have had whose objects were deleted: that one would take it for its own. */
static uint64_t
next_epoch(const BkLease *self, const BkLeaseInfo *info)
{
    return info->epoch > 0 ? info->epoch + 1 : 1 + (self->token >> 32);
}

/* Puts the first epoch of this lease; `self` is freed when that fails. */
static BkLease *
begin(BkLease *self, const BkLeaseInfo *info, GError **error)
{
    const uint64_t epoch = next_epoch(self, info);
    g_autoptr(GError) cause = NULL;
    bool is_held = true;

    if (!take_epoch(self, epoch, &is_held, self->op, &cause)) {
        if (bk_error_is(cause, BK_ERROR_LEASE_LOST))
            bk_throw(error, BK_ERROR_BUSY,
                     "another process has just taken the lease of source \"%s\"",
                     bk_source_repo_source(self->source_repo));
        else
            bk_propagate(error, &cause);
        lease_free(self);
        return NULL;
    }
    self->epoch = self->oldest = epoch;
    if (!check_taken(self, info->epoch, self->op, error)) {
        lease_free(self);
        return NULL;
    }
    return start_keeper(self);
}

BkLease *
bk_lease_acquire(const BkSourceRepo *source_repo, const BkLeaseOptions *options, BkOp *op,
                 GError **error)
{
    g_auto(BkLeaseInfo) info = {0};
    bool is_damaged = false;
    BkLease *self = options->break_held ? NULL : take_after_own(source_repo, options, op);

    if (self != NULL)
        return start_keeper(self);
    if (!find_vacancy(source_repo, options, &info, &is_damaged, op, error))
        return NULL;
    self = lease_new(source_repo, options, op, error);
    if (self == NULL)
        return NULL;
    self->was_left = info.is_held || is_damaged;
    return begin(self, &info, error);
}

/* Returns true if a put is worth saving, and so much time is left that nothing but whether somebody
 * has broken the lease is to be proven. The mutex is held. */
static bool
is_look_enough(const BkLease *self)
{
    return bk_store_is_remote(bk_source_repo_store(self->source_repo)) &&
           g_get_monotonic_time() - self->renewed_us < self->ttl_us / 3;
}

static bool
confirm_fresh(BkLease *self, GError **error)
{
    Epochs epochs;

    return find_epochs(self->source_repo, &epochs, self->op, error) &&
           ((epochs.highest == self->epoch && !self->is_lost) || lose(self, error));
}

bool
bk_lease_confirm(BkLease *self, GError **error)
{
    bool held;

    (void)pthread_mutex_lock(&self->mutex);
    held = is_look_enough(self) ? confirm_fresh(self, error) : advance(self, true, self->op, error);
    (void)pthread_mutex_unlock(&self->mutex);
    return held;
}

void
bk_lease_explain(BkLease *self, GError **cause)
{
    g_autoptr(GError) lost = NULL;
    g_autoptr(BkOp) op = NULL; /* that of the work has failed */

    if (self == NULL || bk_error_is(*cause, BK_ERROR_LEASE_LOST))
        return;
    op = bk_op_new(NULL);
    bk_op_set_deadline(op, g_get_monotonic_time() + EXPLAIN_US);
    (void)pthread_mutex_lock(&self->mutex);
    if (g_get_monotonic_time() - self->renewed_us >= self->ttl_us)
        (void)!advance(self, true, op, &lost);
    (void)pthread_mutex_unlock(&self->mutex);
    if (!bk_error_is(lost, BK_ERROR_LEASE_LOST))
        return;
    bk_log(BK_LOG_INFO, "%s", (*cause)->message);
    g_clear_error(cause);
    *cause = g_steal_pointer(&lost);
}

bool
bk_lease_was_left(const BkLease *self)
{
    return self->was_left;
}

uint64_t
bk_lease_epoch(BkLease *self)
{
    uint64_t epoch;

    (void)pthread_mutex_lock(&self->mutex);
    epoch = self->epoch;
    (void)pthread_mutex_unlock(&self->mutex);
    return epoch;
}

void
bk_lease_release_within(BkLease *self, int64_t timeout_us)
{
    g_autoptr(GError) ignored = NULL;
    /* Also after cancelling: the operation's own state must not keep us from giving up. */
    g_autoptr(BkOp) op = NULL;

    if (self == NULL)
        return;
    op = bk_op_new(NULL);
    bk_op_set_deadline(op, g_get_monotonic_time() + timeout_us);
    (void)pthread_mutex_lock(&self->mutex);
    self->stop = true;
    (void)pthread_cond_signal(&self->stop_changed);
    (void)pthread_mutex_unlock(&self->mutex);
    if (self->has_keeper)
        (void)pthread_join(self->keeper, NULL);
    /* Whoever took over has a higher epoch, next to which one that is given up counts for nothing.
     */
    if (step(self, false, op, &ignored))
        note_given_up(self, self->epoch);
    else
        g_clear_error(&ignored);
    /* In a bucket that is a request, which is made only for many. */
    if (!bk_store_is_remote(bk_source_repo_store(self->source_repo)) ||
        self->epoch - self->oldest >= MAX_LITTER)
        delete_litter(self, op);
    bk_op_add_requests(self->op, op);
    lease_free(self);
}

void
bk_lease_release(BkLease *self)
{
    bk_lease_release_within(self, RELEASE_US);
}
