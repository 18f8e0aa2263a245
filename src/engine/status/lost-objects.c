/* lost-objects.c - compares what this host remembers of each repository with what a listing shows.
 */
#include "engine/status/lost-objects.h"

#include "repo/targets/host-memory.h"

#include <string.h>

/* A manifest that is there and cannot be read is a problem of its own. */
static bool
past_has_snapshot(const BkRecoveryIndex *past, const char *id)
{
    for (guint i = 0; i < past->snapshots->len; i++)
        if (strcmp(
                ((const BkRecoveryIndexSnapshot *)g_ptr_array_index(past->snapshots, i))->head.id,
                id) == 0)
            return true;
    for (guint i = 0; i < past->unreadable->len; i++)
        if (strcmp(((const BkRecoveryIndexUnreadable *)g_ptr_array_index(past->unreadable, i))->id,
                   id) == 0)
            return true;
    return false;
}

static bool
past_has_segment(const BkRecoveryIndex *past, const char *name)
{
    BkWalName wanted;

    if (!bk_wal_name_parse(name, &wanted) || wanted.kind != BK_WAL_SEGMENT)
        return true; /* not a name by which anything could be told */
    for (guint i = 0; i < past->archive->len; i++) {
        const BkArchiveTimeline *timeline = g_ptr_array_index(past->archive, i);

        for (guint j = timeline->segments->len; timeline->timeline == wanted.timeline && j-- > 0;) {
            const BkWalName *each = &g_array_index(timeline->segments, BkWalName, j);

            if (each->log == wanted.log && each->seg == wanted.seg)
                return true;
        }
    }
    return false;
}

static void
add_lost_objects(const BkSourceSpec *source, const BkMarks *marks, const BkListing *listing,
                 const BkSourceRepo *source_repo, GPtrArray *problems)
{
    const char *name = bk_repository_name(bk_source_repo_repository(source_repo));
    bool is_loaded = false, has_newest = false, has_lost = false, has_segment = false;

    for (guint i = 0; i < listing->systems.pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(listing->systems.pasts, i);

        if (past->source_repo != source_repo)
            continue;
        is_loaded = true;
        has_newest = has_newest || past_has_snapshot(past, marks->snapshot);
        has_lost = has_lost || past_has_snapshot(past, marks->lost);
        has_segment = has_segment || (past->system_id == marks->system_id &&
                                      past_has_segment(past, marks->segment));
    }
    if (!is_loaded)
        return;
    if (marks->snapshot[0] != 0 && !has_newest)
        bk_problem_add(problems, BK_PROBLEM_SNAPSHOT_REMOVED, .snapshot = marks->snapshot,
                       .repository = name);
    if (marks->lost[0] != 0 && strcmp(marks->lost, marks->snapshot) != 0 && !has_lost)
        bk_problem_add(problems, BK_PROBLEM_SNAPSHOT_REMOVED_BEFORE, .snapshot = marks->lost,
                       .repository = name, .source = source->name);
    if (marks->segment[0] != 0 && !has_segment)
        bk_problem_add(problems, BK_PROBLEM_WAL_REMOVED, .first = marks->segment,
                       .repository = name);
}

void
bk_lost_objects_find(const BkSourceSpec *source, const BkListing *listing, GPtrArray *problems)
{
    for (guint i = 0; i < listing->targets.all->len; i++) {
        const BkTarget *target = bk_targets_at(&listing->targets, i);
        g_autoptr(GError) cause = NULL;
        BkMarks marks;

        if (target->repository == NULL)
            continue;
        bk_host_memory_load(source, &target->spec->place, &marks);
        if (!bk_host_memory_check(source, &marks, target->repository, target->source_repo, &cause))
            bk_problem_add(problems, BK_PROBLEM_REPOSITORY_REPLACED, .source = source->name,
                           .repository = target->spec->name, .cause = cause->message);
        else if (marks.repository[0] != 0 && target->source_repo != NULL)
            add_lost_objects(source, &marks, listing, target->source_repo, problems);
    }
}
