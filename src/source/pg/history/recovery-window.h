/* recovery-window.h - recovery windows: the spans of time to which a PostgreSQL source can be
 * recovered.
 *
 * Pure calculation from the snapshots, the WAL segments present, and the timeline histories. The
 * rules are those of recovery itself: of the timelines on the way to the leaf, the newest one that
 * has begun by a segment and of which that segment is present gives it; a parent's WAL past the
 * point where the child left it does not count, and the segment with that point may bear the
 * child's name (it holds a copy of the parent's part) or the parent's (then the way ends there).
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/macros.h"

typedef struct BkWindowSnapshot {
    const char *id;
    uint32_t timeline; /* that of the stop LSN */
    uint64_t start_lsn;
    uint64_t stop_lsn; /* >= start_lsn */
    int64_t started_us;
    int64_t finished_us;
    bool standalone; /* holds its own WAL from start to stop */
    bool damaged;
} BkWindowSnapshot;

typedef struct BkWindowSpan {
    uint64_t first; /* segment numbers, both present */
    uint64_t last;
} BkWindowSpan;

typedef struct BkWindowSwitch {
    uint32_t timeline; /* an ancestor, and where it was left */
    uint64_t lsn;
} BkWindowSwitch;

/* One timeline of the archive: what is present of it, and its history. */
typedef struct BkWindowTimeline {
    uint32_t timeline;
    const BkWindowSpan *spans; /* sorted, apart from each other or adjacent */
    size_t span_count;
    const BkWindowSwitch
        *switches; /* oldest ancestor first, timelines rise, positions never fall */
    size_t switch_count;
} BkWindowTimeline;

typedef struct BkWindowInput {
    const BkWindowSnapshot *snapshots; /* any order */
    size_t snapshot_count;
    const BkWindowTimeline *timelines; /* any order, each timeline once */
    size_t timeline_count;
    uint32_t segment_size;
} BkWindowInput;

/* Segments that are missing in a row. */
typedef struct BkWindowGap {
    uint32_t timeline; /* under whose name the first is missing; 0: no gap */
    uint64_t first;
    uint64_t last;
} BkWindowGap;

typedef struct BkWindow {
    uint32_t timeline;     /* the leaf it leads to: recovery_target_timeline */
    size_t first_snapshot; /* index of the one with the least stop LSN */
    size_t last_snapshot;  /* index of the one with the greatest */
    size_t snapshot_count;
    size_t damaged_count;  /* of them */
    uint64_t from_lsn;     /* stop LSN of the first */
    int64_t from_time_us;  /* when the first finished */
    uint64_t end_lsn;      /* end of the WAL that can be replayed, at least from_lsn */
    bool has_wal;          /* false: a standalone snapshot's single point; no end segment */
    uint32_t end_timeline; /* the last segment of it */
    uint64_t end_segno;
    BkWindowGap gap; /* what is missing right after, when later segments of the way exist */
} BkWindow;

/* A snapshot that cannot be recovered: its own WAL is not wholly there. */
typedef struct BkWindowBroken {
    size_t snapshot;
    uint32_t timeline; /* the first missing segment */
    uint64_t segno;
} BkWindowBroken;

typedef struct BkWindows {
    BkWindow *windows; /* owned; by leaf timeline, then from_lsn */
    size_t count;
    BkWindowBroken *broken; /* owned; by snapshot index */
    size_t broken_count;
} BkWindows;

void bk_windows_clear(BkWindows *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkWindows, bk_windows_clear)

/* Calculates all windows. A window that another one contains on the way to a later timeline is not
 * listed on its own, nor is one that leads to a timeline without reaching it, unless it ends at a
 * gap that no other one ends at. */
void bk_windows_find(const BkWindowInput *input, BkWindows *windows);

/* Segments first to last, read under the name of `timeline`. */
typedef struct BkWindowStep {
    uint32_t timeline;
    uint64_t first;
    uint64_t last;
} BkWindowStep;

typedef struct BkWindowPath {
    BkWindowStep *steps; /* owned; in the order of recovery */
    size_t count;
    uint64_t end_lsn; /* how far recovery comes */
    BkWindowGap gap;  /* as in BkWindow */
} BkWindowPath;

void bk_window_path_clear(BkWindowPath *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkWindowPath, bk_window_path_clear)

/* What recovery reads that starts from snapshot `snapshot` (index) and heads for timeline `leaf`:
 * to the end of the WAL that is there. False when the snapshot is not on the way to that timeline,
 * or its own WAL is not wholly there (and path->gap says what is missing first). */
bool bk_window_path(const BkWindowInput *input, size_t snapshot, uint32_t leaf,
                    BkWindowPath *path) BK_MUST_USE;

/* The holes between the segments present of one timeline: an owned array (g_free) of `*count`, NULL
 * for none. */
BkWindowGap *bk_window_missing(const BkWindowTimeline *timeline, size_t *count) BK_MUST_USE;
