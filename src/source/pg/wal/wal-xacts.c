/* wal-xacts.c - which committed transactions of a stretch of WAL destroyed data, and which data.
 *
 * What a transaction did is collected under its xid until it ends; only then is it judged:
 *
 *   record ──► BkWalEvent ──► Xact (by xid): files used, rows of pg_class changed
 *                               │ subtransactions are merged into their parent at its commit
 *              commit ──► bk_wal_xact_judge, by the catalogs as they were before ──► on_xact
 *                     ──► bk_wal_xact_apply: its changes become visible in the catalogs
 *              abort  ──► its changes are forgotten
 *              crash  ──► no record ends it: the next record of running transactions drops what is
 *                         older than the oldest of them (forget_older)
 *
 * What can happen, and what follows:
 * - The WAL begins in the middle of a transaction: what came before is unknown; its commit is
 *   judged by what is known, and files that it drops are named by the catalogs alone.
 * - Too many transactions, files or rows at once: further ones are not followed. They are counted
 *   (untracked), or the transaction is marked partial.
 * - DROP DATABASE removes files before it commits. Recovery must stop before the removal, or,
 *   where the server has marked the row of pg_database as invalid first (an in-place update
 *   outside of any transaction, by newer minor versions), before that mark. The last marks are
 *   kept, and one counts when the deletion of the same row follows within 16 MiB of WAL.
 * - Hints and images: a full-page image of pg_class or pg_namespace is read into the catalogs,
 *   since it may have rows that no record since the snapshot has told. */
#include "source/pg/wal/wal-xacts.h"

#include "source/pg/wal/wal-events.h"
#include "source/pg/wal/wal-image.h"
#include "source/pg/wal/wal-sequence.h"
#include "source/pg/wal/wal-xact.h"

#include <string.h>

/* A row of pg_database that was written over in place and in no transaction: the server so marks a
 * database that it is about to drop, and VACUUM notes ages. */
typedef struct Mark {
    uint32_t block;
    uint16_t offset;
    BkLsn lsn;
} Mark;

#define MARKS_MAX 64
/* What lies between the mark and the deletion of the row is a moment's work of other sessions. */
#define MARK_DISTANCE_MAX ((BkLsn)16 * 1024 * 1024)

struct BkWalXacts {
    BkWalXactsOptions options;
    GHashTable *xacts; /* xid -> Xact */
    Xact *last;        /* of them, or NULL */
    uint64_t items;    /* of all of them */
    uint64_t untracked;
    BkWalCatalogs catalogs;
    Mark marks[MARKS_MAX];
    size_t next_mark;
    uint8_t page[BK_PG_PAGE_SIZE];
    BkWalSequence sequence;

    /* While a segment is scanned. */
    BkWalXactsSegment *told;
};

static void *
make_xid_key(uint64_t number)
{
    return (void *)(uintptr_t)number;
}

static bool take_event(const BkWalRecord *record, void *user, GError **error);

BkWalXacts *
bk_wal_xacts_new(const BkWalXactsOptions *options)
{
    BkWalXacts *self = g_new0(BkWalXacts, 1);

    self->options = *options;
    self->sequence = (BkWalSequence){.on_record = take_event, .user = self};
    self->xacts = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)bk_wal_xact_free);
    self->catalogs.major = options->major;
    self->catalogs.open = options->open_catalog;
    self->catalogs.user = options->user;
    self->catalogs.table =
        g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)bk_relation_names_free);
    return self;
}

void
bk_wal_xacts_free(BkWalXacts *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->xacts);
    g_hash_table_unref(self->catalogs.table);
    bk_wal_sequence_clear(&self->sequence);
    g_free(self);
}

static Xact *
find_xact(BkWalXacts *self, uint32_t xid)
{
    if (self->last == NULL || self->last->xid != xid)
        self->last = g_hash_table_lookup(self->xacts, make_xid_key(xid));
    return self->last;
}

/* NULL when there are too many. */
static Xact *
make_xact(BkWalXacts *self, uint32_t xid)
{
    Xact *xact = xid != BK_WAL_XID_NONE ? find_xact(self, xid) : NULL;

    if (xact != NULL || xid == BK_WAL_XID_NONE)
        return xact;
    if (g_hash_table_size(self->xacts) >= BK_WAL_XACTS_MAX) {
        self->untracked++;
        return NULL;
    }
    xact = bk_wal_xact_new(xid);
    g_hash_table_insert(self->xacts, make_xid_key(xid), xact);
    self->last = xact;
    return xact;
}

