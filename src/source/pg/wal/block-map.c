/* block-map.c - which blocks of which relation forks may differ from an older copy of a cluster. */
#include "source/pg/wal/block-map-priv.h"

#define SPARE_BITMAPS 256 /* 2 MiB */

static uint64_t
file_of(const BkForkKey *fork)
{
    return ((uint64_t)fork->file_node << 8) | fork->fork;
}

static guint
hash_fork(const void *key)
{
    const BkForkBlocks *fork = key;
    uint64_t mixed = (fork->place * UINT64_C(0x9E3779B97F4A7C15)) ^ fork->file;

    return (guint)((mixed * UINT64_C(0xD6E8FEB86659FD93)) >> 32);
}

static gboolean
equal_forks(const void *a, const void *b)
{
    const BkForkBlocks *left = a, *right = b;

    return left->place == right->place && left->file == right->file;
}

/* The numbers of a copy in the order in which copies are. */
static void
numbers_of(const BkDatabaseCopy *copy, uint64_t numbers[2])
{
    numbers[0] = bk_block_map_place(copy->from.tablespace, copy->from.database);
    numbers[1] = bk_block_map_place(copy->to.tablespace, copy->to.database);
}

int
bk_database_copy_compare(const void *a, const void *b)
{
    uint64_t left[2], right[2];

    numbers_of(a, left);
    numbers_of(b, right);
    for (size_t i = 0; i < 2; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

static guint
hash_copy(const void *key)
{
    uint64_t numbers[2];

    numbers_of(key, numbers);
    return (guint)(((numbers[0] * UINT64_C(0x9E3779B97F4A7C15)) ^ numbers[1]) *
                       UINT64_C(0xD6E8FEB86659FD93) >>
                   32);
}

static gboolean
equal_copies(const void *a, const void *b)
{
    return bk_database_copy_compare(a, b) == 0;
}

static void
free_fork(void *data)
{
    BkForkBlocks *fork = data;

    bk_block_set_clear(&fork->blocks);
    g_free(fork);
}

BkBlockMap *
bk_block_map_new(void)
{
    BkBlockMap *self = g_new0(BkBlockMap, 1);

    self->forks = g_hash_table_new_full(hash_fork, equal_forks, NULL, free_fork);
    self->renewed = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    self->copies = g_hash_table_new_full(hash_copy, equal_copies, g_free, NULL);
    self->spare_bitmaps = SPARE_BITMAPS;
    return self;
}

void
bk_block_map_free(BkBlockMap *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->forks);
    g_hash_table_unref(self->renewed);
    g_hash_table_unref(self->copies);
    g_free(self);
}

static const BkForkBlocks *
find_fork(const BkBlockMap *self, const BkForkKey *fork)
{
    const BkForkBlocks wanted = {
        .place = bk_block_map_place(fork->tablespace, fork->database),
        .file = file_of(fork),
    };

    return g_hash_table_lookup(self->forks, &wanted);
}

BkForkBlocks *
bk_block_map_fork(BkBlockMap *self, const BkForkKey *fork)
{
    const uint64_t place = bk_block_map_place(fork->tablespace, fork->database);
    const uint64_t file = file_of(fork);
    BkForkBlocks **recent = &self->recent[(file ^ (file >> 8)) % BK_BLOCK_MAP_RECENT];
    BkForkBlocks wanted = {.place = place, .file = file};
    BkForkBlocks *found = *recent;

    if (found != NULL && found->place == place && found->file == file)
        return found;
    found = g_hash_table_lookup(self->forks, &wanted);
    if (found == NULL) {
        wanted.limit = BK_BLOCK_NO_LIMIT;
        wanted.recent = UINT32_MAX;
        found = g_memdup2(&wanted, sizeof wanted);
        g_hash_table_add(self->forks, found);
    }
    *recent = found;
    return found;
}

void
bk_block_map_add(BkBlockMap *self, const BkForkKey *fork, uint32_t block)
{
    BkForkBlocks *found = bk_block_map_fork(self, fork);

    if (found->recent == block) /* mostly a row is added where the one before was */
        return;
    found->recent = block;
    self->count += bk_block_set_add(&found->blocks, block, &self->spare_bitmaps);
}

void
bk_block_map_limit(BkBlockMap *self, const BkForkKey *fork, uint32_t block)
{
    BkForkBlocks *found = bk_block_map_fork(self, fork);

    found->limit = MIN(found->limit, block);
}

void
bk_block_map_renew(BkBlockMap *self, uint32_t tablespace, uint32_t database)
{
    const uint64_t place = bk_block_map_place(tablespace, database);

    g_hash_table_add(self->renewed, g_memdup2(&place, sizeof place));
}

void
bk_block_map_copy(BkBlockMap *self, const BkDatabaseCopy *copy)
{
    bk_block_map_renew(self, copy->to.tablespace, copy->to.database);
    g_hash_table_add(self->copies, g_memdup2(copy, sizeof *copy));
}

GArray *
bk_block_map_get_copies(const BkBlockMap *self)
{
    GArray *copies = g_array_new(FALSE, FALSE, sizeof(BkDatabaseCopy));
    GHashTableIter iter;
    void *item;

    g_hash_table_iter_init(&iter, self->copies);
    while (g_hash_table_iter_next(&iter, &item, NULL))
        g_array_append_vals(copies, item, 1);
    g_array_sort(copies, bk_database_copy_compare);
    return copies;
}

bool
bk_block_map_is_touched(const BkBlockMap *self, const BkDatabaseDirectory *directory)
{
    const uint64_t place = bk_block_map_place(directory->tablespace, directory->database);
    GHashTableIter iter;
    void *item;

    if (bk_block_map_is_renewed(self, directory->tablespace, directory->database))
        return true;
    g_hash_table_iter_init(&iter, self->forks);
    while (g_hash_table_iter_next(&iter, &item, NULL))
        if (((const BkForkBlocks *)item)->place == place)
            return true;
    return false;
}

bool
bk_block_map_is_renewed(const BkBlockMap *self, uint32_t tablespace, uint32_t database)
{
    const uint64_t place = bk_block_map_place(tablespace, database);

    return g_hash_table_contains(self->renewed, &place);
}

uint32_t
bk_block_map_get_limit(const BkBlockMap *self, const BkForkKey *fork)
{
    const BkForkBlocks *found = find_fork(self, fork);

    return found != NULL ? found->limit : BK_BLOCK_NO_LIMIT;
}

bool
bk_block_map_next(const BkBlockMap *self, const BkForkKey *fork, uint32_t from, uint32_t end,
                  uint32_t *first, uint32_t *count)
{
    const BkForkBlocks *found = find_fork(self, fork);

    return found != NULL && bk_block_set_next(&found->blocks, from, end, first, count);
}

uint64_t
bk_block_map_count(const BkBlockMap *self)
{
    return self->count;
}

/* Where the runs of a merged fork go. */
typedef struct Target {
    BkBlockMap *map;
    BkBlockSet *blocks;
} Target;

static void
add_runs(uint16_t number, const BkBlockRun *runs, size_t count, void *data)
{
    Target *target = data;

    target->map->count +=
        bk_block_set_add_runs(target->blocks, number, runs, count, &target->map->spare_bitmaps);
}

void
bk_block_map_merge(BkBlockMap *self, const BkBlockMap *other)
{
    GHashTableIter iter;
    void *item;

    g_assert(self != other);
    g_hash_table_iter_init(&iter, other->renewed);
    while (g_hash_table_iter_next(&iter, &item, NULL))
        g_hash_table_add(self->renewed, g_memdup2(item, sizeof(uint64_t)));
    g_hash_table_iter_init(&iter, other->copies);
    while (g_hash_table_iter_next(&iter, &item, NULL))
        bk_block_map_copy(self, item);
    g_hash_table_iter_init(&iter, other->forks);
    while (g_hash_table_iter_next(&iter, &item, NULL)) {
        const BkForkBlocks *from = item;
        const BkForkKey key = {
            .tablespace = (uint32_t)(from->place >> 32),
            .database = (uint32_t)from->place,
            .file_node = (uint32_t)(from->file >> 8),
            .fork = (uint8_t)from->file,
        };
        BkForkBlocks *to = bk_block_map_fork(self, &key);

        to->limit = MIN(to->limit, from->limit);
        bk_block_set_visit(&from->blocks, add_runs, &(Target){self, &to->blocks});
    }
}
