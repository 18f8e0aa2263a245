/* node-owners.h - to whom restored files are given.
 *
 * An owner of the snapshot is the user and group of the same name on this machine, and otherwise of
 * the same number; what the operator says comes before both. Threads: read only once it is made. */
#pragma once
#include "repo/snapshot/snapshot.h"

typedef struct BkNodeOwnersOptions {
    const char *const *users;  /* "FROM:TO", names or numbers, NULL-terminated; or NULL */
    const char *const *groups; /* likewise */
    const char *owner;         /* "USER:GROUP", "USER" or ":GROUP" for everything, or NULL */
} BkNodeOwnersOptions;

typedef struct BkNodeOwner {
    uint32_t uid;
    uint32_t gid;
    bool is_given; /* by `owner`: whom the file ran as, it must not any more */
} BkNodeOwner;

typedef struct BkNodeOwners BkNodeOwners;

/* Fails with BK_ERROR_USAGE when an option is malformed, with BK_ERROR_NOT_FOUND when it names
 * somebody that this machine does not know. */
BkNodeOwners *bk_node_owners_new(const BkSnapshot *snapshot, const BkNodeOwnersOptions *options,
                                 GError **error) BK_MUST_USE;
void bk_node_owners_free(BkNodeOwners *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkNodeOwners, bk_node_owners_free)

/* `owner` is an index of the snapshot's owners. */
const BkNodeOwner *bk_node_owners_get(const BkNodeOwners *self, uint32_t owner);
