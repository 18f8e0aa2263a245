/* crc32c.h - CRC-32C (Castagnoli), as PostgreSQL uses it for WAL, pg_control and manifests.
 *
 * Conventions are the usual ones: start with 0, every result is final and can be carried on.
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/macros.h"

/* CRC of what `crc` stands for followed by `data`. `data` may be NULL when size is 0. */
uint32_t bk_crc32c(uint32_t crc, const void *data, size_t size);

/* CRC of A followed by B, from the CRCs of both and the length of B. Takes a microsecond or two. */
uint32_t bk_crc32c_combine(uint32_t a, uint32_t b, uint64_t b_size);

/* CRC of what `crc` stands for followed by `count` zero bytes. */
uint32_t bk_crc32c_zeros(uint32_t crc, uint64_t count);