static void
forget_xact(BkWalXacts *self, uint32_t xid)
{
    const Xact *xact = g_hash_table_lookup(self->xacts, make_xid_key(xid));

    if (xact == NULL)
        return;
    self->items -= bk_wal_xact_items(xact);
    self->last = NULL;
    g_hash_table_remove(self->xacts, make_xid_key(xid));
}

/* Is there room for one more item? Otherwise what the transaction did is not all told. */
static bool
has_item_room(BkWalXacts *self, Xact *xact)
{
    if (self->items < BK_WAL_XACTS_ITEMS_MAX)
        return true;
    xact->is_partial = true;
    return false;
}

static FileUse *
use_file(BkWalXacts *self, Xact *xact, const BkForkKey *fork)
{
    FileUse *use = bk_wal_xact_find_file(xact, fork);

    if (use != NULL || !has_item_room(self, xact))
        return use;
    self->items++;
    return bk_wal_xact_add_file(xact, fork);
}

static void
add_op(BkWalXacts *self, Xact *xact, const RowOp *op)
{
    if (!has_item_room(self, xact))
        return;
    self->items++;
    bk_wal_xact_add_op(xact, op);
}

/* A record that is being looked at. */
typedef struct Context {
    const BkWalRecord *record;
    uint16_t magic;
    BkWalParts parts;
    BkWalEvent event;
} Context;

static void
note_class_row(BkWalXacts *self, const Context *context, BkRelationNames *catalog)
{
    const BkWalEvent *event = &context->event;
    Xact *xact = make_xact(self, event->xid);
    RowOp op = {
        .lsn = context->record->lsn,
        .database = event->fork.database,
        .at = {event->block, event->offset},
    };
    BkRelationNamesRow row;
    BkPgRelation relation;

    if (xact == NULL)
        return;
    if (event->kind == BK_WAL_EVENT_DELETE) {
        op.kind = ROW_DELETED;
        op.old = op.at;
        op.oid = bk_relation_names_oid_at(catalog, &op.at);
    } else {
        op.kind = event->kind == BK_WAL_EVENT_UPDATE ? ROW_CHANGED : ROW_ADDED;
        op.old = (BkRelationNamesPlace){event->old_block, event->old_offset};
        if (bk_wal_event_find_row(context->record, context->magic, &context->parts, event,
                                  self->page, &row) &&
            bk_relation_names_note_row(catalog, &op.at, &row, &relation)) {
            op.oid = relation.oid;
            op.relation = &relation;
        } else if (op.kind == ROW_CHANGED) {
            op.oid = bk_relation_names_oid_at(catalog, &op.old);
        }
    }
    add_op(self, xact, &op);
}

static void
note_named_row(BkWalXacts *self, const Context *context, BkRelationNames *catalog)
{
    BkRelationNamesRow row;

    if (context->event.kind != BK_WAL_EVENT_DELETE &&
        bk_wal_event_find_row(context->record, context->magic, &context->parts, &context->event,
                              self->page, &row) &&
        row.prefix == 0)
        bk_relation_names_note_name(catalog, row.data, row.size);
}

static void
note_database_row(BkWalXacts *self, const Context *context, BkRelationNames *shared)
{
    const BkWalEvent *event = &context->event;
    Xact *xact;

    if (event->kind == BK_WAL_EVENT_INPLACE) {
        if (!bk_wal_event_may_invalidate(context->record, context->magic, &context->parts, event,
                                         self->page))
            return;
        self->marks[self->next_mark++ % MARKS_MAX] =
            (Mark){event->block, event->offset, context->record->lsn};
        return;
    }
    note_named_row(self, context, shared);
    if (event->kind != BK_WAL_EVENT_DELETE)
        return;
    xact = make_xact(self, event->xid);
    for (size_t i = 0; xact != NULL && i < MARKS_MAX; i++) {
        const Mark *mark = &self->marks[i];

        if (mark->lsn > xact->mark_lsn && mark->block == event->block &&
            mark->offset == event->offset && context->record->lsn - mark->lsn <= MARK_DISTANCE_MAX)
            xact->mark_lsn = mark->lsn;
    }
}

static void
note_deletion(BkWalXacts *self, const Context *context)
{
    const BkWalEvent *event = &context->event;
    FileUse *use;
    Xact *xact;

    if (event->fork.file_node < BK_PG_FIRST_USER_OID &&
        event->fork.file_node != BK_PG_LARGE_OBJECT_OID)
        return;
    xact = make_xact(self, event->xid);
    use = xact != NULL ? use_file(self, xact, &event->fork) : NULL;
    if (use != NULL)
        use->rows++;
}

