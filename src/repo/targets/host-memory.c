/* host-memory.c - compares a repository with what this host remembers of it (marks.h). */
#include "repo/targets/host-memory.h"

#include "base/log.h"
#include "base/state-dir.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "report/problem.h"

#include <string.h>

/* One file for each place: the same repository under another name is the same, another repository
 * in the same place is not. A new string. */
static char *
file_name(const BkLocation *place)
{
    g_autofree char *digest = bk_location_digest(place);

    return g_strconcat(digest, ".marks", NULL);
}

static void
warn(const BkSourceSpec *source, const GError *cause)
{
    bk_log(BK_LOG_WARNING,
           "what this host remembers of \"%s\" is not usable, so nobody notices when its newest "
           "snapshots or WAL are removed from a repository: state_dir \"%s\": %s",
           source->name, source->state_dir, cause->message);
}

void
bk_host_memory_load(const BkSourceSpec *source, const BkLocation *place, BkMarks *marks)
{
    g_autofree char *name = NULL;
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    *marks = (BkMarks){.generation = 0};
    if (source->state_dir == NULL)
        return;
    name = file_name(place);
    if (!bk_state_read(source->state_dir, source->name, name, BK_MARKS_MAX_SIZE, &content,
                       &cause) ||
        (content.size > 0 && !bk_marks_parse(content.data, content.size, marks, &cause)))
        warn(source, cause);
}

static bool
check_generation(const BkSourceSpec *source, const BkMarks *marks, const BkSourceRepo *source_repo,
                 GError **error)
{
    uint32_t generation;

    (void)bk_keyring_newest(bk_source_repo_keys(source_repo), &generation);
    return generation >= marks->generation ||
           bk_throw(error, BK_ERROR_UNFIT,
                    "repository \"%s\" has no key %u of \"%s\" any more, only key %u: an older "
                    "state of it was put in its place; when that is meant, run \"backup %s --new\" "
                    "once",
                    bk_repository_name(bk_source_repo_repository(source_repo)), marks->generation,
                    source->name, generation, source->name);
}

bool
bk_host_memory_check(const BkSourceSpec *source, const BkMarks *marks,
                     const BkRepository *repository, const BkSourceRepo *source_repo,
                     GError **error)
{
    const char *name = bk_repository_name(repository);

    if (marks->repository[0] == 0 || source->is_new)
        return true;
    if (strcmp(marks->repository, bk_repository_id(repository)) != 0)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "repository \"%s\" (id %s) is not the one in this place that this host has "
                        "put \"%s\" into before (id %s): when that is meant, run \"backup %s "
                        "--new\" once",
                        name, bk_repository_id(repository), source->name, marks->repository,
                        source->name);
    if (source_repo != NULL)
        return check_generation(source, marks, source_repo, error);
    return bk_throw(error, BK_ERROR_UNFIT,
                    "repository \"%s\" holds nothing of \"%s\" any more, which this host has put "
                    "into it before (last snapshot: %s, last WAL: %s): find out who removed it; to "
                    "begin anew, run \"backup %s --new\" once",
                    name, source->name, marks->snapshot[0] != 0 ? marks->snapshot : "none",
                    marks->segment[0] != 0 ? marks->segment : "none", source->name);
}

static const BkRepositorySpec *
find_spec(const BkSourceSpec *source, const BkSourceRepo *source_repo)
{
    const char *name = bk_repository_name(bk_source_repo_repository(source_repo));

    for (size_t i = 0; i < source->repository_count; i++)
        if (strcmp(source->repositories[i].name, name) == 0)
            return &source->repositories[i];
    g_assert_not_reached();
}

static bool
has_snapshot(const GPtrArray *entries, const char *id)
{
    for (guint i = 0; i < entries->len; i++)
        if (strcmp(((const BkSnapshotEntry *)g_ptr_array_index(entries, i))->id, id) == 0)
            return true;
    return false;
}

typedef struct Seen {
    BkMarks marks;
    const char *lost; /* snapshot that was found to be gone, or NULL */
    bool is_new;      /* what was before does not count any more */
} Seen;

static bool
raise_marks(const BkBuf *before, BkBuf *after, void *data)
{
    const Seen *seen = data;
    g_autoptr(GError) cause = NULL;
    BkMarks marks;

    if (!bk_marks_parse(before->data, before->size, &marks, &cause) && before->size > 0)
        bk_log(BK_LOG_WARNING, "what this host remembered is begun anew: %s", cause->message);
    if (seen->is_new)
        marks = (BkMarks){.generation = 0};
    if (!bk_marks_raise(&marks, &seen->marks))
        return false;
    bk_marks_format(&marks, after);
    return true;
}

/* Completes what is seen by what the part says itself. */
static void
remember_seen(const BkSourceSpec *source, const BkSourceRepo *source_repo, const Seen *seen,
              BkOp *op)
{
    g_autofree char *name = file_name(&find_spec(source, source_repo)->place);
    g_autoptr(GError) cause = NULL;
    Seen all = *seen;

    (void)g_strlcpy(all.marks.repository, bk_repository_id(bk_source_repo_repository(source_repo)),
                    sizeof all.marks.repository);
    (void)bk_keyring_newest(bk_source_repo_keys(source_repo), &all.marks.generation);
    if (seen->lost != NULL)
        (void)g_strlcpy(all.marks.lost, seen->lost, sizeof all.marks.lost);
    if (!bk_state_change(source->state_dir, source->name, name, BK_MARKS_MAX_SIZE, raise_marks,
                         &all, op, &cause))
        warn(source, cause);
}

void
bk_host_memory_add(const BkSourceSpec *source, const BkSourceRepo *source_repo,
                   const char *snapshot, uint64_t system_id, const char *segment, BkOp *op)
{
    Seen seen = {.marks = {.system_id = segment != NULL ? system_id : 0}};

    if (source->state_dir == NULL)
        return;
    if (snapshot != NULL)
        (void)g_strlcpy(seen.marks.snapshot, snapshot, sizeof seen.marks.snapshot);
    if (segment != NULL)
        (void)g_strlcpy(seen.marks.segment, segment, sizeof seen.marks.segment);
    remember_seen(source, source_repo, &seen, op);
}

void
bk_host_memory_compare(const BkSourceSpec *source, const BkSourceRepo *source_repo,
                       const GPtrArray *entries, GPtrArray *problems, BkOp *op)
{
    const BkRepository *repository = bk_source_repo_repository(source_repo);
    BkMarks marks;

    bk_host_memory_load(source, &find_spec(source, source_repo)->place, &marks);
    if (source->is_new || strcmp(marks.repository, bk_repository_id(repository)) != 0 ||
        marks.snapshot[0] == 0 || has_snapshot(entries, marks.snapshot))
        return;
    remember_seen(source, source_repo, &(Seen){.marks = {.generation = 0}, .lost = marks.snapshot},
                  op);
    bk_problem_add(problems, BK_PROBLEM_SNAPSHOT_REMOVED, .snapshot = marks.snapshot,
                   .repository = bk_repository_name(repository));
}

void
bk_host_memory_begin_anew(const BkSourceSpec *source, const BkSourceRepo *source_repo, BkOp *op)
{
    if (source->state_dir != NULL)
        remember_seen(source, source_repo, &(Seen){.is_new = true}, op);
}
