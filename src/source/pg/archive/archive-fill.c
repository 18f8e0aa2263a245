/* archive-fill.c - archives WAL that is missing in the archive and still in the server's own
 * pg_wal. */
#include "source/pg/archive/archive-fill.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path-owner.h"
#include "source/pg/archive/archive-check.h"
#include "source/pg/archive/archive.h"
#include "source/pg/format/timeline-history.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Histories of so many of the newest timelines are looked for: a server keeps
 * all that it ever had.
 */
#define NEWEST_HISTORIES 8

typedef struct Candidate {
    char *name;
    BkWalName parsed;
    uint64_t segno;        /* of a segment */
    uint32_t segment_size; /* of a segment: that of the file */
    bool is_missing;       /* in any of the parts */
} Candidate;

typedef struct Fill {
    const BkArchiveFillRequest *request;
    BkTimelineHistory history;
    GPtrArray *candidates; /* of Candidate, by name */
} Fill;

static void
free_candidate(void *data)
{
    Candidate *self = data;

    g_free(self->name);
    g_free(self);
}

static void
fill_clear(Fill *self)
{
    bk_timeline_history_clear(&self->history);
    g_clear_pointer(&self->candidates, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fill, fill_clear)

static bool
read_local_history(const char *wal_dir, uint32_t timeline, BkTimelineHistory *history,
                   GError **error)
{
    char name[BK_WAL_HISTORY_NAME_SIZE];
    g_autofree char *path = g_build_filename(wal_dir, bk_wal_history_name(timeline, name), NULL);
    g_auto(BkFd) fd = bk_path_owner_open(path, error);
    g_auto(BkBuf) content = BK_BUF_INIT;

    *history = (BkTimelineHistory){0};
    return fd >= 0 && bk_fd_read_all(fd, path, BK_HISTORY_MAX_SIZE, &content, error) &&
           bk_timeline_history_parse(timeline, content.data, content.size, history, error);
}

static bool
read_archived_history(const BkArchiveFillRequest *request, BkTimelineHistory *history, BkOp *op,
                      GError **error)
{
    char name[BK_WAL_HISTORY_NAME_SIZE];
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkWalName parsed;

    if (!bk_wal_name_parse(bk_wal_history_name(request->timeline, name), &parsed))
        g_assert_not_reached();
    return bk_archive_get(g_ptr_array_index(request->source_repos, 0), request->system_id, name,
                          &parsed, &content, op, error) &&
           bk_timeline_history_parse(request->timeline, content.data, content.size, history, error);
}

/* Where neither place has it, only the server's own timeline is looked at. */
static bool
find_history(Fill *self, BkOp *op, GError **error)
{
    const BkArchiveFillRequest *request = self->request;
    g_autoptr(GError) cause = NULL;

    self->history.timeline = request->timeline;
    if (request->timeline == 1 ||
        read_local_history(request->wal_dir, request->timeline, &self->history, NULL) ||
        read_archived_history(request, &self->history, op, &cause))
        return true;
    self->history.timeline = request->timeline;
    return bk_error_is(cause, BK_ERROR_NOT_FOUND) || bk_error_is(cause, BK_ERROR_CORRUPT) ||
           bk_propagate(error, &cause);
}

/* The position up to which WAL under the name of `timeline` belongs to the
 * path; 0: none does. */
static BkLsn
end_of(const Fill *self, uint32_t timeline)
{
    BkLsn lsn;

    if (timeline == self->request->timeline)
        return self->request->end_lsn;
    return bk_timeline_history_switch_lsn(&self->history, timeline, &lsn) ? lsn : 0;
}

static bool
is_new_history(const Fill *self, uint32_t timeline)
{
    const BkTimelineHistory *history = &self->history;
    const size_t count = history->count;

    if (timeline == history->timeline)
        return true;
    for (size_t i = count > NEWEST_HISTORIES ? count - NEWEST_HISTORIES : 0; i < count; i++)
        if (history->entries[i].timeline == timeline)
            return true;
    return false;
}

/* Its size is that of the file: the cluster's need not be known. */
static bool
find_segno(const char *wal_dir, const char *name, const BkWalName *parsed, uint32_t *segment_size,
           uint64_t *segno)
{
    g_autofree char *path = g_build_filename(wal_dir, name, NULL);
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
        !bk_wal_segment_size_is_valid((uint64_t)st.st_size))
        return false;
    *segment_size = (uint32_t)st.st_size;
    return bk_wal_name_segno(parsed, *segment_size, segno);
}

