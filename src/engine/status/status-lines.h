/* status-lines.h - what is wrong with the lines of a source's history: gaps, lines that grow beside
 * each other, decisions that a repository lacks.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/status/status.h"

/* Gaps, and snapshots that cannot be recovered, of the repository that `standing` is
 * about. What is before the newest snapshot of the living line is of severity info, since recovery
 * from that snapshot does not need it, unless another repository could replace it. */
void bk_status_note_gaps(BkStatus *self, const BkRecoveryIndex *past, const BkLines *lines,
                         const BkReplicaLag *standing);

/* The lines themselves, for the source of that name. */
void bk_status_note_lines(BkStatus *self, const char *source);
