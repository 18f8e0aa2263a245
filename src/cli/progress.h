/* progress.h - shows the progress of an operation on standard error.
 *
 * On a terminal a bar with rate and time left that is drawn anew in place; otherwise a line each
 * ten seconds, so a short operation says nothing. The phases are those of BkOp; a phase whose name
 * ends in "files", "segments", "objects" or "packs" counts these, every other one bytes. Threads:
 * start and stop are called by one thread; drawing has a thread of its own. */
#pragma once
#include "base/op.h"

typedef struct BkProgress BkProgress;

/* Begins to show `op`, which must outlive it. NULL when `is_quiet`, or when no thread can be had:
 * an operation does not fail for want of a bar. */
BkProgress *bk_progress_start(const BkOp *op, bool is_quiet);

/* Wipes the bar and ends; before anything else is printed. NULL is fine. */
void bk_progress_stop(BkProgress *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkProgress, bk_progress_stop)

/* One line about a progress, `now_us` being the monotonic clock: newly allocated, without a line
 * feed. `width` is that of the bar, 0 for none. */
char *bk_progress_format(const BkOpProgress *progress, int64_t now_us, unsigned width);

/* "1.2 GiB", "512 bytes": newly allocated. */
char *bk_progress_format_size(uint64_t size);
