/* system-id.h - which PostgreSQL cluster a source is.
 *
 * Threads: safe. */
#pragma once
#include "repo/repository.h"

/* The system identifier in the newest snapshot of a part whose manifest can be read; 0 while there
 * is none but damaged ones: they must not stop the archiving of WAL, nor the next backup. */
bool bk_find_system_id(const BkPart *part, uint64_t *system_id, BkOp *op,
                       GError **error) BK_MUST_USE;

/* For whoever asks again and again: the same, noted on this host when a snapshot told it, sealed
 * with the source's key. What a repository without a snapshot says is not noted, since any cluster
 * may still become the source's. */
bool bk_system_id_find_and_note(const BkPart *part, uint64_t *system_id, BkOp *op,
                                GError **error) BK_MUST_USE;

/* Returns true if it is noted. No file may be refused by it before it was found anew. */
bool bk_system_id_recall(const BkPart *part, uint64_t *system_id) BK_MUST_USE;
