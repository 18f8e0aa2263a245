/* each.h - a report about several things of the configuration, as text or as one JSON document.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "cli/commands.h"
#include "report/json.h"

/* Reports one `item`: into `json`, or on standard output when that is NULL. */
typedef bool (*BkCliVisit)(const void *item, BkJson *json, void *data, BkOp *op, GError **error);

typedef struct BkCliEach {
    BkCliVisit visit;
    void *data; /* passed to it */
} BkCliEach;

/* Reports each of the sources that the command is about, all or the one that the argument "source"
 * names, as const BkConfigSource *. With --json the document is printed once all are in it. */
bool bk_cli_each_source(const BkCliEach *self, const BkArgs *args, const BkCliContext *context,
                        GError **error) BK_MUST_USE;

/* The same for each configured repository: const BkConfigRepository *. */
bool bk_cli_each_repository(const BkCliEach *self, const BkArgs *args, const BkCliContext *context,
                            GError **error) BK_MUST_USE;
