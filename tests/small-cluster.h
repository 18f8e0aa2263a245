/* small-cluster.h - files as a cluster has them, changed at random as a server would: for tests.
 *
 * What the server would write to its WAL stands in a log in memory. Threads: belongs to one thread.
 */
#pragma once
#include "expect.h"
#include "source/pg/block-map.h"
#include "source/pg/page.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE ((size_t)BK_PG_PAGE_SIZE)

typedef struct Relation {
    const char *path;
    uint32_t file_node;
    uint32_t first_block;
} Relation;

static const Relation relations[] = {
    {"base/5/101", 101, 0}, {"base/5/102", 102, 0},
    {"base/5/103", 103, 0}, {"base/5/103.1", 103, BK_PG_SEGMENT_BLOCKS},
    {"base/5/104", 104, 0}, {"global/105", 105, 0},
};

static const char *const others[] = {"base/5/101_vm", "base/5/102_fsm", "pg_xact/0000", "a"};

/* A record of the cluster's log: a page was written, or everything from it on is gone. */
typedef struct Logged {
    BkLsn lsn;
    BkForkKey fork;
    uint32_t block;
    bool is_limit;
} Logged;

typedef struct SmallCluster {
    char *root;
    GArray *log; /* Logged */
    BkLsn now;   /* of the next record */
} SmallCluster;

static inline void
small_cluster_init(SmallCluster *self)
{
    *self = (SmallCluster){
        .root = temp_dir_new(),
        .log = g_array_new(FALSE, FALSE, sizeof(Logged)),
        .now = 1000000,
    };
}

static inline void
small_cluster_clear(SmallCluster *self)
{
    temp_dir_free(self->root);
    g_array_unref(self->log);
}

static inline uint32_t
draw(uint32_t end)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)end);
}

static inline void
fill_noise(uint8_t *data, size_t size)
{
    uint32_t state = (uint32_t)g_test_rand_int();

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        data[i] = (uint8_t)(state >> 24);
    }
}

static inline char *
small_cluster_full_path(const SmallCluster *self, const char *path)
{
    return g_build_filename(self->root, path, NULL);
}

