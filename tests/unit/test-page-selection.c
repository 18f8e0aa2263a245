/* test-page-selection.c - what a backup reads of each file, against a model that decides page by
 * page.
 */
#include "source/pg/backup/page-selection.h"

#include "expect.h"
#include "source/pg/format/page.h"

#include <sys/stat.h>

#define PACKS     5u
#define PAGES_MAX 48u
#define PAGE      ((uint64_t)BK_PG_PAGE_SIZE)
#define SECOND    BK_PG_SEGMENT_BLOCKS /* first block of a relation's second file */

/* Files that may be there, in byte order. */
static const struct Place {
    const char *path;
    bool is_main_fork;
    uint32_t first_block;
    BkForkKey fork;
} places[] = {
    {"base/5/112", true, 0, {1663, 5, 112, BK_FORK_MAIN}},
    {"base/5/16384", true, 0, {1663, 5, 16384, BK_FORK_MAIN}},
    {"base/5/16384.1", true, SECOND, {1663, 5, 16384, BK_FORK_MAIN}},
    {"base/5/16384_fsm", false, 0, {0}},
    {"base/5/16384_vm", false, 0, {0}},
    {"base/5/16385_init", false, 0, {0}},
    {"base/5/t3_16384", false, 0, {0}},
    {"base/6/16384", true, 0, {1663, 6, 16384, BK_FORK_MAIN}},
    {"global/1262", true, 0, {1664, 0, 1262, BK_FORK_MAIN}},
    {"pg_tblspc/16400/PG_15_202209061/5/16390", true, 0, {16400, 5, 16390, BK_FORK_MAIN}},
    {"pg_xact/0000", false, 0, {0}},
};

typedef enum { TAKEN, CHANGED, REFRESHED } Fate;

/* One file on both sides, and what the model says of it. */
typedef struct Model {
    BkSourceFile file;
    bool has_base;
    BkFileKind base_kind;
    uint64_t base_size;
    uint32_t digest_count;
    GArray *extents; /* BkExtent, of the parent's file */

    BkReadHow how;
    Fate fates[PAGES_MAX];
    uint64_t to_read;
} Model;

typedef struct World {
    Model models[G_N_ELEMENTS(places)];
    GPtrArray *files;
    BkSnapshot *parent;
    BkBlockMap *map;
    bool has_given_up;
    bool is_given_up[PACKS];
    uint64_t live[PACKS];
} World;

static uint32_t
draw(uint32_t end)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)end);
}

static bool
one_in(uint32_t count)
{
    return draw(count) == 0;
}

static uint64_t
draw_size(void)
{
    return (one_in(8) ? 0 : 1 + draw(PAGES_MAX - 1)) * PAGE;
}

/* Extents that mostly end at pages, as they do unless the parent's file had an odd size. */
static void
draw_extents(Model *model)
{
    uint64_t at = 0;

    g_array_set_size(model->extents, 0);
    while (at < model->base_size) {
        uint64_t length = one_in(10) ? 1 + draw(20000) : (1 + draw(12)) * PAGE;
        BkExtent extent = {
            .file_offset = at,
            .length = MIN(length, model->base_size - at),
            .is_hole = one_in(6),
        };

        if (!extent.is_hole) {
            extent.pack = draw(PACKS);
            extent.pack_offset = draw(1000000);
        }
        g_array_append_val(model->extents, extent);
        at += extent.length;
    }
}

static void
draw_file(Model *model, const struct Place *place)
{
    model->file = (BkSourceFile){
        .path = (char *)(uintptr_t)place->path,
        .size = draw_size() + (one_in(12) ? draw(8192) : 0),
        .mode = one_in(30) ? S_IFDIR | 0700 : S_IFREG | 0600,
        .page_size = place->is_main_fork ? PAGE : 0,
        .first_page = place->first_block,
    };
    if (S_ISDIR(model->file.mode))
        model->file.size = 0;
    model->has_base = !one_in(8);
    model->base_kind = one_in(20) ? BK_FILE_DIRECTORY : BK_FILE_REGULAR;
    model->base_size = one_in(4) ? model->file.size : draw_size() + (one_in(8) ? draw(8192) : 0);
    model->digest_count =
        place->is_main_fork || one_in(5)
            ? 0
            : (uint32_t)((model->base_size + BK_FILE_DIGEST_UNIT - 1) / BK_FILE_DIGEST_UNIT);
    draw_extents(model);
}

