/* wal-search.c - finds a transaction or a restore point in archived WAL. */
#include "source/pg/restore/wal-search.h"

#include <string.h>

typedef struct Search Search;

/* Looks at one segment; sets `is_done` when no more need be looked at. */
typedef bool (*LookFn)(Search *self, uint32_t timeline, uint64_t segno, BkOp *op, GError **error);

struct Search {
    const BkRecoveryIndex *past;
    LookFn look;
    void *result; /* of the kind that `look` fills */
    bool is_done;
    const BkRecoveryTarget *target; /* or a time: */
    int64_t time_us;
    BkLsn from_lsn;
    uint64_t stride;  /* between the segments that are looked at; 0: every one is */
    BkWalInfo before; /* of the segment before the one at hand */
    bool has_before;
};

/* Looks along the path, from segment `first` to before `end`. */
static bool
search_along(Search *self, const BkWindowPath *path, uint64_t first, uint64_t end, BkOp *op,
             GError **error)
{
    bool ok = true;

    for (size_t i = 0; ok && !self->is_done && i < path->count; i++) {
        const BkWindowStep *step = &path->steps[i];
        uint64_t segno = MAX(step->first, first);

        for (; ok && !self->is_done && segno <= step->last && segno < end; segno++) {
            if (self->stride > 1 && segno % self->stride != 0 && segno != step->last)
                continue;
            ok = bk_op_check(op, error) && self->look(self, step->timeline, segno, op, error);
        }
    }
    bk_wal_info_clear(&self->before);
    return ok;
}

/* Transaction ids are compared in a circle. */
static bool
is_between(uint32_t xid, uint32_t min, uint32_t max)
{
    return (int32_t)(xid - min) >= 0 && (int32_t)(max - xid) >= 0;
}

static bool
has_point(const BkWalInfo *info, const char *name)
{
    for (guint i = 0; info->points != NULL && i < info->points->len; i++)
        if (strcmp(g_array_index(info->points, BkWalPoint, i).name, name) == 0)
            return true;
    return info->points_omitted > 0;
}

static bool
may_hold(const BkWalInfo *info, const BkRecoveryTarget *target)
{
    if (target->kind == BK_RECOVERY_TARGET_NAME)
        return has_point(info, target->text);
    return info->xacts > 0 && is_between(target->xid, info->min_xid, info->max_xid);
}

/* The info of a segment, with the record that crosses from the one before. */
static bool
load_info(const Search *self, uint32_t timeline, uint64_t segno, BkWalInfo *info, BkOp *op,
          GError **error)
{
    if (!bk_recovery_index_get_info(self->past, timeline, segno, info, op, error))
        return false;
    if (self->has_before)
        (void)bk_wal_info_join(&self->before, info);
    return true;
}

/* Moves `info`: the next segment's is joined with it. */
static void
keep_info(Search *self, BkWalInfo *info)
{
    bk_wal_info_clear(&self->before);
    if (self->stride > 1)
        return; /* they are no neighbours */
    self->before = *info;
    *info = (BkWalInfo){0};
    self->has_before = true;
}

static bool
search_archived_segment(Search *self, uint32_t timeline, uint64_t segno, BkOp *op, GError **error)
{
    BkWalMoment *found = self->result;
    g_auto(BkWalInfo) info = {0};
    g_auto(BkBuf) content = BK_BUF_INIT;
    const BkWalInfo *before = self->has_before ? &self->before : NULL;
    bool ok = true;

    if (!load_info(self, timeline, segno, &info, op, error))
        return false;
    if (may_hold(&info, self->target)) {
        ok = bk_recovery_index_get_segment(self->past, timeline, segno, &content, op, error) &&
             (self->target->kind == BK_RECOVERY_TARGET_NAME
                  ? bk_wal_find_point(content.data, content.size, before, self->target->text,
                                      self->from_lsn, found, error)
                  : bk_wal_find_xid(content.data, content.size, before, self->target->xid, found,
                                    error));
    }
    keep_info(self, &info);
    /* Recovery cannot stop before the snapshot is consistent. */
    if (found->lsn < self->from_lsn)
        *found = (BkWalMoment){0};
    self->is_done = found->lsn != 0;
    return ok;
}

