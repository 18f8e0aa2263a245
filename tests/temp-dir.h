/* temp-dir.h - a directory for one test, removed with all that is in it.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "base/fd.h"
#include "base/op.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>

/* Path of a new directory (mode 0700). */
static inline char *
temp_dir_new(void)
{
    char *path = g_dir_make_tmp("backstay-test-XXXXXX", NULL);

    g_assert_nonnull(path);
    return path;
}

static inline int
temp_dir_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Removes and frees; a directory that is gone already is fine. */
static inline void
temp_dir_free(char *path)
{
    (void)nftw(path, temp_dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    g_free(path);
}

/* A data directory beside which a test may put other things. */
typedef struct TempDir {
    char *parent;
    char *root; /* "data" in it */
    BkFd dir;   /* root, opened */
    BkOp *op;
} TempDir;

static inline void
temp_dir_set_up(TempDir *self, const void *data)
{
    (void)data;
    self->parent = temp_dir_new();
    self->root = g_build_filename(self->parent, "data", NULL);
    g_assert_cmpint(mkdir(self->root, 0700), ==, 0);
    self->dir = bk_fd_open_dir(AT_FDCWD, self->root, NULL);
    g_assert_cmpint(self->dir, >=, 0);
    self->op = bk_op_new(NULL);
}

static inline void
temp_dir_tear_down(TempDir *self, const void *data)
{
    (void)data;
    bk_op_free(self->op);
    bk_fd_clear(&self->dir);
    g_free(self->root);
    temp_dir_free(self->parent);
}

#define TEMP_DIR_TEST(name, function)                                                              \
    g_test_add(name, TempDir, NULL, temp_dir_set_up, function, temp_dir_tear_down)
