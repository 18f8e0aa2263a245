/* replicas.h - objects of one part that another part is to have as well.
 *
 * Each is read whole and checked before it is put. What is damaged, or contradicts what is there,
 * is noted and stays where it is; the others go on. Threads: belongs to one thread; bringing starts
 * and joins threads of its own. */
#pragma once
#include "engine/holdings.h"
#include "engine/replicate.h"

typedef enum {
    BK_REPLICA_MISSING, /* at the destination, as far as is known */
    BK_REPLICA_DOUBTED, /* there is one of another size, perhaps with the same content */
    BK_REPLICA_PRESENT,
    BK_REPLICA_COPIED,
    BK_REPLICA_BAD, /* it cannot be had */
} BkReplicaState;

typedef struct BkReplica {
    const char *name; /* of the object, and its last part */
    const char *base;
    uint64_t size;
    bool is_pack;
    BkWalName wal; /* of a WAL file, and its cluster */
    uint64_t system_id;
    BkReplicaState state;
    bool is_settled;   /* known to be durable at the destination */
    int64_t locked_us; /* when the destination locked it; 0: not since the copy began */
    GError *cause;     /* why it is bad, until that is noted */
    bool is_listed;    /* workers are on their way to it */
    bool was_there;    /* before them */
} BkReplica;

typedef struct BkReplicas {
    const BkPart *from;
    const BkPart *to;
    unsigned workers;
    BkReplicateReport *report;
    BkHoldings there;     /* what the destination had at the start */
    GHashTable *replicas; /* name -> BkReplica */
    GStringChunk *names;
    GError *problem; /* the first of all; NULL: none */
} BkReplicas;

/* `self` has its first four fields; the others are set. Lists what the destination has. */
bool bk_replicas_open(BkReplicas *self, BkOp *op, GError **error) BK_MUST_USE;
void bk_replicas_clear(BkReplicas *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkReplicas, bk_replicas_clear)

/* A pack that a manifest names, a WAL file that the other part has: found, or added. Borrowed. */
BkReplica *bk_replicas_add_pack(BkReplicas *self, const BkPackRef *ref);
BkReplica *bk_replicas_add_wal(BkReplicas *self, const BkHeldObject *file);

/* Copies those of `wanted` (of BkReplica) that are missing. Where a manifest is to name them,
 * `for_manifest` has those that are there be durable, and locked in a store that locks. Fails where
 * a store does; damage is noted, and the state of the replica tells. */
bool bk_replicas_bring(BkReplicas *self, const GPtrArray *wanted, bool for_manifest,
                       const char *phase, BkOp *op, GError **error) BK_MUST_USE;

/* Notes what is wrong with one object, as a warning and for the end. Takes over `*cause`. */
void bk_replicas_note(BkReplicas *self, GError **cause);

/* Is it the fault of the object that was asked for, and of no other? */
bool bk_replicas_is_damage(const GError *error);
