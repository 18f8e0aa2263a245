/* wal-origin.c - which cluster a WAL file belongs to, according to the server's own files. */
#include "source/pg/archive/wal-origin.h"

#include "base/fd.h"
#include "base/path-owner.h"
#include "source/pg/cluster/control.h"
#include "source/pg/wal/wal-scan.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD_SIZE ((size_t)64) /* more than the header of a segment's first page */

static uint64_t
read_origin_control(const char *data_dir)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkPgControl control;

    return bk_pg_control_read(data_dir, &content, &control, NULL) ? control.system_id : 0;
}

static bool
is_same_directory(const char *left, const char *right)
{
    struct stat a, b;

    return stat(left, &a) == 0 && stat(right, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

uint64_t
bk_wal_origin_of_directory(const char *wal_dir)
{
    g_autofree char *data_dir = g_path_get_dirname(wal_dir);
    uint64_t system_id = read_origin_control(data_dir);

    if (system_id == 0 && is_same_directory(wal_dir, "pg_wal"))
        system_id = read_origin_control(".");
    return system_id;
}

static uint64_t
read_origin_segment(const char *path)
{
    g_auto(BkFd) fd = bk_path_owner_open(path, NULL);
    uint8_t head[HEAD_SIZE];
    uint64_t system_id;
    size_t size;

    return fd >= 0 && bk_fd_pread(fd, head, sizeof head, 0, &size, NULL) &&
                   bk_wal_scan_system_id(head, size, &system_id, NULL)
               ? system_id
               : 0;
}

uint64_t
bk_wal_origin_of_segments(const char *wal_dir)
{
    g_auto(BkFd) dir = bk_fd_open_dir(AT_FDCWD, wal_dir, NULL);
    g_autoptr(GPtrArray) names = dir >= 0 ? bk_dir_list(dir, wal_dir, NULL) : NULL;
    uint64_t found = 0;

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        BkWalName parsed;

        if (bk_wal_name_parse(name, &parsed) && parsed.kind == BK_WAL_SEGMENT) {
            g_autofree char *path = g_build_filename(wal_dir, name, NULL);
            uint64_t system_id = read_origin_segment(path);

            if (found != 0 && system_id != 0 && system_id != found)
                return 0;
            found = system_id != 0 ? system_id : found;
        }
    }
    return found;
}

uint64_t
bk_wal_origin_of_file(const char *path, const BkWalName *parsed)
{
    g_autofree char *wal_dir = NULL;
    uint64_t system_id;

    if (parsed->kind == BK_WAL_SEGMENT || parsed->kind == BK_WAL_PARTIAL)
        return read_origin_segment(path);
    wal_dir = g_path_get_dirname(path);
    system_id = bk_wal_origin_of_directory(wal_dir);
    return system_id != 0 ? system_id : bk_wal_origin_of_segments(wal_dir);
}
