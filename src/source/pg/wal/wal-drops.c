/* wal-drops.c - see wal-drops.h. A mark is a row of a shared catalog that is written over in place;
 * it belongs to the transaction that deletes that row next. */
#include "source/pg/wal/wal-drops.h"

#include "source/pg/format/page.h"
#include "source/pg/wal/wal-events.h"
#include "source/pg/wal/wal-sequence.h"

#define MARKS_MAX 64
#define OPEN_MAX  1024

typedef struct Row {
    uint32_t file_node;
    uint32_t block;
    uint16_t offset;
    BkLsn lsn; /* of the mark; 0: none */
} Row;

typedef struct Commit {
    BkLsn lsn;
    uint32_t xid;
} Commit;

struct BkWalDrops {
    Row marks[MARKS_MAX];
    size_t next_mark;
    GArray *drops;   /* of BkWalDrop */
    GArray *commits; /* of Commit */
    GArray *records; /* of BkLsn: where records began, ascending */
    BkWalSequence sequence;
    uint8_t page[BK_PG_PAGE_SIZE];
};

static bool take_record(const BkWalRecord *record, void *user, GError **error);

BkWalDrops *
bk_wal_drops_new(void)
{
    BkWalDrops *self = g_new0(BkWalDrops, 1);

    self->sequence = (BkWalSequence){.on_record = take_record, .user = self};
    self->drops = g_array_new(FALSE, FALSE, sizeof(BkWalDrop));
    self->commits = g_array_new(FALSE, FALSE, sizeof(Commit));
    self->records = g_array_new(FALSE, FALSE, sizeof(BkLsn));
    return self;
}

void
bk_wal_drops_free(BkWalDrops *self)
{
    if (self == NULL)
        return;
    g_array_unref(self->drops);
    g_array_unref(self->commits);
    g_array_unref(self->records);
    bk_wal_sequence_clear(&self->sequence);
    g_free(self);
}

static void
note_drop_mark(BkWalDrops *self, const BkWalEvent *event, BkLsn lsn)
{
    self->marks[self->next_mark++ % MARKS_MAX] =
        (Row){event->fork.file_node, event->block, event->offset, lsn};
}

static BkWalDrop *
find_open(const BkWalDrops *self, uint32_t xid)
{
    for (guint i = 0; i < self->drops->len; i++) {
        BkWalDrop *drop = &g_array_index(self->drops, BkWalDrop, i);

        if (drop->xid == xid && drop->end == 0)
            return drop;
    }
    return NULL;
}

static void
add_drop(BkWalDrops *self, const BkWalDrop *drop)
{
    if (drop->xid != BK_WAL_XID_NONE && self->drops->len < OPEN_MAX)
        g_array_append_vals(self->drops, drop, 1);
}

/* A row that was marked before goes: the database's files will. */
static void
note_deleted_row(BkWalDrops *self, const BkWalEvent *event)
{
    BkWalDrop drop = {.xid = event->xid};

    for (size_t i = 0; i < MARKS_MAX; i++) {
        const Row *mark = &self->marks[i];

        if (mark->lsn > drop.lsn && mark->file_node == event->fork.file_node &&
            mark->block == event->block && mark->offset == event->offset)
            drop.lsn = mark->lsn;
    }
    if (drop.lsn != 0)
        add_drop(self, &drop);
}

/* A directory goes. The database's row was marked before, by servers that do so. */
static void
note_drop(BkWalDrops *self, const BkWalEvent *event, BkLsn lsn)
{
    const BkWalDrop drop = {
        .lsn = lsn,
        .xid = event->xid,
        .oid = event->database,
        .is_tablespace = event->kind == BK_WAL_EVENT_DROP_TABLESPACE,
    };
    BkWalDrop *begun = drop.is_tablespace ? NULL : find_open(self, event->xid);

    if (begun != NULL)
        begun->oid = drop.oid;
    else
        add_drop(self, &drop);
}

/* A creation that fails takes its own files away: nothing is lost with that. */
static void
note_drop_end(BkWalDrops *self, const BkWalEvent *event, BkLsn lsn)
{
    const Commit commit = {lsn, event->xid};

    for (guint i = self->drops->len; i-- > 0;) {
        BkWalDrop *drop = &g_array_index(self->drops, BkWalDrop, i);

        if (drop->xid != event->xid || drop->end != 0)
            continue;
        if (event->kind == BK_WAL_EVENT_COMMIT)
            drop->end = lsn;
        else
            g_array_remove_index(self->drops, i);
    }
    if (event->kind == BK_WAL_EVENT_COMMIT && event->xid != BK_WAL_XID_NONE)
        g_array_append_val(self->commits, commit);
}

