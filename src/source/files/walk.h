/* walk.h - walks file trees and tells of each entry, in the order of a manifest.
 *
 * Everything is opened by its name beneath the descriptor of the directory that holds it, and no
 * link is followed, so that nothing outside of the roots is read whoever renames what meanwhile,
 * and paths may be longer than a system call takes. What is told of an entry is of one inode.
 *
 * Byte order of full paths is not that of a plain recursive walk: "a-b" comes before "a/b". The
 * content of a directory comes behind those of its siblings that sort before "NAME/".
 *
 * A single entry that cannot be read is noted in the meta, with what is below it, and the rest goes
 * on. What vanishes while it is walked is counted. The directories above the roots are told of,
 * too, so that a restore can make them. One that is left out, but has to be walked since a pattern
 * may take in something below it, is told of. Memory is that of the names of the directories from
 * a root to where the walk is, and of hard links (hard-links.h). Threads: belongs to one thread. */
#pragma once
#include "base/op.h"
#include "source/files/files-entry.h"
#include "source/files/files-meta.h"

typedef struct BkWalkOptions {
    const GPtrArray *roots; /* of bk_roots_open */
    BkPatterns *patterns;   /* what they decide is counted */
    bool one_file_system;   /* what is mounted below a root is left out */
    size_t link_memory;     /* bytes; 0: BK_HARD_LINKS_MEMORY */
} BkWalkOptions;

/* Called for each entry, which is valid during the call. An error ends the walk. */
typedef bool (*BkWalkVisit)(void *data, const BkFilesEntry *entry, GError **error);

/* `meta` is initialised; roots, patterns, counts and notes are added to it. Fails when a root
 * cannot be read or a pattern cannot match below any (BK_ERROR_CONFIG). */
bool bk_walk_run(const BkWalkOptions *options, BkFilesMeta *meta, BkWalkVisit visit, void *data,
                 BkOp *op, GError **error) BK_MUST_USE;