static bool
has_mark(const char *wal_dir, const char *name, const char *mark)
{
    g_autofree char *path = g_strdup_printf("%s/archive_status/%s.%s", wal_dir, name, mark);

    return access(path, F_OK) == 0;
}

/* The segment that has the fork in it is taken from the later timeline, which
 * begins with a copy of what comes before. */
static bool
is_fill_candidate(const Fill *self, Candidate *candidate)
{
    const char *wal_dir = self->request->wal_dir;
    const BkWalName *parsed = &candidate->parsed;

    if (has_mark(wal_dir, candidate->name, "ready"))
        return false;
    if (parsed->kind == BK_WAL_HISTORY)
        return is_new_history(self, parsed->timeline);
    return parsed->kind == BK_WAL_SEGMENT &&
           find_segno(wal_dir, candidate->name, parsed, &candidate->segment_size,
                      &candidate->segno) &&
           candidate->segno <
               bk_wal_segment_of(end_of(self, parsed->timeline), candidate->segment_size);
}

static int
compare_candidates(const void *left, const void *right)
{
    const Candidate *const *a = left;
    const Candidate *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

static bool
list_candidates(Fill *self, GError **error)
{
    const char *path = self->request->wal_dir;
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, path, error);
    g_autoptr(GPtrArray) names = dir >= 0 ? bk_dir_list(dir, path, error) : NULL;

    self->candidates = g_ptr_array_new_with_free_func(free_candidate);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        Candidate *candidate = g_new0(Candidate, 1);

        candidate->name = g_strdup(g_ptr_array_index(names, i));
        if (bk_wal_name_parse(candidate->name, &candidate->parsed) &&
            is_fill_candidate(self, candidate))
            g_ptr_array_add(self->candidates, candidate);
        else
            free_candidate(candidate);
    }
    g_ptr_array_sort(self->candidates, compare_candidates);
    return names != NULL;
}

static bool
note_archived_name(const BkStoreEntry *entry, void *data, GError **error)
{
    GHashTable *present = data;

    (void)error;
    (void)g_hash_table_add(present, g_strdup(entry->name));
    return true;
}

/* The name just before that of a segment: a new string, or NULL when there is
 * none. */
static char *
name_previous_segment(const BkSourceRepo *source_repo, uint64_t system_id,
                      const Candidate *candidate)
{
    char name[BK_WAL_NAME_SIZE];
    BkWalName parsed;

    if (candidate->segno == 0)
        return NULL;
    parsed = bk_wal_name_of_segment(candidate->parsed.timeline, candidate->segno - 1,
                                    candidate->segment_size, name);
    return bk_archive_object_name(source_repo, system_id, name, &parsed);
}

/* Compares the segments of one timeline from `first` on, up to `end` among the
 * candidates. */
static bool
compare_timeline_segments(const Fill *self, const BkSourceRepo *source_repo, guint first, guint end,
                          BkOp *op, GError **error)
{
    const Candidate *lowest = g_ptr_array_index(self->candidates, first);
    const uint64_t system_id = self->request->system_id;
    g_autofree char *prefix =
        bk_archive_timeline_directory(source_repo, system_id, lowest->parsed.timeline);
    g_autofree char *after = name_previous_segment(source_repo, system_id, lowest);
    g_autoptr(GHashTable) present = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (!bk_store_list(bk_source_repo_store(source_repo), prefix, after, note_archived_name,
                       present, op, error))
        return false;
    for (guint i = first; i < end; i++) {
        Candidate *candidate = g_ptr_array_index(self->candidates, i);
        g_autofree char *name =
            bk_archive_object_name(source_repo, system_id, candidate->name, &candidate->parsed);

        if (!g_hash_table_contains(present, name))
            candidate->is_missing = true;
    }
    return true;
}

/* By name, a history comes before or among the segments: it is asked for alone.
 */
static bool
compare_history(const BkArchiveFillRequest *request, Candidate *candidate, BkOp *op, GError **error)
{
    bool has = true;

    if (!bk_archive_has_name(request->source_repos, request->system_id, candidate->name,
                             &candidate->parsed, &has, op, error))
        return false;
    candidate->is_missing = !has;
    return true;
}

static guint
end_of_timeline(const Fill *self, guint first)
{
    const Candidate *lowest = g_ptr_array_index(self->candidates, first);
    guint end = first;

    while (end < self->candidates->len) {
        const Candidate *candidate = g_ptr_array_index(self->candidates, end);

        if (candidate->parsed.kind != lowest->parsed.kind ||
            candidate->parsed.timeline != lowest->parsed.timeline)
            break;
        end++;
    }
    return end;
}

