/* line.c - lines: the branches of a source's history, and which of them is current. */
#include "source/pg/history/line.h"

/* Where a timeline comes from. */
typedef struct Origin {
    uint32_t timeline;
    uint32_t parent; /* 0: none is known */
    uint64_t fork_lsn;
    const BkWindowTimeline *archive; /* NULL: nothing is there of it */
} Origin;

/* When something happened on a line: by commits, and by snapshots' ends. */
typedef struct Period {
    int64_t first_us;
    int64_t last_us;
} Period;

/* What one line has and another one has not. */
typedef struct Side {
    GArray *periods; /* of Period, one for each stretch in which something happened */
    int64_t last_us;
    int64_t snapshot_us; /* end of the newest snapshot; INT64_MIN for none */
    bool is_unknown;
    bool is_child; /* it begins with another timeline than what both share */
} Side;

typedef struct Judge {
    const BkLineMap *map;
    const BkWindowInput *input;
    const BkLineEvidence *evidence;
} Judge;

void
bk_line_map_clear(BkLineMap *self)
{
    g_free(self->stretches);
    g_free(self->lines);
    *self = (BkLineMap){.living = BK_LINE_NONE};
}

static void
side_clear(Side *self)
{
    g_clear_pointer(&self->periods, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Side, side_clear)

/* --- stretches -------------------------------------------------------------------------------- */

static Origin *
find_line_origin(GArray *origins, uint32_t timeline)
{
    for (guint i = 0; i < origins->len; i++)
        if (g_array_index(origins, Origin, i).timeline == timeline)
            return &g_array_index(origins, Origin, i);
    return NULL;
}

static Origin *
add_origin(GArray *origins, uint32_t timeline)
{
    const Origin origin = {.timeline = timeline};
    Origin *present = find_line_origin(origins, timeline);

    if (present != NULL)
        return present;
    g_array_append_val(origins, origin);
    return &g_array_index(origins, Origin, origins->len - 1);
}

static void
set_parent(GArray *origins, uint32_t timeline, const BkWindowSwitch *from)
{
    Origin *origin = add_origin(origins, timeline);

    if (origin->parent == 0 && from->timeline < timeline) {
        origin->parent = from->timeline;
        origin->fork_lsn = from->lsn;
    }
}

static int
compare_origins(gconstpointer a, gconstpointer b)
{
    const Origin *left = a;
    const Origin *right = b;

    return left->timeline < right->timeline ? -1 : left->timeline > right->timeline;
}

/* Every timeline that the archive, a history or a snapshot knows, ascending, so that a parent comes
 * first. Its own history says where a timeline comes from; where that is missing, another one's. */
static GArray *
find_origins(const BkWindowInput *input)
{
    GArray *origins = g_array_new(false, true, sizeof(Origin));

    for (size_t i = 0; i < input->timeline_count; i++) {
        const BkWindowTimeline *timeline = &input->timelines[i];

        add_origin(origins, timeline->timeline)->archive = timeline;
        if (timeline->switch_count > 0)
            set_parent(origins, timeline->timeline,
                       &timeline->switches[timeline->switch_count - 1]);
    }
    for (size_t i = 0; i < input->timeline_count; i++) {
        const BkWindowTimeline *timeline = &input->timelines[i];

        for (size_t j = 0; j < timeline->switch_count; j++) {
            (void)add_origin(origins, timeline->switches[j].timeline);
            if (j > 0)
                set_parent(origins, timeline->switches[j].timeline, &timeline->switches[j - 1]);
        }
    }
    for (size_t i = 0; i < input->snapshot_count; i++)
        (void)add_origin(origins, input->snapshots[i].timeline);
    g_array_sort(origins, compare_origins);
    return origins;
}

static int
compare_lsns(gconstpointer a, gconstpointer b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* The stretch that ends where `origin` forked off its parent. */
static size_t
find_before(const GArray *stretches, const Origin *origin)
{
    size_t first = BK_LINE_NONE;

    for (guint i = 0; origin->parent != 0 && i < stretches->len; i++) {
        const BkLineStretch *stretch = &g_array_index(stretches, BkLineStretch, i);

        if (stretch->timeline != origin->parent)
            continue;
        if (stretch->end_lsn == origin->fork_lsn)
            return i;
        if (first == BK_LINE_NONE)
            first = i;
    }
    /* The parent was left at its very beginning, or before it. */
    return first != BK_LINE_NONE ? g_array_index(stretches, BkLineStretch, first).before
                                 : BK_LINE_NONE;
}

static void
add_stretches(GArray *stretches, const GArray *origins, const Origin *origin)
{
    g_autoptr(GArray) forks = g_array_new(false, false, sizeof(uint64_t));
    BkLineStretch next = {
        .timeline = origin->timeline,
        .begin_lsn = origin->parent != 0 ? origin->fork_lsn : 0,
        .before = find_before(stretches, origin),
    };

    for (guint i = 0; i < origins->len; i++) {
        const Origin *child = &g_array_index(origins, Origin, i);

        if (child->parent == origin->timeline)
            g_array_append_val(forks, child->fork_lsn);
    }
    g_array_sort(forks, compare_lsns);
    for (guint i = 0; i < forks->len; i++) {
        next.end_lsn = g_array_index(forks, uint64_t, i);
        if (next.end_lsn <= next.begin_lsn)
            continue;
        g_array_append_val(stretches, next);
        next.before = stretches->len - 1;
        next.begin_lsn = next.end_lsn;
    }
    next.end_lsn = UINT64_MAX;
    g_array_append_val(stretches, next);
}

/* --- lines ------------------------------------------------------------------------------------ */

static const BkWindowTimeline *
find_archive(const BkWindowInput *input, uint32_t timeline)
{
    for (size_t i = 0; i < input->timeline_count; i++)
        if (input->timelines[i].timeline == timeline)
            return &input->timelines[i];
    return NULL;
}

/* Returns true if a segment numbered `first` to `last` is there. */
static bool
has_segments(const BkWindowInput *input, uint32_t timeline, uint64_t first, uint64_t last)
{
    const BkWindowTimeline *archive = find_archive(input, timeline);

    for (size_t i = 0; archive != NULL && i < archive->span_count; i++)
        if (archive->spans[i].last >= first && archive->spans[i].first <= last)
            return true;
    return false;
}

bool
bk_line_map_has_wal(const BkLineMap *self, const BkWindowInput *input, size_t stretch)
{
    const BkLineStretch *at = &self->stretches[stretch];

    return has_segments(input, at->timeline, at->begin_lsn / input->segment_size,
                        (at->end_lsn - 1) / input->segment_size);
}

static bool
is_in_stretch(const BkLineStretch *stretch, const BkWindowSnapshot *snapshot)
{
    return snapshot->timeline == stretch->timeline && snapshot->stop_lsn > stretch->begin_lsn &&
           snapshot->stop_lsn <= stretch->end_lsn;
}

static bool
has_line_snapshot(const BkLineStretch *stretch, const BkWindowInput *input)
{
    for (size_t i = 0; i < input->snapshot_count; i++)
        if (is_in_stretch(stretch, &input->snapshots[i]))
            return true;
    return false;
}

/* Was another timeline forked off this one? */
static bool
is_forked(const GArray *origins, uint32_t timeline)
{
    for (guint i = 0; i < origins->len; i++)
        if (g_array_index(origins, Origin, i).parent == timeline)
            return true;
    return false;
}

static void
add_lines(BkLineMap *self, const BkWindowInput *input, const GArray *origins, uint32_t server)
{
    g_autoptr(GArray) lines = g_array_new(false, true, sizeof(BkLine));

    for (size_t i = 0; i < self->stretch_count; i++) {
        const BkLineStretch *stretch = &self->stretches[i];
        BkLine line = {.timeline = stretch->timeline, .end = i, .verdict = BK_LINE_OPEN};

        if (stretch->end_lsn == UINT64_MAX &&
            (!is_forked(origins, stretch->timeline) || stretch->timeline == server ||
             bk_line_map_has_wal(self, input, i) || has_line_snapshot(stretch, input)))
            g_array_append_val(lines, line);
    }
    self->line_count = lines->len;
    self->lines = (BkLine *)(void *)g_array_free(g_steal_pointer(&lines), false);
}

bool
bk_line_map_has(const BkLineMap *self, size_t line, size_t stretch)
{
    size_t at = self->lines[line].end;

    while (at != BK_LINE_NONE && at != stretch)
        at = self->stretches[at].before;
    return at == stretch;
}

static void
mark_shared(BkLineMap *self)
{
    for (size_t i = 0; i < self->stretch_count; i++) {
        bool is_shared = true;

        for (size_t line = 0; is_shared && line < self->line_count; line++)
            is_shared = bk_line_map_has(self, line, i);
        self->stretches[i].is_shared = is_shared;
    }
}

void
bk_line_map_find(const BkWindowInput *input, uint32_t server_timeline, BkLineMap *map)
{
    g_autoptr(GArray) origins = find_origins(input);
    g_autoptr(GArray) stretches = g_array_new(false, true, sizeof(BkLineStretch));

    *map = (BkLineMap){.living = BK_LINE_NONE};
    for (guint i = 0; i < origins->len; i++)
        add_stretches(stretches, origins, &g_array_index(origins, Origin, i));
    map->stretch_count = stretches->len;
    map->stretches = (BkLineStretch *)(void *)g_array_free(g_steal_pointer(&stretches), false);
    add_lines(map, input, origins, server_timeline);
    mark_shared(map);
}

size_t
bk_line_map_find_line(const BkLineMap *self, uint32_t timeline)
{
    for (size_t i = 0; i < self->line_count; i++)
        if (self->lines[i].timeline == timeline)
            return i;
    return BK_LINE_NONE;
}

size_t
bk_line_map_find_stretch(const BkLineMap *self, uint32_t timeline, uint64_t lsn)
{
    size_t first = BK_LINE_NONE;

    for (size_t i = 0; i < self->stretch_count; i++) {
        const BkLineStretch *stretch = &self->stretches[i];

        if (stretch->timeline != timeline)
            continue;
        if (lsn > stretch->begin_lsn && lsn <= stretch->end_lsn)
            return i;
        if (first == BK_LINE_NONE)
            first = i;
    }
    return first;
}

/* Does `other` (BK_LINE_NONE: any but `line`) pass through `stretch`? */
static bool
is_common(const BkLineMap *map, size_t line, size_t other, size_t stretch)
{
    if (other != BK_LINE_NONE)
        return bk_line_map_has(map, other, stretch);
    for (size_t i = 0; i < map->line_count; i++)
        if (i != line && bk_line_map_has(map, i, stretch))
            return true;
    return false;
}

size_t
bk_line_map_own_stretch(const BkLineMap *self, size_t line)
{
    size_t own = self->lines[line].end;

    for (size_t at = own; at != BK_LINE_NONE && !is_common(self, line, BK_LINE_NONE, at);
         at = self->stretches[at].before)
        own = at;
    return own;
}

BkLineDecision
bk_line_map_decide(const BkLineMap *self, size_t line, bool is_current)
{
    const BkLineStretch *end = &self->stretches[self->lines[line].end];

    return (BkLineDecision){is_current, end->timeline, end->begin_lsn + 1};
}

/* --- judgement -------------------------------------------------------------------------------- */

static bool
passes_decision(const BkLineMap *map, size_t line, const BkLineDecision *decision)
{
    for (size_t at = map->lines[line].end; at != BK_LINE_NONE; at = map->stretches[at].before) {
        const BkLineStretch *stretch = &map->stretches[at];

        if (stretch->timeline == decision->timeline && decision->lsn > stretch->begin_lsn &&
            decision->lsn <= stretch->end_lsn)
            return true;
    }
    return false;
}

static bool
is_declared(const Judge *self, size_t line, bool is_current)
{
    for (size_t i = 0; i < self->evidence->decision_count; i++)
        if (self->evidence->decisions[i].is_current == is_current &&
            passes_decision(self->map, line, &self->evidence->decisions[i]))
            return true;
    return false;
}

static void
extend_period(Period *period, int64_t first_us, int64_t last_us)
{
    period->first_us = MIN(period->first_us, first_us);
    period->last_us = MAX(period->last_us, last_us);
}

static void
add_period(const Judge *self, size_t stretch, Side *side)
{
    const BkLineActivity *activity = &self->evidence->activities[stretch];
    Period period = {INT64_MAX, INT64_MIN};

    if (activity->has_commits)
        extend_period(&period, activity->first_us, activity->last_us);
    for (size_t i = 0; i < self->input->snapshot_count; i++) {
        const BkWindowSnapshot *snapshot = &self->input->snapshots[i];

        if (!is_in_stretch(&self->map->stretches[stretch], snapshot))
            continue;
        extend_period(&period, snapshot->finished_us, snapshot->finished_us);
        side->snapshot_us = MAX(side->snapshot_us, snapshot->finished_us);
    }
    side->is_unknown = side->is_unknown || activity->is_unknown;
    if (period.first_us > period.last_us)
        return;
    side->last_us = MAX(side->last_us, period.last_us);
    g_array_append_val(side->periods, period);
}

/* What `line` has and `other` (BK_LINE_NONE: any other) has not. */
static void
side_init(Side *side, const Judge *self, size_t line, size_t other)
{
    const BkLineMap *map = self->map;
    size_t at = map->lines[line].end;
    size_t first = at;

    *side = (Side){
        .periods = g_array_new(false, false, sizeof(Period)),
        .last_us = INT64_MIN,
        .snapshot_us = INT64_MIN,
    };
    for (; at != BK_LINE_NONE && !is_common(map, line, other, at); at = map->stretches[at].before) {
        add_period(self, at, side);
        first = at;
    }
    side->is_child =
        at != BK_LINE_NONE && map->stretches[first].timeline != map->stretches[at].timeline;
}

static bool
is_active(const Side *side)
{
    return side->is_unknown || side->periods->len > 0;
}

static bool
overlaps_side(const Side *a, const Side *b)
{
    if (a->is_unknown || b->is_unknown)
        return true;
    for (guint i = 0; i < a->periods->len; i++)
        for (guint j = 0; j < b->periods->len; j++) {
            const Period *left = &g_array_index(a->periods, Period, i);
            const Period *right = &g_array_index(b->periods, Period, j);

            if (left->first_us < right->last_us && right->first_us < left->last_us)
                return true;
        }
    return false;
}

static bool
goes_on_after(const Side *a, const Side *b)
{
    return !b->is_unknown && a->snapshot_us > b->last_us && a->last_us > b->last_us;
}

/* What the archive says: > 0 when the line of `a` goes on, < 0 when that of `b` does, 0 when it
 * does not say. */
static int
weigh_sides(const Side *a, const Side *b)
{
    if (is_active(a) != is_active(b))
        return is_active(a) ? 1 : -1;
    if (!is_active(a))
        return 0;
    if (!overlaps_side(a, b) && a->last_us != b->last_us)
        return a->last_us > b->last_us ? 1 : -1;
    return goes_on_after(a, b) - goes_on_after(b, a);
}

/* The same with everything that is known. */
static int
compare_stretches(const Judge *self, size_t a, size_t b)
{
    const BkLineMap *map = self->map;
    const uint32_t server = self->evidence->server_timeline;
    int order = is_declared(self, a, true) - is_declared(self, b, true);
    int vote = (map->lines[a].timeline == server) - (map->lines[b].timeline == server);
    g_auto(Side) left = {NULL};
    g_auto(Side) right = {NULL};

    if (order == 0)
        order = is_declared(self, b, false) - is_declared(self, a, false);
    if (order != 0)
        return order;
    side_init(&left, self, a, b);
    side_init(&right, self, b, a);
    order = weigh_sides(&left, &right);
    if (vote != 0)
        return order == 0 || order == vote ? vote : 0;
    /* Nothing happened in either: the younger one goes on, and nothing is lost. */
    if (order == 0 && !is_active(&left) && !is_active(&right))
        return left.is_child != right.is_child ? left.is_child - right.is_child : (a > b) - (a < b);
    return order;
}

/* The line that wins against every other one. */
static size_t
find_living(const Judge *self)
{
    for (size_t i = 0; i < self->map->line_count; i++) {
        bool wins = !is_declared(self, i, false);

        for (size_t j = 0; wins && j < self->map->line_count; j++)
            wins = i == j || compare_stretches(self, i, j) > 0;
        if (wins)
            return i;
    }
    return BK_LINE_NONE;
}

static bool
is_beaten(const Judge *self, size_t line)
{
    for (size_t i = 0; i < self->map->line_count; i++)
        if (i != line && compare_stretches(self, i, line) > 0)
            return true;
    return false;
}

/* Does the living line go on on the timeline that this one forked off? */
static bool
is_copy(const BkLineMap *map, size_t line, const Side *own)
{
    size_t at = map->lines[line].end;

    while (at != BK_LINE_NONE && !bk_line_map_has(map, map->living, at))
        at = map->stretches[at].before;
    return at != BK_LINE_NONE && own->is_child &&
           map->stretches[at].timeline == map->lines[map->living].timeline;
}

static void
describe_line(BkLineMap *map, const Judge *self, size_t index)
{
    BkLine *line = &map->lines[index];
    g_auto(Side) own = {NULL};
    g_auto(Side) living = {NULL};

    line->is_declared_current = is_declared(self, index, true);
    if (index == map->living) {
        line->verdict = BK_LINE_LIVING;
        return;
    }
    side_init(&own, self, index, map->living);
    line->is_empty = !is_active(&own);
    if (is_declared(self, index, false))
        line->verdict = BK_LINE_DECLARED;
    else if (map->living != BK_LINE_NONE || is_beaten(self, index))
        line->verdict = line->is_empty ? BK_LINE_EMPTY : BK_LINE_ENDED;
    if (map->living == BK_LINE_NONE)
        return;
    side_init(&living, self, map->living, index);
    line->is_copy = is_copy(map, index, &own);
    line->grew_beside = is_active(&own) && is_active(&living) && overlaps_side(&own, &living);
}

/* Is there nothing of the line but the segment in which another one forked off, as a primary leaves
 * it? That is the other one's beginning. */
static bool
is_remainder(const BkLineMap *map, const BkWindowInput *input, const BkLineEvidence *evidence,
             const BkLine *line)
{
    const BkLineStretch *end = &map->stretches[line->end];
    bool is_forked = line->end > 0 && map->stretches[line->end - 1].timeline == end->timeline;
    const BkLineActivity *activity = &evidence->activities[line->end];

    return is_forked && line->timeline != evidence->server_timeline && !activity->has_commits &&
           !activity->is_unknown && !has_line_snapshot(end, input) &&
           !has_segments(input, end->timeline, end->begin_lsn / input->segment_size + 1,
                         UINT64_MAX);
}

void
bk_line_map_judge(BkLineMap *self, const BkWindowInput *input, const BkLineEvidence *evidence)
{
    const Judge judge = {self, input, evidence};
    size_t kept = 0;

    for (size_t i = 0; i < self->line_count; i++)
        if (self->line_count == 1 || !is_remainder(self, input, evidence, &self->lines[i]))
            self->lines[kept++] = self->lines[i];
    self->line_count = kept;
    mark_shared(self);
    self->living = find_living(&judge);
    for (size_t i = 0; i < self->line_count; i++)
        describe_line(self, &judge, i);
}

/* --- order ------------------------------------------------------------------------------------ */

/* Those that end earlier come first, and the living one last. */
static int
weigh_stretch(const BkLineMap *self, size_t stretch)
{
    return self->living != BK_LINE_NONE && bk_line_map_has(self, self->living, stretch);
}

static void
rank_behind(const BkLineMap *self, size_t before, size_t *ranks, size_t *next)
{
    for (int weight = 0; weight <= 1; weight++)
        for (size_t i = 0; i < self->stretch_count; i++) {
            if (self->stretches[i].before != before || weigh_stretch(self, i) != weight)
                continue;
            ranks[i] = (*next)++;
            rank_behind(self, i, ranks, next);
        }
}

size_t *
bk_line_map_rank(const BkLineMap *self)
{
    size_t *ranks = g_new0(size_t, self->stretch_count);
    size_t next = 0;

    rank_behind(self, BK_LINE_NONE, ranks, &next);
    return ranks;
}