static void
note_row(BkWalXacts *self, const Context *context)
{
    const BkWalEvent *event = &context->event;
    const uint32_t node = event->fork.file_node;
    BkRelationNames *catalog = bk_wal_catalogs_get(&self->catalogs, event->fork.database);

    if (event->fork.database == 0 && node == bk_relation_names_databases_node(catalog))
        note_database_row(self, context, catalog);
    else if (event->kind == BK_WAL_EVENT_INPLACE)
        return; /* changes none of what is looked at */
    else if (event->fork.database != 0 && node == bk_relation_names_class_node(catalog))
        note_class_row(self, context, catalog);
    else if (event->fork.database != 0 && node == bk_relation_names_schemas_node(catalog))
        note_named_row(self, context, catalog);
    else if (event->kind == BK_WAL_EVENT_DELETE)
        note_deletion(self, context);
}

static void
note_created_file(BkWalXacts *self, const BkWalEvent *event)
{
    Xact *xact;
    FileUse *use;

    if (event->fork.fork != BK_FORK_MAIN)
        return;
    xact = make_xact(self, event->xid);
    use = xact != NULL ? use_file(self, xact, &event->fork) : NULL;
    if (use != NULL)
        use->is_created = true;
}

static void
note_dropped_database(BkWalXacts *self, const Context *context)
{
    Xact *xact = make_xact(self, context->event.xid);

    if (xact == NULL || xact->database_lsn != 0)
        return;
    xact->database = context->event.database;
    xact->database_lsn = context->record->lsn;
}

/* What was opened of a database before its files came is of no worth. */
static void
note_copied_database(BkWalXacts *self, const BkWalEvent *event)
{
    const BkRelationNames *from = bk_wal_catalogs_get(&self->catalogs, event->from);

    if (event->database == 0 || event->database == event->from ||
        self->catalogs.held >= BK_RELATION_NAMES_ALL_MAX ||
        g_hash_table_size(self->catalogs.table) >= BK_WAL_CATALOGS_MAX)
        return;
    bk_wal_catalogs_set(&self->catalogs, event->database,
                        bk_relation_names_copy(from, event->database));
}

static void
note_images(BkWalXacts *self, const Context *context)
{
    for (unsigned i = 0; i < context->parts.refs_count; i++) {
        const BkWalRef *ref = &context->parts.refs[i];
        BkRelationNames *catalog;
        BkWalContent content;
        bool is_class;

        if (ref->fork.database == 0 || ref->fork.fork != BK_FORK_MAIN)
            continue;
        catalog = bk_wal_catalogs_get(&self->catalogs, ref->fork.database);
        is_class = ref->fork.file_node == bk_relation_names_class_node(catalog);
        if ((!is_class && ref->fork.file_node != bk_relation_names_schemas_node(catalog)) ||
            !bk_wal_content_find(context->record, context->magic, &context->parts, i, &content) ||
            !bk_wal_content_restore(&content, self->page))
            continue;
        if (is_class)
            bk_relation_names_add_relations(catalog, self->page, ref->block);
        else
            bk_relation_names_add_names(catalog, self->page);
    }
}

static void
note_map(BkWalXacts *self, const BkWalEvent *event)
{
    Xact *xact = make_xact(self, event->xid);

    if (xact != NULL)
        xact->has_map = true;
    bk_relation_names_set_map(bk_wal_catalogs_get(&self->catalogs, event->database), event->data,
                              event->size);
}

static gboolean
is_over(void *key, void *value, void *user)
{
    BkWalXacts *self = ((void **)user)[0];
    const uint32_t oldest = *(uint32_t *)((void **)user)[1];
    const Xact *xact = value;

    (void)key;
    if ((int32_t)(xact->xid - oldest) >= 0)
        return FALSE;
    self->items -= bk_wal_xact_items(xact);
    return TRUE;
}

/* A crash ends transactions without a record. */
static void
forget_older_xacts(BkWalXacts *self, uint32_t oldest)
{
    void *user[] = {self, &oldest};

    self->last = NULL;
    (void)g_hash_table_foreach_remove(self->xacts, is_over, user);
}

/* Brings what its subtransactions did into the transaction, and forgets them. */
static Xact *
collect_subxacts(BkWalXacts *self, const BkWalEvent *event)
{
    Xact *xact = find_xact(self, event->xid);

    for (size_t i = 0; i < event->subxacts.count; i++) {
        uint32_t xid = bk_wal_list_xid(&event->subxacts, i);
        Xact *sub = xid != event->xid ? g_hash_table_lookup(self->xacts, make_xid_key(xid)) : NULL;

        if (sub == NULL)
            continue;
        if (xact == NULL)
            xact = make_xact(self, event->xid);
        if (xact != NULL) {
            self->items -= bk_wal_xact_items(xact) + bk_wal_xact_items(sub);
            bk_wal_xact_merge(xact, sub);
            self->items += bk_wal_xact_items(xact);
        }
        forget_xact(self, xid);
    }
    self->last = NULL;
    return xact;
}

