/* lost-objects.h - what this host has put into repositories (host-memory.h) and is not there any
 * more.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "source/pg/history/snapshot-list.h"

/* Adds to `problems` (of BkProblem) what is missing of what is remembered, in all repositories that
 * could be listed. */
void bk_lost_objects_find(const BkSourceSpec *source, const BkListing *listing,
                          GPtrArray *problems);
