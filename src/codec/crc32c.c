/* crc32c.c - CRC-32C (Castagnoli), as PostgreSQL uses it for WAL, pg_control and manifests. */
#include "codec/crc32c.h"

#include <isa-l/crc.h>

/* Polynomials over GF(2) modulo that of CRC-32C, bits reflected: bit 31 is the coefficient of
 * x^0. */
#define POLYNOMIAL 0x82F63B78u
#define POWERS     31

/* x^(2^k). The order of x is 2^31 - 1 (the polynomial is x + 1 times a primitive one), so that the
 * sequence begins again after 31 squarings. */
static const uint32_t powers[POWERS] = {
    0x40000000, 0x20000000, 0x08000000, 0x00800000, 0x00008000, 0x82F63B78, 0x6EA2D55C, 0x18B8EA18,
    0x510AC59A, 0xB82BE955, 0xB8FDB1E7, 0x88E56F72, 0x74C360A4, 0xE4172B16, 0x0D65762A, 0x35D73A62,
    0x28461564, 0xBF455269, 0xE2EA32DC, 0xFE7740E6, 0xF946610B, 0x3C204F8F, 0x538586E3, 0x59726915,
    0x734D5309, 0xBC1AC763, 0x7D0722CC, 0xD289CABE, 0xE94CA9BC, 0x05B74F3F, 0xA51E1F42,
};

static uint32_t
multiply_crc_operators(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        product ^= (a & bit) != 0 ? b : 0;
        b = b >> 1 ^ ((b & 1) != 0 ? POLYNOMIAL : 0);
    }
    return product;
}

/* The register `crc` after `count` zero bytes: times x^(8 * count). */
static uint32_t
shift_bytes(uint32_t crc, uint64_t count)
{
    for (unsigned k = 3; count != 0; count >>= 1, k++)
        if ((count & 1) != 0)
            crc = multiply_crc_operators(powers[k % POWERS], crc);
    return crc;
}

uint32_t
bk_crc32c(uint32_t crc, const void *data, size_t size)
{
    uint8_t *next = (uint8_t *)(uintptr_t)data; /* the library reads only, but takes no const */

    crc = ~crc;
    while (size > 0) {
        size_t step = MIN(size, BK_GIB); /* its length is an int */

        crc = crc32_iscsi(next, (int)step, crc);
        next += step;
        size -= step;
    }
    return ~crc;
}

uint32_t
bk_crc32c_combine(uint32_t a, uint32_t b, uint64_t b_size)
{
    return shift_bytes(a, b_size) ^ b;
}

uint32_t
bk_crc32c_zeros(uint32_t crc, uint64_t count)
{
    return ~shift_bytes(~crc, count);
}