static void
add_base(BkSnapshot *parent, const Model *model)
{
    static const uint8_t digests[PAGES_MAX * BK_PG_PAGE_SIZE / BK_FILE_DIGEST_UNIT + 2]
                                [BK_XXH3_SIZE];
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    BkFile file = {
        .path = model->file.path,
        .link = "",
        .kind = model->base_kind,
        .size = model->base_size,
        .digests = digests[0],
        .digest_count = model->digest_count,
    };

    g_assert_cmpuint(model->digest_count, <=, G_N_ELEMENTS(digests));
    bk_extents_encode((const BkExtent *)(const void *)model->extents->data, model->extents->len,
                      model->base_size, &encoded);
    file.extents = encoded.data;
    file.extents_size = (uint32_t)encoded.size;
    bk_snapshot_add_file(parent, &file);
}

/* Few blocks or many, some of them where no file is; limits below, in and past the files. */
static void
draw_map(BkBlockMap *map)
{
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        uint32_t count = one_in(3) ? 0 : draw(one_in(5) ? 80 : 12);

        if (!places[i].is_main_fork)
            continue;
        for (uint32_t j = 0; j < count; j++)
            bk_block_map_add(map, &places[i].fork, places[i].first_block + draw(2 * PAGES_MAX));
        if (one_in(5))
            bk_block_map_limit(map, &places[i].fork, places[i].first_block + draw(PAGES_MAX));
        if (one_in(10))
            bk_block_map_renew(map, places[i].fork.tablespace, places[i].fork.database);
    }
    bk_block_map_add(map, &(BkForkKey){1663, 5, 16384, BK_FORK_VM}, 0); /* decides nothing */
    bk_block_map_limit(map, &(BkForkKey){1663, 5, 112, BK_FORK_FSM}, 0);
}

static void
world_init(World *self)
{
    *self = (World){.files = g_ptr_array_new(), .parent = bk_snapshot_new()};
    for (uint32_t i = 0; i < PACKS; i++) {
        const BkPackRef ref = {.raw_size = 1000000 + i};

        (void)bk_snapshot_add_pack(self->parent, &ref);
        self->is_given_up[i] = one_in(4);
    }
    self->has_given_up = !one_in(3);
    if (!one_in(4)) {
        self->map = bk_block_map_new();
        draw_map(self->map);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        Model *model = &self->models[i];

        model->extents = g_array_new(FALSE, FALSE, sizeof(BkExtent));
        draw_file(model, &places[i]);
        g_ptr_array_add(self->files, &model->file);
        if (model->has_base)
            add_base(self->parent, model);
    }
}

