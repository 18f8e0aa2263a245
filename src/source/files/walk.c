/* walk.c - a stack of directories, each with its names sorted.
 *
 *   / ── above ── root ── directory …       a frame each, open (O_PATH) as long as it is among the
 *                                           last FRAMES_OPEN; others are opened again from the
 * nearest
 *
 * A frame takes its names in order. Directories among them wait on the frame's stack, until the
 * next name no longer sorts before "DIRECTORY/": then the walk goes down into the last of them. It
 * is a stack, since a name between "a" and "a/" begins with "a" and a byte before "/", so that
 * whatever is below it sorts before "a/", too. */
#include "source/files/walk.h"

#include "base/fd.h"
#include "source/files/file-system.h"
#include "source/files/hard-links.h"
#include "source/files/roots.h"
#include "source/files/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PATH_SHOWN    256u   /* bytes of a path that is too long */
#define PATH_SIZE_MAX 65535u /* of a manifest */
#define FRAMES_OPEN   64u    /* directories that are open at once */

/* A directory, by its inode. */
typedef struct Place {
    dev_t device;
    ino_t inode;
    uint64_t mount; /* id, or the device where the system does not tell */
} Place;

/* A directory whose content comes later. */
typedef struct Waiting {
    char *name;
    Place place;
    int decision;
    BkFilesRoot *root;
    size_t below;
    bool is_local;
} Waiting;

typedef struct Frame {
    BkFd fd; /* O_PATH, or -1: closed until it is needed */
    Place place;
    size_t path_size; /* of its path, with the slash behind it */
    GPtrArray *names; /* sorted */
    guint next;
    GArray *waiting;   /* Waiting */
    int decision;      /* of the patterns about it */
    BkFilesRoot *root; /* that it is or is below; NULL: it is above roots */
    size_t below;      /* offset in its path of the part behind the root */
    bool is_local;
} Frame;

typedef struct Walk {
    const BkWalkOptions *options;
    BkFilesMeta *meta;
    BkWalkVisit visit;
    void *data;
    GString *path;     /* of what the walk is at */
    GPtrArray *frames; /* of Frame, the root of the file system first */
    BkHardLinks *links;
    BkXattrs xattrs;
} Walk;

static void
clear_waiting(void *data)
{
    Waiting *waiting = data;

    g_free(waiting->name);
}

static void
free_frame(void *data)
{
    Frame *frame = data;

    bk_fd_clear(&frame->fd);
    g_ptr_array_unref(frame->names);
    g_array_unref(frame->waiting);
    g_free(frame);
}

static int
compare_directory_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static Frame *
push_frame(Walk *self, BkFd fd, GPtrArray *names)
{
    Frame *frame = g_new0(Frame, 1);

    frame->fd = fd;
    frame->names = names;
    g_ptr_array_sort(names, compare_directory_names);
    frame->waiting = g_array_new(FALSE, FALSE, sizeof(Waiting));
    g_array_set_clear_func(frame->waiting, clear_waiting);
    frame->path_size = self->path->len + (self->path->len > 0 ? 1 : 0);
    frame->decision = BK_PATTERN_NONE;
    g_ptr_array_add(self->frames, frame);
    if (self->frames->len > FRAMES_OPEN) {
        Frame *far = g_ptr_array_index(self->frames, self->frames->len - FRAMES_OPEN);

        bk_fd_clear(&far->fd);
    }
    return frame;
}

/* Notes errno for what is at the path. */
static void
note_error(Walk *self, const char *what)
{
    g_autofree char *why = g_strdup_printf("%s: %s", what, g_strerror(errno));

    if (errno == ENOENT)
        self->meta->vanished++;
    else
        bk_files_notes_add(&self->meta->errors, self->path->str, why);
}

/* Makes the path that of `name` in the frame's directory. */
static void
set_path(Walk *self, const Frame *frame, const char *name)
{
    g_string_truncate(self->path, frame->path_size > 0 ? frame->path_size - 1 : 0);
    if (self->path->len > 0)
        g_string_append_c(self->path, '/');
    g_string_append(self->path, name);
}

/* The next components of the roots below the directory at the path, each once. */
static GPtrArray *
list_next_names(const Walk *self)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < self->options->roots->len; i++) {
        const char *root = g_ptr_array_index(self->options->roots, i);
        const char *next = root + self->path->len + (self->path->len > 0 ? 1 : 0);
        g_autofree char *name = NULL;

        if (!bk_roots_is_below(root, self->path->str))
            continue;
        name = g_strndup(next, strcspn(next, "/"));
        if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    return names;
}

static bool
is_root(const Walk *self, const char *path)
{
    return g_ptr_array_find_with_equal_func((GPtrArray *)(uintptr_t)self->options->roots, path,
                                            g_str_equal, NULL);
}

