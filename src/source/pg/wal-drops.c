/* wal-drops.c - see wal-drops.h. A mark is a row of a shared catalog that is written over in place;
 * it belongs to the transaction that deletes that row next. */
#include "source/pg/wal-drops.h"

#include "source/pg/page.h"
#include "source/pg/wal-events.h"

#define MARKS_MAX   64
#define DELETED_MAX 1024
#define OPEN_MAX    1024

typedef struct Row {
    uint32_t file_node;
    uint32_t block;
    uint16_t offset;
    BkLsn lsn; /* of the mark; 0: none */
} Row;

/* A marked row that a transaction has deleted. */
typedef struct Deleted {
    uint32_t xid;
    BkLsn lsn;
} Deleted;

typedef struct Commit {
    BkLsn lsn;
    uint32_t xid;
} Commit;

struct BkWalDrops {
    Row marks[MARKS_MAX];
    size_t next_mark;
    GArray *deleted; /* of Deleted, by transactions that have not ended */
    GArray *drops;   /* of BkWalDrop */
    GArray *commits; /* of Commit */
    GArray *records; /* of BkLsn: where records began, ascending */
    BkWalInfo before;
    bool has_before;
    uint8_t page[BK_PG_PAGE_SIZE];

    /* While a segment is scanned. */
    BkWalScan scan;
    bool is_first;
};

BkWalDrops *
bk_wal_drops_new(void)
{
    BkWalDrops *self = g_new0(BkWalDrops, 1);

    self->deleted = g_array_new(FALSE, FALSE, sizeof(Deleted));
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
    g_array_unref(self->deleted);
    g_array_unref(self->drops);
    g_array_unref(self->commits);
    g_array_unref(self->records);
    bk_wal_info_clear(&self->before);
    bk_wal_scan_clear(&self->scan);
    g_free(self);
}

static void
note_mark(BkWalDrops *self, const BkWalEvent *event, BkLsn lsn)
{
    self->marks[self->next_mark++ % MARKS_MAX] =
        (Row){event->fork.file_node, event->block, event->offset, lsn};
}

static void
note_deleted_row(BkWalDrops *self, const BkWalEvent *event)
{
    Deleted deleted = {.xid = event->xid};

    for (size_t i = 0; i < MARKS_MAX; i++) {
        const Row *mark = &self->marks[i];

        if (mark->lsn > deleted.lsn && mark->file_node == event->fork.file_node &&
            mark->block == event->block && mark->offset == event->offset)
            deleted.lsn = mark->lsn;
    }
    if (deleted.lsn != 0 && self->deleted->len < DELETED_MAX)
        g_array_append_val(self->deleted, deleted);
}

/* A directory goes. The database's row was marked before, by servers that do so. */
static void
note_drop(BkWalDrops *self, const BkWalEvent *event, BkLsn lsn)
{
    BkWalDrop drop = {
        .lsn = lsn,
        .xid = event->xid,
        .oid = event->database,
        .is_tablespace = event->kind == BK_WAL_EVENT_DROP_TABLESPACE,
    };

    if (event->xid == BK_WAL_XID_NONE || self->drops->len >= OPEN_MAX)
        return;
    for (guint i = 0; i < self->deleted->len; i++) {
        const Deleted *deleted = &g_array_index(self->deleted, Deleted, i);

        if (!drop.is_tablespace && deleted->xid == drop.xid)
            drop.lsn = MIN(drop.lsn, deleted->lsn);
    }
    g_array_append_val(self->drops, drop);
}

static void
forget_deleted(BkWalDrops *self, uint32_t xid)
{
    for (guint i = self->deleted->len; i-- > 0;)
        if (g_array_index(self->deleted, Deleted, i).xid == xid)
            g_array_remove_index_fast(self->deleted, i);
}

