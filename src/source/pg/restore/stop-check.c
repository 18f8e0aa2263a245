/* stop-check.c - see stop-check.h. What is dropped across a position is the work of a transaction
 * that runs there. Checkpoints, which the heads of segments know, tell between which positions such
 * a transaction has begun and ended: only there heads are looked at, and segments read whole only
 * where something is dropped. */
#include "source/pg/restore/stop-check.h"

#include "base/log.h"
#include "repo/targets/targets.h"
#include "source/pg/restore/snapshot-wal.h"

/* On either side; transactions that run for longer are not looked for. */
#define SEGMENTS_MAX 1024
/* The first record of a drop lies so far before the one that removes the files, unless the server
 * waits for a checkpoint in between. */
#define MARK_BYTES ((BkLsn)16 * BK_MIB)

typedef struct Segment {
    uint32_t timeline;
    uint64_t segno;
    bool is_own; /* only the snapshot, a standalone one, has it */
    bool has_drop;
    BkWalCheckpoint checkpoints[2]; /* the last one first; lsn 0: none */
} Segment;

typedef struct Check {
    const BkRecoveryIndex *past;
    const BkRecoveryIndexSnapshot *snapshot;
    BkSnapshotWal *own;
    const BkStopPosition *position;
    BkOp *op;
    GArray *segments; /* of Segment: the path around the position */
    guint needed;     /* of them, the first that recovery reads */
    guint at;         /* the one with the position, the last that recovery reads */
    guint first;      /* of those whose heads were read */
    guint last;
    guint lowest; /* none before it can be read */
    bool has_narrowed;
    uint32_t next_xid; /* transactions that run at the position are before it; or none is known */
} Check;

static Segment *
segment_at(const Check *self, guint index)
{
    return &g_array_index(self->segments, Segment, index);
}

/* Transaction ids are compared in a circle. */
static bool
is_before(uint32_t xid, uint32_t other)
{
    return (int32_t)(xid - other) < 0;
}

/* What the archive has before recovery begins at segment `begin`: the snapshot may have begun
 * within the drop. */
static void
list_before(Check *self, uint32_t timeline, uint64_t begin, uint64_t first)
{
    const BkWindowInput *input = &self->past->input;

    for (size_t i = 0; i < input->timeline_count; i++)
        for (size_t j = 0; j < input->timelines[i].span_count; j++) {
            const BkWindowSpan *span = &input->timelines[i].spans[j];

            if (input->timelines[i].timeline != timeline || span->first >= begin ||
                span->last + 1 < begin)
                continue;
            for (uint64_t segno = MAX(span->first, first); segno < begin; segno++) {
                const Segment segment = {.timeline = timeline, .segno = segno};

                g_array_append_val(self->segments, segment);
            }
        }
}

/* What a standalone snapshot holds, and recovery reads before the archive's. */
static void
list_own(Check *self, uint64_t end, uint64_t first)
{
    const BkPgMeta *meta = &self->snapshot->meta;
    uint64_t segno = MAX(bk_wal_segment_of(meta->start_lsn, meta->segment_size), first);

    for (; segno < end; segno++) {
        const Segment segment = {
            .timeline = meta->timeline,
            .segno = segno,
            .is_own = !bk_recovery_index_has_segment(self->past, meta->timeline, segno),
        };

        self->at = self->segments->len;
        g_array_append_val(self->segments, segment);
    }
}

static void
list_segments(Check *self, const BkWindowPath *path)
{
    const BkPgMeta *meta = &self->snapshot->meta;
    const uint64_t at = bk_wal_segment_of(self->position->lsn, self->past->input.segment_size);
    const uint64_t first = at - MIN(at, SEGMENTS_MAX);

    if (meta->is_standalone)
        list_before(self, meta->timeline, bk_wal_segment_of(meta->start_lsn, meta->segment_size),
                    first);
    else if (path->count > 0)
        list_before(self, path->steps[0].timeline, path->steps[0].first, first);
    self->needed = self->segments->len;
    if (meta->is_standalone)
        list_own(self,
                 path->count > 0 ? path->steps[0].first
                                 : bk_wal_segment_of(meta->stop_lsn - 1, meta->segment_size) + 1,
                 first);
    for (size_t i = 0; i < path->count; i++) {
        const BkWindowStep *step = &path->steps[i];
        const uint64_t end = MIN(step->last, at + SEGMENTS_MAX);

        for (uint64_t segno = MAX(step->first, first); segno <= end; segno++) {
            const Segment segment = {.timeline = step->timeline, .segno = segno};

            if (segno <= at)
                self->at = self->segments->len;
            g_array_append_val(self->segments, segment);
        }
    }
}

/* What recovery does not read must not keep it from anything: a segment before its path or behind
 * the position that cannot be read ends the look there. */
