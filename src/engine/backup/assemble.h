/* assemble.h - makes the manifest from what the pipeline has stored.
 *
 * Packs of the parent stay in its table only as far as extents still lie in them, and so do new
 * ones. Threads: belongs to the thread of the backup. */
#pragma once
#include "engine/backup/pipeline.h"

typedef struct BkAssembly {
    BkSnapshot *snapshot; /* its tables are filled, of its head only what follows from them */
    uint64_t files;       /* regular ones */
    uint64_t packs;
    bool is_behind; /* of a checkpoint: a part is still as old as the parent */
} BkAssembly;

void bk_assembly_clear(BkAssembly *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkAssembly, bk_assembly_clear)

/* Takes in the files of both arrays (of BkSourceFile; `more` may be NULL), in byte order of their
 * paths. `parent` may be NULL. In the head: bytes, stored_bytes, new_bytes, work. */
void bk_assemble(BkPipeline *copy, const BkSnapshot *parent, const GPtrArray *files,
                 const GPtrArray *more, BkAssembly *assembly);
