/* wal-span.c - which files of a WAL archive a snapshot needs. */
#include "source/pg/archive/wal-span.h"

#include <string.h>

bool
bk_wal_span_init(BkWalSpan *self, const BkSnapshotHead *head, GError **error)
{
    g_auto(BkPgMeta) meta = {0};

    if (strcmp(head->kind, BK_PG_KIND) != 0)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "snapshot \"%s\" is of kind \"%s\", which this program does not support",
                        head->id, head->kind);
    if (!bk_pg_meta_decode(&meta, &head->meta, error))
        return bk_prefix(error, "snapshot \"%s\"", head->id);
    *self = (BkWalSpan){
        .system_id = meta.system_id,
        .timeline = meta.timeline,
        .first = bk_wal_segment_of(meta.start_lsn, meta.segment_size),
        .last = bk_wal_segment_of(meta.stop_lsn - 1, meta.segment_size),
        .segment_size = meta.segment_size,
        .is_standalone = meta.is_standalone,
    };
    return true;
}

bool
bk_wal_span_needs(const BkWalSpan *self, uint64_t system_id, const BkWalName *file)
{
    uint64_t segno;

    return system_id == self->system_id && !self->is_standalone &&
           (file->kind == BK_WAL_SEGMENT || file->kind == BK_WAL_BACKUP) &&
           file->timeline <= self->timeline &&
           bk_wal_name_segno(file, self->segment_size, &segno) && segno >= self->first &&
           segno <= self->last;
}

bool
bk_wal_span_leads_to(const BkWalSpan *self, uint64_t system_id, const BkWalName *file)
{
    uint64_t segno;

    return system_id == self->system_id && file->kind != BK_WAL_HISTORY &&
           file->timeline >= self->timeline &&
           bk_wal_name_segno(file, self->segment_size, &segno) && segno >= self->first;
}
