/* stale-uploads.h - multipart uploads that a writer began and never completed: they cannot be
 * read, but are paid for.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo/lease.h"

/* Uploads of the source, as "NAME, begun 2026-11-28T07:00:00Z": an array of char *. One that is
 * under way is among them. Fails as bk_store_list_uploads. */
GPtrArray *bk_stale_uploads_list(const BkSourceRepo *source_repo, BkOp *op,
                                 GError **error) BK_MUST_USE;

/* Aborts those of writers that are no more: of packs and manifests all, as whoever holds the lease
 * writes alone and calls this before it begins; of WAL, which is archived without a lease, those
 * begun more than a day ago. Costs a request only where the lease was left behind, which tells that
 * its holder was killed, or a segment is so large that it is put in parts. What fails is logged. */
void bk_stale_uploads_abort(const BkSourceRepo *source_repo, const BkLease *lease,
                            uint32_t segment_size, BkOp *op);
