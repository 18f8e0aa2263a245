/* replica-lag.c - how each repository of a source stands against the others: what it lacks. */
#include "engine/status/replica-lag.h"
#include "repo/targets/targets.h"

#include <string.h>

/* One repository gets a segment after the other. For so long nobody is behind because of that. */
#define ARCHIVING_US (60 * BK_USEC_PER_SEC)

static void
standing_free(void *data)
{
    BkReplicaLag *self = data;

    g_free(self->why);
    g_free(self);
}

static const char *
find_failure(const BkTargets *targets, const char *name)
{
    for (guint i = 0; i < targets->all->len; i++)
        if (strcmp(bk_targets_at(targets, i)->spec->name, name) == 0)
            return bk_targets_at(targets, i)->why;
    return NULL;
}

static const BkRecoveryIndex *
find_past(const GPtrArray *pasts, const char *name)
{
    for (guint i = 0; i < pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(pasts, i);

        if (strcmp(bk_repository_name(bk_source_repo_repository(past->source_repo)), name) == 0)
            return past;
    }
    return NULL;
}

static bool
has_snapshot(const BkListedSnapshot *listed, const char *name)
{
    for (guint i = 0; i < listed->repositories->len; i++)
        if (strcmp(g_ptr_array_index(listed->repositories, i), name) == 0)
            return true;
    return false;
}

static void
count_snapshots(BkReplicaLag *self, const BkListing *listing)
{
    for (guint i = 0; i < listing->snapshots->len; i++) {
        const BkListedSnapshot *listed = g_ptr_array_index(listing->snapshots, i);

        if (listed->snapshot->head.state == BK_SNAPSHOT_UNFINISHED)
            continue;
        self->is_behind = !has_snapshot(listed, self->name); /* the last one decides */
        if (self->is_behind)
            self->missing_snapshots++;
        else
            self->snapshots++;
    }
}

/* What any past with a snapshot says; the others can only guess. */
static uint32_t
find_segment_size(const GPtrArray *pasts)
{
    uint32_t size = 0;

    for (guint i = 0; i < pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(pasts, i);

        if (size == 0 || past->snapshots->len > 0)
            size = past->input.segment_size;
    }
    return size;
}

typedef struct Segment {
    uint32_t timeline;
    uint64_t number;
} Segment;

static int
compare_segments(const void *left, const void *right)
{
    const Segment *a = left;
    const Segment *b = right;

    if (a->timeline != b->timeline)
        return a->timeline < b->timeline ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

/* Adds the segments of `past` from number `first` on. */
static void
add_segments(const BkRecoveryIndex *past, uint32_t size, uint64_t first, GArray *segments)
{
    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *archived = g_ptr_array_index(past->archive, i);

        for (guint j = 0; j < archived->segments->len; j++) {
            Segment segment = {.timeline = archived->timeline};

            if (bk_wal_name_segno(&g_array_index(archived->segments, BkWalName, j), size,
                                  &segment.number) &&
                segment.number >= first)
                g_array_append_val(segments, segment);
        }
    }
}

static int64_t
find_last_archived(const BkRecoveryIndex *past)
{
    int64_t last_us = 0;

    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *archived = g_ptr_array_index(past->archive, i);

        last_us = MAX(last_us, archived->modified_us);
    }
    return last_us;
}

/* What comes before its own first snapshot serves nothing there, and may have been deleted. */
static uint64_t
find_first_needed(const BkRecoveryIndex *past, uint32_t size)
{
    uint64_t first = UINT64_MAX;

    for (guint i = 0; i < past->restorable->len; i++) {
        const BkRecoveryIndexSnapshot *snapshot = g_ptr_array_index(past->restorable, i);

        first = MIN(first, bk_wal_segment_of(snapshot->meta.start_lsn, size));
    }
    return first != UINT64_MAX ? first : 0;
}