/* What one call says of an inode. */
static bool
stat_inode(int fd, struct stat *st, Place *place)
{
    struct statx stx;

    if (fstat(fd, st) < 0)
        return false;
    *place = (Place){st->st_dev, st->st_ino, st->st_dev};
    if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID, &stx) == 0 &&
        (stx.stx_mask & STATX_MNT_ID) != 0)
        place->mount = stx.stx_mnt_id;
    return true;
}

/* Opens a directory beneath `dir`, and proves that it is the one that was there before. */
static int
open_again(int dir, const char *name, const Place *place)
{
    g_auto(BkFd) fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (st.st_dev != place->device || st.st_ino != place->inode) {
        errno = ESTALE;
        return -1;
    }
    return bk_fd_steal(&fd);
}

/* The descriptor of frame `index`. The first frame is never closed. */
static int
open_frame(Walk *self, guint index)
{
    Frame *frame = g_ptr_array_index(self->frames, index);
    guint from = index;

    while (((Frame *)g_ptr_array_index(self->frames, from))->fd < 0)
        from--;
    for (; from < index; from++) {
        Frame *above = g_ptr_array_index(self->frames, from);
        Frame *next = g_ptr_array_index(self->frames, from + 1);
        g_autofree char *name =
            g_strndup(self->path->str + above->path_size, next->path_size - above->path_size - 1);

        next->fd = open_again(above->fd, name, &next->place);
        if (next->fd < 0)
            return -1;
        if (from > 0 && index - from >= FRAMES_OPEN)
            bk_fd_clear(&above->fd);
    }
    return frame->fd;
}

static bool
read_link(int fd, char **target)
{
    g_autofree char *link = g_malloc(PATH_MAX + 1);
    ssize_t size = readlinkat(fd, "", link, PATH_MAX);

    if (size <= 0)
        return false;
    link[size] = 0;
    *target = g_steal_pointer(&link);
    return true;
}

static void
read_attributes(Walk *self, int fd, BkFilesEntry *entry)
{
    g_autoptr(GError) cause = NULL;

    if (!bk_xattrs_read(&self->xattrs, fd, &cause))
        bk_files_notes_add(&self->meta->errors, self->path->str, cause->message);
    entry->xattrs = (const BkFileXattr *)(void *)self->xattrs.items->data;
    entry->xattr_count = self->xattrs.items->len;
}

/* Tells of the entry that the path is of. */
static bool
visit_entry(Walk *self, const Frame *frame, int fd, uint64_t name_count, BkFilesEntry *entry,
            GError **error)
{
    g_autofree char *link = NULL;

    if (entry->kind == BK_FILE_SYMLINK && !read_link(fd, &link)) {
        note_error(self, "read the link");
        return true;
    }
    if (entry->kind != BK_FILE_DIRECTORY) {
        g_autofree char *first = NULL;

        if (!bk_hard_links_add(self->links, &entry->identity, name_count, self->path->str, &first))
            self->meta->links_apart++;
        if (first != NULL) {
            entry->kind = BK_FILE_HARD_LINK;
            g_free(link);
            link = g_steal_pointer(&first);
        }
    }
    if (entry->kind != BK_FILE_HARD_LINK)
        read_attributes(self, fd, entry);
    entry->path = self->path->str;
    entry->link = link != NULL ? link : "";
    self->meta->kinds[entry->kind]++;
    if (frame->root != NULL)
        frame->root->entries++;
    return self->visit(self->data, entry, error);
}

/* Returns true if what is mounted at the path is walked, and notes it otherwise. */
static bool
is_mount_walked(Walk *self, int fd, bool *is_local)
{
    BkFileSystem system;
    g_autofree char *why = NULL;

    if (!bk_file_system_find(fd, &system)) {
        note_error(self, "ask for the kind of the file system");
        return false;
    }
    *is_local = system.is_local;
    if (system.special != NULL)
        why = g_strdup_printf("it is a file system of kind %s", system.special);
    else if (self->options->one_file_system)
        why = g_strdup("it is another file system");
    if (why == NULL)
        return true;
    bk_files_notes_add(&self->meta->mounts, self->path->str, why);
    return false;
}

/* What the name at the path is, on its way to being told of. */
typedef struct Found {
    BkFd fd;
    struct stat st;
    Waiting directory; /* its name excepted */
    bool is_left_out;
    bool is_walked; /* the content, of a directory */
} Found;

