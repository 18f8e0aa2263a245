/* recovery-window.c - recovery windows: the spans of time to which a PostgreSQL source can be
 * recovered. */
#include "source/pg/history/recovery-window.h"

#include <string.h>

/* A part of the way to a leaf: one timeline, from where it left its parent to where it was left. */
typedef struct Leg {
    uint32_t timeline;
    uint64_t begin_lsn;
    uint64_t end_lsn;                /* UINT64_MAX for the leaf */
    const BkWindowTimeline *archive; /* NULL: nothing is present of it */
} Leg;

typedef struct Route {
    Leg *legs; /* owned; the last is the leaf */
    size_t count;
    uint32_t segment_size;
} Route;

/* How far the WAL goes that recovery from one snapshot finds. */
typedef struct Reach {
    uint64_t end_lsn;
    GArray *steps;       /* of BkWindowStep, borrowed; NULL when nobody wants them */
    BkWindowStep last;   /* the last step; timeline 0 when there is none */
    BkWindowGap missing; /* what it does not find then; a single segment when none is behind */
    bool has_later;      /* later segments exist: `missing` is a gap */
} Reach;

/* A snapshot on the way to a leaf that can be recovered. */
typedef struct Start {
    size_t snapshot;
    uint64_t stop_lsn;
    Reach reach;
} Start;

static void
route_clear(Route *self)
{
    g_free(self->legs);
    *self = (Route){0};
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Route, route_clear)

void
bk_windows_clear(BkWindows *self)
{
    g_free(self->windows);
    g_free(self->broken);
    *self = (BkWindows){0};
}

void
bk_window_path_clear(BkWindowPath *self)
{
    g_free(self->steps);
    *self = (BkWindowPath){0};
}

static const BkWindowTimeline *
find_timeline(const BkWindowInput *input, uint32_t timeline)
{
    for (size_t i = 0; i < input->timeline_count; i++)
        if (input->timelines[i].timeline == timeline)
            return &input->timelines[i];
    return NULL;
}

static void
route_init(Route *self, const BkWindowInput *input, uint32_t leaf)
{
    const BkWindowTimeline *archive = find_timeline(input, leaf);
    size_t ancestors = archive != NULL ? archive->switch_count : 0;
    uint64_t begin_lsn = 0;

    self->segment_size = input->segment_size;
    self->count = ancestors + 1;
    self->legs = g_new0(Leg, self->count);
    for (size_t i = 0; i < ancestors; i++) {
        const BkWindowSwitch *left = &archive->switches[i];

        self->legs[i] =
            (Leg){left->timeline, begin_lsn, left->lsn, find_timeline(input, left->timeline)};
        begin_lsn = left->lsn;
    }
    self->legs[ancestors] = (Leg){leaf, begin_lsn, UINT64_MAX, archive};
}

static uint64_t
segment_end(uint64_t segno, uint32_t segment_size)
{
    return segno >= UINT64_MAX / segment_size ? UINT64_MAX : (segno + 1) * segment_size;
}

/* The first span that ends at or behind `segno`, NULL for none. */
static const BkWindowSpan *
find_span(const Leg *leg, uint64_t segno)
{
    size_t low = 0;
    size_t high = leg->archive != NULL ? leg->archive->span_count : 0;
    const size_t count = high;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (leg->archive->spans[middle].last < segno)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count ? &leg->archive->spans[low] : NULL;
}

/* The newest leg that has begun by segment `segno`: under its name the segment is expected. */
static size_t
newest_leg(const Route *self, uint64_t segno)
{
    size_t i = self->count - 1;

    while (i > 0 && self->legs[i].begin_lsn / self->segment_size > segno)
        i--;
    return i;
}

/* The leg under whose name recovery finds segment `segno`, and the span that holds it. NULL when it
 * finds none. */
static const Leg *
find_leg(const Route *self, uint64_t segno, const BkWindowSpan **span)
{
    for (size_t i = newest_leg(self, segno) + 1; i-- > 0;) {
        const Leg *leg = &self->legs[i];

        if (leg->end_lsn <= segno * self->segment_size)
            return NULL; /* that one was left before, and so were the older ones */
        *span = find_span(leg, segno);
        if (*span != NULL && (*span)->first <= segno)
            return leg;
    }
    return NULL;
}

