/* repository-priv.h - what the other files of repo/ may see of a repository.
 *
 * Threads: safe. */
#pragma once
#include "repo/kept.h"

/* What is read to open it and the part of one source, to be kept; NULL when nothing is kept of
 * `source`. */
BkKept *bk_repository_kept(const BkRepository *self, const char *source);

/* Keeps that, now that the part is open. */
void bk_repository_keep(BkRepository *self);

/* Takes the part that was opened along with the repository; NULL when there is none of `source`. */
BkSourceRepo *bk_repository_take_part(BkRepository *self, const char *source);

/* Opens a part by the keys of those generations, unlisted. */
BkSourceRepo *bk_source_repo_open_known(BkRepository *repository, const char *source,
                                        const BkKept *kept, BkOp *op, GError **error) BK_MUST_USE;

/* The repository key. Borrowed. */
const BkKeyring *bk_repository_keys(const BkRepository *self);
