/* destination-wal.c - WAL in the destination of a restore that no repository has. */
#include "engine/restore/destination-wal.h"

#include "base/fd.h"
#include "engine/archive/wal-push.h"
#include "source/pg/archive/archive-list.h"
#include "source/pg/archive/archive.h"
#include "source/pg/archive/system-id.h"
#include "source/pg/archive/wal-origin.h"
#include "source/pg/cluster/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_SIZE        (64 * BK_KIB) /* holds the first page, whatever its size */
#define FIRST_RECORD     40            /* where in a segment its first record may begin */
#define NAMES_SHOWN      8
#define STATUS_DIRECTORY "archive_status"

typedef enum {
    MARK_NONE,
    MARK_READY,
    MARK_DONE,
} Mark;

/* One file of pg_wal. */
typedef struct Entry {
    char *name;
    BkWalName parsed;
    Mark mark;
    bool is_own;     /* of the source's system identifier; files without one are */
    bool is_damaged; /* the server marked it, and its first page cannot be read */
} Entry;

typedef struct Look {
    BkDestinationWal *found;
    GPtrArray *source_repos;
    BkOp *op;
    int dir; /* pg_wal */
    GPtrArray *entries;
    GHashTable *archived;      /* names of segments in any repository */
    GHashTable *timelines;     /* timelines that any repository has WAL of */
    GHashTable *other_history; /* timelines whose history files differ from the archived ones */
    GHashTable *marked;        /* timelines of which the server marked a file */
    uint64_t system_id;
    bool original_lives;
    bool is_standby; /* its WAL came from another server */
    bool has_control;
    BkPgControl control;
} Look;

void
bk_destination_wal_clear(BkDestinationWal *self)
{
    g_clear_pointer(&self->lacking, g_ptr_array_unref);
    g_clear_pointer(&self->foreign, g_ptr_array_unref);
    g_free(self->directory);
    g_free(self->last);
    *self = (BkDestinationWal){0};
}

static void
free_entry(void *data)
{
    Entry *entry = data;

    g_free(entry->name);
    g_free(entry);
}

