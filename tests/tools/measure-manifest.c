/* measure-manifest.c - what a snapshot of a large cluster costs: the size of its manifest, and the
 * memory and time to load it, to select by it and to write the next one.
 *
 * usage: measure-manifest GIGABYTES PERCENT-A-DAY DAYS
 * Makes the manifest of a cluster of so many relation files of 1 GiB, of whose pages that share was
 * changed at random on each of so many days, with an increment a day; no data is made. */
#include "../repo-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/backup/page-selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PAGE       BK_EXTENT_UNIT
#define FILE_PAGES ((uint64_t)131072)
#define PACK_PAGES ((uint64_t)12800) /* of 100 MiB raw, as a pack of 32 MiB often holds */
#define FIRST_NODE 100000u
#define MAX_DAYS   255

typedef struct Model {
    BkSnapshot *snapshot;
    unsigned files;
    unsigned days;
    double share;
    uint64_t stored[MAX_DAYS + 1];     /* pages that were stored on each day */
    uint32_t first_pack[MAX_DAYS + 1]; /* of each day */
    uint64_t extents;
    uint64_t encoded;
} Model;

static uint64_t random_state = 88172645463325252u;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void
add_packs(Model *self)
{
    uint64_t pages = self->files * FILE_PAGES;
    uint32_t packs = 0;

    for (unsigned day = 0; day <= self->days; day++) {
        uint64_t stored = day == 0 ? pages : (uint64_t)((double)pages * self->share);
        uint64_t count = stored / PACK_PAGES + 2;

        self->first_pack[day] = packs;
        for (uint64_t i = 0; i < count; i++) {
            BkPackRef ref = {
                .size = 32 * BK_MIB,
                .raw_size = PACK_PAGES * PAGE,
                .tail_size = 4096,
                .chunk_count = 400,
                .created_us = (int64_t)day * 86400 * BK_USEC_PER_SEC,
            };

            for (size_t j = 0; j < sizeof ref.name; j++)
                ref.name[j] = (uint8_t)next_random();
            for (size_t j = 0; j < sizeof ref.salt; j++)
                ref.salt[j] = (uint8_t)next_random();
            packs = bk_snapshot_add_pack(self->snapshot, &ref) + 1;
        }
    }
}

/* Which day's page is the newest of each place, and where that day put it. */
static void
play_days(Model *self, uint8_t *owner, uint64_t *place)
{
    const uint64_t threshold = (uint64_t)(self->share * 4294967296.0);

    for (unsigned day = 0; day <= self->days; day++)
        for (uint64_t page = 0; page < FILE_PAGES; page++)
            if (day == 0 || (next_random() >> 32) < threshold) {
                owner[page] = (uint8_t)day;
                place[page] = self->stored[day]++;
            }
}

static void
add_file(Model *self, unsigned number, uint8_t *owner, uint64_t *place, BkExtent *extents)
{
    g_autofree char *path = g_strdup_printf("base/16384/%u", FIRST_NODE + number);
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    BkFile file = {
        .path = path,
        .link = "",
        .kind = BK_FILE_REGULAR,
        .mode = 0600,
        .size = FILE_PAGES * PAGE,
    };

    play_days(self, owner, place);
    for (uint64_t page = 0; page < FILE_PAGES; page++)
        extents[page] = (BkExtent){
            .file_offset = page * PAGE,
            .length = PAGE,
            .pack = self->first_pack[owner[page]] + (uint32_t)(place[page] / PACK_PAGES),
            .pack_offset = place[page] % PACK_PAGES * PAGE,
        };
    bk_extents_encode(extents, FILE_PAGES, file.size, &encoded);
    file.extents = encoded.data;
    file.extents_size = (uint32_t)encoded.size;
    self->encoded += encoded.size;
    bk_snapshot_add_file(self->snapshot, &file);
}

static void
fill_head(BkSnapshotHead *head, const char *source)
{
    (void)g_strlcpy(head->id, "20261121T003905Z-1a2b3c4d", sizeof head->id);
    head->source = g_strdup(source);
    head->kind = g_strdup("postgres");
    head->parent = g_strdup("");
    head->why = g_strdup("");
    head->label = g_strdup("");
    head->host = g_strdup("");
    head->program = g_strdup("");
    head->mode = BK_SNAPSHOT_INCREMENTAL;
    head->state = BK_SNAPSHOT_COMPLETE;
}

