/* data-dir-list.c - the files of a data directory to copy, without those that PostgreSQL's manual
 * leaves out. */
#include "source/pg/cluster/data-dir-list.h"

#include "base/log.h"
#include "source/pg/cluster/data-dir.h"
#include "source/pg/format/page.h"
#include "source/pg/format/relation-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What a network file system calls a file that was deleted while somebody had it open. */
#define NFS_LEFTOVER ".nfs"

typedef enum {
    PLACE_OTHER,
    PLACE_TOP,         /* the data directory itself */
    PLACE_TABLESPACES, /* pg_tblspc */
    PLACE_TABLESPACE,  /* pg_tblspc/OID */
    PLACE_VERSION,     /* pg_tblspc/OID/PG_15_202209061 */
    PLACE_BASE,        /* base */
    PLACE_DATABASE,    /* base/OID, or the like in a tablespace: holds relation files */
    PLACE_GLOBAL,      /* holds relation files */
    PLACE_WAL,         /* pg_wal: only its directories are kept */
    PLACE_EMPTIED,     /* the directory is kept, its content is not */
} Place;

/* What a directory is, whatever the path to it. */
typedef struct Identity {
    dev_t device;
    ino_t inode;
} Identity;

typedef struct Walk {
    const BkPgControl *control;
    const BkDataDir *dir;
    GPtrArray *files;
    GPtrArray *left_out; /* BkSourceFile: links */
    GArray *above;       /* Identity: the directories that hold the data directory */
    BkOp *op;
    bool has_group_access;
} Walk;

typedef struct Directory {
    const struct Directory *parent; /* NULL for the top */
    Identity identity;
    const char *path; /* relative, "" for the top */
    Place place;
    int fd;
    GHashTable *unlogged; /* file nodes with an init fork, as GUINT_TO_POINTER */
} Directory;

static void
free_file(void *data)
{
    BkSourceFile *file = data;

    g_free(file->path);
    g_free(file->link);
    g_free(file);
}

void
bk_data_dir_list_clear(BkDataDirList *self)
{
    g_clear_pointer(&self->files, g_ptr_array_unref);
    g_clear_pointer(&self->left_out, g_ptr_array_unref);
    *self = (BkDataDirList){0};
}

