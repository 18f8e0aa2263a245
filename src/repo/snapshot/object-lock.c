/* object-lock.c - keeps what a snapshot needs locked, in stores that lock: its packs and the keys.
 */
#include "repo/snapshot/object-lock.h"

#include "base/workers.h"

#include <stdatomic.h>
#include <string.h>

typedef struct Extension {
    const BkSourceRepo *source_repo;
    GPtrArray *names; /* of char *: objects */
    atomic_uint next;
} Extension;

void
bk_object_lock_init(BkObjectLock *self, int64_t started_us, BkSnapshot *parent)
{
    *self = (BkObjectLock){
        .taken_us = parent != NULL ? bk_snapshot_head(parent)->started_us : started_us,
        .made_us = started_us,
        .log_us = started_us,
        .keys_us = parent != NULL ? bk_snapshot_head(parent)->started_us : INT64_MIN,
    };
}

/* Returns true if the parent was put there under a lock of such a time. Its manifest has the one
 * that all it names had at least. */
static bool
find_locked_parent(const BkSourceRepo *source_repo, BkSnapshot *parent, bool *found, BkOp *op,
                   GError **error)
{
    const BkSnapshotHead *head = bk_snapshot_head(parent);
    const int64_t lock_us = bk_store_lock_us(bk_source_repo_store(source_repo));
    g_autofree char *name = bk_source_repo_object_name(source_repo, "snapshots/%s", head->id);
    g_autoptr(GError) cause = NULL;
    int64_t until_us;

    *found = bk_store_get_lock(bk_source_repo_store(source_repo), name, &until_us, op, &cause);
    if (!*found)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    /* Stores keep seconds. */
    *found = until_us >= head->started_us + lock_us + lock_us / 4 - BK_USEC_PER_SEC;
    return true;
}

bool
bk_object_lock_begin(BkObjectLock *self, const BkSourceRepo *source_repo, int64_t started_us,
                     BkSnapshot *parent, BkOp *op, GError **error)
{
    bool found = true;

    bk_object_lock_init(self, started_us, parent);
    if (parent != NULL && bk_store_lock_us(bk_source_repo_store(source_repo)) > 0 &&
        !find_locked_parent(source_repo, parent, &found, op, error))
        return false;
    if (!found)
        self->taken_us = self->keys_us = INT64_MIN;
    return true;
}

/* Locked in this quarter, however early, and for five of them: four are left. */
bool
bk_object_lock_is_due(int64_t lock_us, int64_t since_us, int64_t now_us)
{
    const int64_t quarter_us = MAX(lock_us / 4, 1);

    return lock_us > 0 && since_us / quarter_us != now_us / quarter_us;
}

static bool
run_extension(unsigned index, void *data, BkOp *op, GError **error)
{
    Extension *self = data;
    unsigned next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < self->names->len) {
        const char *name = g_ptr_array_index(self->names, next);

        if (!bk_store_retain(bk_source_repo_store(self->source_repo), name, op, error))
            return false;
        bk_op_advance(op, 1);
    }
    return true;
}

static guint
hash_name(const void *key)
{
    guint hash;

    memcpy(&hash, key, sizeof hash); /* a digest is as good as any */
    return hash;
}

static gboolean
is_same_name(const void *left, const void *right)
{
    return memcmp(left, right, BK_SHA256_SIZE) == 0;
}

static GPtrArray *
choose_packs(const BkObjectLockRequest *request, bool takes_taken, bool takes_made)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(hash_name, is_same_name);
    g_autoptr(GPtrArray) chosen = g_ptr_array_new_with_free_func(g_free);
    size_t count = 0;
    const BkPackRef *packs =
        request->parent != NULL ? bk_snapshot_packs(request->parent, &count) : NULL;

    for (size_t i = 0; i < count; i++)
        (void)g_hash_table_add(taken, (void *)(uintptr_t)packs[i].name);
    packs = bk_snapshot_packs(request->snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (g_hash_table_contains(taken, packs[i].name) ? takes_taken : takes_made)
            g_ptr_array_add(chosen, bk_pack_object_name(request->source_repo, packs[i].name));
    return g_steal_pointer(&chosen);
}

bool
bk_object_lock_extend(const BkObjectLockRequest *request, GPtrArray *names, BkOp *op,
                      GError **error)
{
    Extension extension = {.source_repo = request->source_repo, .names = names};
    BkOpProgress before;
    bool ok;

    if (names->len == 0)
        return true;
    bk_op_get_progress(op, &before);
    bk_op_begin_phase(op, "extending locks", names->len);
    ok = bk_workers_run(MIN(request->workers, names->len), run_extension, &extension, op, error);
    bk_op_begin_phase(op, before.phase, before.total);
    bk_op_advance(op, before.done);
    return ok;
}

bool
bk_object_lock_packs(BkObjectLock *self, const BkObjectLockRequest *request, BkOp *op,
                     GError **error)
{
    const int64_t lock_us = bk_store_lock_us(bk_source_repo_store(request->source_repo));
    bool is_taken_due = bk_object_lock_is_due(lock_us, self->taken_us, request->now_us);
    bool is_made_due = bk_object_lock_is_due(lock_us, self->made_us, request->now_us);
    g_autoptr(GPtrArray) packs = NULL;

    if (!is_taken_due && !is_made_due)
        return true;
    packs = choose_packs(request, is_taken_due, is_made_due);
    if (!bk_object_lock_extend(request, packs, op, error))
        return false;
    if (is_taken_due)
        self->taken_us = request->now_us;
    if (is_made_due)
        self->made_us = request->now_us;
    return true;
}

bool
bk_object_lock_keys(BkObjectLock *self, const BkObjectLockRequest *request, BkOp *op,
                    GError **error)
{
    const int64_t lock_us = bk_store_lock_us(bk_source_repo_store(request->source_repo));

    if (!bk_object_lock_is_due(lock_us, self->keys_us, request->now_us))
        return true;
    if (!bk_source_repo_retain_keys(request->source_repo, op, error))
        return false;
    self->keys_us = request->now_us;
    return true;
}
