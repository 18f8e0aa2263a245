/* nesting.h - refuses a repository inside another one.
 *
 * It would count as a source of the outer one, and be copied and removed with it.
 * Threads: safe. */
#pragma once
#include "config/config.h"
#include "repo/repository.h"

/* Fails with BK_ERROR_UNFIT if the directory or prefix of the repository, which is at `place`, is
 * in another repository, however deep, or has one in it: four levels are looked through, up to some
 * thousand names. In a bucket that is one HEAD for each prefix above, unless the credentials do not
 * allow it, and up to 64 listings of what is below, one if nothing is. */
bool bk_cli_nesting_check(const BkConfigRepository *config, const BkLocation *place, BkOp *op,
                          GError **error) BK_MUST_USE;
