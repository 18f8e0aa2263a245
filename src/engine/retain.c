#include "engine/retain.h"

#include "base/workers.h"

#include <stdatomic.h>
#include <string.h>

typedef struct Extension {
    const BkPart *part;
    GArray *packs; /* of BkPackRef */
    atomic_uint next;
} Extension;

void
bk_retain_init(BkRetain *self, int64_t started_us, BkSnapshot *parent)
{
    *self = (BkRetain){
        .taken_us = parent != NULL ? bk_snapshot_head(parent)->started_us : started_us,
        .made_us = started_us,
        .keys_us = parent != NULL ? bk_snapshot_head(parent)->started_us : INT64_MIN,
    };
}

/* Was the parent put into the part under a lock of such a time? Its manifest bears the one that all
 * it names had at least. */
static bool
find_parent(const BkPart *part, BkSnapshot *parent, bool *found, BkOp *op, GError **error)
{
    const BkSnapshotHead *head = bk_snapshot_head(parent);
    const int64_t lock_us = bk_store_lock_us(bk_part_store(part));
    g_autofree char *name = bk_part_object_name(part, "snapshots/%s", head->id);
    g_autoptr(GError) cause = NULL;
    int64_t until_us;

    *found = bk_store_get_lock(bk_part_store(part), name, &until_us, op, &cause);
    if (!*found)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    /* Stores keep seconds. */
    *found = until_us >= head->started_us + lock_us + lock_us / 4 - BK_USEC_PER_SEC;
    return true;
}

bool
bk_retain_begin(BkRetain *self, const BkPart *part, int64_t started_us, BkSnapshot *parent,
                BkOp *op, GError **error)
{
    bool found = true;

    bk_retain_init(self, started_us, parent);
    if (parent != NULL && bk_store_lock_us(bk_part_store(part)) > 0 &&
        !find_parent(part, parent, &found, op, error))
        return false;
    if (!found)
        self->taken_us = self->keys_us = INT64_MIN;
    return true;
}

/* Locked in this quarter, however early, and for five of them: four are left. */
bool
bk_retain_is_due(int64_t lock_us, int64_t since_us, int64_t now_us)
{
    const int64_t quarter_us = MAX(lock_us / 4, 1);

    return lock_us > 0 && since_us / quarter_us != now_us / quarter_us;
}

static bool
extend(unsigned index, void *data, BkOp *op, GError **error)
{
    Extension *self = data;
    unsigned next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < self->packs->len) {
        const BkPackRef *pack = &g_array_index(self->packs, BkPackRef, next);
        g_autofree char *name = bk_pack_object_name(self->part, pack->name);

        if (!bk_store_retain(bk_part_store(self->part), name, op, error))
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

static GArray *
choose_packs(const BkRetainRequest *request, bool takes_taken, bool takes_made)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(hash_name, is_same_name);
    g_autoptr(GArray) chosen = g_array_new(FALSE, FALSE, sizeof(BkPackRef));
    size_t count = 0;
    const BkPackRef *packs =
        request->parent != NULL ? bk_snapshot_packs(request->parent, &count) : NULL;

    for (size_t i = 0; i < count; i++)
        (void)g_hash_table_add(taken, (void *)(uintptr_t)packs[i].name);
    packs = bk_snapshot_packs(request->snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (g_hash_table_contains(taken, packs[i].name) ? takes_taken : takes_made)
            g_array_append_val(chosen, packs[i]);
    return g_steal_pointer(&chosen);
}

static bool
extend_all(const BkRetainRequest *request, GArray *packs, BkOp *op, GError **error)
{
    Extension extension = {.part = request->part, .packs = packs};
    BkOpProgress before;
    bool ok;

    if (packs->len == 0)
        return true;
    bk_op_get_progress(op, &before);
    bk_op_begin_phase(op, "extending locks", packs->len);
    ok = bk_workers_run(MIN(request->workers, packs->len), extend, &extension, op, error);
    bk_op_begin_phase(op, before.phase, before.total);
    bk_op_advance(op, before.done);
    return ok;
}

bool
bk_retain_packs(BkRetain *self, const BkRetainRequest *request, BkOp *op, GError **error)
{
    const int64_t lock_us = bk_store_lock_us(bk_part_store(request->part));
    bool is_taken_due = bk_retain_is_due(lock_us, self->taken_us, request->now_us);
    bool is_made_due = bk_retain_is_due(lock_us, self->made_us, request->now_us);
    g_autoptr(GArray) packs = NULL;

    if (!is_taken_due && !is_made_due)
        return true;
    packs = choose_packs(request, is_taken_due, is_made_due);
    if (!extend_all(request, packs, op, error))
        return false;
    if (is_taken_due)
        self->taken_us = request->now_us;
    if (is_made_due)
        self->made_us = request->now_us;
    return true;
}

bool
bk_retain_keys(BkRetain *self, const BkRetainRequest *request, BkOp *op, GError **error)
{
    const int64_t lock_us = bk_store_lock_us(bk_part_store(request->part));

    if (!bk_retain_is_due(lock_us, self->keys_us, request->now_us))
        return true;
    if (!bk_part_retain_keys(request->part, op, error))
        return false;
    self->keys_us = request->now_us;
    return true;
}