/* All that any repository has from `first` on, each once. */
static GArray *
collect_segments(const GPtrArray *pasts, uint32_t size, uint64_t first)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(Segment));
    GArray *each = g_array_new(FALSE, FALSE, sizeof(Segment));

    for (guint i = 0; i < pasts->len; i++)
        add_segments(g_ptr_array_index(pasts, i), size, first, all);
    g_array_sort(all, compare_segments);
    for (guint i = 0; i < all->len; i++)
        if (i == 0 || compare_segments(&g_array_index(all, Segment, i - 1),
                                       &g_array_index(all, Segment, i)) != 0)
            g_array_append_val(each, g_array_index(all, Segment, i));
    return each;
}

static void
count_segments(BkReplicaLag *self, const GPtrArray *pasts, const BkRecoveryIndex *past,
               int64_t now_us)
{
    const uint32_t size = find_segment_size(pasts);
    uint64_t first = past != NULL ? find_first_needed(past, size) : 0;
    g_autoptr(GArray) all = collect_segments(pasts, size, first);
    g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(Segment));
    int64_t own_us = past != NULL ? find_last_archived(past) : 0;
    int64_t last_us = own_us;
    bool has_last;

    if (past != NULL)
        add_segments(past, size, first, own);
    for (guint i = 0; i < pasts->len; i++)
        last_us = MAX(last_us, find_last_archived(g_ptr_array_index(pasts, i)));
    self->missing_segments += all->len - own->len;
    if (all->len == own->len)
        return;
    has_last = own->len > 0 && compare_segments(&g_array_index(own, Segment, own->len - 1),
                                                &g_array_index(all, Segment, all->len - 1)) == 0;
    if (has_last || now_us - last_us > ARCHIVING_US || last_us - own_us > ARCHIVING_US)
        self->is_behind = true;
}

/* Of a former cluster, what serves a snapshot that the repository has of it. */
static void
count_former(BkReplicaLag *self, const BkListing *listing, int64_t now_us)
{
    const GPtrArray *systems = listing->systems.systems;

    for (guint i = 0; i + 1 < systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(systems, i);
        const BkRecoveryIndex *past = find_past(system->pasts, self->name);

        if (past != NULL && past->restorable->len > 0)
            count_segments(self, system->pasts, past, now_us);
    }
}

static void
note_last(BkReplicaLag *self, const BkRecoveryIndex *past)
{
    uint32_t size = past->input.segment_size;

    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *archived = g_ptr_array_index(past->archive, i);
        uint64_t number;

        if (archived->segments->len == 0 ||
            !bk_wal_name_segno(
                &g_array_index(archived->segments, BkWalName, archived->segments->len - 1), size,
                &number))
            continue;
        self->timeline = archived->timeline;
        self->archived_lsn = (number + 1) * size;
    }
}

GPtrArray *
bk_replica_lag_find(const BkSourceSpec *source, const BkListing *listing, int64_t now_us)
{
    GPtrArray *standings = g_ptr_array_new_with_free_func(standing_free);

    for (size_t i = 0; i < source->repository_count; i++) {
        const BkRepositorySpec *spec = &source->repositories[i];
        const BkRecoveryIndex *past = find_past(listing->pasts, spec->name);
        BkReplicaLag *standing = g_new0(BkReplicaLag, 1);

        g_ptr_array_add(standings, standing);
        standing->name = spec->name;
        standing->is_required = spec->is_required;
        standing->why = g_strdup(find_failure(&listing->targets, spec->name));
        if (standing->why != NULL)
            continue;
        count_snapshots(standing, listing);
        count_segments(standing, listing->pasts, past, now_us);
        count_former(standing, listing, now_us);
        if (past != NULL)
            note_last(standing, past);
    }
    return standings;
}

char *
bk_replica_lag_describe(const BkReplicaLag *self)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (self->missing_snapshots > 0)
        g_string_append_printf(text, "lacks %zu %s", self->missing_snapshots,
                               self->missing_snapshots == 1 ? "snapshot" : "snapshots");
    if (self->missing_segments > 0)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT " WAL %s",
                               text->len > 0 ? " and " : "lacks ", self->missing_segments,
                               self->missing_segments == 1 ? "segment" : "segments");
    return g_string_free(g_steal_pointer(&text), FALSE);
}
