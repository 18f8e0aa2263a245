/* clock-steps.h - where the server's clock was set back along the current line, by the times of
 * its commits.
 *
 * A target that is a time is ambiguous there. Heads of segments know the times; of very many
 * segments some are looked at, evenly spread, in a repository in a directory. Where there are only
 * buckets, in which each would be a request, the times of the snapshots and of the last transaction
 * are compared instead.
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/lines.h"

/* Adds a problem (of severity info) to `problems` for each step back of more than a second that is
 * found in what can be recovered of the living line of `lines`. `end` is known of that line already
 * (time 0: nothing is). Segments that cannot be read are passed by. Fails only when `op` ended. */
bool bk_clock_steps_note(const BkLines *lines, const BkRecoveryIndexEnd *end, GPtrArray *problems,
                         BkOp *op, GError **error) BK_MUST_USE;