static inline int
small_cluster_open_file(const SmallCluster *self, const char *path)
{
    g_autofree char *full = small_cluster_full_path(self, path);
    g_autofree char *folder = g_path_get_dirname(full);
    int fd;

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    fd = open(full, O_RDWR | O_CREAT, 0600);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static inline void
small_cluster_write_at(const SmallCluster *self, const char *path, const void *data, size_t size, size_t offset)
{
    g_auto(BkFd) fd = small_cluster_open_file(self, path);

    g_assert_cmpint(pwrite(fd, data, size, (off_t)offset), ==, (ssize_t)size);
}

static inline void
small_cluster_cut_file(const SmallCluster *self, const char *path, size_t size)
{
    g_autofree char *full = small_cluster_full_path(self, path);

    g_assert_cmpint(truncate(full, (off_t)size), ==, 0);
}

static inline void
small_cluster_remove_file(const SmallCluster *self, const char *path)
{
    g_autofree char *full = small_cluster_full_path(self, path);

    g_assert_cmpint(unlink(full), ==, 0);
}

/* SIZE_MAX: there is none. */
static inline size_t
small_cluster_size_of(const SmallCluster *self, const char *path)
{
    g_autofree char *full = small_cluster_full_path(self, path);
    struct stat st;

    return stat(full, &st) == 0 ? (size_t)st.st_size : SIZE_MAX;
}

static inline BkForkKey
fork_of(const Relation *relation)
{
    bool is_shared = g_str_has_prefix(relation->path, "global/");

    return (BkForkKey){is_shared ? BK_TABLESPACE_GLOBAL : BK_TABLESPACE_DEFAULT, is_shared ? 0 : 5,
                       relation->file_node, BK_FORK_MAIN};
}

static inline void
small_cluster_append_log(SmallCluster *self, const Relation *relation, uint32_t page, bool is_limit)
{
    const Logged logged = {self->now++, fork_of(relation), relation->first_block + page, is_limit};

    g_array_append_val(self->log, logged);
}

/* Pages of noise with a sound header, last changed at `lsn`. */
static inline void
small_cluster_write_pages(SmallCluster *self, const char *path, uint32_t first, uint32_t count, BkLsn lsn)
{
    g_autofree uint8_t *pages = g_malloc(count * PAGE + 1);
    const uint32_t high = (uint32_t)(lsn >> 32);
    const uint32_t low = (uint32_t)lsn;
    const uint16_t words[6] = {0, 0, 24, 8000, 8192, 8192 | 4};

    fill_noise(pages, count * PAGE);
    for (size_t i = 0; i < count; i++) {
        memcpy(pages + i * PAGE, &high, 4);
        memcpy(pages + i * PAGE + 4, &low, 4);
        memcpy(pages + i * PAGE + 8, words, sizeof words);
    }
    small_cluster_write_at(self, path, pages, count * PAGE, first * PAGE);
}

/* Writes pages as the server does: what it says in the log comes first. */
static inline void
small_cluster_change_pages(SmallCluster *self, const Relation *relation, uint32_t first, uint32_t count)
{
    static const uint8_t unused[PAGE] = {0};
    BkLsn lsn = self->now;

    for (uint32_t i = 0; i < count; i++)
        small_cluster_append_log(self, relation, first + i, false);
    small_cluster_write_pages(self, relation->path, first, count, lsn);
    if (draw(4) == 0)
        small_cluster_write_at(self, relation->path, unused, PAGE, first * PAGE);
}

static inline void
small_cluster_write_other(const SmallCluster *self, const char *path, size_t size)
{
    g_autofree uint8_t *data = g_malloc(size + 1);

    fill_noise(data, size);
    small_cluster_write_at(self, path, data, size, 0);
}

static inline void
small_cluster_make(SmallCluster *self, uint32_t pages)
{
    for (size_t i = 0; i < G_N_ELEMENTS(relations); i++)
        small_cluster_change_pages(self, &relations[i], 0, pages + draw(pages));
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        small_cluster_write_other(self, others[i], 100 + draw(pages * 4000));
}

static inline void
small_cluster_change_other(SmallCluster *self)
{
    const char *path = others[draw(G_N_ELEMENTS(others))];
    size_t size = small_cluster_size_of(self, path);

    if (size == SIZE_MAX || draw(4) == 0)
        small_cluster_write_other(self, path, 1 + draw(900000));
    else if (draw(6) == 0)
        small_cluster_remove_file(self, path);
    else if (draw(4) == 0)
        small_cluster_cut_file(self, path, size / 2);
    else
        small_cluster_write_at(self, path, "changed", 7, draw((uint32_t)size + 1));
}

static inline void
small_cluster_change_relation(SmallCluster *self)
{
    const Relation *relation = &relations[draw(G_N_ELEMENTS(relations))];
    size_t size = small_cluster_size_of(self, relation->path);
    uint32_t pages = size == SIZE_MAX ? 0 : (uint32_t)(size / PAGE);
    uint32_t kind = draw(20);

    if (pages == 0 || kind == 0) {
        small_cluster_change_pages(self, relation, pages, 1 + draw(120)); /* grows, or is made */
    } else if (kind == 1) {
        uint32_t left = draw(pages);

        small_cluster_append_log(self, relation, left, true);
        small_cluster_cut_file(self, relation->path, left * PAGE);
    } else if (kind == 2) {
        small_cluster_append_log(self, relation, 0, true);
        small_cluster_remove_file(self, relation->path);
    } else {
        uint32_t first = draw(pages);

        small_cluster_change_pages(self, relation, first, 1 + draw(MIN(pages - first, 40)));
    }
}

static inline void
small_cluster_change(SmallCluster *self)
{
    for (uint32_t i = draw(12); i > 0; i--)
        small_cluster_change_relation(self);
    for (uint32_t i = draw(4); i > 0; i--)
        small_cluster_change_other(self);
}

/* What the log says since `from`. */
static inline BkBlockMap *
small_cluster_make_map(const SmallCluster *self, BkLsn from)
{
    BkBlockMap *map = bk_block_map_new();

    for (guint i = 0; i < self->log->len; i++) {
        const Logged *logged = &g_array_index(self->log, Logged, i);

        if (logged->lsn < from)
            continue;
        if (logged->is_limit)
            bk_block_map_limit(map, &logged->fork, logged->block);
        else
            bk_block_map_add(map, &logged->fork, logged->block);
    }
    return map;
}
