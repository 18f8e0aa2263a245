/* repository-priv.h - what the other files of repo/ may see of a repository.
 *
 * Threads: safe. */
#pragma once
#include "repo/kept.h"

/* What is read to open it and one source repository, to be cached; NULL when nothing is kept of
 * `source`. */
BkKept *bk_repository_kept(const BkRepository *self, const char *source);

/* Caches that, now that the source repository is open. */
void bk_repository_keep(BkRepository *self);

/* Takes the source repository that was opened along with the repository; NULL when there is none of
 * `source`. */
BkSourceRepo *bk_repository_take_part(BkRepository *self, const char *source);

/* Opens a source repository by the keys of those generations, without listing them. */
BkSourceRepo *bk_source_repo_open_known(BkRepository *repository, const char *source,
                                        const BkKept *kept, BkOp *op, GError **error) BK_MUST_USE;

/* The repository key. Borrowed. */
const BkKeyring *bk_repository_keys(const BkRepository *self);