/* The time since the last call, and the most memory that was ever used. */
static void
say(const char *what, uint64_t bytes)
{
    static int64_t before_us;
    int64_t now_us = g_get_monotonic_time();
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    if (before_us != 0)
        (void)printf("%-34s %9.2f s %12.1f MiB   peak %8.1f MiB\n", what,
                     (double)(now_us - before_us) / 1e6, (double)bytes / 1048576.0,
                     (double)usage.ru_maxrss / 1024.0);
    (void)fflush(stdout);
    before_us = g_get_monotonic_time();
}

static BkBlockMap *
make_map(const Model *self)
{
    BkBlockMap *map = bk_block_map_new();
    uint64_t pages = self->files * FILE_PAGES;

    for (uint64_t i = 0; i < (uint64_t)((double)pages * self->share); i++) {
        uint64_t page = next_random() % pages;
        const BkForkKey fork = {1663, 16384, FIRST_NODE + (uint32_t)(page / FILE_PAGES),
                                BK_FORK_MAIN};

        bk_block_map_add(map, &fork, (uint32_t)(page % FILE_PAGES));
    }
    return map;
}

static GPtrArray *
make_tree(const Model *self)
{
    GPtrArray *files = g_ptr_array_new();

    for (unsigned i = 0; i < self->files; i++) {
        BkSourceFile *file = g_new0(BkSourceFile, 1);

        file->path = g_strdup_printf("base/16384/%u", FIRST_NODE + i);
        file->size = FILE_PAGES * PAGE;
        file->mode = S_IFREG | 0600;
        file->page_size = PAGE;
        g_ptr_array_add(files, file);
    }
    return files;
}

static void
measure_selection(const Model *self, const BkSnapshot *parent)
{
    g_autoptr(BkBlockMap) map = make_map(self);
    g_autoptr(GPtrArray) files = make_tree(self);
    g_autoptr(BkSelection) selection = NULL;
    g_autofree uint64_t *live = NULL;
    const BkPageSelectionOptions options = {.parent = parent, .map = map};
    size_t packs;

    say("block map of a day", 0);
    (void)bk_snapshot_packs(parent, &packs);
    live = g_new0(uint64_t, packs + 1);
    selection = bk_page_selection_new(files, &options);
    bk_selection_count_live(selection, live);
    say("selection, live share of packs", bk_selection_to_read(selection));
}

int
main(int argc, char **argv)
{
    RepoFixture repo;
    Model model = {.snapshot = bk_snapshot_new()};
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autofree uint8_t *owner = g_new0(uint8_t, FILE_PAGES);
    g_autofree uint64_t *place = g_new0(uint64_t, FILE_PAGES);
    g_autofree BkExtent *extents = g_new(BkExtent, FILE_PAGES);
    g_autoptr(BkSnapshot) loaded = NULL;
    g_autoptr(GError) error = NULL;

    if (argc != 4 || strtoll(argv[3], NULL, 10) > MAX_DAYS) {
        (void)fprintf(stderr, "usage: measure-manifest GIGABYTES PERCENT-A-DAY DAYS\n");
        return 2;
    }
    model.files = (unsigned)strtoll(argv[1], NULL, 10);
    model.share = strtod(argv[2], NULL) / 100;
    model.days = (unsigned)strtoll(argv[3], NULL, 10);
    repo_fixture_init(&repo);
    say("", 0);
    fill_head(bk_snapshot_head(model.snapshot), bk_source_repo_source(repo.source_repo));
    (void)bk_snapshot_add_owner(model.snapshot, 0, 0, "", "");
    add_packs(&model);
    for (unsigned i = 0; i < model.files; i++)
        add_file(&model, i, owner, place, extents);
    say("playing the days; extents encoded", model.encoded);
    if (!bk_snapshot_seal(model.snapshot, repo.source_repo, &object, &error) ||
        !bk_snapshot_put(repo.source_repo, bk_snapshot_head(model.snapshot)->id, &object, repo.op,
                         &error))
        g_error("%s", error->message);
    say("manifest sealed", object.size);
    bk_snapshot_free(model.snapshot);
    loaded = bk_snapshot_load(repo.source_repo, "20261121T003905Z-1a2b3c4d", repo.op, &error);
    if (loaded == NULL)
        g_error("%s", error->message);
    say("manifest loaded and checked", object.size);
    measure_selection(&model, loaded);
    repo_fixture_clear(&repo);
    return 0;
}
