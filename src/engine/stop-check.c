/* stop-check.c - see stop-check.h. */
#include "engine/stop-check.h"

/* Segments before and behind the position whose heads are looked at. A drop commits right after its
 * files are gone, but the checkpoint between its first record and that takes a while. */
#define NEAR_SEGMENTS 32
/* The first record of a drop is looked for so far before the one that removes the files. */
#define MARK_BYTES ((BkLsn)16 * BK_MIB)

typedef struct Segment {
    uint32_t timeline;
    uint64_t segno;
} Segment;

/* The segments of the path from `first` to `last`: of Segment. */
static GArray *
list_segments(const BkWindowPath *path, uint64_t first, uint64_t last)
{
    GArray *segments = g_array_new(FALSE, FALSE, sizeof(Segment));

    for (size_t i = 0; i < path->count; i++) {
        const BkWindowStep *step = &path->steps[i];
        const uint64_t end = MIN(step->last, last);

        for (uint64_t segno = MAX(step->first, first); segno <= end; segno++) {
            const Segment segment = {step->timeline, segno};

            g_array_append_val(segments, segment);
        }
    }
    return segments;
}

/* Finds the first and the last of `segments` in which something is dropped. */
static bool
find_drops(const BkPast *past, const GArray *segments, const Segment **first, const Segment **last,
           BkOp *op, GError **error)
{
    g_auto(BkWalInfo) before = {0};

    *first = *last = NULL;
    for (guint i = 0; i < segments->len; i++) {
        const Segment *segment = &g_array_index(segments, Segment, i);
        BkWalInfo info = {0};

        if (!bk_past_get_info(past, segment->timeline, segment->segno, &info, op, error))
            return false;
        if (i > 0)
            (void)bk_wal_info_join(&before, &info);
        bk_wal_info_clear(&before);
        before = info;
        if (!info.has_drop)
            continue;
        /* The record may have begun in the segment before. */
        if (*first == NULL)
            *first = i > 0 ? segment - 1 : segment;
        *last = segment;
    }
    return true;
}

static bool
read_drops(const BkPast *past, const GArray *segments, uint64_t until, BkStopCheck *check,
           const BkStopPosition *position, BkOp *op, GError **error)
{
    g_autoptr(BkWalDrops) drops = bk_wal_drops_new();
    BkLsn stop = position->lsn;

    for (guint i = 0; i < segments->len; i++) {
        const Segment *segment = &g_array_index(segments, Segment, i);
        g_auto(BkBuf) content = BK_BUF_INIT;

        if (!bk_past_get_segment(past, segment->timeline, segment->segno, &content, op, error) ||
            !bk_wal_drops_scan(drops, content.data, content.size, error))
            return false;
        if (position->is_inclusive && bk_wal_drops_record_at(drops, position->lsn) != 0)
            stop = bk_wal_drops_record_at(drops, position->lsn) + 1;
        /* A drop whose commit is not there yet may end in the next segment. */
        if (segment->segno >= until &&
            (!bk_wal_drops_find(drops, stop, &check->drop) || check->drop.end != 0))
            break;
    }
    if (bk_wal_drops_find(drops, stop, &check->drop))
        check->commits = bk_wal_drops_count_commits(drops, &check->drop, stop);
    return true;
}

bool
bk_stop_check(const BkPast *past, const BkWindowPath *path, const BkStopPosition *position,
              BkStopCheck *check, BkOp *op, GError **error)
{
    const uint32_t size = past->input.segment_size;
    const uint64_t at = bk_wal_segment_of(position->lsn, size);
    const uint64_t marks = MARK_BYTES / size + 1;
    const uint64_t last = at + NEAR_SEGMENTS;
    g_autoptr(GArray) around = list_segments(path, at - MIN(at, NEAR_SEGMENTS), last);
    g_autoptr(GArray) segments = NULL;
    const Segment *first_drop, *last_drop;
    uint64_t first;

    *check = (BkStopCheck){.commits = 0};
    if (!find_drops(past, around, &first_drop, &last_drop, op, error))
        return false;
    if (first_drop == NULL)
        return true;
    first = MIN(first_drop->segno - MIN(first_drop->segno, marks), at);
    segments = list_segments(path, first, last);
    return read_drops(past, segments, MAX(last_drop->segno, at), check, position, op, error);
}
