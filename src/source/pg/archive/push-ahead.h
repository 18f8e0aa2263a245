/* push-ahead.h - which segments a call of wal push has archived before the server asks for them.
 *
 * A note in the local cache of a repository in a bucket. It proves nothing: it only says for which
 * file the repository is asked first, since all others are put without asking. Without it such a
 * segment is put once more, which the repository refuses, and is then compared. Threads: safe. */
#pragma once
#include "repo/targets/targets.h"
#include "source/pg/archive/archive.h"

/* Notes that `names` (of char *) were archived ahead in each of `targets`, and no others. */
void bk_push_ahead_note(const BkTargets *targets, const GPtrArray *names);

/* Returns true if the note says so of a file. */
bool bk_push_ahead_has(const BkSourceRepo *source_repo, const char *name);

/* Returns true if the file at `path`, of that cluster, is noted, and every required repository
 * answers that it holds it with this content: one request for each that is in a bucket. Otherwise
 * nothing is known. */
bool bk_push_ahead_find(const BkSourceSpec *source, const char *path, const BkWalName *parsed,
                        uint64_t system_id, BkOp *op);
