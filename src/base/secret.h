/* secret.h - 256-bit secrets and randomness.
 *
 * A secret is wiped when it goes out of scope and is never printed. What lives longer than a call
 * is in memory of its own: locked, so that it is never swapped out, and left out of core dumps; and
 * bk_secret_protect_process keeps the process from being dumped or traced at all.
 * Threads: a secret belongs to one thread, or is read only; the functions are safe. */
#pragma once
#include "base/error.h"

#define BK_SECRET_SIZE 32

typedef struct BkSecret {
    uint8_t bytes[BK_SECRET_SIZE];
} BkSecret;

void bk_secret_clear(BkSecret *self); /* wipes */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkSecret, bk_secret_clear)

/* Zeroed memory for secrets: not swapped out as far as the system's limits let it be locked, not in
 * a core dump. To be given back by bk_secret_free, which wipes it; NULL is fine. */
void *bk_secret_alloc(size_t size);
void bk_secret_free(void *memory);

/* A copy of `text` (or NULL) in such memory. */
char *bk_secret_strdup(const char *text);

/* From now on no core of this process is written, and no other process of its user may read its
 * memory. A program that it runs is not concerned, but for the limit of core sizes, which
 * bk_secret_release_child gives back to what it was: to be called between fork and exec. */
void bk_secret_protect_process(void);
void bk_secret_release_child(void);

/* Fills `data` from the system's random number generator (getrandom). */
bool bk_random_fill(void *data, size_t size, GError **error) BK_MUST_USE;

/* Wipes memory that held something secret; not removed by the optimizer. */
void bk_wipe(void *data, size_t size);
