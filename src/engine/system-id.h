/* system-id.h - which PostgreSQL cluster a source is.
 *
 * Threads: safe. */
#pragma once
#include "repo/repository.h"

/* The system identifier in the newest snapshot of a part whose manifest can be read; 0 while there
 * is none but damaged ones: they must not stop the archiving of WAL, nor the next backup. */
bool bk_find_system_id(const BkPart *part, uint64_t *system_id, BkOp *op,
                       GError **error) BK_MUST_USE;
