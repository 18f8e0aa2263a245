/* lsn-check.h - checks the map of changes against the LSNs of pages that it calls unchanged. Pages
 * that it calls unchanged are looked at.
 *
 * The LSN of a page says independently of the WAL's summaries when it was last changed: one between
 * the parent's redo and this backup's contradicts the map. A sample is compared with what the
 * parent noted of its pages, too: with an older LSN there must be the same LSN and layout (see
 * source/pg/format/page-note.h). Threads: a call starts and joins threads of its own. */
#pragma once
#include "source/pg/format/lsn.h"
#include "source/selection.h"

typedef struct BkLsnCheckRequest {
    const char *root; /* the data directory */
    const BkSelection *selection;
    BkLsn from;             /* the parent's redo */
    BkLsn to;               /* this backup's */
    bool is_other_timeline; /* the parent's is not the server's */
    bool has_checksums;     /* the cluster: then becoming all-visible raises a page's LSN */
    unsigned workers;
} BkLsnCheckRequest;

/* Looks at a few pages at random. A contradiction sets `*found` (owned) to what it is. False when a
 * page cannot be read, the parent's notes are malformed (BK_ERROR_CORRUPT), or `op` ended. Asks no
 * repository. */
bool bk_lsn_check_sample(const BkLsnCheckRequest *request, char **found, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Looks at the LSN of every page that the selection does not read; adds their bytes to `*bytes`. */
bool bk_lsn_check_all(const BkLsnCheckRequest *request, uint64_t *bytes, char **found, BkOp *op,
                      GError **error) BK_MUST_USE;
