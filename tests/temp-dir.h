/* temp-dir.h - a folder for one test, removed with all that is in it. */
#pragma once
#include "base/macros.h"

#include <ftw.h>
#include <stdio.h>

/* Path of a new folder (mode 0700). */
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

/* Removes and frees; a folder that is gone already is fine. */
static inline void
temp_dir_free(char *path)
{
    (void)nftw(path, temp_dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    g_free(path);
}