static void
decide_by_patterns(Walk *self, const Frame *frame, Found *found)
{
    BkPatternPath path = {self->path->str, found->directory.below, S_ISDIR(found->st.st_mode)};
    int decision;

    if (frame->root == NULL) /* a root, or above one */
        return;
    decision = bk_patterns_find(self->options->patterns, &path, frame->decision);
    found->directory.decision = decision;
    if (decision != frame->decision)
        bk_patterns_count(self->options->patterns, decision);
    if (!bk_patterns_is_left_out(self->options->patterns, decision))
        return;
    found->is_walked = path.is_directory &&
                       bk_patterns_has_include_below(self->options->patterns, &path, decision);
    found->is_left_out = !found->is_walked;
    /* Below a directory that is left out, each entry is by the same pattern. */
    if (found->is_left_out) {
        self->meta->excluded++;
        if (decision == frame->decision)
            bk_patterns_count(self->options->patterns, decision);
    }
}

/* Whatever lies above a root is on the path that was configured. */
static void
decide_by_mount(Walk *self, const Frame *frame, Found *found)
{
    bool is_crossed = found->directory.place.mount != frame->place.mount;
    bool is_fit;

    if (frame->root == NULL || !is_crossed || found->is_left_out) {
        BkFileSystem system;

        if (is_crossed && bk_file_system_find(found->fd, &system))
            found->directory.is_local = system.is_local;
        return;
    }
    is_fit = is_mount_walked(self, found->fd, &found->directory.is_local);
    found->is_walked = found->is_walked && is_fit;
    if (!is_fit && !S_ISDIR(found->st.st_mode))
        found->is_left_out = true;
}

/* Fails with an errno. */
static bool
find_entry(Walk *self, const Frame *frame, const char *name, Found *found)
{
    found->fd = openat(frame->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (found->fd < 0 || !stat_inode(found->fd, &found->st, &found->directory.place))
        return false;
    found->directory.root = frame->root;
    found->directory.below = frame->root != NULL ? frame->below : self->path->len + 1;
    found->directory.decision = frame->decision;
    found->directory.is_local = frame->is_local;
    found->is_walked = S_ISDIR(found->st.st_mode);
    return true;
}

static BkFilesRoot *
find_meta_root(const Walk *self)
{
    for (guint i = 0; i < self->meta->roots->len; i++) {
        BkFilesRoot *root = g_ptr_array_index(self->meta->roots, i);

        if (strcmp(root->path + 1, self->path->str) == 0)
            return root;
    }
    return NULL;
}

static bool
take_entry(Walk *self, Frame *frame, const char *name, Found *found, GError **error)
{
    BkFilesEntry entry = {.is_local = true};
    bool is_new_root = frame->root == NULL && is_root(self, self->path->str);

    if (!find_entry(self, frame, name, found)) {
        if (frame->root == NULL)
            return bk_throw_errno(error, "open root \"/%s\"", self->path->str);
        note_error(self, "open");
        return true;
    }
    decide_by_patterns(self, frame, found);
    decide_by_mount(self, frame, found);
    if (found->is_left_out)
        return true;
    if (is_new_root) {
        found->directory.root = find_meta_root(self);
        found->directory.root->entries++;
    }
    if (!bk_files_entry_set_stat(&entry, &found->st)) {
        self->meta->sockets += S_ISSOCK(found->st.st_mode) ? 1 : 0;
        return true;
    }
    entry.is_local = found->directory.is_local;
    entry.is_above = found->directory.root == NULL;
    if (entry.is_above && entry.kind != BK_FILE_DIRECTORY) {
        errno = ENOTDIR;
        return bk_throw_errno(error, "open \"/%s\", which a root is below", self->path->str);
    }
    if (!visit_entry(self, frame, found->fd, found->st.st_nlink, &entry, error))
        return false;
    if (found->is_walked) {
        found->directory.name = g_strdup(name);
        g_array_append_val(frame->waiting, found->directory);
    }
    return true;
}

static bool
take_name(Walk *self, Frame *frame, const char *name, GError **error)
{
    Found found = {.fd = -1};
    bool ok;

    set_path(self, frame, name);
    if (self->path->len > PATH_SIZE_MAX) {
        g_autofree char *begin = g_strndup(self->path->str, PATH_SHOWN);

        bk_files_notes_add(&self->meta->errors, begin,
                           "a path that begins like this is longer than 65535 bytes");
        return true;
    }
    ok = take_entry(self, frame, name, &found, error);
    bk_fd_clear(&found.fd);
    return ok;
}

/* Goes down into the directory that came last. */
static bool
enter_directory(Walk *self, Frame *frame, GError **error)
{
    Waiting waiting = g_array_index(frame->waiting, Waiting, frame->waiting->len - 1);
    g_autofree char *name =
        g_steal_pointer(&g_array_index(frame->waiting, Waiting, frame->waiting->len - 1).name);
    g_autoptr(GPtrArray) names = NULL;
    g_auto(BkFd) fd = -1;
    g_autoptr(GError) cause = NULL;
    Frame *next;

    g_array_set_size(frame->waiting, frame->waiting->len - 1);
    set_path(self, frame, name);
    fd = open_again(frame->fd, name, &waiting.place);
    if (fd < 0)
        bk_throw_errno(&cause, "open \"/%s\"", self->path->str);
    else
        names =
            waiting.root != NULL ? bk_dir_list(fd, self->path->str, &cause) : list_next_names(self);
    if (names == NULL && (waiting.root == NULL || is_root(self, self->path->str)))
        return bk_propagate(error, &cause) || bk_prefix(error, "root");
    if (names == NULL) {
        if (bk_error_is(cause, BK_ERROR_ABSENT))
            self->meta->vanished++;
        else
            bk_files_notes_add(&self->meta->errors, self->path->str, cause->message);
        return true;
    }
    next = push_frame(self, bk_fd_steal(&fd), g_steal_pointer(&names));
    next->place = waiting.place;
    next->decision = waiting.decision;
    next->root = waiting.root;
    next->below = waiting.below;
    next->is_local = waiting.is_local;
    return true;
}

/* Returns true if the content of the directory that came last sorts before `name`. */
static bool
is_content_next(const Frame *frame, const char *name)
{
    const Waiting *last;
    size_t size;

    if (frame->waiting->len == 0)
        return false;
    last = &g_array_index(frame->waiting, Waiting, frame->waiting->len - 1);
    size = strlen(last->name);
    return name == NULL || strncmp(last->name, name, size) != 0 || (uint8_t)name[size] > '/';
}

/* One step from the last frame on. */
static bool
take_step(Walk *self, GError **error)
{
    guint index = self->frames->len - 1;
    Frame *frame = g_ptr_array_index(self->frames, index);
    const char *name =
        frame->next < frame->names->len ? g_ptr_array_index(frame->names, frame->next) : NULL;

    if (name == NULL && frame->waiting->len == 0) {
        g_ptr_array_set_size(self->frames, (gint)index);
        return true;
    }
    if (open_frame(self, index) < 0) {
        g_string_truncate(self->path, frame->path_size > 0 ? frame->path_size - 1 : 0);
        note_error(self, "open");
        g_ptr_array_set_size(self->frames, (gint)index);
        return true;
    }
    if (is_content_next(frame, name))
        return enter_directory(self, frame, error);
    frame->next++;
    return take_name(self, frame, name, error);
}

static bool
begin_walk(Walk *self, GError **error)
{
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, error);
    bool is_whole = is_root(self, "");
    BkFileSystem system;
    struct stat st;
    Frame *frame;
    GPtrArray *names;

    if (fd < 0)
        return false;
    names = is_whole ? bk_dir_list(fd, "/", error) : list_next_names(self);
    if (names == NULL)
        return false;
    frame = push_frame(self, fd, names);
    fd = -1;
    if (!stat_inode(frame->fd, &st, &frame->place) || !bk_file_system_find(frame->fd, &system))
        return bk_throw_errno(error, "stat \"/\"");
    frame->is_local = system.is_local;
    frame->root = is_whole ? find_meta_root(self) : NULL;
    return true;
}

