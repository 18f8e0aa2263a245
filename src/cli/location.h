/* location.h - from the configuration to the location of a repository.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "config/config.h"
#include "repo/repository.h"

/* Opens the repository that the configuration, which must outlive it, has under `name`. Fails with
 * BK_ERROR_USAGE when there is none, or as bk_repository_spec_open. */
BkRepository *bk_cli_repository_open(const BkConfig *config, const char *name, BkOp *op,
                                     GError **error) BK_MUST_USE;

/* For people: a directory's path, or "s3://bucket/prefix at ENDPOINT". A new string. */
char *bk_cli_location_describe(const BkConfigRepository *repository);
