#include "repo/targets/repository-space.h"

#include <sys/statvfs.h>

/* Nearly full: less than a twentieth is free, and that is not much either. */
#define FREE_SHARE   20
#define FREE_ENOUGH  ((uint64_t)20 * 1024 * BK_MIB)
#define NAMES_ENOUGH ((uint64_t)100 * 1000)

static bool
is_short(uint64_t available, uint64_t total, uint64_t enough)
{
    return available < enough && available < total / FREE_SHARE;
}

void
bk_repository_space_check(const BkSourceSpec *source, GPtrArray *problems)
{
    for (size_t i = 0; i < source->repository_count; i++) {
        const BkRepositorySpec *repository = &source->repositories[i];
        const char *path = repository->place.path;
        struct statvfs space;

        if (path == NULL || statvfs(path, &space) < 0)
            continue; /* one that cannot be reached is reported by who opens it */
        if ((space.f_flag & ST_RDONLY) != 0)
            g_ptr_array_add(problems,
                            g_strdup_printf("repository \"%s\" is read-only: the file system of "
                                            "\"%s\" is mounted so",
                                            repository->name, path));
        else if (is_short(space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize,
                          FREE_ENOUGH)) {
            g_autofree char *available =
                g_format_size_full(space.f_bavail * space.f_frsize, G_FORMAT_SIZE_IEC_UNITS);
            g_autofree char *total =
                g_format_size_full(space.f_blocks * space.f_frsize, G_FORMAT_SIZE_IEC_UNITS);

            g_ptr_array_add(problems,
                            g_strdup_printf("repository \"%s\" is nearly full: %s of %s are "
                                            "available in \"%s\"",
                                            repository->name, available, total, path));
        } else if (is_short(space.f_favail, space.f_files, NAMES_ENOUGH)) {
            g_ptr_array_add(
                problems, g_strdup_printf("repository \"%s\" is nearly full: the file system of "
                                          "\"%s\" has inodes for %" G_GUINT64_FORMAT " more files",
                                          repository->name, path, (uint64_t)space.f_favail));
        }
    }
}
