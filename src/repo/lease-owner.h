/* lease-owner.h - identifies the process that has a lease, so that another one on the same host
 * can see that it died.
 *
 * A process is identified by the boot of its host, its PID namespace, its number and its start
 * time; the number alone would be given to another one. Threads: safe. */
#pragma once
#include "codec/wire.h"

typedef struct BkLeaseOwner {
    char *host; /* for people */
    char *boot; /* boot id and PID namespace */
    int64_t pid;
    uint64_t start; /* clock ticks since boot */
} BkLeaseOwner;

/* This process. */
void bk_lease_owner_init_self(BkLeaseOwner *self);
void bk_lease_owner_clear(BkLeaseOwner *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkLeaseOwner, bk_lease_owner_clear)

void bk_lease_owner_encode(const BkLeaseOwner *self, BkBuf *out);
void bk_lease_owner_decode(BkLeaseOwner *self, BkWireReader *reader); /* failure is in the reader */

/* True only when it is certain: same host, same boot, same namespace, and no such process. */
bool bk_lease_owner_is_dead(const BkLeaseOwner *self);
