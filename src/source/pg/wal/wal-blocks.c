/* wal-blocks.c - the blocks that a stretch of WAL changes, by the block references of its records,
 * 13 to 18. */
#include "source/pg/wal/wal-blocks.h"

#include "codec/wire.h"
#include "source/pg/wal/wal-info-priv.h"

#include <string.h>

#define VERSION 1

/* Why a summary is unusable. The numbers are on disk. */
enum {
    UNFIT_MINIMAL = 1,
    UNFIT_MALFORMED = 2,
    UNFIT_CUT = 3,
    UNFIT_BROKEN = 4,
    UNFIT_APART = 5,
    UNFIT_COUNT,
};

static const char *const unfit_texts[UNFIT_COUNT] = {
    [UNFIT_MINIMAL] = "wal_level was minimal",
    [UNFIT_MALFORMED] = "a WAL record is malformed",
    [UNFIT_CUT] = "a WAL record is too long to be decoded",
    [UNFIT_BROKEN] = "the WAL contradicts itself",
    [UNFIT_APART] = "the WAL does not continue what came before",
};

enum {
    SMGR_TRUNCATE = 0x20,
    TRUNCATE_HEAP = 1,
    TRUNCATE_VM = 2,
};

void
bk_wal_blocks_init(BkWalBlocks *self)
{
    *self = (BkWalBlocks){.map = bk_block_map_new()};
}

void
bk_wal_blocks_clear(BkWalBlocks *self)
{
    bk_block_map_free(self->map);
    *self = (BkWalBlocks){0};
}

bool
bk_wal_blocks_is_apart(const BkWalBlocks *self)
{
    return self->unfit == unfit_texts[UNFIT_APART];
}

/* The first reason stays. */
static void
set_unfit(BkWalBlocks *self, unsigned reason)
{
    if (self->unfit == NULL)
        self->unfit = unfit_texts[reason];
}

static void
set_unread(BkWalBlocks *self, BkWalReading reading)
{
    if (reading != BK_WAL_READ)
        set_unfit(self, reading == BK_WAL_CUT ? UNFIT_CUT : UNFIT_MALFORMED);
}

/* Tablespace, database and file node. */
static BkForkKey
key_at(const uint8_t *at, uint8_t fork)
{
    return (BkForkKey){bk_bytes_u32(at), bk_bytes_u32(at + 4), bk_bytes_u32(at + 8), fork};
}

static void
note_drops(BkWalBlocks *self, const BkWalRecord *record, const BkWalParts *parts)
{
    static const uint8_t forks[] = {BK_FORK_MAIN, BK_FORK_VM, BK_FORK_INIT};
    const uint8_t *relations = NULL;
    uint32_t count;

    set_unread(self, bk_wal_record_drops(record, parts, &relations, &count));
    for (uint32_t i = 0; self->unfit == NULL && i < count; i++)
        for (size_t fork = 0; fork < G_N_ELEMENTS(forks); fork++) {
            const BkForkKey key = key_at(relations + (size_t)i * 12, forks[fork]);

            bk_block_map_limit(self->map, &key, 0);
        }
}

/* A fork that begins: relation and fork. */
static void
note_create(BkWalBlocks *self, BkWalCursor data)
{
    uint32_t fork;
    BkForkKey key;

    if (data.left < 16 || (fork = bk_bytes_u32(data.next + 12)) > BK_FORK_INIT) {
        set_unfit(self, UNFIT_MALFORMED);
        return;
    }
    key = key_at(data.next, (uint8_t)fork);
    if (fork != BK_FORK_FSM)
        bk_block_map_limit(self->map, &key, 0);
}

