/* seal-priv.h - the bytes of the envelope, shared by sealing and opening.
 *
 * Threads: safe. */
#pragma once
#include "repo/seal.h"

#define BK_SEAL_MAGIC        "BKSEALED"
#define BK_SEAL_LAST_FRAME   UINT32_C(0x80000000)
#define BK_SEAL_BODY_HEAD    5 /* codec u8, raw size u32 */
#define BK_SEAL_AAD_SIZE     (BK_SEAL_HEADER_SIZE + 1)
#define BK_SEAL_OPEN_TRAILER 48 /* the trailer without its tag */
#define BK_SEAL_TRAILER_MARK 2  /* stands where a frame has its last-frame mark */
#define BK_SEAL_TRAILER_AAD  (BK_SEAL_AAD_SIZE + BK_SEAL_OPEN_TRAILER)

/* Derives the key of one object from that of its generation. */
void bk_seal_derive_key(const BkSecret *key, const uint8_t salt[BK_SEAL_SALT_SIZE], BkSealKind kind,
                        BkSecret *derived);