static bool
find_missing_segments(Fill *self, BkOp *op, GError **error)
{
    const BkArchiveFillRequest *request = self->request;
    guint end;

    for (guint first = 0; first < self->candidates->len; first = end) {
        Candidate *candidate = g_ptr_array_index(self->candidates, first);

        end = end_of_timeline(self, first);
        if (candidate->parsed.kind == BK_WAL_HISTORY) {
            if (!compare_history(request, candidate, op, error))
                return false;
            continue;
        }
        for (guint i = 0; i < request->source_repos->len; i++)
            if (!compare_timeline_segments(self, g_ptr_array_index(request->source_repos, i), first,
                                           end, op, error))
                return false;
    }
    return true;
}

/* What is not marked as ready must be seen to be complete by its content. */
static bool
put_candidate(const BkArchiveFillRequest *request, const Candidate *candidate,
              BkArchiveWriter *writer, BkOp *op, GError **error)
{
    g_autofree char *path = g_build_filename(request->wal_dir, candidate->name, NULL);
    g_autofree char *before = bk_archive_identify(path);
    g_autofree char *identity = NULL;
    g_auto(BkFd) fd = -1;
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkArchiveFile file = {
        .name = candidate->name,
        .parsed = candidate->parsed,
        .content = &content,
    };

    fd = bk_path_owner_open(path, error);
    if (fd < 0 || !bk_fd_read_all(fd, path, BK_ARCHIVE_FILE_MAX, &content, error))
        return false;
    identity = bk_archive_identify(path);
    if (g_strcmp0(before, identity) == 0)
        file.identity = identity;
    return bk_archive_check_other(&file, request->system_id, error) &&
           bk_archive_put(writer, request->source_repos, &file, request->system_id, op, error);
}

static void
note_filled(BkArchiveFilled *filled, const Candidate *candidate)
{
    filled->count++;
    if (candidate->parsed.kind != BK_WAL_SEGMENT)
        return;
    if (filled->first[0] == 0)
        (void)g_strlcpy(filled->first, candidate->name, sizeof filled->first);
    (void)g_strlcpy(filled->last, candidate->name, sizeof filled->last);
}

static bool
put_missing(const Fill *self, BkArchiveFilled *filled, BkOp *op, GError **error)
{
    g_autoptr(BkArchiveWriter) writer =
        bk_archive_writer_new(self->request->codec, self->request->level);

    for (guint i = 0; i < self->candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(self->candidates, i);
        g_autoptr(GError) cause = NULL;

        if (!candidate->is_missing)
            continue;
        if (put_candidate(self->request, candidate, writer, op, &cause)) {
            note_filled(filled, candidate);
            bk_op_advance(op, 0);
            continue;
        }
        if (!bk_op_check(op, error))
            return false;
        bk_log(BK_LOG_WARNING, "%s is missing in the archive, though it is in \"%s\": %s",
               candidate->name, self->request->wal_dir, cause->message);
    }
    return true;
}

bool
bk_wal_fill(const BkArchiveFillRequest *request, BkArchiveFilled *filled, BkOp *op, GError **error)
{
    g_auto(Fill) self = {.request = request};

    *filled = (BkArchiveFilled){0};
    if (!find_history(&self, op, error) || !list_candidates(&self, error) ||
        !find_missing_segments(&self, op, error) || !put_missing(&self, filled, op, error))
        return false;
    if (filled->first[0] != 0)
        bk_log(BK_LOG_WARNING,
               "WAL that was missing in the archive was found in \"%s\" and "
               "archived: %zu %s, "
               "%s to %s",
               request->wal_dir, filled->count, filled->count == 1 ? "file" : "files",
               filled->first, filled->last);
    else if (filled->count > 0)
        bk_log(
            BK_LOG_WARNING, "%zu timeline %s missing in the archive, found in \"%s\" and archived",
            filled->count, filled->count == 1 ? "history was" : "histories were", request->wal_dir);
    return true;
}

bool
bk_archive_fill_is_due(const char *wal_dir, const char *name, const BkWalName *parsed)
{
    g_auto(BkTimelineHistory) history = {0};
    uint32_t segment_size;
    uint64_t segno;

    if (parsed->kind == BK_WAL_HISTORY)
        return true;
    return parsed->kind == BK_WAL_SEGMENT && parsed->timeline > 1 &&
           find_segno(wal_dir, name, parsed, &segment_size, &segno) &&
           read_local_history(wal_dir, parsed->timeline, &history, NULL) && history.count > 0 &&
           segno == bk_wal_segment_of(history.entries[history.count - 1].switch_lsn, segment_size);
}
