/* block-map-wire.c - the encoding of a block map, with bounds on what is read. */
#include "source/pg/wal/block-map-priv.h"

#include "codec/wire.h"

#include <string.h>

#define VERSION  2 /* 1 had no copies */
#define FORK_MAX BK_FORK_INIT

static int
compare_fork_places(const void *a, const void *b)
{
    uint64_t left, right;

    memcpy(&left, *(const void *const *)a, sizeof left);
    memcpy(&right, *(const void *const *)b, sizeof right);
    return left < right ? -1 : left > right;
}

static int
compare_forks(const void *a, const void *b)
{
    const BkForkBlocks *left = *(const BkForkBlocks *const *)a;
    const BkForkBlocks *right = *(const BkForkBlocks *const *)b;

    if (left->place != right->place)
        return left->place < right->place ? -1 : 1;
    return left->file < right->file ? -1 : left->file > right->file;
}

/* The keys of a table, in order. */
static GPtrArray *
sorted_keys(GHashTable *table, GCompareFunc compare)
{
    GPtrArray *keys = g_ptr_array_sized_new(g_hash_table_size(table));
    GHashTableIter iter;
    void *key;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        g_ptr_array_add(keys, key);
    g_ptr_array_sort(keys, compare);
    return keys;
}

static void
put_place(BkBuf *out, uint64_t place)
{
    bk_wire_put_varint(out, place >> 32);
    bk_wire_put_varint(out, place & UINT32_MAX);
}

static void
put_directory(BkBuf *out, const BkDatabaseDirectory *directory)
{
    put_place(out, bk_block_map_place(directory->tablespace, directory->database));
}

static void
put_copies(BkBuf *out, const BkBlockMap *map)
{
    g_autoptr(GArray) copies = bk_block_map_get_copies(map);

    bk_wire_put_varint(out, copies->len);
    for (guint i = 0; i < copies->len; i++) {
        const BkDatabaseCopy *copy = &g_array_index(copies, BkDatabaseCopy, i);

        put_directory(out, &copy->from);
        put_directory(out, &copy->to);
    }
}

/* The runs of one fork while they are encoded. */
typedef struct Runs {
    BkBuf bytes;
    uint64_t count;
    uint32_t reached; /* behind the last run */
} Runs;

static void
put_runs(uint16_t number, const BkBlockRun *runs, size_t count, void *data)
{
    Runs *self = data;

    for (size_t i = 0; i < count; i++) {
        uint32_t first = number * BK_BLOCK_STRETCH + runs[i].first;
        uint32_t length = runs[i].last - runs[i].first + 1u;
        uint64_t gap = first - self->reached;

        bk_wire_put_varint(&self->bytes, gap * 2 + (length > 1 ? 1 : 0));
        if (length > 1)
            bk_wire_put_varint(&self->bytes, length - 2);
        self->reached = first + length;
    }
    self->count += count;
}

void
bk_block_map_encode(const BkBlockMap *self, BkBuf *out)
{
    g_autoptr(GPtrArray) renewed = sorted_keys(self->renewed, compare_fork_places);
    g_autoptr(GPtrArray) forks = sorted_keys(self->forks, compare_forks);
    g_auto(BkBuf) bytes = BK_BUF_INIT;

    bk_wire_put_u8(out, VERSION);
    bk_wire_put_varint(out, renewed->len);
    for (guint i = 0; i < renewed->len; i++) {
        uint64_t place;

        memcpy(&place, g_ptr_array_index(renewed, i), sizeof place);
        put_place(out, place);
    }
    put_copies(out, self);
    bk_wire_put_varint(out, forks->len);
    for (guint i = 0; i < forks->len; i++) {
        const BkForkBlocks *fork = g_ptr_array_index(forks, i);
        Runs runs = {.bytes = bytes};

        runs.bytes.size = 0;
        bk_block_set_visit(&fork->blocks, put_runs, &runs);
        bytes = runs.bytes; /* its memory serves the next one */
        put_place(out, fork->place);
        bk_wire_put_varint(out, fork->file >> 8);
        bk_wire_put_u8(out, (uint8_t)fork->file);
        bk_wire_put_varint(out, (uint32_t)(fork->limit + 1)); /* no limit is 0 */
        bk_wire_put_varint(out, runs.count);
        bk_buf_append(out, bytes.data, bytes.size);
    }
}

static uint64_t
get_place(BkWireReader *reader)
{
    uint64_t tablespace = bk_wire_get_bounded(reader, UINT32_MAX);

    return tablespace << 32 | bk_wire_get_bounded(reader, UINT32_MAX);
}

/* Fails the reader when `place` is not behind the one before. */
static void
get_renewed(BkWireReader *reader, BkBlockMap *map)
{
    uint64_t count = bk_wire_get_bounded(reader, bk_wire_left(reader));
    uint64_t before = 0;

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        uint64_t place = get_place(reader);

        if (i > 0 && place <= before)
            reader->failed = true;
        else if (bk_wire_is_ok(reader))
            bk_block_map_renew(map, (uint32_t)(place >> 32), (uint32_t)place);
        before = place;
    }
}