static bool
narrow_range(Check *self, guint index, GError **cause, GError **error)
{
    const bool is_read = index >= self->needed && index <= self->at;

    if (is_read || !(bk_targets_is_at_fault(*cause) || bk_error_is(*cause, BK_ERROR_NOT_FOUND)))
        return bk_propagate(error, cause);
    bk_log(BK_LOG_WARNING,
           "it is not completely known whether recovery ends inside the drop of a database (this "
           "WAL is not needed for recovery): %s",
           (*cause)->message);
    self->has_narrowed = true;
    if (index > self->at) {
        self->last = index - 1;
    } else {
        self->lowest = index + 1;
        self->first = MAX(self->first, self->lowest);
    }
    return true;
}

/* --- heads ------------------------------------------------------------------------------------ */

static bool
load_head(const Check *self, guint index, BkWalInfo *info, GError **error)
{
    Segment *segment = segment_at(self, index);

    if (segment->is_own
            ? !bk_snapshot_wal_get_info(self->own, segment->segno, info, self->op, error)
            : !bk_recovery_index_get_info(self->past, segment->timeline, segment->segno, info,
                                          self->op, error))
        return false;
    segment->checkpoints[0] = info->last_checkpoint;
    segment->checkpoints[1] = info->first_checkpoint;
    segment->has_drop = info->has_drop;
    return true;
}

/* Both are neighbours: a record that drops may go over from the left one. */
static void
join_heads(const Check *self, const BkWalInfo *left, BkWalInfo *right, guint index)
{
    (void)bk_wal_info_join(left, right);
    segment_at(self, index)->has_drop = right->has_drop;
}

/* What begins before a checkpoint that knows all transactions which may run at the position, since
 * the last one before it, has ended by then. `*active` and `*floor` are what is known so far. */
static void
look_for_open_xacts(const Check *self, guint index, uint32_t *active, BkLsn *floor)
{
    for (size_t i = 0; i < 2 && *floor == 0; i++) {
        const BkWalCheckpoint *checkpoint = &segment_at(self, index)->checkpoints[i];

        if (checkpoint->lsn == 0 || checkpoint->lsn >= self->position->lsn)
            continue;
        if (*active == BK_WAL_XID_NONE)
            *active = checkpoint->active_xid;
        if (*active != BK_WAL_XID_NONE && checkpoint->next_xid != BK_WAL_XID_NONE &&
            !is_before(*active, checkpoint->next_xid))
            *floor = checkpoint->redo;
    }
}

static bool
read_heads_back(Check *self, BkWalInfo *at, GError **error)
{
    uint32_t active = BK_WAL_XID_NONE;
    BkLsn floor = 0;
    g_auto(BkWalInfo) after = {0};

    for (guint i = self->at + 1; i-- > 0;) {
        g_autoptr(GError) cause = NULL;
        BkWalInfo info = {0};

        if ((segment_at(self, i)->segno + 1) * self->past->input.segment_size <= floor)
            return true;
        if (!bk_op_check(self->op, error))
            return false;
        if (!load_head(self, i, &info, &cause))
            return narrow_range(self, i, &cause, error);
        if (i == self->at - 1)
            join_heads(self, &info, at, self->at);
        else if (i < self->at)
            join_heads(self, &info, &after, i + 1);
        self->first = i;
        look_for_open_xacts(self, i, &active, &floor);
        if (i == self->at) {
            *at = info;
            continue;
        }
        bk_wal_info_clear(&after);
        after = info;
    }
    return true;
}

/* Returns true if all transactions that ran at the position have ended by a checkpoint of this
 * segment. */
static bool
look_ahead(Check *self, guint index)
{
    for (size_t i = 2; i-- > 0;) {
        const BkWalCheckpoint *checkpoint = &segment_at(self, index)->checkpoints[i];

        if (checkpoint->lsn == 0)
            continue;
        if (self->next_xid == BK_WAL_XID_NONE && checkpoint->redo >= self->position->lsn)
            self->next_xid = checkpoint->next_xid;
        if (self->next_xid != BK_WAL_XID_NONE && checkpoint->active_xid != BK_WAL_XID_NONE &&
            !is_before(checkpoint->active_xid, self->next_xid))
            return true;
    }
    return false;
}

static bool
read_heads_ahead(Check *self, BkWalInfo *before, GError **error)
{
    self->last = self->at;
    for (guint i = self->at + 1; !look_ahead(self, self->last) && i < self->segments->len; i++) {
        g_autoptr(GError) cause = NULL;
        BkWalInfo info = {0};

        if (!bk_op_check(self->op, error))
            return false;
        if (!load_head(self, i, &info, &cause))
            return narrow_range(self, i, &cause, error);
        join_heads(self, before, &info, i);
        bk_wal_info_clear(before);
        *before = info;
        self->last = i;
    }
    return true;
}

static bool
read_heads(Check *self, GError **error)
{
    g_auto(BkWalInfo) at = {0};

    return read_heads_back(self, &at, error) && read_heads_ahead(self, &at, error);
}

/* --- segments --------------------------------------------------------------------------------- */

