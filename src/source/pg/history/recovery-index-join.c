/* recovery-index-join.c - what several repositories hold of one cluster, as one past (see
 * bk_recovery_index_join). */
#include "source/pg/history/recovery-index.h"

#include <string.h>

static const BkRecoveryIndex *
member_at(const BkRecoveryIndex *self, guint index)
{
    return g_ptr_array_index(self->members, index);
}

static bool
has_joined_snapshot(const GPtrArray *snapshots, const char *id)
{
    for (guint i = 0; i < snapshots->len; i++)
        if (strcmp(((const BkRecoveryIndexSnapshot *)g_ptr_array_index(snapshots, i))->head.id,
                   id) == 0)
            return true;
    return false;
}

const BkRecoveryIndex *
bk_recovery_index_find_member(const BkRecoveryIndex *self, const char *id)
{
    for (guint i = 0; i < self->members->len; i++)
        if (has_joined_snapshot(member_at(self, i)->restorable, id))
            return member_at(self, i);
    return NULL;
}

/* --- snapshots -------------------------------------------------------------------------------- */

static int
compare_joined_snapshots(const void *left, const void *right)
{
    const BkRecoveryIndexSnapshot *const *a = left;
    const BkRecoveryIndexSnapshot *const *b = right;

    return bk_recovery_index_snapshot_compare(*a, *b);
}

static void
add_snapshots(GPtrArray *all, const GPtrArray *own)
{
    for (guint i = 0; i < own->len; i++) {
        BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(own, i);

        if (!has_joined_snapshot(all, snapshot->head.id))
            g_ptr_array_add(all, snapshot);
    }
}

static bool
is_unreadable(const BkRecoveryIndex *self, const char *id)
{
    for (guint i = 0; i < self->unreadable->len; i++)
        if (strcmp(((const BkRecoveryIndexUnreadable *)g_ptr_array_index(self->unreadable, i))->id,
                   id) == 0)
            return true;
    return false;
}

/* What one member cannot read, another one may. */
static void
join_unreadable(BkRecoveryIndex *self, const BkRecoveryIndex *member)
{
    for (guint i = 0; i < member->unreadable->len; i++) {
        BkRecoveryIndexUnreadable *unreadable = g_ptr_array_index(member->unreadable, i);

        if (has_joined_snapshot(self->snapshots, unreadable->id))
            bk_problem_add(self->problems, BK_PROBLEM_SNAPSHOT_UNREADABLE_HERE,
                           .snapshot = unreadable->id, .cause = unreadable->why);
        else if (!is_unreadable(self, unreadable->id))
            g_ptr_array_add(self->unreadable, unreadable);
    }
}

/* --- WAL -------------------------------------------------------------------------------------- */

static int
compare_window_spans(gconstpointer a, gconstpointer b)
{
    const BkWindowSpan *left = a;
    const BkWindowSpan *right = b;

    return (left->first > right->first) - (left->first < right->first);
}

/* Sorted, and those that touch joined. */
static const BkWindowSpan *
join_spans(GArray *spans, size_t *count)
{
    guint kept = 0;

    g_array_sort(spans, compare_window_spans);
    for (guint i = 0; i < spans->len; i++) {
        const BkWindowSpan *span = &g_array_index(spans, BkWindowSpan, i);
        BkWindowSpan *last = kept > 0 ? &g_array_index(spans, BkWindowSpan, kept - 1) : NULL;

        if (last != NULL && span->first <= last->last + 1)
            last->last = MAX(last->last, span->last);
        else
            g_array_index(spans, BkWindowSpan, kept++) = *span;
    }
    *count = kept;
    return g_memdup2(spans->data, kept * sizeof(BkWindowSpan));
}

static const BkWindowTimeline *
find_joined_timeline(const BkWindowTimeline *timelines, size_t count, uint32_t timeline)
{
    for (size_t i = 0; i < count; i++)
        if (timelines[i].timeline == timeline)
            return &timelines[i];
    return NULL;
}

static BkWindowTimeline
join_timeline(const BkRecoveryIndex *self, uint32_t timeline)
{
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(BkWindowSpan));
    BkWindowTimeline joined = {.timeline = timeline};

    for (guint i = 0; i < self->members->len; i++) {
        const BkWindowInput *input = &member_at(self, i)->input;
        const BkWindowTimeline *one =
            find_joined_timeline(input->timelines, input->timeline_count, timeline);

        if (one == NULL)
            continue;
        if (one->span_count > 0)
            g_array_append_vals(spans, one->spans, (guint)one->span_count);
        if (joined.switch_count == 0) {
            joined.switches = g_memdup2(one->switches, one->switch_count * sizeof(BkWindowSwitch));
            joined.switch_count = one->switch_count;
        }
    }
    joined.spans = join_spans(spans, &joined.span_count);
    return joined;
}

static void
join_timelines(BkRecoveryIndex *self)
{
    g_autoptr(GArray) timelines = g_array_new(FALSE, FALSE, sizeof(BkWindowTimeline));

    for (guint i = 0; i < self->members->len; i++) {
        const BkWindowInput *input = &member_at(self, i)->input;

        for (size_t j = 0; j < input->timeline_count; j++) {
            const uint32_t timeline = input->timelines[j].timeline;
            BkWindowTimeline joined;

            if (find_joined_timeline((const BkWindowTimeline *)(const void *)timelines->data,
                                     timelines->len, timeline) != NULL)
                continue;
            joined = join_timeline(self, timeline);
            g_array_append_val(timelines, joined);
        }
    }
    self->input.timeline_count = timelines->len;
    self->input.timelines =
        (const BkWindowTimeline *)(const void *)g_array_free(g_steal_pointer(&timelines), FALSE);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void
add_member(BkRecoveryIndex *self, const BkRecoveryIndex *member)
{
    add_snapshots(self->restorable, member->restorable);
    if (member->snapshots->len > 0)
        self->input.segment_size = member->input.segment_size;
    bk_problem_add_all(self->problems, member->problems);
    for (guint i = 0; member->archive != NULL && i < member->archive->len; i++)
        g_ptr_array_add(self->archive, g_ptr_array_index(member->archive, i));
}

BkRecoveryIndex *
bk_recovery_index_join(const GPtrArray *members)
{
    const BkRecoveryIndex *first = members->len > 0 ? g_ptr_array_index(members, 0) : NULL;
    BkRecoveryIndex *self = bk_recovery_index_new_empty(first != NULL ? first->source_repo : NULL,
                                                        first != NULL ? first->system_id : 0);
    bool has_windows = false;

    self->members = members;
    /* What is in these belongs to the members. */
    g_ptr_array_set_free_func(self->snapshots, NULL);
    g_ptr_array_set_free_func(self->unreadable, NULL);
    g_ptr_array_set_free_func(self->archive, NULL);
    if (first != NULL)
        self->input.segment_size = first->input.segment_size;
    for (guint i = 0; i < members->len; i++)
        add_member(self, member_at(self, i));
    add_snapshots(self->snapshots, self->restorable);
    for (guint i = 0; i < members->len; i++) {
        add_snapshots(self->snapshots, member_at(self, i)->snapshots);
        has_windows = has_windows || member_at(self, i)->input.snapshot_count > 0;
    }
    for (guint i = 0; i < members->len; i++)
        join_unreadable(self, member_at(self, i));
    g_ptr_array_sort(self->snapshots, compare_joined_snapshots);
    g_ptr_array_sort(self->restorable, compare_joined_snapshots);
    join_timelines(self);
    if (has_windows) /* otherwise the archive was not listed, or no snapshot is restorable */
        bk_recovery_index_find_windows(self);
    return self;
}