static void
world_clear(World *self)
{
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
        g_array_unref(self->models[i].extents);
    g_ptr_array_unref(self->files);
    bk_snapshot_free(self->parent);
    bk_block_map_free(self->map);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* Bytes of `extent` in [from, end), unless it is a hole. */
static uint64_t
bytes_within(const BkExtent *extent, uint64_t from, uint64_t end)
{
    uint64_t start = MAX(extent->file_offset, from);
    uint64_t stop = MIN(extent->file_offset + extent->length, end);

    return extent->is_hole || start >= stop ? 0 : stop - start;
}

static bool
is_within_given_up(const World *self, const Model *model, uint64_t from, uint64_t end)
{
    for (guint i = 0; self->has_given_up && i < model->extents->len; i++) {
        const BkExtent *extent = &g_array_index(model->extents, BkExtent, i);

        if (bytes_within(extent, from, end) > 0 && self->is_given_up[extent->pack])
            return true;
    }
    return false;
}

static Fate
fate_of(const World *self, const Model *model, const struct Place *place, uint64_t page)
{
    uint32_t block = place->first_block + (uint32_t)page;
    uint32_t first, count;

    if ((page + 1) * PAGE > model->base_size ||
        bk_block_map_is_renewed(self->map, place->fork.tablespace, place->fork.database) ||
        block >= bk_block_map_get_limit(self->map, &place->fork) ||
        bk_block_map_next(self->map, &place->fork, block, block + 1, &first, &count))
        return CHANGED;
    return is_within_given_up(self, model, page * PAGE, (page + 1) * PAGE) ? REFRESHED : TAKEN;
}

/* Decides about a relation's main fork by the word of the WAL. */
static BkReadHow
decide_ranges(const World *self, Model *model, const struct Place *place)
{
    const uint64_t pages = model->file.size / PAGE;
    uint64_t changed = 0, refreshed = 0;

    for (uint64_t page = 0; page < pages; page++) {
        model->fates[page] = fate_of(self, model, place, page);
        changed += model->fates[page] == CHANGED ? 1 : 0;
        refreshed += model->fates[page] == REFRESHED ? 1 : 0;
    }
    if (changed == pages || 10 * changed > 9 * pages)
        return BK_READ_ALL;
    model->to_read = (changed + refreshed) * PAGE;
    return BK_READ_RANGES;
}

static void
decide(const World *self, Model *model, const struct Place *place)
{
    bool is_known = model->has_base && model->base_kind == BK_FILE_REGULAR;
    bool touches = is_within_given_up(self, model, 0, UINT64_MAX);

    model->to_read = model->file.size;
    model->how = BK_READ_ALL;
    if (!S_ISREG(model->file.mode) || !is_known)
        return;
    if (!place->is_main_fork)
        model->how = model->digest_count > 0 ? BK_READ_DIGESTED : BK_READ_ALL;
    else if (model->file.size % PAGE != 0)
        model->how = BK_READ_ALL;
    else if (self->map == NULL)
        model->how = touches ? BK_READ_ALL : BK_READ_COMPARED;
    else
        model->how = decide_ranges(self, model, place);
}

static void
count_live(World *self, const Model *model)
{
    const uint64_t end = MIN(model->file.size, model->base_size);

    for (guint i = 0; i < model->extents->len; i++) {
        const BkExtent *extent = &g_array_index(model->extents, BkExtent, i);

        for (uint64_t at = 0; at < end && model->how != BK_READ_ALL; at += PAGE)
            if (model->how != BK_READ_RANGES || model->fates[at / PAGE] == TAKEN)
                self->live[extent->pack] += bytes_within(extent, at, MIN(at + PAGE, end));
    }
}

/* The ranges of [from, end) say of each page what the model says. */
static void
check_ranges(const BkSelection *selection, const BkSelected *selected, const Model *model,
             uint64_t from, uint64_t end)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(BkRange));
    Fate found[PAGES_MAX] = {TAKEN};
    uint64_t at = from;

    bk_selection_get_ranges(selection, selected, from, end, ranges);
    for (guint i = 0; i < ranges->len; i++) {
        const BkRange *range = &g_array_index(ranges, BkRange, i);

        g_assert_cmpuint(range->offset, >=, at);
        g_assert_cmpuint(range->length, >, 0);
        g_assert_cmpuint(range->offset % PAGE + range->length % PAGE, ==, 0);
        g_assert_true(i == 0 || range->offset > at || range->is_repack != range[-1].is_repack);
        at = range->offset + range->length;
        g_assert_cmpuint(at, <=, end);
        for (uint64_t page = range->offset / PAGE; page < at / PAGE; page++)
            found[page] = range->is_repack ? REFRESHED : CHANGED;
    }
    for (uint64_t page = from / PAGE; page < end / PAGE; page++)
        g_assert_cmpint(found[page], ==, model->fates[page]);
}

static void
check_selected(const World *self, const BkSelection *selection, const BkSelected *selected,
               size_t index)
{
    const Model *model = &self->models[index];
    const struct Place *place = &places[index];
    const bool is_regular = S_ISREG(model->file.mode);
    const uint32_t pages = (uint32_t)(model->file.size / PAGE);

    g_assert_true(selected->file == &model->file);
    g_assert_cmpint(selected->how, ==, model->how);
    g_assert_cmpuint(selected->to_read, ==, model->to_read);
    g_assert_true(selected->is_given_up == (model->how == BK_READ_DIGESTED &&
                                            is_within_given_up(self, model, 0, UINT64_MAX)));
    g_assert_true(selected->has_digests == (is_regular && !place->is_main_fork));
    g_assert_true((selected->base != NULL) == (model->how != BK_READ_ALL));
    if (selected->base != NULL)
        g_assert_cmpstr(selected->base->path, ==, place->path);
    if (model->how != BK_READ_RANGES)
        return;
    check_ranges(selection, selected, model, 0, model->file.size);
    for (unsigned i = 0; i < 6; i++) {
        uint32_t from = draw(pages);

        check_ranges(selection, selected, model, from * PAGE,
                     (from + draw(pages - from) + 1) * PAGE);
    }
}

