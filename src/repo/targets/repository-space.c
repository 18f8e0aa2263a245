/* repository-space.c - whether the directories of repositories can still take something. */
#include "repo/targets/repository-space.h"

#include "report/problem.h"

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
            bk_problem_add(problems, BK_PROBLEM_REPOSITORY_READ_ONLY,
                           .repository = repository->name, .path = path);
        else if (is_short(space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize,
                          FREE_ENOUGH))
            bk_problem_add(problems, BK_PROBLEM_REPOSITORY_NEARLY_FULL,
                           .repository = repository->name, .path = path,
                           .available = space.f_bavail * space.f_frsize,
                           .total = space.f_blocks * space.f_frsize);
        else if (is_short(space.f_favail, space.f_files, NAMES_ENOUGH))
            bk_problem_add(problems, BK_PROBLEM_REPOSITORY_FEW_INODES,
                           .repository = repository->name, .path = path, .count = space.f_favail);
    }
}
