/* seal-kind.c - the kinds of sealed objects, and their names for people. */
#include "repo/seal.h"

#define FIRST_RESERVED BK_SEAL_WAL_STREAM

const char *
bk_seal_kind_name(unsigned kind)
{
    static const char *const names[] = {
        [BK_SEAL_KEY_SLOT] = "key slot",
        [BK_SEAL_SOURCE_KEY] = "source key",
        [BK_SEAL_PACK] = "pack",
        [BK_SEAL_SNAPSHOT] = "manifest",
        [BK_SEAL_WAL_SEGMENT] = "WAL segment",
        [BK_SEAL_WAL_FILE] = "WAL file",
        [BK_SEAL_LEASE] = "lease",
        [BK_SEAL_DECISION] = "decision",
        [BK_SEAL_NOTE] = "note of a host",
        [BK_SEAL_WAL_STREAM] = "part of a WAL stream",
        [BK_SEAL_REDIS_STREAM] = "part of a Redis stream",
        [BK_SEAL_RUN] = "run record",
        [BK_SEAL_HOLD] = "hold",
        [BK_SEAL_AUDIT] = "audit entry",
        [BK_SEAL_RETENTION] = "retention record",
        [BK_SEAL_KEY_RECORD] = "key generation record",
        [BK_SEAL_PROOF] = "verification record",
    };

    return kind < G_N_ELEMENTS(names) ? names[kind] : NULL;
}

bool
bk_seal_kind_is_reserved(unsigned kind)
{
    return kind >= FIRST_RESERVED && bk_seal_kind_name(kind) != NULL;
}