static void
test_against_pages(void)
{
    unsigned seen[BK_READ_RANGES + 1] = {0};

    for (unsigned round = 0; round < 1500; round++) {
        g_auto(World) world = {.files = NULL};
        g_autoptr(BkSelection) selection = NULL;
        uint64_t live[PACKS] = {0};
        uint64_t to_read = 0;
        const BkSelected *selected;
        size_t count;

        world_init(&world);
        selection = bk_page_selection_new(
            world.files, &(BkPageSelectionOptions){
                             .parent = world.parent,
                             .map = world.map,
                             .is_given_up = world.has_given_up ? world.is_given_up : NULL});
        selected = bk_selection_files(selection, &count);
        g_assert_cmpuint(count, ==, G_N_ELEMENTS(places));
        for (size_t i = 0; i < count; i++) {
            decide(&world, &world.models[i], &places[i]);
            check_selected(&world, selection, &selected[i], i);
            count_live(&world, &world.models[i]);
            to_read += world.models[i].to_read;
            seen[selected[i].how]++;
        }
        g_assert_cmpuint(bk_selection_to_read(selection), ==, to_read);
        bk_selection_count_live(selection, live);
        for (uint32_t i = 0; i < PACKS; i++)
            g_assert_cmpuint(live[i], ==, world.live[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(seen); i++)
        g_assert_cmpuint(seen[i], >, 300);
}

static void
test_full(void)
{
    g_auto(World) world = {.files = NULL};
    g_autoptr(BkSelection) selection = NULL;
    uint64_t live[PACKS] = {0};
    const BkSelected *selected;
    size_t count;

    world_init(&world);
    selection = bk_page_selection_new_full(world.files);
    selected = bk_selection_files(selection, &count);
    g_assert_cmpuint(count, ==, G_N_ELEMENTS(places));
    for (size_t i = 0; i < count; i++) {
        g_assert_null(selected[i].base);
        g_assert_cmpint(selected[i].how, ==, BK_READ_ALL);
        g_assert_cmpuint(selected[i].to_read, ==, world.models[i].file.size);
    }
    bk_selection_count_live(selection, live);
    for (uint32_t i = 0; i < PACKS; i++)
        g_assert_cmpuint(live[i], ==, 0);
}

/* A file that is the parent's in size, in pack 0, of which `changed` blocks have changed. */
static BkSelection *
select_one(World *self, uint32_t pages, uint32_t first_block, uint32_t changed)
{
    Model *model = &self->models[0];
    const BkExtent extent = {.length = pages * PAGE};
    const BkPackRef ref = {.raw_size = extent.length};

    *self =
        (World){.files = g_ptr_array_new(), .parent = bk_snapshot_new(), .map = bk_block_map_new()};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
        self->models[i].extents = g_array_new(FALSE, FALSE, sizeof(BkExtent));
    model->file = (BkSourceFile){.path = (char *)(uintptr_t) "base/5/16384.9",
                                 .size = extent.length,
                                 .mode = S_IFREG,
                                 .first_page = first_block};
    model->base_kind = BK_FILE_REGULAR;
    model->base_size = extent.length;
    g_array_append_val(model->extents, extent);
    g_ptr_array_add(self->files, &model->file);
    (void)bk_snapshot_add_pack(self->parent, &ref);
    add_base(self->parent, model);
    for (uint32_t i = 0; i < changed; i++)
        bk_block_map_add(self->map, &places[1].fork, first_block + i);
    return bk_page_selection_new(
        self->files, &(BkPageSelectionOptions){.parent = self->parent, .map = self->map});
}

static void
test_whole_above_nine_tenths(void)
{
    static const struct {
        uint32_t pages;
        uint32_t changed;
        bool is_whole;
    } cases[] = {{1, 0, false},    {1, 1, true},    {10, 9, false},     {10, 10, true},
                 {11, 9, false},   {11, 10, true},  {20, 18, false},    {20, 19, true},
                 {100, 90, false}, {100, 91, true}, {1000, 900, false}, {1000, 901, true}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(World) world = {.files = NULL};
        g_autoptr(BkSelection) selection = select_one(&world, cases[i].pages, 0, cases[i].changed);
        size_t count;
        const BkSelected *selected = bk_selection_files(selection, &count);

        g_assert_cmpint(selected->how, ==, cases[i].is_whole ? BK_READ_ALL : BK_READ_RANGES);
        g_assert_cmpuint(bk_selection_to_read(selection), ==,
                         (cases[i].is_whole ? cases[i].pages : cases[i].changed) * PAGE);
    }
}

/* The last blocks that a relation can have; numbers past them do not wrap. */
static void
test_last_blocks(void)
{
    for (uint32_t pages = 10; pages < 13; pages++) {
        g_auto(World) world = {.files = NULL};
        g_autoptr(BkSelection) selection = select_one(&world, pages, UINT32_MAX - 11, 2);
        size_t count;
        const BkSelected *selected = bk_selection_files(selection, &count);

        g_assert_cmpint(selected->how, ==, pages <= 11 ? BK_READ_RANGES : BK_READ_ALL);
        g_assert_cmpuint(selected->to_read, ==, (pages <= 11 ? 2 : pages) * PAGE);
    }
}

/* A limit in the first file of a relation is one of all the others too. */
static void
test_limit_in_earlier_file(void)
{
    static const struct {
        uint32_t limit;
        uint64_t pages;
    } cases[] = {{7, 20}, {SECOND - 1, 20}, {SECOND, 20}, {SECOND + 5, 15}, {SECOND + 20, 0}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(World) world = {.files = NULL};
        g_autoptr(BkSelection) before = select_one(&world, 20, SECOND, 0);
        g_autoptr(BkSelection) after = NULL;

        bk_block_map_limit(world.map, &places[1].fork, cases[i].limit);
        after = bk_page_selection_new(
            world.files, &(BkPageSelectionOptions){.parent = world.parent, .map = world.map});
        g_assert_cmpuint(bk_selection_to_read(before), ==, 0);
        g_assert_cmpuint(bk_selection_to_read(after), ==, cases[i].pages * PAGE);
    }
}

/* A database that may have been made by copying files since the parent: its pages are read whole
 * when their LSNs are all that could tell. */
static void
test_remade_database(void)
{
    static const struct {
        const char *path;
        int64_t before; /* mtime in the parent; 0: it is not there */
        int64_t mtime;
        bool is_remade;
    } cases[] = {
        {"base/5/PG_VERSION", 7, 7, false},
        {"base/5/PG_VERSION", 7, 5000, true},
        {"base/5/PG_VERSION", 7, 4000, false}, /* before the parent */
        {"base/5/PG_VERSION", 0, 7, true},
        {"base/6/PG_VERSION", 0, 7, false},
        {"pg_tblspc/16400/PG_15_202209061/5/PG_VERSION", 0, 7, true},
        {"PG_VERSION", 0, 7, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(World) world = {.files = NULL};
        g_autoptr(BkSelection) first = select_one(&world, 20, 0, 0);
        g_autoptr(BkSelection) selection = NULL;
        BkSourceFile version = {
            .path = (char *)(uintptr_t)cases[i].path, .mode = S_IFREG, .mtime_sec = cases[i].mtime};
        const BkFile file = {.path = version.path,
                             .link = "",
                             .kind = BK_FILE_REGULAR,
                             .mtime_sec = cases[i].before};
        BkPageSelectionOptions options = {.parent = world.parent,
                                          .parent_us = INT64_C(5000) * BK_USEC_PER_SEC};
        size_t count;

        if (cases[i].before != 0)
            bk_snapshot_add_file(world.parent, &file);
        g_ptr_array_add(world.files, &version);
        selection = bk_page_selection_new(world.files, &options);
        g_assert_cmpint(bk_selection_files(selection, &count)->how, ==,
                        cases[i].is_remade ? BK_READ_ALL : BK_READ_COMPARED);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/page-selection/against-pages", test_against_pages);
    g_test_add_func("/page-selection/full", test_full);
    g_test_add_func("/page-selection/whole-above-nine-tenths", test_whole_above_nine_tenths);
    g_test_add_func("/page-selection/last-blocks", test_last_blocks);
    g_test_add_func("/page-selection/remade-database", test_remade_database);
    g_test_add_func("/page-selection/limit-in-earlier-file", test_limit_in_earlier_file);
    return g_test_run();
}