/* A crash ends transactions without a record: then the database is invalid for good. */
static void
forget_older_drops(BkWalDrops *self, uint32_t oldest)
{
    for (guint i = self->drops->len; i-- > 0;) {
        const BkWalDrop *drop = &g_array_index(self->drops, BkWalDrop, i);

        if (drop->end == 0 && (int32_t)(drop->xid - oldest) < 0)
            g_array_remove_index(self->drops, i);
    }
}

static void
note_drop_event(BkWalDrops *self, const BkWalRecord *record, const BkWalParts *parts,
                const BkWalEvent *event)
{
    const BkLsn lsn = record->lsn;
    const bool is_shared = event->fork.tablespace != 0 && event->fork.database == 0;

    if (event->kind == BK_WAL_EVENT_INPLACE && is_shared &&
        bk_wal_event_may_invalidate(record, self->sequence.scan.magic, parts, event, self->page))
        note_drop_mark(self, event, lsn);
    else if (event->kind == BK_WAL_EVENT_DELETE && is_shared)
        note_deleted_row(self, event);
    else if (event->kind == BK_WAL_EVENT_DROP_DATABASE ||
             event->kind == BK_WAL_EVENT_DROP_TABLESPACE)
        note_drop(self, event, lsn);
    else if (event->kind == BK_WAL_EVENT_COMMIT || event->kind == BK_WAL_EVENT_ABORT)
        note_drop_end(self, event, lsn);
    else if (event->kind == BK_WAL_EVENT_RUNNING)
        forget_older_drops(self, event->xid);
}

static bool
take_record(const BkWalRecord *record, void *user, GError **error)
{
    BkWalDrops *self = user;
    BkWalParts parts;
    BkWalEvent event;

    (void)error;
    g_array_append_val(self->records, record->lsn);
    if (!bk_wal_event_may_be(record) || record->data == NULL ||
        bk_wal_record_parts(record, self->sequence.scan.magic, &parts) == BK_WAL_MALFORMED)
        return true;
    bk_wal_event_decode(record, self->sequence.scan.magic, &parts, &event);
    note_drop_event(self, record, &parts, &event);
    return true;
}

bool
bk_wal_drops_scan(BkWalDrops *self, const uint8_t *data, size_t size, GError **error)
{
    return bk_wal_sequence_scan(&self->sequence, data, size, error);
}

bool
bk_wal_drops_is_open(const BkWalDrops *self)
{
    for (guint i = 0; i < self->drops->len; i++)
        if (g_array_index(self->drops, BkWalDrop, i).end == 0)
            return true;
    return false;
}

bool
bk_wal_drops_find_suspect(BkWalDrops *self, BkLsn lsn, uint32_t next_xid, uint32_t *xid)
{
    bool found = false;

    for (guint i = self->drops->len; i-- > 0;) {
        const BkWalDrop *drop = &g_array_index(self->drops, BkWalDrop, i);
        bool has_begun =
            drop->lsn <= lsn || next_xid == BK_WAL_XID_NONE || (int32_t)(drop->xid - next_xid) < 0;

        if (drop->end != 0 && (drop->end < lsn || !has_begun)) {
            g_array_remove_index(self->drops, i);
            continue;
        }
        if (!has_begun)
            continue;
        if (!found && *xid == BK_WAL_XID_NONE)
            *xid = drop->xid;
        if ((int32_t)(drop->xid - *xid) < 0)
            *xid = drop->xid;
        found = true;
    }
    return found;
}

BkLsn
bk_wal_drops_record_at(const BkWalDrops *self, BkLsn lsn)
{
    for (guint i = 0; i < self->records->len; i++)
        if (g_array_index(self->records, BkLsn, i) >= lsn)
            return g_array_index(self->records, BkLsn, i);
    return 0;
}

bool
bk_wal_drops_find(const BkWalDrops *self, BkLsn stop, BkWalDrop *found)
{
    bool goes_on = true;

    *found = (BkWalDrop){0};
    while (goes_on) {
        goes_on = false;
        for (guint i = 0; i < self->drops->len; i++) {
            const BkWalDrop *drop = &g_array_index(self->drops, BkWalDrop, i);

            if (drop->lsn >= stop || (drop->end != 0 && drop->end < stop))
                continue;
            *found = *drop;
            stop = drop->lsn;
            goes_on = true;
        }
    }
    return found->lsn != 0;
}

uint64_t
bk_wal_drops_count_commits(const BkWalDrops *self, const BkWalDrop *drop, BkLsn stop)
{
    uint64_t count = 0;

    for (guint i = 0; i < self->commits->len; i++) {
        const Commit *commit = &g_array_index(self->commits, Commit, i);

        if (commit->lsn >= drop->lsn && commit->lsn < stop && commit->xid != drop->xid)
            count++;
    }
    return count;
}