/* The least segment behind `segno` that is present on the route. False when there is none. */
static bool
find_later(const Route *self, uint64_t segno, uint64_t *later)
{
    bool found = false;

    for (size_t i = 0; i < self->count; i++) {
        const Leg *leg = &self->legs[i];
        uint64_t first = MAX(segno + 1, leg->begin_lsn / self->segment_size);
        const BkWindowSpan *span = find_span(leg, first);
        uint64_t present = span != NULL ? MAX(first, span->first) : 0;

        if (span == NULL ||
            (leg->end_lsn != UINT64_MAX && present * self->segment_size >= leg->end_lsn))
            continue;
        *later = found ? MIN(*later, present) : present;
        found = true;
    }
    return found;
}

static void
add_step(Reach *reach, uint32_t timeline, uint64_t first, uint64_t last)
{
    bool goes_on = reach->last.timeline == timeline && reach->last.last + 1 == first;

    reach->last = (BkWindowStep){timeline, goes_on ? reach->last.first : first, last};
    if (reach->steps == NULL)
        return;
    if (goes_on)
        g_array_set_size(reach->steps, reach->steps->len - 1);
    g_array_append_val(reach->steps, reach->last);
}

/* Follows the WAL from segment `segno` on as recovery does. */
static void
route_follow(const Route *self, uint64_t segno, Reach *reach)
{
    const BkWindowSpan *span;
    const Leg *leg;
    uint64_t later;

    reach->end_lsn = segno * self->segment_size;
    while ((leg = find_leg(self, segno, &span)) != NULL) {
        uint64_t last = span->last;

        if (segment_end(segno, self->segment_size) > leg->end_lsn) {
            /* The parent's segment with the point where it was left: good up to that point. */
            add_step(reach, leg->timeline, segno, segno);
            reach->end_lsn = leg->end_lsn;
            break;
        }
        if (leg->end_lsn != UINT64_MAX)
            last = MIN(last, leg->end_lsn / self->segment_size - 1);
        add_step(reach, leg->timeline, segno, last);
        reach->end_lsn = segment_end(last, self->segment_size);
        segno = last + 1;
    }
    reach->has_later = find_later(self, segno, &later);
    reach->missing = (BkWindowGap){
        .timeline = self->legs[newest_leg(self, segno)].timeline,
        .first = segno,
        .last = reach->has_later ? MAX(segno, later - 1) : segno,
    };
}

/* Is the snapshot on the route: on a timeline of it that was not left before the snapshot ended? */
static bool
route_has(const Route *self, const BkWindowSnapshot *snapshot)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->legs[i].timeline == snapshot->timeline)
            return snapshot->stop_lsn <= self->legs[i].end_lsn;
    return false;
}

/* How far recovery from `snapshot` comes. False when it does not even reach consistency. */
static bool
route_reach(const Route *self, const BkWindowSnapshot *snapshot, Reach *reach)
{
    uint64_t from = snapshot->standalone ? snapshot->stop_lsn : snapshot->start_lsn;

    route_follow(self, from / self->segment_size, reach);
    if (snapshot->standalone) {
        reach->end_lsn = MAX(reach->end_lsn, snapshot->stop_lsn);
        return true;
    }
    return reach->last.timeline != 0 && reach->end_lsn >= snapshot->stop_lsn;
}

/* Up to where two routes are the same. */
static uint64_t
common_lsn(const Route *a, const Route *b)
{
    for (size_t i = 0; i < MIN(a->count, b->count); i++) {
        if (a->legs[i].timeline != b->legs[i].timeline)
            return a->legs[i].begin_lsn;
        if (a->legs[i].end_lsn != b->legs[i].end_lsn)
            return MIN(a->legs[i].end_lsn, b->legs[i].end_lsn);
    }
    return UINT64_MAX;
}

static int
compare_starts(gconstpointer a, gconstpointer b)
{
    const Start *left = a;
    const Start *right = b;

    if (left->stop_lsn != right->stop_lsn)
        return left->stop_lsn < right->stop_lsn ? -1 : 1;
    return left->snapshot < right->snapshot ? -1 : left->snapshot > right->snapshot;
}

static void
set_end(BkWindow *window, const Reach *reach)
{
    window->end_lsn = reach->end_lsn;
    window->has_wal = reach->last.timeline != 0;
    window->end_timeline = reach->last.timeline;
    window->end_segno = reach->last.last;
    window->gap = reach->has_later ? reach->missing : (BkWindowGap){0};
}

