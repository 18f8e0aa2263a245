/* changes.c - what changed in a cluster between two LSNs, according to its WAL.
 *
 * From the segment with the parent's start LSN to the one with this backup's, in batches of 64:
 *
 *   workers: for each segment of the batch  kept content │ summary from the archive │ pg_wal
 *   then in order: complete? of this cluster and position? do its records link up with the one
 * before? ► added to the total map
 *
 * The outcome is a map, or a reason why there is none. There is no third: a map that lacks one
 * segment is wrong. What can happen:
 * - A segment is missing or damaged everywhere: a gap. No map, and the backup compares LSNs.
 * - Its records do not continue those before, or it is of another system: two histories under one
 *   name (a cluster set back by a copy of its disk). No map, and is_contradictory: this is a
 *   finding.
 * - A repository does not answer: an error, since another attempt may save reading everything.
 * - A segment is archived and removed from pg_wal between two looks: so pg_wal is asked, then the
 *   archive once more.
 * - The last segment is still being written: the server's own is read, up to the start LSN.
 * - WAL written with wal_level minimal, or a record too long to keep: the summary says that it is
 *   unusable, and so is the total. */
#include "source/pg/backup/changes.h"

#include "base/fd.h"
#include "base/workers.h"
#include "repo/targets/targets.h"
#include "source/pg/archive/archive.h"
#include "source/pg/cluster/data-dir.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

/* Summaries that are in memory at once, before they are added up in order. */
#define BATCH 64u

typedef struct Segment {
    char name[BK_WAL_NAME_SIZE];
    BkLsn start_lsn;
    BkWalName parsed;
    BkWalInfo info;
    BkWalBlocks blocks;
    GError *cause; /* why there is nothing */
} Segment;

typedef struct Changes {
    const BkChangesRequest *request;
    uint64_t last; /* segment number of the end */
    BkWalInfo before;
    BkWalBlocks total;
    char *why;
    bool is_contradictory;

    Segment batch[BATCH];
    unsigned count;
    atomic_uint next;
} Changes;

static void
clear_batch(Changes *self)
{
    for (unsigned i = 0; i < self->count; i++) {
        Segment *segment = &self->batch[i];

        bk_wal_info_clear(&segment->info);
        bk_wal_blocks_clear(&segment->blocks);
        g_clear_error(&segment->cause);
    }
    self->count = 0;
}

static bool
collect_content(const BkPgMeta *to, Segment *segment, const BkBuf *content, GError **error)
{
    const BkWalScanOptions options = {
        .expect_start_lsn = segment->start_lsn,
        .expect_system_id = to->system_id,
        .expect_timeline = to->timeline,
    };

    return bk_wal_blocks_collect(content->data, content->size, &options, &segment->info,
                                 &segment->blocks, error);
}

/* What was read whole from the archive already tells what its summary does. */
static bool
load_kept(const Changes *self, Segment *segment)
{
    const BkArchivedSegment *archived = self->request->archived;

    return archived != NULL && strcmp(archived->name, segment->name) == 0 &&
           collect_content(self->request->to, segment, &archived->content, NULL);
}

/* From the first repository that has it. */
static bool
load_archived(const Changes *self, Segment *segment, BkOp *op, GError **error)
{
    const GPtrArray *source_repos = self->request->source_repos;
    g_autoptr(GError) worst = NULL;

    for (guint i = 0; i < source_repos->len; i++) {
        g_autoptr(GError) cause = NULL;

        if (bk_archive_get_blocks(g_ptr_array_index(source_repos, i), self->request->to->system_id,
                                  segment->name, &segment->parsed, &segment->info, &segment->blocks,
                                  op, &cause))
            return true;
        bk_targets_keep_worst(&worst, &cause);
    }
    return bk_propagate(error, &worst);
}

/* From the server's own directory, where it is until it has been archived and is no longer needed.
 */
