/* snapshot-priv.h - the insides of a snapshot.
 *
 * Threads: as snapshot.h. */
#pragma once
#include "repo/snapshot/snapshot.h"

struct BkSnapshot {
    BkSnapshotHead head;
    GArray *packs;  /* BkPackRef */
    GArray *owners; /* BkOwner */
    GArray *files;  /* BkFile */
    GStringChunk *strings;
    GPtrArray *extents;  /* blocks of encoded extents that `files` point into */
    size_t extents_used; /* of the last block */
};
