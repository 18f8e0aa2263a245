/* page.c - data pages of 8 KiB: header and checksum. */
#include "source/pg/format/page.h"

#include "source/pg/format/bytes.h"

/* The checksum of a page: 32 sums side by side, each over every 32nd number of the page, by a
 * variant of FNV-1a with a shift that lets the upper bits take part; then two rounds of zeros, all
 * sums xored, and the block number. The starting values are part of the format of the server's data
 * files. Eight sums make one vector, so that the compiler takes AVX2 where the machine has it. */
#define PRIME       16777619u
#define LANES       32u
#define VECTORS     (LANES / 8)
#define ALL_VISIBLE 4      /* of the flags */
#define FIRST_LSN   BK_MIB /* lower ones are no place in the WAL: an index that is built bears 1 */
#define ROWS        (BK_PG_PAGE_SIZE / (LANES * 4))

typedef uint32_t Vector __attribute__((vector_size(32)));

/* The same anywhere in memory, over bytes of any type. */
typedef uint32_t LooseVector __attribute__((vector_size(32), aligned(1), may_alias));

static const uint32_t lane_starts[LANES] __attribute__((aligned(32))) = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
};

enum {
    AT_LSN = 0, /* two numbers of 32 bits, the upper first */
    AT_CHECKSUM = 8,
    AT_FLAGS = 10,
    AT_LOWER = 12,
    AT_UPPER = 14,
    AT_SPECIAL = 16,
    AT_SIZE_VERSION = 18,
    AT_END = 24, /* of the header */
};

#define MIX(sum, value)                                                                            \
    do {                                                                                           \
        (sum) ^= (value);                                                                          \
        (sum) = ((sum)*PRIME) ^ ((sum) >> 17);                                                     \
    } while (0)

/* Mixes the whole page into one number. Inlined into a function for each kind of processor. */
static inline __attribute__((always_inline)) uint32_t
sum_page(const uint8_t *page)
{
    Vector sums[VECTORS], first;
    uint32_t folded = 0;

    memcpy(sums, lane_starts, sizeof sums);
    memcpy(&first, page, sizeof first);
    first[AT_CHECKSUM / 4] &= 0xFFFF0000u; /* the stored checksum counts as zero */
    MIX(sums[0], first);
    for (size_t v = 1; v < VECTORS; v++)
        MIX(sums[v], ((const LooseVector *)(const void *)page)[v]);
    for (size_t row = 1; row < ROWS; row++) {
        const LooseVector *values = (const LooseVector *)(const void *)page + row * VECTORS;

        for (size_t v = 0; v < VECTORS; v++)
            MIX(sums[v], values[v]);
    }
    for (size_t v = 0; v < VECTORS; v++) {
        const Vector zero = {0};

        MIX(sums[v], zero);
        MIX(sums[v], zero);
    }
    sums[0] ^= sums[1] ^ sums[2] ^ sums[3];
    for (size_t lane = 0; lane < 8; lane++)
        folded ^= sums[0][lane];
    return folded;
}

static uint32_t
sum_page_plain(const uint8_t *page)
{
    return sum_page(page);
}

#if defined(__x86_64__)
static __attribute__((target("avx2"))) uint32_t
sum_page_avx2(const uint8_t *page)
{
    return sum_page(page);
}
#endif

/* Chosen at each run and not by the loader (target_clones), which would call an instrumented
 * function before the sanitizers are ready. */
static uint32_t (*choose_sum(void))(const uint8_t *page)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return sum_page_avx2;
#endif
    return sum_page_plain;
}

static uint16_t
finish_checksum(uint32_t sum, uint32_t block)
{
    return (uint16_t)((sum ^ block) % UINT16_MAX + 1); /* never 0, which would mean none */
}

static bool
is_all_zeros(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, BK_PG_PAGE_SIZE - 1) == 0;
}

static BkLsn
page_lsn(const uint8_t *page)
{
    return (uint64_t)bk_bytes_u32(page + AT_LSN) << 32 | bk_bytes_u32(page + AT_LSN + 4);
}

void
bk_pg_page_decode(const uint8_t *page, BkPgPage *header)
{
    uint16_t size_version = bk_bytes_u16(page + AT_SIZE_VERSION);

    *header = (BkPgPage){
        .lsn = page_lsn(page),
        .checksum = bk_bytes_u16(page + AT_CHECKSUM),
        .flags = bk_bytes_u16(page + AT_FLAGS),
        .lower = bk_bytes_u16(page + AT_LOWER),
        .upper = bk_bytes_u16(page + AT_UPPER),
        .special = bk_bytes_u16(page + AT_SPECIAL),
        .size = size_version & 0xFF00,
        .version = (uint8_t)size_version,
    };
}

bool
bk_pg_page_get_lsn(const uint8_t *page, BkLsn *lsn)
{
    BkPgPage header;

    bk_pg_page_decode(page, &header);
    *lsn = header.lsn;
    return header.lsn >= FIRST_LSN && header.upper != 0 && header.lower >= AT_END &&
           header.lower <= header.upper && header.upper <= header.special &&
           header.special <= BK_PG_PAGE_SIZE && header.size == BK_PG_PAGE_SIZE;
}

bool
bk_pg_page_is_all_visible(const uint8_t *page)
{
    return (bk_bytes_u16(page + AT_FLAGS) & ALL_VISIBLE) != 0;
}

uint16_t
bk_pg_page_checksum(const uint8_t *page, uint32_t block)
{
    return finish_checksum(choose_sum()(page), block);
}

bool
bk_pg_page_verify(const uint8_t *page, uint32_t block, BkPgPageResult *result)
{
    BkPgPageResult found = {
        .lsn = page_lsn(page),
        .is_new = bk_bytes_u16(page + AT_UPPER) == 0,
        .stored = bk_bytes_u16(page + AT_CHECKSUM),
        .computed = bk_pg_page_checksum(page, block),
    };

    if (result != NULL)
        *result = found;
    return found.is_new ? is_all_zeros(page) : found.stored == found.computed;
}

size_t
bk_pg_pages_verify(const uint8_t *data, size_t pages, uint32_t first_block, uint64_t *bad)
{
    uint32_t (*sum)(const uint8_t *) = choose_sum();
    size_t count = 0;

    memset(bad, 0, (pages + 63) / 64 * sizeof *bad);
    for (size_t i = 0; i < pages; i++) {
        const uint8_t *page = data + i * BK_PG_PAGE_SIZE;
        bool valid;

        if (bk_bytes_u16(page + AT_UPPER) == 0)
            valid = is_all_zeros(page);
        else
            valid = bk_bytes_u16(page + AT_CHECKSUM) ==
                    finish_checksum(sum(page), first_block + (uint32_t)i);
        if (!valid) {
            bad[i / 64] |= UINT64_C(1) << (i % 64);
            count++;
        }
    }
    return count;
}
