/* wal-info.c - transactions, restore points and checkpoints in one WAL segment. */
#include "source/pg/wal/wal-info.h"

#include "source/pg/wal/wal-events.h"
#include "source/pg/wal/wal-info-priv.h"

#include <string.h>

void
bk_wal_info_clear(BkWalInfo *self)
{
    g_clear_pointer(&self->points, g_array_unref);
    bk_buf_clear(&self->lead.bytes);
    bk_buf_clear(&self->tail.bytes);
    *self = (BkWalInfo){0};
}

/* Is transaction `a` older than `b`? Numbers go round; those of one segment are near each other. */
static bool
xid_precedes(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static void
note_xid(BkWalInfo *info, uint32_t xid)
{
    if (xid == BK_WAL_XID_NONE)
        return;
    if (info->min_xid == BK_WAL_XID_NONE || xid_precedes(xid, info->min_xid))
        info->min_xid = xid;
    if (info->max_xid == BK_WAL_XID_NONE || xid_precedes(info->max_xid, xid))
        info->max_xid = xid;
}

static void
note_xact(BkWalInfo *info, const BkWalMoment *moment)
{
    if (info->xacts == 0) {
        info->first = *moment;
        info->min_time_us = info->max_time_us = moment->time_us;
    }
    info->xacts++;
    info->last = *moment;
    info->min_time_us = MIN(info->min_time_us, moment->time_us);
    info->max_time_us = MAX(info->max_time_us, moment->time_us);
    note_xid(info, moment->xid);
}

static void
note_point(BkWalInfo *info, const BkWalPoint *point)
{
    if (info->points == NULL)
        info->points = g_array_new(false, false, sizeof(BkWalPoint));
    if (info->points->len < BK_WAL_POINTS_MAX)
        g_array_append_vals(info->points, point, 1);
    else
        info->points_omitted++;
}

static void
note_wal_level(BkWalInfo *info, uint8_t level)
{
    info->has_wal_level = true;
    info->wal_level = level;
    info->minimal_seen = info->minimal_seen || level == 0;
}

static void
note_xlog(BkWalInfo *info, const BkWalRecord *record)
{
    BkWalPoint point;
    BkWalCheckpoint checkpoint;
    uint8_t level;

    if (bk_wal_record_point(record, &point))
        note_point(info, &point);
    if (bk_wal_record_checkpoint(record, &checkpoint)) {
        if (info->first_checkpoint.lsn == 0)
            info->first_checkpoint = checkpoint;
        info->last_checkpoint = checkpoint;
    }
    if (bk_wal_record_end_of_recovery(record, &info->recovery_to, &info->recovery_from))
        info->end_of_recovery = record->lsn;
    if (bk_wal_record_wal_level(record, info->magic, &level))
        note_wal_level(info, level);
}

bool
bk_wal_info_wants(const BkWalRecord *record)
{
    return record->rmid <= BK_WAL_RM_XACT || bk_wal_event_may_drop(record);
}

void
bk_wal_info_note(BkWalInfo *info, const BkWalRecord *record)
{
    BkWalMoment moment;

    if (record->rmid == BK_WAL_RM_XLOG)
        note_xlog(info, record);
    else if (bk_wal_record_xact(record, info->magic, &moment))
        note_xact(info, &moment);
    else if (bk_wal_event_is_drop(record, info->magic))
        info->has_drop = true;
}

void
bk_wal_info_take(BkWalInfo *info, BkWalScan *scan)
{
    info->magic = scan->magic;
    info->timeline = scan->timeline;
    info->first_timeline = scan->first_timeline;
    info->segment_size = scan->segment_size;
    info->system_id = scan->system_id;
    info->start_lsn = scan->start_lsn;
    info->end_lsn = scan->end_lsn;
    info->end = scan->end;
    info->records = scan->records;
    info->lead = scan->lead;
    info->tail = scan->tail;
    scan->lead.bytes = scan->tail.bytes = BK_BUF_INIT; /* moved */
}

/* The magic number is in the scan, which knows it before it calls. */
typedef struct Collector {
    BkWalInfo *info;
    const BkWalScan *scan;
} Collector;

static bool
note_info_record(const BkWalRecord *record, void *user, GError **error)
{
    Collector *self = user;

    (void)error;
    if (bk_wal_info_wants(record)) {
        self->info->magic = self->scan->magic;
        bk_wal_info_note(self->info, record);
    }
    return true;
}

bool
bk_wal_info_collect(const uint8_t *data, size_t size, const BkWalScanOptions *options,
                    BkWalInfo *info, GError **error)
{
    g_auto(BkWalScan) scan = {0};
    Collector collector = {info, &scan};
    BkWalScanOptions own = options != NULL ? *options : (BkWalScanOptions){0};

    own.on_record = note_info_record;
    own.user = &collector;
    *info = (BkWalInfo){0};
    if (!bk_wal_scan(data, size, &own, &scan, error)) {
        bk_wal_info_clear(info);
        return false;
    }
    bk_wal_info_take(info, &scan);
    return true;
}

bool
bk_wal_info_fits(const BkWalInfo *left, const BkWalInfo *right)
{
    const BkWalTail *tail = &left->tail;

    if (left->system_id != right->system_id || left->magic != right->magic ||
        left->segment_size != right->segment_size ||
        left->start_lsn + left->segment_size != right->start_lsn)
        return false;
    if (right->lead.rest > 0)
        return tail->lsn != 0 && tail->total - tail->available == right->lead.rest;
    return tail->lsn == 0 || right->lead.abandoned;
}

/* The start of the record that goes from `tail` to `lead`, as much as was kept of it. False when
 * that is not even its header. */
static bool
join_record(const BkWalTail *tail, const BkWalLead *lead, BkBuf *bytes, BkWalRecord *record)
{
    bk_buf_append(bytes, tail->bytes.data, tail->bytes.size);
    if (tail->bytes.size == tail->available)
        bk_buf_append(bytes, lead->bytes.data, lead->bytes.size);
    if (bytes->size < BK_WAL_RECORD_HEADER)
        return false;
    *record = (BkWalRecord){
        .lsn = tail->lsn,
        .end_lsn = lead->end_lsn,
        .data = bytes->data,
        .size = MIN(bytes->size, tail->total),
    };
    bk_wal_record_decode(bytes->data, record);
    return true;
}

/* Puts the points of `first` before those of `info`. */
static void
merge_points(BkWalInfo *info, const BkWalInfo *first)
{
    if (first->points == NULL)
        return;
    if (info->points == NULL)
        info->points = g_array_new(false, false, sizeof(BkWalPoint));
    g_array_prepend_vals(info->points, first->points->data, first->points->len);
    if (info->points->len > BK_WAL_POINTS_MAX) {
        info->points_omitted += info->points->len - BK_WAL_POINTS_MAX;
        g_array_set_size(info->points, BK_WAL_POINTS_MAX);
    }
}

/* Adds to `info` what `first`, one record that ends before all of its own, has told. */
static void
merge_first(BkWalInfo *info, const BkWalInfo *first)
{
    info->records++;
    if (first->xacts > 0) {
        BkWalMoment last = info->xacts > 0 ? info->last : first->last;

        note_xact(info, &first->first);
        info->first = first->first;
        info->last = last;
    }
    merge_points(info, first);
    if (first->first_checkpoint.lsn != 0) {
        info->first_checkpoint = first->first_checkpoint;
        if (info->last_checkpoint.lsn == 0)
            info->last_checkpoint = first->first_checkpoint;
    }
    if (info->end_of_recovery == 0) {
        info->end_of_recovery = first->end_of_recovery;
        info->recovery_from = first->recovery_from;
        info->recovery_to = first->recovery_to;
    }
    info->has_drop = info->has_drop || first->has_drop;
    info->minimal_seen = info->minimal_seen || first->minimal_seen;
    if (!info->has_wal_level) {
        info->has_wal_level = first->has_wal_level;
        info->wal_level = first->wal_level;
    }
}

/* `right` is nothing but the middle of the record that `left` began: the next segment continues
 * what both hold. */
static void
pass_on_tail(const BkWalInfo *left, BkWalInfo *right)
{
    BkWalTail *tail = &right->tail;

    tail->lsn = left->tail.lsn;
    tail->total = left->tail.total;
    tail->available = left->tail.available + right->lead.available;
    tail->bytes.size = 0;
    bk_buf_append(&tail->bytes, left->tail.bytes.data, left->tail.bytes.size);
    if (left->tail.bytes.size == left->tail.available)
        bk_buf_append(&tail->bytes, right->lead.bytes.data,
                      MIN(right->lead.bytes.size, BK_WAL_EDGE_MAX - tail->bytes.size));
}

bool
bk_wal_info_border(const BkWalInfo *left, const BkWalInfo *right, BkBuf *bytes, BkWalRecord *record)
{
    const BkWalLead *lead = &right->lead;

    return lead->rest > 0 && !lead->abandoned && lead->available == lead->rest &&
           join_record(&left->tail, lead, bytes, record);
}

bool
bk_wal_info_join(const BkWalInfo *left, BkWalInfo *right)
{
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    g_auto(BkWalInfo) first = {.magic = right->magic};
    BkWalRecord record;

    if (!bk_wal_info_fits(left, right))
        return false;
    if (bk_wal_info_border(left, right, &bytes, &record)) {
        bk_wal_info_note(&first, &record);
        merge_first(right, &first);
    } else if (!right->lead.abandoned && right->lead.available < right->lead.rest &&
               right->end == BK_WAL_END_FULL) {
        pass_on_tail(left, right);
    }
    return true;
}

/* What a search looks for, and what it has found. */
typedef struct Search {
    bool (*matches)(const struct Search *self, const BkWalRecord *record, BkWalMoment *moment);
    const BkWalScan *scan;
    uint32_t xid;
    int64_t time_us;
    BkLsn from_lsn;
    const char *name;
    BkWalMoment *found;  /* lsn is 0 so far */
    BkWalMoment *commit; /* the last before it; may be NULL */
} Search;

static bool
matches_xid(const Search *self, const BkWalRecord *record, BkWalMoment *moment)
{
    return bk_wal_record_xact(record, self->scan->magic, moment) && moment->xid == self->xid;
}

static bool
matches_time(const Search *self, const BkWalRecord *record, BkWalMoment *moment)
{
    return bk_wal_record_xact(record, self->scan->magic, moment) &&
           moment->time_us > self->time_us && moment->lsn >= self->from_lsn;
}

static bool
matches_earlier(const Search *self, const BkWalRecord *record, BkWalMoment *moment)
{
    return bk_wal_record_xact(record, self->scan->magic, moment) &&
           moment->time_us < self->time_us && moment->lsn >= self->from_lsn;
}

static bool
matches_point(const Search *self, const BkWalRecord *record, BkWalMoment *moment)
{
    BkWalPoint point;

    if (!bk_wal_record_point(record, &point) || point.lsn < self->from_lsn ||
        strcmp(point.name, self->name) != 0)
        return false;
    *moment = (BkWalMoment){.lsn = point.lsn, .end_lsn = point.end_lsn, .time_us = point.time_us};
    return true;
}

static bool
note_last_commit(const Search *self, const BkWalRecord *record)
{
    BkWalMoment moment;

    if (self->commit == NULL || !bk_wal_record_xact(record, self->scan->magic, &moment) ||
        !moment.commit)
        return false;
    *self->commit = moment;
    return true;
}

static bool
on_searched_record(const BkWalRecord *record, void *user, GError **error)
{
    Search *self = user;
    BkWalMoment moment;

    (void)error;
    if (self->found->lsn != 0 || record->rmid > BK_WAL_RM_XACT)
        return true;
    if (self->matches(self, record, &moment))
        *self->found = moment;
    else
        (void)note_last_commit(self, record);
    return true;
}

/* The record that crosses into the segment comes before all others, but can only be looked at after
 * the scan: then it takes precedence. */
static void
search_border(Search *self, const BkWalInfo *before, const BkWalMoment *commit_before)
{
    const BkWalLead *lead = &self->scan->lead;
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    BkWalRecord record;
    BkWalMoment moment;

    if (lead->rest == 0 || lead->available < lead->rest || before->tail.lsn == 0 ||
        before->tail.total - before->tail.available != lead->rest ||
        before->start_lsn + before->segment_size != self->scan->start_lsn)
        return;
    if (!join_record(&before->tail, lead, &bytes, &record))
        return;
    if (self->matches(self, &record, &moment)) {
        *self->found = moment;
        if (self->commit != NULL)
            *self->commit = *commit_before;
    } else if (self->commit != NULL && self->commit->lsn == commit_before->lsn) {
        (void)note_last_commit(self, &record);
    }
}

static bool
search_segment_records(Search *self, const uint8_t *data, size_t size, const BkWalInfo *before,
                       GError **error)
{
    g_auto(BkWalScan) scan = {0};
    const BkWalScanOptions options = {.on_record = on_searched_record, .user = self};
    const BkWalMoment commit_before =
        self->commit != NULL ? *self->commit : (BkWalMoment){.lsn = 0};

    self->scan = &scan;
    *self->found = (BkWalMoment){0};
    if (!bk_wal_scan(data, size, &options, &scan, error))
        return false;
    if (before != NULL)
        search_border(self, before, &commit_before);
    return true;
}

bool
bk_wal_find_xid(const uint8_t *data, size_t size, const BkWalInfo *before, uint32_t xid,
                BkWalMoment *found, GError **error)
{
    Search search = {.matches = matches_xid, .xid = xid, .found = found};

    return search_segment_records(&search, data, size, before, error);
}

bool
bk_wal_find_point(const uint8_t *data, size_t size, const BkWalInfo *before, const char *name,
                  BkLsn from_lsn, BkWalMoment *found, GError **error)
{
    Search search = {
        .matches = matches_point,
        .name = name,
        .from_lsn = from_lsn,
        .found = found,
    };

    return search_segment_records(&search, data, size, before, error);
}

bool
bk_wal_find_earlier(const uint8_t *data, size_t size, const BkWalInfo *before, int64_t time_us,
                    BkLsn from_lsn, BkWalMoment *found, GError **error)
{
    Search search = {
        .matches = matches_earlier,
        .time_us = time_us,
        .from_lsn = from_lsn,
        .found = found,
    };

    return search_segment_records(&search, data, size, before, error);
}

bool
bk_wal_find_time(const uint8_t *data, size_t size, const BkWalInfo *before, int64_t time_us,
                 BkLsn from_lsn, BkWalMoment *found, BkWalMoment *commit, GError **error)
{
    Search search = {
        .matches = matches_time,
        .time_us = time_us,
        .from_lsn = from_lsn,
        .found = found,
        .commit = commit,
    };

    return search_segment_records(&search, data, size, before, error);
}