static bool
run_walk(Walk *self, BkOp *op, GError **error)
{
    if (!begin_walk(self, error))
        return false;
    while (self->frames->len > 0)
        if (!bk_op_check(op, error) || !take_step(self, error))
            return false;
    return true;
}

bool
bk_walk_run(const BkWalkOptions *options, BkFilesMeta *meta, BkWalkVisit visit, void *data,
            BkOp *op, GError **error)
{
    Walk walk = {.options = options, .meta = meta, .visit = visit, .data = data};
    bool ok;

    if (!bk_patterns_check_roots(options->patterns, options->roots, error))
        return false;
    for (guint i = 0; i < options->roots->len; i++) {
        g_autofree char *path = g_strconcat("/", g_ptr_array_index(options->roots, i), NULL);

        bk_files_meta_add_root(meta, path);
    }
    meta->one_file_system = options->one_file_system;
    walk.path = g_string_new(NULL);
    walk.frames = g_ptr_array_new_with_free_func(free_frame);
    walk.links =
        bk_hard_links_new(options->link_memory > 0 ? options->link_memory : BK_HARD_LINKS_MEMORY);
    bk_xattrs_init(&walk.xattrs);
    ok = run_walk(&walk, op, error);
    bk_files_meta_set_patterns(meta, options->patterns);
    bk_xattrs_clear(&walk.xattrs);
    bk_hard_links_free(walk.links);
    g_ptr_array_unref(walk.frames);
    (void)g_string_free(walk.path, TRUE);
    return ok;
}
