/* copied-objects.c - copies objects of one source repository to another one. */
#include "engine/copy/copied-objects.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/workers.h"
#include "repo/reread.h"
#include "source/pg/archive/archive.h"

#include <stdatomic.h>
#include <string.h>

static void
replica_free(void *data)
{
    BkCopiedObject *self = data;

    g_clear_error(&self->cause);
    g_free(self);
}

bool
bk_copied_objects_open(BkCopiedObjects *self, BkOp *op, GError **error)
{
    bk_object_index_init(&self->there);
    self->replicas = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, replica_free);
    self->names = g_string_chunk_new((gsize)64 * 1024);
    return bk_object_index_load(&self->there, self->to, op, error);
}

void
bk_copied_objects_clear(BkCopiedObjects *self)
{
    bk_object_index_clear(&self->there);
    g_clear_pointer(&self->replicas, g_hash_table_unref);
    g_clear_pointer(&self->names, g_string_chunk_free);
    g_clear_error(&self->problem);
}

bool
bk_copied_objects_is_damage(const GError *error)
{
    return bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED) ||
           bk_error_is(error, BK_ERROR_ABSENT) || bk_error_is(error, BK_ERROR_NOT_FOUND);
}

void
bk_copied_objects_note(BkCopiedObjects *self, GError **cause)
{
    bk_log(BK_LOG_WARNING, "not copied: %s", (*cause)->message);
    self->report->damaged++;
    if (self->problem == NULL)
        self->problem = g_steal_pointer(cause);
    g_clear_error(cause);
}

/* Adds one, of which the destination's listing tells what it has. */
static BkCopiedObject *
add_copied_object(BkCopiedObjects *self, const char *name, uint64_t size, const GArray *there)
{
    const BkHeldObject *held = bk_held_find(there, name);
    BkCopiedObject *replica = g_new0(BkCopiedObject, 1);

    replica->name = g_string_chunk_insert(self->names, name);
    replica->base = bk_store_base_name(replica->name);
    replica->size = size;
    if (held != NULL)
        replica->state = held->size == size ? BK_COPIED_OBJECT_PRESENT : BK_COPIED_OBJECT_DOUBTED;
    if (replica->state == BK_COPIED_OBJECT_PRESENT)
        self->report->present++;
    (void)g_hash_table_insert(self->replicas, (void *)(uintptr_t)replica->name, replica);
    return replica;
}

BkCopiedObject *
bk_copied_objects_add_pack(BkCopiedObjects *self, const BkPackRef *ref)
{
    g_autofree char *name = bk_pack_object_name(self->to, ref->name);
    BkCopiedObject *replica = g_hash_table_lookup(self->replicas, name);

    if (replica != NULL)
        return replica;
    replica = add_copied_object(self, name, ref->size, self->there.packs);
    replica->is_pack = true;
    return replica;
}

BkCopiedObject *
bk_copied_objects_add_wal(BkCopiedObjects *self, const BkHeldObject *file)
{
    BkCopiedObject *replica = g_hash_table_lookup(self->replicas, file->name);

    if (replica != NULL)
        return replica;
    replica = add_copied_object(self, file->name, file->size, self->there.wal);
    replica->wal = file->wal;
    replica->system_id = file->system_id;
    return replica;
}

/* One crew of workers on their way through a list. */
typedef struct Crew {
    BkCopiedObjects *replicas;
    GPtrArray *list;
    bool for_manifest;
    int64_t lock_us;
    atomic_uint next;
} Crew;

/* What is put or retained now stays locked for a quarter longer than is promised: within that, a
 * lock need not be extended once more. */
static bool
is_lock_due(const BkCopiedObject *replica, int64_t lock_us)
{
    return lock_us > 0 &&
           (replica->locked_us == 0 || g_get_real_time() - replica->locked_us > lock_us / 4);
}

static bool
check_object(const BkCopiedObject *replica, const BkBuf *object, uint8_t digest[BK_SHA256_SIZE],
             GError **error)
{
    char text[2 * BK_SHA256_SIZE + 1];

    if (object->size != replica->size)
        return bk_throw(error, BK_ERROR_CORRUPT, "it has %zu bytes instead of %" G_GUINT64_FORMAT,
                        object->size, replica->size);
    bk_sha256(object->data, object->size, digest);
    if (!replica->is_pack)
        return bk_seal_check(object, error);
    bk_sha256_format(digest, text);
    return strcmp(text, replica->base) == 0 ||
           bk_throw(error, BK_ERROR_CORRUPT, "its SHA-256 is not its name");
}

