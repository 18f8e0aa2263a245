/* status-systems.h - what is wrong with the clusters of a source, and with their order.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "engine/status/status.h"

/* Adds to the problems of `self`: a new cluster of which there is no snapshot yet, and a former one
 * that writes and archives beside the current one. WAL of a former one that only arrives late is of
 * severity info. */
void bk_status_note_systems(BkStatus *self, const char *source, BkOp *op);
