/* wal-span.h - which files of a WAL archive a snapshot needs.
 *
 * Pure calculation. Threads: safe; nothing here has state. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/pg/cluster/pg-meta.h"

/* The segments from the start of a snapshot to its end. */
typedef struct BkWalSpan {
    uint64_t system_id;
    uint32_t timeline; /* of the last */
    uint64_t first;
    uint64_t last;
    uint32_t segment_size;
    bool is_standalone; /* the snapshot holds them itself */
} BkWalSpan;

/* That of a snapshot. Fails with BK_ERROR_CORRUPT, or BK_ERROR_UNSUPPORTED when it is of another
 * kind of source. */
bool bk_wal_span_init(BkWalSpan *self, const BkSnapshotHead *head, GError **error) BK_MUST_USE;

/* Returns true if the snapshot itself needs the file of that cluster: one of its segments, or its
 * own backup history? Its first segments may bear the name of an earlier timeline. */
bool bk_wal_span_needs(const BkWalSpan *self, uint64_t system_id, const BkWalName *file);

/* Returns true if recovery from the snapshot, to any target, needs the file of that cluster: one
 * that begins no earlier, of its timeline or a later one? */
bool bk_wal_span_leads_to(const BkWalSpan *self, uint64_t system_id, const BkWalName *file);
