/* system.h - the option --system, which names a cluster of a source.
 *
 * Threads: safe. */
#pragma once
#include "cli/options.h"

/* The system identifier that --system gives, 0 without the option. Fails with BK_ERROR_USAGE. */
bool bk_cli_parse_system(const BkArgs *args, uint64_t *system_id, GError **error) BK_MUST_USE;