static bool
read_object_once(const Crew *crew, const BkCopiedObject *replica, BkBuf *object,
                 uint8_t digest[BK_SHA256_SIZE], BkOp *op, GError **error)
{
    const BkSourceRepo *from = crew->replicas->from;
    const size_t limit = replica->is_pack ? BK_PACK_MAX_SIZE : 2 * BK_ARCHIVE_FILE_MAX;

    /* A pack's size is that in a manifest, which was proven. */
    return (replica->is_pack || bk_archive_prove_size(from, replica->system_id, replica->base,
                                                      &replica->wal, replica->size, op, error)) &&
           bk_store_get(bk_source_repo_store(from), replica->name, 0, SIZE_MAX,
                        (size_t)MIN(replica->size, limit), object, op, error) &&
           (check_object(replica, object, digest, error) ||
            bk_prefix(error, "object \"%s\" of repository \"%s\"", replica->name,
                      bk_source_repo_repository_name(from)));
}

/* What is damaged is read again, where that may help. */
static bool
read_whole(const Crew *crew, const BkCopiedObject *replica, BkBuf *object,
           uint8_t digest[BK_SHA256_SIZE], BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    do
        if (read_object_once(crew, replica, object, digest, op, &cause))
            return true;
    while (bk_reread_is_worth(bk_source_repo_store(crew->replicas->from), replica->name, &tries,
                              &cause, op));
    return bk_propagate(error, &cause);
}

/* There is another one, of which nothing may be lost. */
static bool
compare_with_destination(const Crew *crew, BkCopiedObject *replica, BkOp *op, GError **error)
{
    const BkCopiedObjects *replicas = crew->replicas;
    bool is_same = false;

    if (!replica->is_pack && !bk_archive_is_same(replicas->from, replicas->to, replica->system_id,
                                                 replica->base, &replica->wal, &is_same, op, error))
        return false;
    if (is_same) {
        replica->state = BK_COPIED_OBJECT_PRESENT;
        return true;
    }
    return bk_throw(error, BK_ERROR_CONFLICT,
                    "object \"%s\" of repository \"%s\" differs from that of repository \"%s\", "
                    "and is left unchanged",
                    replica->name, bk_source_repo_repository_name(replicas->to),
                    bk_source_repo_repository_name(replicas->from));
}

/* A failure to read is to be told from one to put: the former may be damage. */
static bool
put_copied_object(const Crew *crew, BkCopiedObject *replica, const BkBuf *object,
                  const uint8_t digest[BK_SHA256_SIZE], BkOp *op, GError **error)
{
    BkStore *to = bk_source_repo_store(crew->replicas->to);
    g_autoptr(GError) cause = NULL;

    if (!bk_fault(replica->is_pack ? BK_FAULT_COPY_PUT_PACK : BK_FAULT_COPY_PUT_WAL, error))
        return false;
    if (bk_store_put_hashed(to, replica->name, object, digest, op, &cause)) {
        replica->state = BK_COPIED_OBJECT_COPIED;
        replica->is_settled = true;
        replica->locked_us = g_get_real_time();
        return true;
    }
    if (!bk_error_is(cause, BK_ERROR_EXISTS))
        return bk_propagate(error, &cause);
    /* Another process was faster. A pack's name says what is in it. */
    replica->state = replica->is_pack ? BK_COPIED_OBJECT_PRESENT : BK_COPIED_OBJECT_DOUBTED;
    return true;
}

static bool
ensure_copied_durable(const Crew *crew, BkCopiedObject *replica, BkOp *op, GError **error)
{
    BkStore *to = bk_source_repo_store(crew->replicas->to);

    /* What is seen in a bucket is durable; asking for each would cost a request. */
    if (!replica->is_settled && !bk_store_is_remote(to) &&
        !bk_store_ensure_durable(to, replica->name, op, error))
        return false;
    replica->is_settled = true;
    bk_op_advance(op, 0); /* very many that are there already are progress, too */
    if (!is_lock_due(replica, crew->lock_us))
        return true;
    if (!bk_store_retain(to, replica->name, op, error))
        return false;
    replica->locked_us = g_get_real_time();
    return true;
}

