/* copy.h - copies sealed objects of one source from one repository to another, unchanged.
 *
 * For each chosen snapshot, oldest first, the packs that the destination lacks are put before its
 * manifest; so after a crash at any instant there are at most packs there that nothing names yet,
 * and the next run goes on from what is there. Each object is checked against its digest before it
 * is put, a pack against its name as well. Only manifests are opened, nothing is sealed again, and
 * no object is replaced. Unfinished snapshots stay where they are.
 *
 * A damaged object is reported and not copied: snapshots that need it are skipped, everything else
 * is copied. The destination's lease is held all the while, so that no deletion there takes a pack
 * for unneeded before its manifest has come. Threads: a call blocks; it starts and joins threads of
 * its own. */
#pragma once
#include "engine/copy/copy-options.h"

/* Copies snapshots and, unless left out, WAL: all of it from the start of the oldest chosen
 * snapshot on, on its timeline and all later ones; where `snapshots` or `last_of` chooses single
 * ones, only what each needs from its start to its stop. Timeline histories are always copied.
 * Without any snapshot, and without a choice, all WAL is copied.
 *
 * Both source repositories must have the same keys, see bk_source_repo_create. Fails with
 * BK_ERROR_NOT_FOUND (nothing matches the choice), BK_ERROR_CONFLICT (other keys, or another object
 * under the same name, which stays as it is), BK_ERROR_BUSY (the destination's lease is held),
 * BK_ERROR_CORRUPT (damaged objects, each of them logged; the rest was copied), or as the stores.
 * `report` is filled in any case. */
bool bk_replicate(const BkSourceRepo *from, const BkSourceRepo *to, const BkCopyOptions *options,
                  BkCopyReport *report, BkOp *op, GError **error) BK_MUST_USE;