static void
clear_look(Look *self)
{
    g_clear_pointer(&self->entries, g_ptr_array_unref);
    g_clear_pointer(&self->archived, g_hash_table_unref);
    g_clear_pointer(&self->timelines, g_hash_table_unref);
    g_clear_pointer(&self->other_history, g_hash_table_unref);
    g_clear_pointer(&self->marked, g_hash_table_unref);
    bk_fd_clear(&self->dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Look, clear_look)

/* --- what is in the directory ---------------------------------------------------------------- */

static Mark
read_mark(int dir, const char *name)
{
    g_autofree char *ready = g_strdup_printf(STATUS_DIRECTORY "/%s.ready", name);
    g_autofree char *done = g_strdup_printf(STATUS_DIRECTORY "/%s.done", name);

    if (faccessat(dir, ready, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return MARK_READY;
    return faccessat(dir, done, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? MARK_DONE : MARK_NONE;
}

/* Returns true if the file begins with the page that its name promises. */
static bool
has_head(const Look *self, const char *name, uint32_t timeline, BkWalScan *scan)
{
    g_auto(BkFd) fd = bk_fd_open(self->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, NULL);
    g_autofree uint8_t *head = g_malloc(HEAD_SIZE);
    const BkWalScanOptions options = {.expect_timeline = timeline};
    char expected[BK_WAL_NAME_SIZE];
    size_t size;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        !bk_fd_pread(fd, head, HEAD_SIZE, 0, &size, NULL) ||
        !bk_wal_scan(head, size, &options, scan, NULL))
        return false;
    (void)bk_wal_segment_name(timeline, scan->start_lsn / scan->segment_size, scan->segment_size,
                              expected);
    return (uint64_t)st.st_size == scan->segment_size && strcmp(expected, name) == 0;
}

static void
add_wal_entry(Look *self, const char *name)
{
    Entry entry = {.is_own = true};

    if (!bk_wal_name_parse(name, &entry.parsed) || entry.parsed.kind == BK_WAL_BACKUP)
        return;
    entry.mark = read_mark(self->dir, name);
    if (entry.parsed.kind == BK_WAL_SEGMENT) {
        g_auto(BkWalScan) scan = {0};

        if (has_head(self, name, entry.parsed.timeline, &scan))
            entry.is_own = scan.system_id == self->system_id;
        else if (entry.mark != MARK_NONE)
            entry.is_damaged = true; /* no server marks what it only recycled */
        else
            return;
    }
    if (entry.mark != MARK_NONE)
        (void)g_hash_table_add(self->marked, GUINT_TO_POINTER(entry.parsed.timeline));
    entry.name = g_strdup(name);
    g_ptr_array_add(self->entries, g_memdup2(&entry, sizeof entry));
}

/* History files first, then by name, which is the order of timelines and positions. */
static int
compare_entries(const void *left, const void *right)
{
    const Entry *a = *(const Entry *const *)left;
    const Entry *b = *(const Entry *const *)right;
    int order = (b->parsed.kind == BK_WAL_HISTORY) - (a->parsed.kind == BK_WAL_HISTORY);

    return order != 0 ? order : strcmp(a->name, b->name);
}

static bool
list_entries(Look *self, GError **error)
{
    g_autoptr(GPtrArray) names = bk_dir_list(self->dir, self->found->directory, error);
    bool ok = names != NULL;

    for (guint i = 0; ok && i < names->len; i++) {
        ok = bk_op_check(self->op, error);
        add_wal_entry(self, g_ptr_array_index(names, i));
    }
    g_ptr_array_sort(self->entries, compare_entries);
    return ok;
}

static bool
has_signal(const char *path, const char *name)
{
    g_autofree char *signal_file = g_build_filename(path, name, NULL);

    return access(signal_file, F_OK) == 0;
}

static void
read_destination_control(Look *self, const char *path)
{
    g_autofree char *name = g_build_filename(path, "global", "pg_control", NULL);
    g_auto(BkBuf) content = BK_BUF_INIT;

    self->has_control =
        bk_file_read(AT_FDCWD, name, (size_t)2 * BK_PG_CONTROL_SIZE, &content, NULL) &&
        bk_pg_control_decode(content.data, content.size, &self->control, NULL);
    self->is_standby =
        has_signal(path, "standby.signal") || has_signal(path, "recovery.signal") ||
        (self->has_control && (self->control.state == BK_PG_STATE_ARCHIVE_RECOVERY ||
                               self->control.state == BK_PG_STATE_SHUT_DOWN_IN_RECOVERY));
}

/* The cluster of the directory, if it is one of the source's; otherwise nothing there is. */
static bool
find_destination_system(Look *self, GError **error)
{
    const uint64_t own = self->has_control ? self->control.system_id
                                           : bk_wal_origin_of_segments(self->found->directory);
    BkSystemStanding standing;
    uint64_t current;

    if (!bk_system_judge(g_ptr_array_index(self->source_repos, 0), own, &standing, &current,
                         self->op, error))
        return false;
    self->system_id =
        own != 0 && standing != BK_SYSTEM_FOREIGN && standing != BK_SYSTEM_UNKNOWN ? own : current;
    return true;
}

/* --- what is in the archive ------------------------------------------------------------------ */

static bool
list_destination_archive(Look *self, GError **error)
{
    for (guint i = 0; i < self->source_repos->len; i++) {
        g_autoptr(GPtrArray) timelines =
            bk_archive_list(g_ptr_array_index(self->source_repos, i), self->op, error);

        if (timelines == NULL)
            return false;
        for (guint j = 0; j < timelines->len; j++) {
            const BkArchiveTimeline *timeline = g_ptr_array_index(timelines, j);

            if (timeline->system_id != self->system_id)
                continue;
            (void)g_hash_table_add(self->timelines, GUINT_TO_POINTER(timeline->timeline));
            for (guint k = 0; k < timeline->segments->len; k++) {
                const BkWalName *name = &g_array_index(timeline->segments, BkWalName, k);

                (void)g_hash_table_add(
                    self->archived,
                    g_strdup_printf("%08X%08X%08X", name->timeline, name->log, name->seg));
            }
        }
    }
    return true;
}

/* Returns true if the archived segment has all the WAL that this one has: the server that finished
 * it is another one. */
static bool
is_beginning(const Look *self, const BkSourceRepo *source_repo, const Entry *entry,
             const BkBuf *content)
{
    g_auto(BkBuf) archived = BK_BUF_INIT;
    g_auto(BkWalScan) scan = {0};
    size_t size;

    if (!bk_wal_scan(content->data, content->size, NULL, &scan, NULL) ||
        !bk_archive_get(source_repo, self->system_id, entry->name, &entry->parsed, &archived,
                        self->op, NULL))
        return false;
    size = (size_t)(scan.end_lsn - scan.start_lsn);
    return size <= archived.size && memcmp(archived.data, content->data, size) == 0;
}

/* Returns in `*has` whether a repository has the file, and in `*differs` whether one has other
 * content under its name. */
static bool
compare_archived(const Look *self, const Entry *entry, bool *has, bool *differs, GError **error)
{
    g_autofree char *path = g_build_filename(self->found->directory, entry->name, NULL);

    *has = *differs = false;
    for (guint i = 0; i < self->source_repos->len && !*has; i++) {
        g_autoptr(GPtrArray) one = g_ptr_array_new();
        g_autoptr(GError) cause = NULL;

        g_ptr_array_add(one, g_ptr_array_index(self->source_repos, i));
        if (!bk_archive_has(one, self->system_id, path, &entry->parsed, has, self->op, &cause)) {
            g_auto(BkBuf) content = BK_BUF_INIT;

            if (!bk_error_is(cause, BK_ERROR_CONFLICT))
                return bk_propagate(error, &cause);
            if (entry->parsed.kind == BK_WAL_SEGMENT &&
                bk_file_read(self->dir, entry->name, BK_ARCHIVE_FILE_MAX, &content, NULL))
                *has =
                    is_beginning(self, g_ptr_array_index(self->source_repos, i), entry, &content);
            *differs = !*has;
        }
    }
    return true;
}

/* --- the judgement --------------------------------------------------------------------------- */

static void
add_foreign(Look *self, const Entry *entry, const char *why)
{
    if (self->found->why == NULL)
        self->found->why = why;
    g_ptr_array_add(self->found->foreign, g_strdup(entry->name));
}

static bool
has_timeline(const GHashTable *set, const Entry *entry)
{
    return g_hash_table_contains((GHashTable *)(uintptr_t)set,
                                 GUINT_TO_POINTER(entry->parsed.timeline));
}

/* A timeline that is not archived, by a server that marked nothing of it: it was not to be. */
static bool
is_unarchived_life(const Look *self, const Entry *entry)
{
    return entry->mark == MARK_NONE && !has_timeline(self->marked, entry) &&
           (!has_timeline(self->timelines, entry) || has_timeline(self->other_history, entry));
}

/* Returns true for the segment after a clean stop: all that is in it is the checkpoint of the
 * stop, with which nobody loses anything. */
static bool
holds_only_the_stop(const Look *self, const Entry *entry)
{
    uint64_t segno;

    return self->has_control && self->control.state == BK_PG_STATE_SHUT_DOWN &&
           bk_wal_name_segno(&entry->parsed, self->control.wal_segment_size, &segno) &&
           self->control.checkpoint == segno * self->control.wal_segment_size + FIRST_RECORD;
}

/* The segment at the end, which the server had not finished. */
static void
judge_last(Look *self, const Entry *entry)
{
    if (holds_only_the_stop(self, entry) || (self->is_standby && self->original_lives))
        return;
    if (self->is_standby)
        add_foreign(self, entry,
                    "received from another server, which archives it when it is complete");
    else if (self->original_lives)
        add_foreign(self, entry,
                    "incomplete here, while a server of the source is running elsewhere");
    else
        self->found->last = g_strdup(entry->name);
}

static bool
judge_entry(Look *self, const Entry *entry, bool is_last, GError **error)
{
    bool is_segment = entry->parsed.kind == BK_WAL_SEGMENT;
    bool has, differs;

    if (!entry->is_own) {
        if (entry->mark == MARK_READY)
            add_foreign(self, entry, "of another cluster");
        return true;
    }
    if (is_segment && (entry->mark == MARK_DONE || entry->is_damaged) &&
        g_hash_table_contains(self->archived, entry->name))
        return true;
    if (entry->is_damaged) {
        add_foreign(self, entry, "their first page is damaged or cannot be read");
        return true;
    }
    if (!compare_archived(self, entry, &has, &differs, error))
        return false;
    if (entry->parsed.kind == BK_WAL_HISTORY && differs)
        (void)g_hash_table_add(self->other_history, GUINT_TO_POINTER(entry->parsed.timeline));
    if (has || is_unarchived_life(self, entry))
        return true;
    if (differs || has_timeline(self->other_history, entry))
        add_foreign(self, entry, "the archive has another history of their timeline");
    else if (is_last && entry->mark == MARK_NONE)
        judge_last(self, entry);
    else if (is_segment || entry->mark == MARK_READY)
        g_ptr_array_add(self->found->lacking, g_strdup(entry->name));
    return true;
}

static bool
judge_entries(Look *self, GError **error)
{
    guint last = self->entries->len;

    for (guint i = 0; i < self->entries->len; i++)
        if (((const Entry *)g_ptr_array_index(self->entries, i))->parsed.kind == BK_WAL_SEGMENT)
            last = i;
    for (guint i = 0; i < self->entries->len; i++)
        if (!bk_op_check(self->op, error) ||
            !judge_entry(self, g_ptr_array_index(self->entries, i), i == last, error))
            return false;
    return true;
}

/* --- how far it leads ------------------------------------------------------------------------ */

static bool
read_info(const BkDestinationWal *self, const char *name, BkBuf *content, BkWalInfo *info,
          GError **error)
{
    g_autofree char *path = g_build_filename(self->directory, name, NULL);

    return bk_file_read(AT_FDCWD, path, BK_ARCHIVE_FILE_MAX, content, error) &&
           (bk_wal_info_collect(content->data, content->size, NULL, info, error) ||
            bk_prefix(error, "\"%s\"", path));
}

static GPtrArray *
segments_of(const BkDestinationWal *self)
{
    GPtrArray *segments = g_ptr_array_new();
    BkWalName parsed;

    for (guint i = 0; self->lacking != NULL && i < self->lacking->len; i++)
        if (bk_wal_name_parse(g_ptr_array_index(self->lacking, i), &parsed) &&
            parsed.kind == BK_WAL_SEGMENT)
            g_ptr_array_add(segments, g_ptr_array_index(self->lacking, i));
    if (self->last != NULL)
        g_ptr_array_add(segments, self->last);
    return segments;
}

static bool
find_end(BkDestinationWal *self, GError **error)
{
    g_autoptr(GPtrArray) segments = segments_of(self);
    g_auto(BkBuf) content = BK_BUF_INIT;

    for (guint i = segments->len; i-- > 0 && self->end.lsn == 0;) {
        g_auto(BkWalInfo) info = {0};

        if (!read_info(self, g_ptr_array_index(segments, i), &content, &info, error))
            return false;
        self->end_lsn = MAX(self->end_lsn, info.end_lsn);
        if (info.xacts > 0)
            self->end = info.last;
    }
    return true;
}

static bool
may_reach(const BkRecoveryTarget *target, const BkBuf *content, const BkWalInfo *info,
          const BkWalInfo *before, bool *reaches, GError **error)
{
    BkWalMoment found = {.lsn = 0};
    bool ok = true;

    if (target->kind == BK_RECOVERY_TARGET_TIME)
        *reaches = info->xacts > 0 && info->max_time_us >= target->time_us;
    else if (target->kind == BK_RECOVERY_TARGET_LSN)
        *reaches = info->end_lsn >= target->lsn;
    else if (target->kind == BK_RECOVERY_TARGET_XID)
        ok = bk_wal_find_xid(content->data, content->size, before, target->xid, &found, error);
    else if (target->kind == BK_RECOVERY_TARGET_NAME)
        ok =
            bk_wal_find_point(content->data, content->size, before, target->text, 0, &found, error);
    *reaches = *reaches || found.lsn != 0;
    return ok;
}

bool
bk_destination_wal_reaches(const BkDestinationWal *self, const BkRecoveryTarget *target,
                           bool *reaches, GError **error)
{
    g_autoptr(GPtrArray) segments = segments_of(self);
    g_auto(BkWalInfo) before = {0};
    bool ok = true;

    *reaches = false;
    for (guint i = 0; ok && !*reaches && i < segments->len; i++) {
        g_auto(BkBuf) content = BK_BUF_INIT;
        g_auto(BkWalInfo) info = {0};

        ok = read_info(self, g_ptr_array_index(segments, i), &content, &info, error);
        if (ok && i > 0)
            (void)bk_wal_info_join(&before, &info);
        ok = ok && may_reach(target, &content, &info, i > 0 ? &before : NULL, reaches, error);
        bk_wal_info_clear(&before);
        before = info;
        info = (BkWalInfo){0};
    }
    return ok;
}

bool
bk_destination_wal_find(const char *path, GPtrArray *source_repos, bool original_lives,
                        BkDestinationWal *self, BkOp *op, GError **error)
{
    g_autofree char *name = g_build_filename(path, "pg_wal", NULL);
    g_autoptr(GError) cause = NULL;
    g_auto(Look) look = {
        .found = self,
        .source_repos = source_repos,
        .op = op,
        .dir = bk_fd_open_dir(AT_FDCWD, name, &cause),
        .original_lives = original_lives,
        .entries = g_ptr_array_new_with_free_func(free_entry),
        .archived = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .timelines = g_hash_table_new(NULL, NULL),
        .other_history = g_hash_table_new(NULL, NULL),
        .marked = g_hash_table_new(NULL, NULL),
    };

    *self = (BkDestinationWal){
        .lacking = g_ptr_array_new_with_free_func(g_free),
        .foreign = g_ptr_array_new_with_free_func(g_free),
    };
    if (look.dir < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    self->directory = realpath(name, NULL);
    if (self->directory == NULL)
        return bk_throw_errno(error, "resolve \"%s\"", name);
    read_destination_control(&look, path);
    return find_destination_system(&look, error) && list_entries(&look, error) &&
           (look.entries->len == 0 || (list_destination_archive(&look, error) &&
                                       judge_entries(&look, error) && find_end(self, error)));
}

/* --- archiving ------------------------------------------------------------------------------- */

bool
bk_destination_wal_is_needed(const BkDestinationWal *self)
{
    return self->last != NULL || (self->lacking != NULL && self->lacking->len > 0);
}

bool
bk_destination_wal_finish_last(const BkDestinationWal *self, GError **error)
{
    g_autofree char *mark = NULL;

    if (self->last == NULL)
        return true;
    mark = g_strdup_printf("%s/" STATUS_DIRECTORY "/%s.ready", self->directory, self->last);
    return bk_file_write(AT_FDCWD, mark, "", 0, 0600, BK_FILE_REPLACE, error) ||
           bk_prefix(error, "mark WAL of the destination");
}

static bool
archive_file(const BkDestinationWal *self, const char *name, const BkSourceSpec *source, BkOp *op,
             GError **error)
{
    g_autofree char *path = g_build_filename(self->directory, name, NULL);

    return bk_op_check(op, error) &&
           (bk_wal_push(source, path, op, error) ||
            bk_prefix(error, "archive \"%s\" before it is overwritten", path));
}

bool
bk_destination_wal_archive(const BkDestinationWal *self, const BkSourceSpec *source, BkOp *op,
                           GError **error)
{
    for (guint i = 0; self->lacking != NULL && i < self->lacking->len; i++)
        if (!archive_file(self, g_ptr_array_index(self->lacking, i), source, op, error))
            return false;
    return true;
}

bool
bk_destination_wal_archive_last(const BkDestinationWal *self, const BkSourceSpec *source, BkOp *op,
                                GError **error)
{
    return self->last == NULL || archive_file(self, self->last, source, op, error);
}

char *
bk_destination_wal_names(const GPtrArray *names)
{
    g_autoptr(GString) text = g_string_new(NULL);
    guint shown = names->len > NAMES_SHOWN ? NAMES_SHOWN - 1 : names->len;

    for (guint i = 0; i < shown; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "",
                               (const char *)g_ptr_array_index(names, i));
    if (names->len > shown)
        g_string_append_printf(text, " and %u more", names->len - shown);
    return g_string_free(g_steal_pointer(&text), FALSE);
}
