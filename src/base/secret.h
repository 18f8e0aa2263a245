/* secret.h - 256-bit secrets and randomness.
 *
 * A secret is wiped when it goes out of scope and is never printed.
 * Threads: a secret belongs to one thread, or is read only. */
#pragma once
#include "base/error.h"

#define BK_SECRET_SIZE 32

typedef struct BkSecret {
    uint8_t bytes[BK_SECRET_SIZE];
} BkSecret;

void bk_secret_clear(BkSecret *self); /* wipes */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkSecret, bk_secret_clear)

/* Fills `data` from the system's random number generator (getrandom). */
bool bk_random_fill(void *data, size_t size, GError **error) BK_MUST_USE;

/* Wipes memory that held something secret; not removed by the optimizer. */
void bk_wipe(void *data, size_t size);
