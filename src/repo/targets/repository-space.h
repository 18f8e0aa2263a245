/* repository-space.h - whether the directories of repositories can still take something.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "repo/targets/source-spec.h"

/* Adds to `problems` (of BkProblem) each repository of `source` in a directory whose file
 * system is read-only or nearly full. A bucket has no such bounds. */
void bk_repository_space_check(const BkSourceSpec *source, GPtrArray *problems);
