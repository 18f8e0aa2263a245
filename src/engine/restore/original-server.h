/* original-server.h - whether the original of a restored copy still seems to be running.
 *
 * A copy that archives into its original's source begins a timeline there beside the one that the
 * original is on. So a restored server archives by default only where it takes the original's
 * place: in its directory, or when there is no sign of a living original.
 * Threads: the call blocks. */
#pragma once
#include "repo/targets/source-spec.h"
#include "source/pg/history/recovery-index.h"

typedef struct BkOriginal {
    bool is_own; /* the destination is the directory of the original, as far as paths tell */
    char *sign;  /* why the original is held for alive elsewhere, or NULL */
    bool runs;   /* it is known to run, not only supposed to */
} BkOriginal;

void bk_original_clear(BkOriginal *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkOriginal, bk_original_clear)

/* Looks for the original of `meta`: in its data directory on this host, by its connection (for a
 * few seconds), and by the age of the newest WAL in `pasts` (of BkRecoveryIndex). No server runs in
 * `to`. `now_us` is the time since 1970. Fails with BK_ERROR_CANCELLED alone. */
bool bk_original_find(const BkSourceSpec *source, const BkPgMeta *meta, const GPtrArray *pasts,
                      const char *to, int64_t now_us, BkOriginal *self, BkOp *op,
                      GError **error) BK_MUST_USE;