bool
bk_wal_search(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn, BkLsn to_lsn,
              const BkRecoveryTarget *target, BkWalMoment *found, BkOp *op, GError **error)
{
    const uint32_t size = past->input.segment_size;
    Search self = {
        .past = past,
        .look = search_archived_segment,
        .result = found,
        .target = target,
        .from_lsn = from_lsn,
    };

    *found = (BkWalMoment){0};
    return search_along(&self, path, 0, to_lsn / size + (to_lsn % size != 0), op, error);
}

/* One segment of the way. Only one that holds the stop is read whole, or one whose last transaction
 * was rolled back. */
static bool
search_time_in(Search *self, uint32_t timeline, uint64_t segno, BkOp *op, GError **error)
{
    BkWalStop *stop = self->result;
    const BkWalInfo *before = self->has_before ? &self->before : NULL;
    g_auto(BkWalInfo) info = {0};
    g_auto(BkBuf) content = BK_BUF_INIT;
    bool may_stop, is_plain;

    if (!load_info(self, timeline, segno, &info, op, error))
        return false;
    may_stop =
        info.xacts > 0 && info.max_time_us > self->time_us && info.last.lsn >= self->from_lsn;
    is_plain = info.xacts == 0 || info.last.commit;
    if (may_stop || !is_plain) {
        if (!bk_recovery_index_get_segment(self->past, timeline, segno, &content, op, error) ||
            !bk_wal_find_time(content.data, content.size, before, self->time_us, self->from_lsn,
                              &stop->stop, &stop->commit, error))
            return false;
    } else if (info.xacts > 0) {
        stop->commit = info.last;
    }
    self->is_done = stop->stop.lsn != 0;
    keep_info(self, &info);
    return true;
}

bool
bk_wal_search_time(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn,
                   int64_t time_us, BkWalStop *stop, BkOp *op, GError **error)
{
    Search self = {
        .past = past,
        .look = search_time_in,
        .result = stop,
        .from_lsn = from_lsn,
        .time_us = time_us,
    };

    *stop = (BkWalStop){0};
    return search_along(&self, path, 0, UINT64_MAX, op, error);
}

static bool
search_earlier_in(Search *self, uint32_t timeline, uint64_t segno, BkOp *op, GError **error)
{
    BkLsn *lsn = self->result;
    const BkWalInfo *before = self->has_before ? &self->before : NULL;
    g_auto(BkWalInfo) info = {0};
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkWalMoment found = {0};

    if (!load_info(self, timeline, segno, &info, op, error))
        return false;
    if (info.xacts > 0 && info.min_time_us < self->time_us && info.last.lsn >= self->from_lsn &&
        (!bk_recovery_index_get_segment(self->past, timeline, segno, &content, op, error) ||
         !bk_wal_find_earlier(content.data, content.size, before, self->time_us, self->from_lsn,
                              &found, error)))
        return false;
    *lsn = found.lsn;
    self->is_done = found.lsn != 0;
    keep_info(self, &info);
    return true;
}

static uint64_t
choose_search_stride(const BkWindowPath *path, uint64_t first, uint64_t heads_max)
{
    uint64_t count = 0;

    for (size_t i = 0; i < path->count; i++)
        if (path->steps[i].last >= first)
            count += path->steps[i].last - MAX(path->steps[i].first, first) + 1;
    return count / heads_max + 1;
}

bool
bk_wal_search_earlier_far(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn,
                          int64_t time_us, uint64_t heads_max, BkLsn *lsn, BkOp *op, GError **error)
{
    const uint64_t first = bk_wal_segment_of(from_lsn, past->input.segment_size);
    Search self = {
        .past = past,
        .look = search_earlier_in,
        .result = lsn,
        .from_lsn = from_lsn,
        .time_us = time_us,
        .stride = choose_search_stride(path, first, heads_max),
    };

    *lsn = 0;
    return search_along(&self, path, first, UINT64_MAX, op, error);
}

bool
bk_wal_search_earlier(const BkRecoveryIndex *past, const BkWindowPath *path, BkLsn from_lsn,
                      int64_t time_us, BkLsn *lsn, BkOp *op, GError **error)
{
    return bk_wal_search_earlier_far(past, path, from_lsn, time_us, UINT64_MAX, lsn, op, error);
}

void
bk_window_path_cut(BkWindowPath *path, BkLsn lsn, uint32_t segment_size)
{
    uint64_t last = bk_wal_segment_of(lsn - 1, segment_size);

    while (path->count > 0 && path->steps[path->count - 1].first > last)
        path->count--;
    if (path->count > 0 && path->steps[path->count - 1].last > last)
        path->steps[path->count - 1].last = last;
}
