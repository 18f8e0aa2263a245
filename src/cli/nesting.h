/* nesting.h - no repository inside of another one.
 *
 * It would count as a source of the outer one, and be copied and removed with it.
 * Threads: safe. */
#pragma once
#include "config/config.h"

/* Fails with BK_ERROR_UNFIT if the directory of the repository is in another repository, however
 * deep, or has one in it: four levels are looked through, up to some thousand names. Buckets are
 * not looked at. */
bool bk_cli_nesting_check(const BkConfigRepository *config, GError **error) BK_MUST_USE;