/* Forks cut off: block of the main fork, relation, which forks. */
static void
note_truncate(BkWalBlocks *self, BkWalCursor data)
{
    BkForkKey key;
    uint32_t flags;

    if (data.left < 20) {
        set_unfit(self, UNFIT_MALFORMED);
        return;
    }
    flags = bk_bytes_u32(data.next + 16);
    key = key_at(data.next + 4, BK_FORK_MAIN);
    if ((flags & TRUNCATE_HEAP) != 0)
        bk_block_map_limit(self->map, &key, bk_bytes_u32(data.next));
    /* How many blocks of the heap one of the map stands for depends on the size of blocks, which
     * WAL does not tell: the whole map is taken for new. */
    key.fork = BK_FORK_VM;
    if ((flags & TRUNCATE_VM) != 0)
        bk_block_map_limit(self->map, &key, 0);
}

#define CREATE_BY_COPY 0x00

/* A database made by copying the files of another, or of its own in another tablespace. */
static void
note_copy(BkWalBlocks *self, const BkWalRecord *record, uint32_t database, BkWalCursor data)
{
    BkDatabaseCopy copy = {.to.database = database};

    if (bk_wal_take_u32(&data, &copy.to.tablespace) &&
        bk_wal_take_u32(&data, &copy.from.database) &&
        bk_wal_take_u32(&data, &copy.from.tablespace))
        bk_block_map_copy(self->map, &copy);
    else
        set_unread(self, record->size < record->total ? BK_WAL_CUT : BK_WAL_MALFORMED);
}

/* Databases made or dropped. From 15 on there is a second way to make one. */
static void
note_database(BkWalBlocks *self, const BkWalRecord *record, BkWalCursor data, uint16_t magic)
{
    const uint8_t drop = magic >= BK_WAL_MAGIC_15 ? 0x20 : 0x10; /* 0x10 is then the other way */
    uint8_t kind = bk_wal_record_kind(record);
    uint32_t database, tablespace, count = 1;

    if (kind > drop)
        return;
    if (!bk_wal_take_u32(&data, &database) || (kind == drop && !bk_wal_take_u32(&data, &count)) ||
        (uint64_t)count * 4 > data.left) {
        set_unread(self, record->size < record->total ? BK_WAL_CUT : BK_WAL_MALFORMED);
        return;
    }
    if (kind == CREATE_BY_COPY) {
        note_copy(self, record, database, data);
        return;
    }
    while (count-- > 0 && bk_wal_take_u32(&data, &tablespace))
        bk_block_map_renew(self->map, tablespace, database);
}

static void
note_parts(BkWalBlocks *self, const BkWalRecord *record, const BkWalParts *parts, uint16_t magic)
{
    uint8_t level;

    switch (record->rmid) {
    case BK_WAL_RM_XLOG:
        if (bk_wal_record_wal_level(record, magic, &level) && level == 0)
            set_unfit(self, UNFIT_MINIMAL);
        break;
    case BK_WAL_RM_XACT:
        note_drops(self, record, parts);
        break;
    case BK_WAL_RM_SMGR:
        if (bk_wal_record_kind(record) == BK_WAL_SMGR_CREATE)
            note_create(self, parts->main_data);
        else if (bk_wal_record_kind(record) == SMGR_TRUNCATE)
            note_truncate(self, parts->main_data);
        break;
    case BK_WAL_RM_DBASE:
        note_database(self, record, parts->main_data, magic);
        break;
    default:
        break;
    }
}

void
bk_wal_blocks_note(BkWalBlocks *self, const BkWalRecord *record, uint16_t magic)
{
    BkWalParts parts;
    BkWalReading reading;

    if (self->last == 0)
        self->first_prev = record->prev_lsn;
    else if (self->last != record->prev_lsn)
        set_unfit(self, UNFIT_APART);
    self->last = record->lsn;
    reading = bk_wal_record_parts(record, magic, &parts);
    if (reading != BK_WAL_READ) {
        set_unread(self, reading);
        return;
    }
    for (unsigned i = 0; i < parts.refs_count; i++)
        if (parts.refs[i].fork.fork != BK_FORK_FSM)
            bk_block_map_add(self->map, &parts.refs[i].fork, parts.refs[i].block);
    if (record->rmid <= BK_WAL_RM_DBASE)
        note_parts(self, record, &parts, magic);
}

typedef struct Collector {
    BkWalInfo *info;
    BkWalBlocks *blocks;
    const BkWalScan *scan; /* knows the magic number before it calls */
} Collector;

