/* clock-steps.h - where the server's clock was set back along the living line, by the times of its
 * commits.
 *
 * A target that is a time is ambiguous there. Heads of segments know the times; of very many
 * segments some are looked at, evenly spread. In a bucket, where each would be a request, the times
 * of the snapshots are compared instead.
 * Threads: belongs to one thread. */
#pragma once
#include "engine/lines.h"

/* Adds a note to `notes` (of char *) for each step back of more than a second that is found in what
 * `past` can recover of the living line of `lines`. Segments that cannot be read are passed by.
 * Fails only when `op` ended. */
bool bk_clock_steps_note(const BkPast *past, const BkLines *lines, GPtrArray *notes, BkOp *op,
                         GError **error) BK_MUST_USE;