/* Passes on what fails all; what is wrong with this one object is kept in it. */
static bool
give_up_object(BkCopiedObject *replica, GError **cause, GError **error)
{
    if (!bk_copied_objects_is_damage(*cause) && !bk_error_is(*cause, BK_ERROR_CONFLICT))
        return bk_propagate(error, cause);
    replica->state = BK_COPIED_OBJECT_BAD;
    replica->cause = g_steal_pointer(cause);
    return true;
}

static bool
bring_one(const Crew *crew, BkCopiedObject *replica, BkBuf *object, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    uint8_t digest[BK_SHA256_SIZE];

    if (replica->state == BK_COPIED_OBJECT_MISSING) {
        if (!read_whole(crew, replica, object, digest, op, &cause))
            return give_up_object(replica, &cause, error);
        if (!put_copied_object(crew, replica, object, digest, op, error))
            return false;
        bk_op_advance(op, replica->size);
    }
    if (replica->state == BK_COPIED_OBJECT_DOUBTED &&
        !compare_with_destination(crew, replica, op, &cause))
        return give_up_object(replica, &cause, error);
    return !crew->for_manifest || ensure_copied_durable(crew, replica, op, error);
}

static bool
run_copy_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Crew *crew = data;
    g_auto(BkBuf) object = BK_BUF_INIT;
    unsigned next;

    (void)index;
    while ((next = atomic_fetch_add(&crew->next, 1)) < crew->list->len)
        if (!bring_one(crew, g_ptr_array_index(crew->list, next), &object, op, error))
            return false;
    return true;
}

static bool
is_there(const BkCopiedObject *replica)
{
    return replica->state == BK_COPIED_OBJECT_PRESENT || replica->state == BK_COPIED_OBJECT_COPIED;
}

static bool
has_work(const BkCopiedObject *replica, const Crew *crew)
{
    if (replica->state == BK_COPIED_OBJECT_BAD)
        return false;
    return !is_there(replica) ||
           (crew->for_manifest && (!replica->is_settled || is_lock_due(replica, crew->lock_us)));
}

/* What became of one that was not there. */
static void
tally_copied_object(BkCopiedObjects *self, BkCopiedObject *replica)
{
    BkCopyReport *report = self->report;

    replica->is_listed = false;
    if (replica->was_there)
        return;
    if (replica->state == BK_COPIED_OBJECT_COPIED) {
        report->bytes += replica->size;
        if (replica->is_pack)
            report->packs++;
        else
            report->wal_files++;
    } else if (replica->state == BK_COPIED_OBJECT_PRESENT) {
        report->present++;
    } else if (replica->cause != NULL) {
        bk_copied_objects_note(self, &replica->cause);
    }
}

bool
bk_copied_objects_bring(BkCopiedObjects *self, const GPtrArray *wanted, bool for_manifest,
                        const char *phase, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    Crew crew = {
        .replicas = self,
        .list = list,
        .for_manifest = for_manifest,
        .lock_us = bk_store_lock_us(bk_source_repo_store(self->to)),
    };
    uint64_t bytes = 0;
    bool ok;

    for (guint i = 0; i < wanted->len; i++) {
        BkCopiedObject *replica = g_ptr_array_index(wanted, i);

        if (replica->is_listed || !has_work(replica, &crew))
            continue;
        replica->is_listed = true; /* once, whatever a manifest says: one worker has it */
        replica->was_there = is_there(replica);
        bytes += replica->state == BK_COPIED_OBJECT_MISSING ? replica->size : 0;
        g_ptr_array_add(list, replica);
    }
    if (list->len == 0)
        return true;
    bk_op_begin_phase(op, phase, bytes);
    ok = bk_workers_run(MIN(self->workers, list->len), run_copy_worker, &crew, op, error);
    for (guint i = 0; i < list->len; i++)
        tally_copied_object(self, g_ptr_array_index(list, i));
    return ok;
}