static bool
note_xact_commit(BkWalXacts *self, const Context *context, GError **error)
{
    const BkWalEvent *event = &context->event;
    g_autoptr(BkWalVerdict) verdict = NULL;
    Xact *xact = collect_subxacts(self, event);
    BkWalXact told = {
        .xid = event->xid,
        .time_us = event->time_us,
        .lsn = context->record->lsn,
        .before = context->record->lsn,
        .is_prepared = event->is_prepared,
        .is_partial = event->is_cut || (xact != NULL && xact->is_partial),
    };
    bool ok = true;

    if (xact == NULL && event->files.count == 0)
        return true;
    verdict = bk_wal_xact_judge(xact, &event->files, &self->catalogs, self->options.min_deletes);
    if (xact != NULL && xact->database_lsn != 0)
        told.before = xact->mark_lsn != 0 ? xact->mark_lsn : xact->database_lsn;
    told.changes = bk_wal_verdict_changes(verdict, &told.count, &told.omitted);
    if (told.count > 0)
        ok = self->options.on_xact(&told, self->options.user, error);
    if (xact != NULL)
        bk_wal_xact_apply(xact, &self->catalogs, true);
    forget_xact(self, event->xid);
    return ok;
}

static void
note_abort(BkWalXacts *self, const BkWalEvent *event)
{
    const Xact *xact = collect_subxacts(self, event);

    if (xact != NULL)
        bk_wal_xact_apply(xact, &self->catalogs, false);
    forget_xact(self, event->xid);
}

static void
note_time(BkWalXactsSegment *told, int64_t time_us)
{
    if (told->min_time_us == 0 || time_us < told->min_time_us)
        told->min_time_us = time_us;
    told->max_time_us = MAX(told->max_time_us, time_us);
}

static bool
note_xact_event(BkWalXacts *self, const Context *context, GError **error)
{
    const BkWalEvent *event = &context->event;

    switch (event->kind) {
    case BK_WAL_EVENT_NONE:
    case BK_WAL_EVENT_DROP_TABLESPACE:
        break;
    case BK_WAL_EVENT_INSERT:
    case BK_WAL_EVENT_UPDATE:
    case BK_WAL_EVENT_DELETE:
    case BK_WAL_EVENT_INPLACE:
        note_row(self, context);
        break;
    case BK_WAL_EVENT_CREATE_FILE:
        note_created_file(self, event);
        break;
    case BK_WAL_EVENT_DROP_DATABASE:
        note_dropped_database(self, context);
        break;
    case BK_WAL_EVENT_COPY_DATABASE:
        note_copied_database(self, event);
        break;
    case BK_WAL_EVENT_IMAGES:
        note_images(self, context);
        break;
    case BK_WAL_EVENT_MAP:
        note_map(self, event);
        break;
    case BK_WAL_EVENT_RUNNING:
        forget_older_xacts(self, event->xid);
        break;
    case BK_WAL_EVENT_COMMIT:
        note_time(self->told, event->time_us);
        return note_xact_commit(self, context, error);
    case BK_WAL_EVENT_ABORT:
        note_time(self->told, event->time_us);
        note_abort(self, event);
        break;
    }
    return true;
}

static bool
take_event(const BkWalRecord *record, void *user, GError **error)
{
    BkWalXacts *self = user;
    Context context;

    if (!bk_wal_event_may_be(record))
        return true;
    context.record = record;
    context.magic = self->sequence.scan.magic;
    if (bk_wal_record_parts(record, context.magic, &context.parts) == BK_WAL_MALFORMED)
        return true;
    bk_wal_event_decode(record, context.magic, &context.parts, &context.event);
    return note_xact_event(self, &context, error);
}

bool
bk_wal_xacts_scan(BkWalXacts *self, const uint8_t *data, size_t size, BkWalXactsSegment *told,
                  GError **error)
{
    *told = (BkWalXactsSegment){0};
    self->told = told;
    if (!bk_wal_sequence_scan(&self->sequence, data, size, error))
        return false;
    told->reason = self->sequence.scan.reason;
    return true;
}

uint64_t
bk_wal_xacts_untracked(const BkWalXacts *self)
{
    return self->untracked;
}

bool
bk_wal_xacts_is_full(const BkWalXacts *self)
{
    GHashTableIter iter;
    void *catalog;

    g_hash_table_iter_init(&iter, self->catalogs.table);
    while (g_hash_table_iter_next(&iter, NULL, &catalog))
        if (bk_relation_names_is_full(catalog))
            return true;
    return false;
}