/* A creation that fails takes its own files away: nothing is lost with that. */
static void
note_end(BkWalDrops *self, const BkWalEvent *event, BkLsn lsn)
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
    forget_deleted(self, event->xid);
    if (event->kind == BK_WAL_EVENT_COMMIT && event->xid != BK_WAL_XID_NONE)
        g_array_append_val(self->commits, commit);
}

/* A crash ends transactions without a record: then the database is invalid for good. */
static void
forget_older(BkWalDrops *self, uint32_t oldest)
{
    for (guint i = self->drops->len; i-- > 0;) {
        const BkWalDrop *drop = &g_array_index(self->drops, BkWalDrop, i);

        if (drop->end == 0 && (int32_t)(drop->xid - oldest) < 0)
            g_array_remove_index(self->drops, i);
    }
}

static void
note_event(BkWalDrops *self, const BkWalRecord *record, const BkWalParts *parts,
           const BkWalEvent *event)
{
    const BkLsn lsn = record->lsn;
    const bool is_shared = event->fork.tablespace != 0 && event->fork.database == 0;

    if (event->kind == BK_WAL_EVENT_INPLACE && is_shared &&
        bk_wal_event_may_invalidate(record, self->scan.magic, parts, event, self->page))
        note_mark(self, event, lsn);
    else if (event->kind == BK_WAL_EVENT_DELETE && is_shared)
        note_deleted_row(self, event);
    else if (event->kind == BK_WAL_EVENT_DROP_DATABASE ||
             event->kind == BK_WAL_EVENT_DROP_TABLESPACE)
        note_drop(self, event, lsn);
    else if (event->kind == BK_WAL_EVENT_COMMIT || event->kind == BK_WAL_EVENT_ABORT)
        note_end(self, event, lsn);
    else if (event->kind == BK_WAL_EVENT_RUNNING)
        forget_older(self, event->xid);
}

static void
note_record(BkWalDrops *self, const BkWalRecord *record)
{
    BkWalParts parts;
    BkWalEvent event;

    g_array_append_val(self->records, record->lsn);
    if (!bk_wal_event_may_be(record) || record->data == NULL ||
        bk_wal_record_parts(record, self->scan.magic, &parts) == BK_WAL_MALFORMED)
        return;
    bk_wal_event_decode(record, self->scan.magic, &parts, &event);
    note_event(self, record, &parts, &event);
}

/* The record that goes over from the segment before comes first. */
static void
note_border(BkWalDrops *self)
{
    const BkWalInfo now = {
        .magic = self->scan.magic,
        .system_id = self->scan.system_id,
        .segment_size = self->scan.segment_size,
        .start_lsn = self->scan.start_lsn,
        .lead = self->scan.lead, /* borrowed */
    };
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    BkWalRecord record;

    self->is_first = false;
    if (self->has_before && bk_wal_info_fits(&self->before, &now) &&
        bk_wal_info_border(&self->before, &now, &bytes, &record))
        note_record(self, &record);
}

static bool
take_record(const BkWalRecord *record, void *user, GError **error)
{
    BkWalDrops *self = user;

    (void)error;
    if (self->is_first)
        note_border(self);
    note_record(self, record);
    return true;
}

bool
bk_wal_drops_scan(BkWalDrops *self, const uint8_t *data, size_t size, GError **error)
{
    const BkWalScanOptions options = {
        .assemble_max = BK_WAL_EDGE_MAX,
        .start_max = BK_WAL_PARTS_MAX,
        .on_record = take_record,
        .user = self,
    };
    BkWalInfo info = {.magic = 0};

    self->is_first = true;
    bk_wal_scan_clear(&self->scan);
    if (!bk_wal_scan(data, size, &options, &self->scan, error))
        return false;
    if (self->is_first)
        note_border(self);
    bk_wal_info_take(&info, &self->scan);
    if (self->has_before)
        (void)bk_wal_info_join(&self->before, &info);
    bk_wal_info_clear(&self->before);
    self->before = info;
    self->has_before = true;
    return true;
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