/* Windows of one leaf from its starts, which are sorted by stop LSN. */
static void
append_windows(const BkWindowInput *input, uint32_t leaf, const GArray *starts, GArray *windows)
{
    const guint begin = windows->len;

    for (guint i = 0; i < starts->len; i++) {
        const Start *start = &g_array_index(starts, Start, i);
        const BkWindowSnapshot *snapshot = &input->snapshots[start->snapshot];
        BkWindow *last =
            windows->len > begin ? &g_array_index(windows, BkWindow, windows->len - 1) : NULL;

        if (last == NULL || last->end_lsn < snapshot->stop_lsn) {
            BkWindow window = {
                .timeline = leaf,
                .first_snapshot = start->snapshot,
                .from_lsn = snapshot->stop_lsn,
                .from_time_us = snapshot->finished_us,
            };

            set_end(&window, &start->reach);
            g_array_append_val(windows, window);
            last = &g_array_index(windows, BkWindow, windows->len - 1);
        } else if (start->reach.end_lsn > last->end_lsn) {
            set_end(last, &start->reach);
        }
        last->last_snapshot = start->snapshot;
        last->snapshot_count++;
        last->damaged_count += snapshot->damaged ? 1 : 0;
    }
}

static void
find_leaf_windows(const BkWindowInput *input, const Route *route, bool *usable, GArray *windows)
{
    g_autoptr(GArray) starts = g_array_new(false, false, sizeof(Start));

    for (size_t i = 0; i < input->snapshot_count; i++) {
        const BkWindowSnapshot *snapshot = &input->snapshots[i];
        Start start = {.snapshot = i, .stop_lsn = snapshot->stop_lsn};

        if (!route_has(route, snapshot) || !route_reach(route, snapshot, &start.reach))
            continue;
        usable[i] = true;
        g_array_append_val(starts, start);
    }
    g_array_sort(starts, compare_starts);
    append_windows(input, route->legs[route->count - 1].timeline, starts, windows);
}

