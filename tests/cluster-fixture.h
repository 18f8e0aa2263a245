/* cluster-fixture.h - files as a cluster has them, changed at random as a server would: for tests.
 *
 * What the server would write to its WAL stands in a log in memory. Threads: belongs to one thread.
 */
#pragma once
#include "expect.h"
#include "source/pg/format/page.h"
#include "source/pg/wal/block-map.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE ((size_t)BK_PG_PAGE_SIZE)

typedef struct ClusterRelation {
    const char *path;
    uint32_t file_node;
    uint32_t first_block;
} ClusterRelation;

static const ClusterRelation cluster_relations[] = {
    {"base/5/101", 101, 0}, {"base/5/102", 102, 0},
    {"base/5/103", 103, 0}, {"base/5/103.1", 103, BK_PG_SEGMENT_BLOCKS},
    {"base/5/104", 104, 0}, {"global/105", 105, 0},
};

static const char *const cluster_others[] = {"base/5/101_vm", "base/5/102_fsm", "pg_xact/0000",
                                             "a"};

/* A record of the cluster's log: a page was written, or everything from it on is gone. */
typedef struct ClusterLogged {
    BkLsn lsn;
    BkForkKey fork;
    uint32_t block;
    bool is_limit;
} ClusterLogged;

typedef struct Cluster {
    char *root;
    GArray *log; /* ClusterLogged */
    BkLsn now;   /* of the next record */
} Cluster;

static inline void
cluster_init(Cluster *self)
{
    *self = (Cluster){
        .root = temp_dir_new(),
        .log = g_array_new(FALSE, FALSE, sizeof(ClusterLogged)),
        .now = 16 * BK_MIB,
    };
}

static inline void
cluster_clear(Cluster *self)
{
    temp_dir_free(self->root);
    g_array_unref(self->log);
}

static inline uint32_t
cluster_draw(uint32_t end)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)end);
}

static inline void
cluster_fill_noise(uint8_t *data, size_t size)
{
    uint32_t state = (uint32_t)g_test_rand_int();

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        data[i] = (uint8_t)(state >> 24);
    }
}

static inline char *
cluster_full_path(const Cluster *self, const char *path)
{
    return g_build_filename(self->root, path, NULL);
}

static inline int
cluster_open_file(const Cluster *self, const char *path)
{
    g_autofree char *full = cluster_full_path(self, path);
    g_autofree char *directory = g_path_get_dirname(full);
    int fd;

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    fd = open(full, O_RDWR | O_CREAT, 0600);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static inline void
cluster_write_at(const Cluster *self, const char *path, const void *data, size_t size,
                 size_t offset)
{
    g_auto(BkFd) fd = cluster_open_file(self, path);

    g_assert_cmpint(pwrite(fd, data, size, (off_t)offset), ==, (ssize_t)size);
}

static inline void
cluster_cut_file(const Cluster *self, const char *path, size_t size)
{
    g_autofree char *full = cluster_full_path(self, path);

    g_assert_cmpint(truncate(full, (off_t)size), ==, 0);
}

static inline void
cluster_remove_file(const Cluster *self, const char *path)
{
    g_autofree char *full = cluster_full_path(self, path);

    g_assert_cmpint(unlink(full), ==, 0);
}

/* SIZE_MAX: there is none. */
static inline size_t
cluster_size_of(const Cluster *self, const char *path)
{
    g_autofree char *full = cluster_full_path(self, path);
    struct stat st;

    return stat(full, &st) == 0 ? (size_t)st.st_size : SIZE_MAX;
}

static inline BkForkKey
cluster_fork_of(const ClusterRelation *relation)
{
    bool is_shared = g_str_has_prefix(relation->path, "global/");

    return (BkForkKey){is_shared ? BK_TABLESPACE_GLOBAL : BK_TABLESPACE_DEFAULT, is_shared ? 0 : 5,
                       relation->file_node, BK_FORK_MAIN};
}

static inline void
cluster_append_log(Cluster *self, const ClusterRelation *relation, uint32_t page, bool is_limit)
{
    const ClusterLogged logged = {self->now++, cluster_fork_of(relation),
                                  relation->first_block + page, is_limit};

    g_array_append_val(self->log, logged);
}

/* Pages of noise with a sound header, last changed at `lsn`. */
static inline void
cluster_write_pages(Cluster *self, const char *path, uint32_t first, uint32_t count, BkLsn lsn)
{
    g_autofree uint8_t *pages = g_malloc(count * PAGE + 1);
    const uint32_t high = (uint32_t)(lsn >> 32);
    const uint32_t low = (uint32_t)lsn;
    const uint16_t words[6] = {0, 0, 24, 8000, 8192, 8192 | 4};

    cluster_fill_noise(pages, count * PAGE);
    for (size_t i = 0; i < count; i++) {
        memcpy(pages + i * PAGE, &high, 4);
        memcpy(pages + i * PAGE + 4, &low, 4);
        memcpy(pages + i * PAGE + 8, words, sizeof words);
    }
    cluster_write_at(self, path, pages, count * PAGE, first * PAGE);
}

/* Writes pages as the server does: what it says in the log comes first. */
static inline void
cluster_change_pages(Cluster *self, const ClusterRelation *relation, uint32_t first, uint32_t count)
{
    static const uint8_t unused[PAGE] = {0};

    for (uint32_t i = 0; i < count; i++)
        cluster_append_log(self, relation, first + i, false);
    cluster_write_pages(self, relation->path, first, count, self->now);
    if (cluster_draw(4) == 0)
        cluster_write_at(self, relation->path, unused, PAGE, first * PAGE);
}

static inline void
cluster_write_other(const Cluster *self, const char *path, size_t size)
{
    g_autofree uint8_t *data = g_malloc(size + 1);

    cluster_fill_noise(data, size);
    cluster_write_at(self, path, data, size, 0);
}

/* Each relation gets `pages` pages or up to twice as many. */
static inline void
cluster_make(Cluster *self, uint32_t pages)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
        cluster_change_pages(self, &cluster_relations[i], 0, pages + cluster_draw(pages));
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_others); i++)
        cluster_write_other(self, cluster_others[i], 1 + pages * 4000 + cluster_draw(pages * 4000));
}

