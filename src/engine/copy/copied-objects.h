/* copied-objects.h - copies objects of one source repository to another one.
 *
 * Each is read whole and checked before it is put. What is damaged, or contradicts what is there,
 * is noted and stays where it is; the others go on. Threads: belongs to one thread; bringing starts
 * and joins threads of its own. */
#pragma once
#include "engine/copy/copy-options.h"
#include "engine/copy/object-index.h"

typedef enum {
    BK_COPIED_OBJECT_MISSING, /* at the destination, as far as is known */
    BK_COPIED_OBJECT_DOUBTED, /* there is one of another size, perhaps with the same content */
    BK_COPIED_OBJECT_PRESENT,
    BK_COPIED_OBJECT_COPIED,
    BK_COPIED_OBJECT_BAD, /* it is unusable */
} BkCopiedObjectState;

typedef struct BkCopiedObject {
    const char *name; /* of the object, and its last part */
    const char *base;
    uint64_t size;
    bool is_pack;
    BkWalName wal; /* of a WAL file, and its cluster */
    uint64_t system_id;
    BkCopiedObjectState state;
    bool is_settled;   /* known to be durable at the destination */
    int64_t locked_us; /* when the destination locked it; 0: not since the copy began */
    GError *cause;     /* why it is bad, until that is noted */
    bool is_listed;    /* workers are on their way to it */
    bool was_there;    /* before them */
} BkCopiedObject;

typedef struct BkCopiedObjects {
    const BkSourceRepo *from;
    const BkSourceRepo *to;
    unsigned workers;
    BkCopyReport *report;
    BkObjectIndex there;  /* what the destination had at the start */
    GHashTable *replicas; /* name -> BkCopiedObject */
    GStringChunk *names;
    GError *problem; /* the first of all; NULL: none */
} BkCopiedObjects;

/* `self` has its first four fields; the others are set. Lists what the destination has. */
bool bk_copied_objects_open(BkCopiedObjects *self, BkOp *op, GError **error) BK_MUST_USE;
void bk_copied_objects_clear(BkCopiedObjects *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkCopiedObjects, bk_copied_objects_clear)

/* A pack that a manifest names, a WAL file that the other source repository has: found, or added.
 * Borrowed. */
BkCopiedObject *bk_copied_objects_add_pack(BkCopiedObjects *self, const BkPackRef *ref);
BkCopiedObject *bk_copied_objects_add_wal(BkCopiedObjects *self, const BkHeldObject *file);

/* Copies those of `wanted` (of BkCopiedObject) that are missing. Where a manifest is to name them,
 * `for_manifest` has those that are there be durable, and locked in a store that locks. Fails if a
 * store does; damage is recorded, see the state of the object. */
bool bk_copied_objects_bring(BkCopiedObjects *self, const GPtrArray *wanted, bool for_manifest,
                             const char *phase, BkOp *op, GError **error) BK_MUST_USE;

/* Notes what is wrong with one object, as a warning and for the end. Takes ownership of `*cause`.
 */
void bk_copied_objects_note(BkCopiedObjects *self, GError **cause);

/* Returns true if the error is about the requested object and no other. */
bool bk_copied_objects_is_damage(const GError *error);
