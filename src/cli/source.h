/* source.h - from the command line and the configuration to what the engine works on.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "cli/commands.h"
#include "cli/location.h"
#include "repo/targets/source-spec.h"

typedef struct BkCliSource {
    BkConfig *config;
    const BkConfigSource *source; /* in `config` */
    BkRepositorySpec *repositories;
    char *state_dir;
    BkSourceSpec spec; /* refers to the others */
} BkCliSource;

void bk_cli_source_clear(BkCliSource *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkCliSource, bk_cli_source_clear)

/* Loads the configuration and finds the source that the argument "source" names. Fails with
 * BK_ERROR_CONFIG, or BK_ERROR_USAGE when there is no such source. */
bool bk_cli_source_load(const BkArgs *args, const BkCliContext *context, BkCliSource *self,
                        GError **error) BK_MUST_USE;

/* The same for a command that only reads: where the configuration has no sources, the one named is
 * looked for in all of its repositories. */
bool bk_cli_source_load_for_reading(const BkArgs *args, const BkCliContext *context,
                                    BkCliSource *self, GError **error) BK_MUST_USE;

/* The same for a source already found in a configuration that the caller owns. */
void bk_cli_source_init(BkCliSource *self, const BkConfigSource *source);

/* Leaves no repository but the one of this name, which is required then; all when it is NULL. Fails
 * with BK_ERROR_USAGE when the source has none such. */
bool bk_cli_source_keep_only(BkCliSource *self, const char *repository, GError **error) BK_MUST_USE;

/* Lets --workers, --max-rate and --compress, where the command has them, override. */
bool bk_cli_source_override(BkCliSource *self, const BkArgs *args, GError **error) BK_MUST_USE;

/* The sources that a reading command with an optional argument "source" is about: all or the one
 * named; without any in the configuration, those that its repositories hold. An array of const
 * BkConfigSource *. */
GPtrArray *bk_cli_sources(const BkArgs *args, BkConfig *config, BkOp *op,
                          GError **error) BK_MUST_USE;