static bool
scan_segment(const Check *self, BkWalDrops *drops, guint index, GError **error)
{
    const Segment *segment = segment_at(self, index);
    g_auto(BkBuf) content = BK_BUF_INIT;

    return (segment->is_own
                ? bk_snapshot_wal_get(self->own, segment->segno, &content, self->op, error)
                : bk_recovery_index_get_segment(self->past, segment->timeline, segment->segno,
                                                &content, self->op, error)) &&
           bk_wal_drops_scan(drops, content.data, content.size, error);
}

/* A record may go over from the segment before, and what belongs to a mark may be in the next. */
static bool
is_near_drop(const Check *self, guint index)
{
    return segment_at(self, index)->has_drop ||
           (index < self->last && segment_at(self, index + 1)->has_drop) ||
           (index > self->first && segment_at(self, index - 1)->has_drop);
}

/* Finds the oldest transaction whose drop may be under way at the position, and the segment in
 * which the last such one ends. BK_WAL_XID_NONE for none. */
static bool
find_suspect(Check *self, uint32_t *xid, guint *last, GError **error)
{
    g_autoptr(BkWalDrops) drops = bk_wal_drops_new();
    const BkLsn lsn = self->position->lsn;

    *xid = BK_WAL_XID_NONE;
    *last = self->at;
    for (guint i = self->first; i <= self->last; i++) {
        g_autoptr(GError) cause = NULL;

        if (!is_near_drop(self, i) && !bk_wal_drops_is_open(drops))
            continue;
        if (!scan_segment(self, drops, i, &cause))
            return narrow_range(self, i, &cause, error);
        if (bk_wal_drops_find_suspect(drops, lsn, self->next_xid, xid))
            *last = MAX(*last, i);
    }
    return true;
}

/* The first record of a drop comes with the first ones of its transaction. */
static guint
find_begin(const Check *self, uint32_t xid)
{
    const uint32_t size = self->past->input.segment_size;
    const guint marks = (guint)(MARK_BYTES / size) + 1;
    guint index = self->last;
    BkLsn floor = UINT64_MAX;

    for (; index > self->first && floor == UINT64_MAX; index--)
        for (size_t i = 0; i < 2 && floor == UINT64_MAX; i++) {
            const BkWalCheckpoint *checkpoint = &segment_at(self, index)->checkpoints[i];

            if (checkpoint->lsn != 0 && checkpoint->next_xid != BK_WAL_XID_NONE &&
                !is_before(xid, checkpoint->next_xid))
                floor = checkpoint->redo;
        }
    while (index > self->first && segment_at(self, index)->segno * size >= floor)
        index--;
    index = MIN(index, self->at);
    return MAX(index - MIN(index, marks), self->lowest);
}

/* Reads all from the begin of the drop on. */
static bool
read_drops(Check *self, guint first, guint last, BkStopCheck *check, GError **error)
{
    g_autoptr(BkWalDrops) drops = bk_wal_drops_new();
    BkLsn stop = self->position->lsn;

    for (guint i = first; i <= self->last; i++) {
        g_autoptr(GError) cause = NULL;

        if (!scan_segment(self, drops, i, &cause))
            return narrow_range(self, i, &cause, error);
        if (self->position->is_inclusive && bk_wal_drops_record_at(drops, self->position->lsn) != 0)
            stop = bk_wal_drops_record_at(drops, self->position->lsn) + 1;
        /* A drop whose commit is not there yet may end in the next segment. */
        if (i >= last && (!bk_wal_drops_find(drops, stop, &check->drop) || check->drop.end != 0))
            break;
    }
    if (bk_wal_drops_find(drops, stop, &check->drop))
        check->commits = bk_wal_drops_count_commits(drops, &check->drop, stop);
    return true;
}

/* One look at what can be read, as far as is known. */
static bool
look_for_drops(Check *self, BkStopCheck *check, GError **error)
{
    uint32_t suspect;
    guint last;

    self->has_narrowed = false;
    *check = (BkStopCheck){.commits = 0};
    if (!find_suspect(self, &suspect, &last, error))
        return false;
    return self->has_narrowed || suspect == BK_WAL_XID_NONE ||
           read_drops(self, find_begin(self, suspect), last, check, error);
}

bool
bk_stop_check(const BkRecoveryIndex *past, const BkRecoveryIndexSnapshot *snapshot,
              const BkWindowPath *path, const BkStopPosition *position, BkStopCheck *check,
              BkOp *op, GError **error)
{
    g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(Segment));
    g_autoptr(BkSnapshotWal) own = bk_snapshot_wal_new(past, snapshot);
    Check self = {
        .past = past,
        .snapshot = snapshot,
        .own = own,
        .position = position,
        .op = op,
        .segments = segments,
    };
    bool ok;

    *check = (BkStopCheck){.commits = 0};
    list_segments(&self, path);
    if (segments->len == 0)
        return true;
    ok = read_heads(&self, error);
    do
        ok = ok && look_for_drops(&self, check, error);
    while (ok && self.has_narrowed);
    return ok;
}