static bool
load_live(const Changes *self, Segment *segment, GError **error)
{
    const BkPgMeta *to = self->request->to;
    g_autofree char *path = g_build_filename("pg_wal", segment->name, NULL);
    g_auto(BkBuf) content = BK_BUF_INIT;

    return bk_data_dir_read(self->request->data_dir, path, to->segment_size, &content, error) &&
           collect_content(to, segment, &content, error);
}

/* The last segment is that in which the backup started: the server's own is what counts. Every
 * other may be archived, or not yet, or (between our two looks) archived and gone. */
static bool
load_segment_blocks(const Changes *self, Segment *segment, BkOp *op, GError **error)
{
    bool is_last = segment->start_lsn / self->request->to->segment_size == self->last;

    if (is_last && load_live(self, segment, NULL))
        return true;
    return load_kept(self, segment) || load_archived(self, segment, op, NULL) ||
           load_live(self, segment, NULL) || load_archived(self, segment, op, error);
}

/* What is missing or damaged is a gap; a repository that does not answer is an error, since asking
 * again may save reading everything. */
static bool
is_unreachable(const GError *error)
{
    return bk_error_is(error, BK_ERROR_STORE) || bk_error_is(error, BK_ERROR_DENIED) ||
           bk_error_is(error, BK_ERROR_KEY);
}

static bool
run_changes_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Changes *self = data;
    unsigned next;

    (void)index;
    while ((next = atomic_fetch_add(&self->next, 1)) < self->count) {
        Segment *segment = &self->batch[next];

        if (!bk_op_check(op, error))
            return false;
        if (load_segment_blocks(self, segment, op, &segment->cause))
            continue;
        if (!bk_op_check(op, error))
            return false;
        if (is_unreachable(segment->cause))
            return bk_propagate(error, &segment->cause);
    }
    return true;
}

/* Why the segment cannot be relied on; NULL: it can. */
static char *
find_fault(Changes *self, const Segment *segment, bool is_last)
{
    const BkWalInfo *info = &segment->info;

    if (segment->cause != NULL)
        return g_strdup(segment->cause->message);
    self->is_contradictory =
        info->start_lsn != segment->start_lsn || info->system_id != self->request->to->system_id;
    if (self->is_contradictory)
        return g_strdup_printf("WAL segment %s belongs to another position", segment->name);
    if (is_last ? info->end_lsn < self->request->to->start_lsn
                : info->end != BK_WAL_END_FULL && info->end != BK_WAL_END_SWITCH)
        return g_strdup_printf("WAL segment %s is not complete", segment->name);
    return NULL;
}

static void
add_segment_blocks(Changes *self, Segment *segment, bool is_first, bool is_last)
{
    self->why = find_fault(self, segment, is_last);
    if (self->why != NULL)
        return;
    if (!is_first) {
        bk_wal_blocks_join(&self->total, &self->before, &segment->info);
        (void)bk_wal_info_join(&self->before, &segment->info);
    }
    bk_wal_blocks_merge(&self->total, &segment->blocks);
    self->is_contradictory = bk_wal_blocks_is_apart(&self->total);
    if (self->total.unfit != NULL)
        self->why = g_strdup_printf("WAL segment %s: %s", segment->name, self->total.unfit);
    bk_wal_info_clear(&self->before);
    self->before = segment->info;
    segment->info = (BkWalInfo){0}; /* moved */
}

static void
describe_batch(Changes *self, uint64_t first)
{
    const BkPgMeta *to = self->request->to;

    self->count = (unsigned)MIN(BATCH, self->last - first + 1);
    self->next = 0;
    for (unsigned i = 0; i < self->count; i++) {
        Segment *segment = &self->batch[i];

        *segment = (Segment){.start_lsn = (first + i) * to->segment_size};
        segment->parsed =
            bk_wal_name_of_segment(to->timeline, first + i, to->segment_size, segment->name);
    }
}

