/* system-id.h - which PostgreSQL cluster a source is.
 *
 * Threads: safe. */
#pragma once
#include "repo/repository.h"

/* The system identifier in the newest snapshot of a part whose manifest is sound; 0 while there is
 * none: a damaged one must not stop the archiving of WAL, nor the next backup. */
bool bk_find_system_id(const BkPart *part, uint64_t *system_id, BkOp *op,
                       GError **error) BK_MUST_USE;