static int
compare_timelines(gconstpointer a, gconstpointer b)
{
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* Routes to every timeline that the archive or a snapshot knows, in order; an owned array. */
static Route *
find_routes(const BkWindowInput *input, size_t *count)
{
    g_autoptr(GArray) leaves = g_array_new(false, false, sizeof(uint32_t));
    Route *routes;

    for (size_t i = 0; i < input->timeline_count; i++)
        g_array_append_val(leaves, input->timelines[i].timeline);
    for (size_t i = 0; i < input->snapshot_count; i++)
        g_array_append_val(leaves, input->snapshots[i].timeline);
    g_array_sort(leaves, compare_timelines);
    routes = g_new0(Route, leaves->len);
    *count = 0;
    for (guint i = 0; i < leaves->len; i++) {
        uint32_t leaf = g_array_index(leaves, uint32_t, i);

        if (i == 0 || leaf != g_array_index(leaves, uint32_t, i - 1))
            route_init(&routes[(*count)++], input, leaf);
    }
    return routes;
}

/* The route to a leaf that has one. */
static const Route *
route_of(const Route *routes, uint32_t leaf)
{
    while (routes->legs[routes->count - 1].timeline != leaf)
        routes++;
    return routes;
}

/* Is every snapshot between `from` and `to` that is on route `a` on route `b` too? */
static bool
shares_snapshots(const BkWindowInput *input, const Route *a, const Route *b, uint64_t from,
                 uint64_t to)
{
    for (size_t i = 0; i < input->snapshot_count; i++) {
        const BkWindowSnapshot *snapshot = &input->snapshots[i];

        if (snapshot->stop_lsn >= from && snapshot->stop_lsn <= to && route_has(a, snapshot) &&
            !route_has(b, snapshot))
            return false;
    }
    return true;
}

/* Does `self` have the gap at which `ending` ends? One that is not told anywhere else must be. */
static bool
has_gap_of(const BkWindow *self, const BkWindow *ending)
{
    return ending->gap.timeline == 0 ||
           (self->gap.timeline == ending->gap.timeline && self->gap.first == ending->gap.first &&
            self->gap.last == ending->gap.last);
}

/* Does `other` say all that `window` says? Of two that say the same, the one of the older timeline
 * stays: the way does not reach the younger one. */
static bool
is_contained(const BkWindowInput *input, const BkWindow *window, const BkWindow *other,
             const Route *routes)
{
    const Route *route, *other_route;

    if (other->timeline == window->timeline || other->from_lsn > window->from_lsn ||
        other->end_lsn < window->end_lsn || !has_gap_of(other, window))
        return false;
    if (other->from_lsn == window->from_lsn && other->end_lsn == window->end_lsn &&
        other->timeline > window->timeline && has_gap_of(window, other))
        return false;
    route = route_of(routes, window->timeline);
    other_route = route_of(routes, other->timeline);
    return common_lsn(route, other_route) >= window->end_lsn &&
           shares_snapshots(input, route, other_route, window->from_lsn, window->end_lsn);
}

static void
drop_contained(const BkWindowInput *input, GArray *all, const Route *routes, GArray *kept)
{
    for (guint i = 0; i < all->len; i++) {
        const BkWindow *window = &g_array_index(all, BkWindow, i);
        bool contained = false;

        for (guint j = 0; j < all->len && !contained; j++)
            contained = is_contained(input, window, &g_array_index(all, BkWindow, j), routes);
        if (!contained)
            g_array_append_vals(kept, window, 1);
    }
}

static void
find_broken(const BkWindowInput *input, const Route *routes, const bool *usable, GArray *broken)
{
    for (size_t i = 0; i < input->snapshot_count; i++) {
        const BkWindowSnapshot *snapshot = &input->snapshots[i];
        Reach reach = {0};
        BkWindowBroken found;

        if (usable[i])
            continue;
        route_follow(route_of(routes, snapshot->timeline),
                     snapshot->start_lsn / input->segment_size, &reach);
        found = (BkWindowBroken){i, reach.missing.timeline, reach.missing.first};
        g_array_append_val(broken, found);
    }
}

void
bk_windows_find(const BkWindowInput *input, BkWindows *windows)
{
    g_autoptr(GArray) all = g_array_new(false, false, sizeof(BkWindow));
    g_autoptr(GArray) kept = g_array_new(false, false, sizeof(BkWindow));
    g_autoptr(GArray) broken = g_array_new(false, false, sizeof(BkWindowBroken));
    g_autofree bool *usable = g_new0(bool, input->snapshot_count);
    size_t count;
    g_autofree Route *routes = find_routes(input, &count);

    for (size_t i = 0; i < count; i++)
        find_leaf_windows(input, &routes[i], usable, all);
    drop_contained(input, all, routes, kept);
    find_broken(input, routes, usable, broken);
    for (size_t i = 0; i < count; i++)
        route_clear(&routes[i]);
    windows->count = kept->len;
    windows->windows = (BkWindow *)(void *)g_array_free(g_steal_pointer(&kept), false);
    windows->broken_count = broken->len;
    windows->broken = (BkWindowBroken *)(void *)g_array_free(g_steal_pointer(&broken), false);
}

bool
bk_window_path(const BkWindowInput *input, size_t snapshot, uint32_t leaf, BkWindowPath *path)
{
    g_autoptr(GArray) steps = g_array_new(false, false, sizeof(BkWindowStep));
    g_auto(Route) route = {0};
    Reach reach = {.steps = steps};
    bool reached;

    *path = (BkWindowPath){0};
    route_init(&route, input, leaf);
    if (!route_has(&route, &input->snapshots[snapshot]))
        return false;
    reached = route_reach(&route, &input->snapshots[snapshot], &reach);
    path->end_lsn = reach.end_lsn;
    if (reach.has_later || !reached)
        path->gap = reach.missing;
    path->count = steps->len;
    path->steps = (BkWindowStep *)(void *)g_array_free(g_steal_pointer(&steps), false);
    return reached;
}

BkWindowGap *
bk_window_missing(const BkWindowTimeline *timeline, size_t *count)
{
    g_autoptr(GArray) gaps = g_array_new(false, false, sizeof(BkWindowGap));

    for (size_t i = 1; i < timeline->span_count; i++) {
        BkWindowGap gap = {
            .timeline = timeline->timeline,
            .first = timeline->spans[i - 1].last + 1,
            .last = timeline->spans[i].first - 1,
        };

        if (gap.first <= gap.last)
            g_array_append_val(gaps, gap);
    }
    *count = gaps->len;
    return (BkWindowGap *)(void *)g_array_free(g_steal_pointer(&gaps), false);
}