static bool
add_all(Changes *self, BkOp *op, GError **error)
{
    const BkChangesRequest *request = self->request;
    const uint32_t segment_size = request->to->segment_size;
    const uint64_t first = bk_wal_segment_of(request->from->start_lsn, segment_size);

    self->last = bk_wal_segment_of(request->to->start_lsn, segment_size);
    for (uint64_t segno = first; segno <= self->last && self->why == NULL; segno += BATCH) {
        bool ok;

        describe_batch(self, segno);
        ok =
            bk_workers_run(MIN(request->workers, self->count), run_changes_worker, self, op, error);
        for (unsigned i = 0; ok && i < self->count && self->why == NULL; i++)
            add_segment_blocks(self, &self->batch[i], segno + i == first, segno + i == self->last);
        clear_batch(self);
        if (!ok)
            return false;
    }
    return true;
}

void
bk_changes_clear(BkChanges *self)
{
    bk_block_map_free(self->map);
    g_free(self->why);
    *self = (BkChanges){0};
}

bool
bk_changes_find(const BkChangesRequest *request, BkChanges *changes, BkOp *op, GError **error)
{
    g_autofree Changes *self = g_new0(Changes, 1);
    bool ok;

    self->request = request;
    bk_wal_blocks_init(&self->total);
    ok = add_all(self, op, error);
    *changes = (BkChanges){.why = self->why, .is_contradictory = self->is_contradictory};
    if (ok && self->why == NULL)
        changes->map = g_steal_pointer(&self->total.map);
    bk_wal_blocks_clear(&self->total);
    bk_wal_info_clear(&self->before);
    return ok;
}

/* The server's own is what counts; once it is gone there, it was archived. */
static bool
read_content(const BkChangesRequest *request, const Segment *segment, BkBuf *content, bool *found,
             bool *is_archived, BkOp *op, GError **error)
{
    g_autofree char *path = g_build_filename("pg_wal", segment->name, NULL);
    const uint32_t size = request->to->segment_size;
    g_auto(BkWalScan) scan = {0};
    const BkWalScanOptions options = {.expect_start_lsn = segment->start_lsn};

    *found = bk_data_dir_read(request->data_dir, path, size, content, NULL) &&
             bk_wal_scan(content->data, content->size, &options, &scan, NULL);
    for (guint i = 0; !*found && i < request->source_repos->len; i++) {
        g_autoptr(GError) cause = NULL;

        *found = bk_archive_get(g_ptr_array_index(request->source_repos, i), request->to->system_id,
                                segment->name, &segment->parsed, content, op, &cause);
        *is_archived = *found;
        if (*found)
            break;
        if (!bk_op_check(op, error))
            return false;
        if (is_unreachable(cause))
            return bk_propagate(error, &cause);
    }
    return true;
}

/* The content is moved. */
static void
keep_archived(BkArchivedSegment *archived, const char *name, BkBuf *content)
{
    (void)g_strlcpy(archived->name, name, sizeof archived->name);
    bk_buf_clear(&archived->content);
    archived->content = *content;
    *content = BK_BUF_INIT;
}

bool
bk_changes_have_mark(const BkChangesRequest *request, uint32_t timeline, const BkWalMark *mark,
                     bool *have, BkOp *op, GError **error)
{
    const uint32_t size = request->to->segment_size;
    Segment segment = {.start_lsn = mark->lsn - mark->lsn % size};
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkWalMark found;
    bool is_archived = false;

    *have = false;
    if (mark->lsn == 0)
        return true;
    segment.parsed =
        bk_wal_name_of_segment(timeline, bk_wal_segment_of(mark->lsn, size), size, segment.name);
    if (!read_content(request, &segment, &content, have, &is_archived, op, error))
        return false;
    *have = *have && bk_wal_mark_find(content.data, content.size, mark->lsn, &found) &&
            found.crc == mark->crc;
    if (is_archived && request->archived != NULL)
        keep_archived(request->archived, segment.name, &content);
    return true;
}