static bool
note_blocks_record(const BkWalRecord *record, void *user, GError **error)
{
    Collector *self = user;

    (void)error;
    self->info->magic = self->scan->magic;
    if (bk_wal_info_wants(record))
        bk_wal_info_note(self->info, record);
    bk_wal_blocks_note(self->blocks, record, self->scan->magic);
    return true;
}

bool
bk_wal_blocks_collect(const uint8_t *data, size_t size, const BkWalScanOptions *options,
                      BkWalInfo *info, BkWalBlocks *blocks, GError **error)
{
    g_auto(BkWalScan) scan = {0};
    Collector collector = {info, blocks, &scan};
    BkWalScanOptions own = options != NULL ? *options : (BkWalScanOptions){0};

    own.on_record = note_blocks_record;
    own.user = &collector;
    own.start_max = MAX(own.start_max, BK_WAL_PARTS_MAX);
    *info = (BkWalInfo){0};
    bk_wal_blocks_init(blocks);
    if (!bk_wal_scan(data, size, &own, &scan, error)) {
        bk_wal_info_clear(info);
        bk_wal_blocks_clear(blocks);
        return false;
    }
    if (scan.end == BK_WAL_END_BROKEN)
        set_unfit(blocks, UNFIT_BROKEN);
    bk_wal_info_take(info, &scan);
    return true;
}

void
bk_wal_blocks_join(BkWalBlocks *blocks, const BkWalInfo *left, const BkWalInfo *right)
{
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    BkWalRecord record;

    if (!bk_wal_info_fits(left, right))
        set_unfit(blocks, UNFIT_APART);
    else if (bk_wal_info_border(left, right, &bytes, &record))
        bk_wal_blocks_note(blocks, &record, right->magic);
}

void
bk_wal_blocks_merge(BkWalBlocks *self, const BkWalBlocks *other)
{
    if (self->unfit == NULL)
        self->unfit = other->unfit;
    if (other->last != 0) {
        if (self->last == 0)
            self->first_prev = other->first_prev;
        else if (self->last != other->first_prev)
            set_unfit(self, UNFIT_APART);
        self->last = other->last;
    }
    bk_block_map_merge(self->map, other->map);
}

void
bk_wal_blocks_encode(const BkWalBlocks *self, BkBuf *out)
{
    uint8_t reason = 0;

    for (unsigned i = 1; i < UNFIT_COUNT; i++)
        if (self->unfit == unfit_texts[i])
            reason = (uint8_t)i;
    g_assert(self->unfit == NULL || reason != 0);
    bk_wire_put_u8(out, VERSION);
    bk_wire_put_varint(out, self->first_prev);
    bk_wire_put_varint(out, self->last);
    bk_wire_put_u8(out, reason);
    bk_block_map_encode(self->map, out);
}

bool
bk_wal_blocks_decode(const void *data, size_t size, BkWalBlocks *blocks, GError **error)
{
    BkWireReader reader;
    uint8_t version, reason;

    bk_wal_blocks_init(blocks);
    bk_wire_reader_init(&reader, data, size);
    version = bk_wire_get_u8(&reader);
    if (bk_wire_is_ok(&reader) && version != VERSION) {
        bk_wal_blocks_clear(blocks);
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "summary of WAL has version %u, supported is %d", version, VERSION);
    }
    blocks->first_prev = bk_wire_get_varint(&reader);
    blocks->last = bk_wire_get_varint(&reader);
    reason = bk_wire_get_u8(&reader);
    if (!bk_wire_is_ok(&reader) || reason >= UNFIT_COUNT) {
        bk_wal_blocks_clear(blocks);
        return bk_throw(error, BK_ERROR_CORRUPT, "malformed summary of WAL");
    }
    blocks->unfit = unfit_texts[reason];
    if (bk_block_map_decode(blocks->map, reader.next, bk_wire_left(&reader), error))
        return true;
    bk_wal_blocks_clear(blocks);
    return false;
}
