/* status-lines.h - what is wrong with the lines of a source's history: gaps, lines that grow beside
 * each other, decisions that a repository lacks.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/status/status.h"

/* Gaps, and snapshots that cannot be recovered, of one repository, which is described as
 * `repository`. What lies wholly before the newest snapshot of the living line is a note, since a
 * recovery from that snapshot does not meet it; unless another repository could mend it. */
void bk_status_note_gaps(BkStatus *self, const BkRecoveryIndex *past, const BkLines *lines,
                         const char *repository);

/* The lines themselves, for the source of that name. */
void bk_status_note_lines(BkStatus *self, const char *source);