static BkDatabaseDirectory
get_directory(BkWireReader *reader)
{
    uint64_t place = get_place(reader);

    return (BkDatabaseDirectory){(uint32_t)(place >> 32), (uint32_t)place};
}

/* Fails the reader when one is not behind the one before. */
static void
get_copies(BkWireReader *reader, BkBlockMap *map)
{
    uint64_t count = bk_wire_get_bounded(reader, bk_wire_left(reader));
    BkDatabaseCopy before = {0};

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        BkDatabaseCopy copy = {.from = get_directory(reader)};

        copy.to = get_directory(reader);
        if ((i > 0 && bk_database_copy_compare(&copy, &before) <= 0) ||
            !bk_block_map_is_renewed(map, copy.to.tablespace, copy.to.database))
            reader->failed = true;
        else if (bk_wire_is_ok(reader))
            bk_block_map_copy(map, &copy);
        before = copy;
    }
}

/* Reads one run: [*first, *first + *length) behind `reached`. In the one form in which it is
 * written: apart from the run before, unless a stretch begins there, and within a stretch. */
static bool
get_block_run(BkWireReader *reader, uint64_t reached, uint64_t *first, uint64_t *length)
{
    uint64_t head = bk_wire_get_bounded(reader, (uint64_t)UINT32_MAX * 2);

    *length = 1;
    if ((head & 1) != 0)
        *length = bk_wire_get_bounded(reader, BK_BLOCK_STRETCH - 2) + 2;
    *first = reached + head / 2;
    if ((head < 2 && *first % BK_BLOCK_STRETCH != 0) || *first + *length > UINT32_MAX ||
        *first % BK_BLOCK_STRETCH + *length > BK_BLOCK_STRETCH)
        reader->failed = true;
    return bk_wire_is_ok(reader);
}

/* `batch` is empty memory for the runs of one stretch. */
static void
get_runs(BkWireReader *reader, uint64_t count, BkBlockMap *map, const BkForkKey *key, GArray *batch)
{
    BkForkBlocks *fork = bk_block_map_fork(map, key);
    uint64_t reached = 0, first, length;
    uint16_t number = 0;

    g_array_set_size(batch, 0);
    for (uint64_t i = 0; i < count && get_block_run(reader, reached, &first, &length); i++) {
        const uint16_t low = (uint16_t)(first % BK_BLOCK_STRETCH);
        const BkBlockRun run = {low, (uint16_t)(low + length - 1)};

        if (batch->len > 0 && first / BK_BLOCK_STRETCH != number) {
            map->count += bk_block_set_add_runs(&fork->blocks, number, (void *)batch->data,
                                                batch->len, &map->spare_bitmaps);
            g_array_set_size(batch, 0);
        }
        number = (uint16_t)(first / BK_BLOCK_STRETCH);
        g_array_append_val(batch, run);
        reached = first + length;
    }
    if (batch->len > 0)
        map->count += bk_block_set_add_runs(&fork->blocks, number, (void *)batch->data, batch->len,
                                            &map->spare_bitmaps);
}

static void
get_forks(BkWireReader *reader, BkBlockMap *map)
{
    g_autoptr(GArray) batch = g_array_new(false, false, sizeof(BkBlockRun));
    uint64_t count = bk_wire_get_bounded(reader, bk_wire_left(reader));
    BkForkBlocks before = {0};

    for (uint64_t i = 0; i < count; i++) {
        BkForkBlocks now = {.place = get_place(reader)};
        uint64_t file_node = bk_wire_get_bounded(reader, UINT32_MAX);
        uint8_t fork = bk_wire_get_u8(reader);
        uint32_t limit = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX) - 1;
        uint64_t runs = bk_wire_get_bounded(reader, bk_wire_left(reader));
        const BkForkKey key = {(uint32_t)(now.place >> 32), (uint32_t)now.place,
                               (uint32_t)file_node, fork};

        now.file = file_node << 8 | fork;
        if (fork > FORK_MAX || (runs == 0 && limit == BK_BLOCK_NO_LIMIT) ||
            (i > 0 &&
             compare_forks(&(const BkForkBlocks *){&before}, &(const BkForkBlocks *){&now}) >= 0))
            reader->failed = true;
        if (!bk_wire_is_ok(reader))
            return;
        bk_block_map_limit(map, &key, limit);
        get_runs(reader, runs, map, &key, batch);
        before = now;
    }
}

bool
bk_block_map_decode(BkBlockMap *self, const void *data, size_t size, GError **error)
{
    BkWireReader reader;
    uint8_t version;

    bk_wire_reader_init(&reader, data, size);
    version = bk_wire_get_u8(&reader);
    if (bk_wire_is_ok(&reader) && (version < 1 || version > VERSION))
        return bk_throw(error, BK_ERROR_UNSUPPORTED, "block map has version %u, supported is %d",
                        version, VERSION);
    get_renewed(&reader, self);
    if (version > 1)
        get_copies(&reader, self);
    get_forks(&reader, self);
    return bk_wire_end(&reader, "block map", error);
}
