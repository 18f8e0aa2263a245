/* repository-priv.h - what the other files of repo/ may see of a repository.
 *
 * Threads: safe. */
#pragma once
#include "repo/repository.h"

/* The repository key. Borrowed. */
const BkKeyring *bk_repository_keys(const BkRepository *self);