/* Directories whose content the server makes anew: they are kept empty. */
static bool
is_emptied(const char *name)
{
    static const char *const names[] = {"pg_replslot",  "pg_dynshmem", "pg_notify",  "pg_serial",
                                        "pg_snapshots", "pg_stat_tmp", "pg_subtrans"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Files of the running server, and what a backup brings of its own. */
static bool
is_left_out_at_top(const char *name)
{
    static const char *const names[] = {
        "postmaster.pid",           "postmaster.opts",    "backup_label",    "tablespace_map",
        "backup_label.old",         "tablespace_map.old", "backup_manifest", "current_logfiles.tmp",
        "postgresql.auto.conf.tmp", "recovery.signal",    "standby.signal"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Is it the directory of this cluster in a tablespace's directory? It bears the version of the
 * catalog; of one that is no release's (major 0) the rest of the name is not known. */
static bool
is_own_version(const BkPgControl *control, const char *name)
{
    char end[16];
    char whole[32];

    (void)g_snprintf(end, sizeof end, "_%u", control->catalog_version);
    (void)g_snprintf(whole, sizeof whole, "PG_%u%s", control->major, end);
    return control->major != 0 ? strcmp(name, whole) == 0
                               : g_str_has_prefix(name, "PG_") && g_str_has_suffix(name, end);
}

static bool
is_left_out(const Walk *walk, const Directory *directory, const char *name)
{
    BkRelationFile relation;

    if (g_str_has_prefix(name, NFS_LEFTOVER)) {
        bk_log(BK_LOG_INFO, "\"%s/%s\" was deleted while it was open and is not in the backup",
               directory->path, name);
        return true;
    }
    if (directory->place == PLACE_TABLESPACE)
        return !is_own_version(walk->control, name);
    if (directory->place == PLACE_WAL)
        return strcmp(name, "archive_status") != 0 && strcmp(name, "summaries") != 0;
    if (directory->place == PLACE_EMPTIED || g_str_has_prefix(name, "pgsql_tmp") ||
        g_str_has_prefix(name, "pg_internal.init"))
        return true;
    if (directory->place == PLACE_TOP)
        return is_left_out_at_top(name);
    if (directory->place != PLACE_DATABASE || !bk_relation_file_parse(name, &relation))
        return false;
    if (relation.is_temporary)
        return true;
    return relation.fork != BK_FORK_INIT &&
           g_hash_table_contains(directory->unlogged, GUINT_TO_POINTER(relation.file_node));
}

bool
bk_data_dir_list_is_apart(const char *name)
{
    return g_str_has_prefix(name, "backstay-before-restore-") || strcmp(name, "lost+found") == 0;
}

static Place
place_of_entry(const Directory *directory, const char *name)
{
    switch (directory->place) {
    case PLACE_TOP:
        if (is_emptied(name))
            return PLACE_EMPTIED;
        if (strcmp(name, "pg_wal") == 0)
            return PLACE_WAL;
        if (strcmp(name, "base") == 0)
            return PLACE_BASE;
        if (strcmp(name, "global") == 0)
            return PLACE_GLOBAL;
        return strcmp(name, "pg_tblspc") == 0 ? PLACE_TABLESPACES : PLACE_OTHER;
    case PLACE_TABLESPACES:
        return PLACE_TABLESPACE;
    case PLACE_TABLESPACE:
        return PLACE_VERSION;
    case PLACE_BASE:
    case PLACE_VERSION:
        return PLACE_DATABASE;
    case PLACE_WAL:
        return PLACE_EMPTIED;
    case PLACE_DATABASE:
    case PLACE_GLOBAL:
    case PLACE_EMPTIED:
    case PLACE_OTHER:
        break;
    }
    return PLACE_OTHER;
}

static BkSourceFile *
make_file(const char *path, const struct stat *st)
{
    BkSourceFile *file = g_new0(BkSourceFile, 1);

    file->path = g_strdup(path);
    file->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    file->mtime_sec = st->st_mtim.tv_sec;
    file->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
    file->mode = st->st_mode;
    file->uid = st->st_uid;
    file->gid = st->st_gid;
    return file;
}

static BkSourceFile *
add_listed_file(Walk *walk, const char *path, const struct stat *st)
{
    BkSourceFile *file = make_file(path, st);

    g_ptr_array_add(walk->files, file);
    return file;
}

static void
mark_pages(BkSourceFile *file, const Walk *walk, const Directory *directory, const char *name)
{
    uint32_t segment_blocks = walk->control->relation_segment_blocks;
    BkRelationFile relation;

    if (directory->place != PLACE_DATABASE && directory->place != PLACE_GLOBAL)
        return;
    if (!bk_relation_file_parse(name, &relation) || relation.segment > UINT32_MAX / segment_blocks)
        return;
    file->page_size = BK_PG_PAGE_SIZE;
    file->first_page = relation.segment * segment_blocks;
}

static bool walk_data_directory(Walk *walk, const Directory *parent, const char *path, Place place,
                                int fd, GError **error);

/* A link is followed where it is one that has to be: then it is mounted. */
static bool
descend_into_directory(Walk *walk, const Directory *directory, const char *name, const char *path,
                       GError **error)
{
    int mounted = bk_beneath_mounted(bk_data_dir_files(walk->dir), path);
    g_auto(BkFd) fd =
        mounted >= 0 ? openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                     : openat(directory->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT || bk_data_dir_throw(walk->dir, path, error);
    return walk_data_directory(walk, directory, path, place_of_entry(directory, name), fd, error);
}

/* The target of a link; NULL without an error when it has vanished. */
static char *
read_entry_link(const Directory *directory, const char *name, const char *path, GError **error)
{
    char target[4096];
    ssize_t size = readlinkat(directory->fd, name, target, sizeof target - 1);

    if (size < 0 && errno != ENOENT)
        bk_throw_errno(error, "read the link \"%s\"", path);
    return size < 0 ? NULL : g_strndup(target, (gsize)size);
}

/* A link in pg_tblspc is a tablespace: the link itself is kept, and its content under its path. One
 * that nothing is mounted at leads nowhere, or was made a moment ago. */
static bool
add_tablespace(Walk *walk, const Directory *directory, const char *name, const char *path,
               const struct stat *st, GError **error)
{
    GError *cause = NULL;
    g_autofree char *target = read_entry_link(directory, name, path, &cause);

    if (target == NULL && cause != NULL)
        g_propagate_error(error, cause);
    if (target == NULL)
        return cause == NULL;
    add_listed_file(walk, path, st)->link = g_steal_pointer(&target);
    if (bk_beneath_mounted(bk_data_dir_files(walk->dir), path) >= 0)
        return descend_into_directory(walk, directory, name, path, error);
    return faccessat(directory->fd, name, F_OK, AT_EACCESS) < 0 && errno == ENOENT
               ? true
               : bk_throw(error, BK_ERROR_UNFIT,
                          "the directory of tablespace \"%s\" cannot be read by the server's user, "
                          "or was just created: check its owner and mode, and run the backup again",
                          path);
}

/* What no server can do without, and no base backup of PostgreSQL would have either. */
static bool
is_essential(const char *path)
{
    static const char *const names[] = {"base",         "global",       "pg_xact",
                                        "pg_multixact", "pg_commit_ts", "pg_logical",
                                        "pg_twophase",  "pg_tblspc",    "PG_VERSION"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        size_t size = strlen(names[i]);

        if (strncmp(path, names[i], size) == 0 && (path[size] == '/' || path[size] == '\0'))
            return true;
    }
    return false;
}

/* Any other link is not followed: whatever it leads to is not the cluster's. Where the server makes
 * the content anew it becomes a directory again. */
static bool
add_link(Walk *walk, const Directory *directory, const char *name, const char *path,
         const struct stat *st, GError **error)
{
    Place place = place_of_entry(directory, name);
    GError *cause = NULL;
    g_autofree char *target = read_entry_link(directory, name, path, &cause);

    if (target == NULL && cause != NULL)
        g_propagate_error(error, cause);
    if (target == NULL)
        return cause == NULL;
    if (is_essential(path))
        return bk_throw(error, BK_ERROR_UNFIT,
                        "\"%s\" is a link to \"%s\", which a base backup does not follow: put the "
                        "data there back into the data directory, or use a tablespace",
                        path, target);
    if (place == PLACE_EMPTIED) {
        BkSourceFile *file = add_listed_file(walk, path, st);

        file->mode = S_IFDIR | (walk->has_group_access ? 0750 : 0700);
        file->size = 0;
    } else {
        BkSourceFile *file = make_file(path, st);

        file->link = g_steal_pointer(&target);
        g_ptr_array_add(walk->left_out, file);
    }
    return true;
}

/* pg_wal on another disk is a directory that is somewhere else. */
static bool
add_mounted(Walk *walk, const Directory *directory, const char *name, const char *path,
            GError **error)
{
    struct stat st;

    if (fstat(bk_beneath_mounted(bk_data_dir_files(walk->dir), path), &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    (void)add_listed_file(walk, path, &st);
    return descend_into_directory(walk, directory, name, path, error);
}

static bool
add_directory_entry(Walk *walk, const Directory *directory, const char *name, GError **error)
{
    g_autofree char *path =
        directory->path[0] != 0 ? g_strconcat(directory->path, "/", name, NULL) : g_strdup(name);
    struct stat st;

    if ((directory->place == PLACE_TOP || directory->place == PLACE_WAL) &&
        bk_data_dir_list_is_apart(name))
        return true;
    if (fstatat(directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || bk_data_dir_throw(walk->dir, path, error);
    if (S_ISLNK(st.st_mode) && directory->place == PLACE_TABLESPACES)
        return add_tablespace(walk, directory, name, path, &st, error);
    if (S_ISLNK(st.st_mode) && bk_beneath_mounted(bk_data_dir_files(walk->dir), path) >= 0)
        return add_mounted(walk, directory, name, path, error);
    if (S_ISLNK(st.st_mode))
        return add_link(walk, directory, name, path, &st, error);
    if (S_ISDIR(st.st_mode)) {
        (void)add_listed_file(walk, path, &st);
        return descend_into_directory(walk, directory, name, path, error);
    }
    if (S_ISREG(st.st_mode))
        mark_pages(add_listed_file(walk, path, &st), walk, directory, name);
    else
        bk_log(BK_LOG_INFO, "\"%s\" is neither a file nor a directory and is not in the backup",
               path);
    return true;
}

static void
find_unlogged(const Directory *directory, const GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++) {
        BkRelationFile relation;

        if (bk_relation_file_parse(g_ptr_array_index(names, i), &relation) &&
            relation.fork == BK_FORK_INIT)
            (void)g_hash_table_add(directory->unlogged, GUINT_TO_POINTER(relation.file_node));
    }
}

static bool
is_same(const Identity *identity, const struct stat *st)
{
    return identity->device == st->st_dev && identity->inode == st->st_ino;
}

/* Is the directory one of those that are being walked, or that hold the data directory? */
static bool
is_around(const Walk *walk, const Directory *parent, const struct stat *st)
{
    for (; parent != NULL; parent = parent->parent)
        if (is_same(&parent->identity, st))
            return true;
    for (guint i = 0; i < walk->above->len; i++)
        if (is_same(&g_array_index(walk->above, Identity, i), st))
            return true;
    return false;
}

/* Up to the one that is its own parent, or that must not be looked at. */
static void
find_above(Walk *walk, int fd)
{
    g_autoptr(GString) up = g_string_new("..");
    Identity last = {0};
    struct stat st;

    while (fstatat(fd, up->str, &st, 0) == 0 && !is_same(&last, &st)) {
        last = (Identity){st.st_dev, st.st_ino};
        g_array_append_val(walk->above, last);
        g_string_append(up, "/..");
    }
}

static bool
walk_data_directory(Walk *walk, const Directory *parent, const char *path, Place place, int fd,
                    GError **error)
{
    g_autoptr(GHashTable) unlogged = g_hash_table_new(NULL, NULL);
    Directory directory = {.parent = parent, .path = path, .place = place, .fd = fd};
    g_autoptr(GPtrArray) names = NULL;
    struct stat st;

    if (!bk_op_check(walk->op, error))
        return false;
    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat \"%s\"", path);
    if (is_around(walk, parent, &st))
        return bk_throw(error, BK_ERROR_UNFIT,
                        "the link \"%s\" points to a directory that contains it, and would be "
                        "copied endlessly: remove it",
                        path);
    directory.identity = (Identity){st.st_dev, st.st_ino};
    directory.unlogged = unlogged;
    names = bk_dir_list(directory.fd, directory.path, error);
    if (names == NULL)
        return false;
    if (place == PLACE_DATABASE)
        find_unlogged(&directory, names);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (!is_left_out(walk, &directory, name) &&
            !add_directory_entry(walk, &directory, name, error))
            return false;
    }
    return true;
}

static int
compare_file_paths(const void *left, const void *right)
{
    const BkSourceFile *const *a = left;
    const BkSourceFile *const *b = right;

    return strcmp((*a)->path, (*b)->path);
}

static bool
list_data_directory(Walk *walk, GError **error)
{
    const BkBeneath *files = bk_data_dir_files(walk->dir);
    g_auto(BkIdentityScope) scope = bk_identity_enter(bk_beneath_identity(files));
    int fd = bk_beneath_dir(files);
    struct stat st;

    if (fstat(fd, &st) < 0)
        return bk_throw_errno(error, "stat the directory");
    walk->has_group_access = (st.st_mode & S_IRGRP) != 0;
    find_above(walk, fd);
    return walk_data_directory(walk, NULL, "", PLACE_TOP, fd, error);
}

bool
bk_data_dir_list_list(const char *root, const BkPgControl *control, BkDataDirList *tree, BkOp *op,
                      GError **error)
{
    g_autoptr(GArray) above = g_array_new(FALSE, FALSE, sizeof(Identity));
    g_autoptr(BkDataDir) dir = NULL;
    Walk walk = {.control = control, .above = above, .op = op};

    walk.files = g_ptr_array_new_with_free_func(free_file);
    walk.left_out = g_ptr_array_new_with_free_func(free_file);
    *tree = (BkDataDirList){.files = walk.files, .left_out = walk.left_out};
    walk.dir = dir = bk_data_dir_open(root, error);
    if (dir == NULL || !list_data_directory(&walk, error))
        return bk_prefix(error, "data directory \"%s\"", root);
    g_ptr_array_sort(tree->files, compare_file_paths);
    for (guint i = 0; i < tree->files->len; i++)
        tree->bytes += ((const BkSourceFile *)g_ptr_array_index(tree->files, i))->size;
    return true;
}

static bool
has_tablespace(const BkPgMeta *meta, uint32_t oid)
{
    for (guint i = 0; i < meta->tablespaces->len; i++)
        if (((const BkPgTablespace *)g_ptr_array_index(meta->tablespaces, i))->oid == oid)
            return true;
    return false;
}

void
bk_data_dir_list_add_tablespaces(const BkDataDirList *self, BkPgMeta *meta)
{
    for (guint i = 0; i < self->files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(self->files, i);
        uint32_t oid;

        if (file->link != NULL && bk_tablespace_path_parse(file->path, &oid) &&
            !has_tablespace(meta, oid))
            bk_pg_meta_add_tablespace(meta, oid, strrchr(file->path, '/') + 1, file->link);
    }
}

/* "DIRECTORY/FILENODE" of a relation's file other than an init fork; NULL for every other file. */
static char *
relation_of(const BkSourceFile *file)
{
    g_autofree char *directory = NULL;
    BkRelationPath path;

    if (!S_ISREG(file->mode) || !bk_relation_path_parse(file->path, &path) ||
        path.name.fork == BK_FORK_INIT)
        return NULL;
    directory = g_path_get_dirname(file->path);
    return g_strdup_printf("%s/%u", directory, path.name.file_node);
}

/* Adds "DIRECTORY/FILENODE" of each relation of the directory that has an init fork now. */
static bool
add_unlogged(const BkDataDir *dir, const char *path, GHashTable *unlogged, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) fd =
        bk_beneath_open(bk_data_dir_files(dir), path, O_RDONLY | O_DIRECTORY, 0, &cause);
    const Directory directory = {.path = path, .fd = fd};
    g_autoptr(GPtrArray) names = NULL;

    if (fd < 0)
        return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
    names = bk_dir_list(directory.fd, directory.path, error);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        BkRelationFile relation;

        if (bk_relation_file_parse(g_ptr_array_index(names, i), &relation) &&
            relation.fork == BK_FORK_INIT)
            (void)g_hash_table_add(unlogged, g_strdup_printf("%s/%u", path, relation.file_node));
    }
    return names != NULL;
}

/* Is it a database's directory: would a relation file in it be one? */
static bool
is_database_directory(const BkSourceFile *file)
{
    g_autofree char *inside = g_strconcat(file->path, "/1", NULL);
    BkRelationPath path;

    return S_ISDIR(file->mode) && bk_relation_path_parse(inside, &path) && path.database != 0;
}

bool
bk_data_dir_list_leave_out_unlogged(BkDataDirList *self, const char *root, GError **error)
{
    g_autoptr(GHashTable) unlogged = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(BkDataDir) dir = bk_data_dir_open(root, error);

    if (dir == NULL)
        return false;
    for (guint i = 0; i < self->files->len; i++) {
        const BkSourceFile *file = g_ptr_array_index(self->files, i);

        if (is_database_directory(file) && !add_unlogged(dir, file->path, unlogged, error))
            return false;
    }
    for (guint i = 0; g_hash_table_size(unlogged) > 0 && i < self->files->len; i++) {
        BkSourceFile *file = g_ptr_array_index(self->files, i);
        g_autofree char *relation = relation_of(file);

        file->is_left_out = relation != NULL && g_hash_table_contains(unlogged, relation);
    }
    return true;
}
