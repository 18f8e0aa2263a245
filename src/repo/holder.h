/* holder.h - the process that holds something, so that another on the same host can tell that it
 * died.
 *
 * A process is known by the boot of its host, its PID namespace, its number and the moment it
 * started; the number alone would be given to another one.
 * Threads: safe. */
#pragma once
#include "codec/wire.h"

typedef struct BkHolder {
    char *host; /* for people */
    char *boot; /* boot id and PID namespace */
    int64_t pid;
    uint64_t start; /* clock ticks since boot */
} BkHolder;

/* This process. */
void bk_holder_init_self(BkHolder *self);
void bk_holder_clear(BkHolder *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkHolder, bk_holder_clear)

void bk_holder_encode(const BkHolder *self, BkBuf *out);
void bk_holder_decode(BkHolder *self, BkWireReader *reader); /* failure is in the reader */

/* True only when it is certain: same host, same boot, same namespace, and no such process. */
bool bk_holder_is_dead(const BkHolder *self);