static inline void
cluster_change_other(Cluster *self)
{
    const char *path = cluster_others[cluster_draw(G_N_ELEMENTS(cluster_others))];
    size_t size = cluster_size_of(self, path);

    if (size == SIZE_MAX || cluster_draw(4) == 0)
        cluster_write_other(self, path, 1 + cluster_draw(1500000));
    else if (cluster_draw(6) == 0)
        cluster_remove_file(self, path);
    else if (cluster_draw(4) == 0)
        cluster_cut_file(self, path, size / 2);
    else
        cluster_write_at(self, path, "changed", 7, cluster_draw((uint32_t)size + 1));
}

static inline void
cluster_change_relation(Cluster *self)
{
    const ClusterRelation *relation =
        &cluster_relations[cluster_draw(G_N_ELEMENTS(cluster_relations))];
    size_t size = cluster_size_of(self, relation->path);
    uint32_t pages = size == SIZE_MAX ? 0 : (uint32_t)(size / PAGE);
    uint32_t kind = cluster_draw(20);

    if (pages == 0 || kind == 0) {
        cluster_change_pages(self, relation, pages, 1 + cluster_draw(120)); /* grows, or is made */
    } else if (kind == 1) {
        uint32_t left = cluster_draw(pages);

        cluster_append_log(self, relation, left, true);
        cluster_cut_file(self, relation->path, left * PAGE);
    } else if (kind == 2) {
        cluster_append_log(self, relation, 0, true);
        cluster_remove_file(self, relation->path);
    } else {
        uint32_t first = cluster_draw(pages);

        cluster_change_pages(self, relation, first, 1 + cluster_draw(MIN(pages - first, 40)));
    }
}

/* A few random changes, or none. */
static inline void
cluster_change(Cluster *self)
{
    for (uint32_t i = cluster_draw(12); i > 0; i--)
        cluster_change_relation(self);
    for (uint32_t i = cluster_draw(4); i > 0; i--)
        cluster_change_other(self);
}

/* About half of each relation, and all of the other files. */
static inline void
cluster_change_half(Cluster *self)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_relations); i++)
        for (uint32_t page = cluster_draw(20); page < 200; page += 60)
            cluster_change_pages(self, &cluster_relations[i], page, 30);
    for (size_t i = 0; i < G_N_ELEMENTS(cluster_others); i++)
        cluster_write_other(self, cluster_others[i], 300000 + cluster_draw(600000));
}

/* What the log says since `from`. */
static inline BkBlockMap *
cluster_make_map(const Cluster *self, BkLsn from)
{
    BkBlockMap *map = bk_block_map_new();

    for (guint i = 0; i < self->log->len; i++) {
        const ClusterLogged *logged = &g_array_index(self->log, ClusterLogged, i);

        if (logged->lsn < from)
            continue;
        if (logged->is_limit)
            bk_block_map_limit(map, &logged->fork, logged->block);
        else
            bk_block_map_add(map, &logged->fork, logged->block);
    }
    return map;
}
