/* xattr.c - extended attributes read and set through a descriptor's path: descriptors of O_PATH are
 * taken by no call for attributes. */
#include "source/files/xattr.h"

#include "base/fd.h"
#include "codec/extension.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#define MAX_LIST  ((size_t)64 * 1024) /* XATTR_LIST_MAX */
#define MAX_VALUE ((size_t)64 * 1024) /* XATTR_SIZE_MAX */
/* Leaves room in the area of an entry for all else. */
#define MAX_BYTES (BK_EXTENSIONS_MAX - 64 * BK_KIB)

typedef struct Span {
    size_t name;
    size_t value;
    size_t value_size;
} Span;

void
bk_xattrs_init(BkXattrs *self)
{
    *self = (BkXattrs){.items = g_array_new(FALSE, TRUE, sizeof(BkFileXattr))};
}

void
bk_xattrs_clear(BkXattrs *self)
{
    bk_buf_clear(&self->bytes);
    g_clear_pointer(&self->items, g_array_unref);
}

static bool
is_without(int number)
{
    return number == ENOTSUP || number == ENOSYS;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names, sorted: pointers into `list`. NULL with an error. */
static GPtrArray *
list_names(const char *path, char list[MAX_LIST], GError **error)
{
    ssize_t size = listxattr(path, list, MAX_LIST);
    GPtrArray *names;

    if (size < 0 && !is_without(errno)) {
        bk_throw_errno(error, "list the extended attributes");
        return NULL;
    }
    names = g_ptr_array_new();
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(list + at) + 1)
        g_ptr_array_add(names, list + at);
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* `*size` is negative when there is no such attribute (any more). */
static bool
get_value(const char *path, const char *name, uint8_t value[MAX_VALUE], ssize_t *size,
          GError **error)
{
    *size = getxattr(path, name, value, MAX_VALUE);
    return *size >= 0 || errno == ENODATA || is_without(errno) ||
           bk_throw_errno(error, "read the extended attribute \"%s\"", name);
}

static bool
read_all(BkXattrs *self, GArray *spans, const char *path, GError **error)
{
    g_autofree char *list = g_malloc(MAX_LIST);
    g_autofree uint8_t *value = g_malloc(MAX_VALUE);
    g_autoptr(GPtrArray) names = list_names(path, list, error);

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        Span span = {.name = self->bytes.size};
        ssize_t size;

        if (!get_value(path, name, value, &size, error))
            return false;
        if (size < 0)
            continue;
        bk_buf_append(&self->bytes, name, strlen(name) + 1);
        span.value = self->bytes.size;
        span.value_size = (size_t)size;
        bk_buf_append(&self->bytes, value, span.value_size);
        g_array_append_val(spans, span);
        if (self->bytes.size + spans->len * 8 > MAX_BYTES)
            return bk_throw(error, BK_ERROR_UNSUPPORTED,
                            "its extended attributes are larger than %zu bytes together",
                            MAX_BYTES);
    }
    return names != NULL;
}

bool
bk_xattrs_read(BkXattrs *self, int fd, GError **error)
{
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(Span));
    char path[BK_FD_PATH_SIZE];
    bool ok;

    self->bytes.size = 0;
    g_array_set_size(self->items, 0);
    bk_fd_path(fd, path);
    ok = read_all(self, spans, path, error);
    for (guint i = 0; ok && i < spans->len; i++) {
        const Span *span = &g_array_index(spans, Span, i);
        BkFileXattr xattr = {.name = self->bytes.data + span->name,
                             .value = self->bytes.data + span->value,
                             .value_size = span->value_size};

        xattr.name_size = strlen((const char *)xattr.name);
        g_array_append_val(self->items, xattr);
    }
    return ok;
}

/* What is the system's own to give, such as a label, stays. */
static bool
is_to_remove(const char *name)
{
    return g_str_has_prefix(name, "user.") || g_str_has_prefix(name, "trusted.") ||
           g_str_has_prefix(name, "system.posix_acl_") || strcmp(name, "security.capability") == 0;
}

static bool
has_name(const BkFile *file, const char *name)
{
    BkWireReader reader;
    BkFileXattr xattr;

    bk_file_xattrs_begin(file, &reader);
    while (bk_file_xattrs_next(&reader, &xattr))
        if (xattr.name_size == strlen(name) && memcmp(xattr.name, name, xattr.name_size) == 0)
            return true;
    return false;
}

static bool
remove_others(const char *path, const BkFile *file, GError **error)
{
    g_autofree char *list = g_malloc(MAX_LIST);
    g_autoptr(GPtrArray) names = list_names(path, list, error);
    bool ok = names != NULL;

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (is_to_remove(name) && !has_name(file, name) && removexattr(path, name) < 0 &&
            errno != ENODATA)
            ok = bk_throw_errno(ok ? error : NULL, "remove the extended attribute \"%s\"", name);
    }
    return ok;
}

static bool
has_value(const char *path, const char *name, const BkFileXattr *xattr, uint8_t now[MAX_VALUE])
{
    ssize_t size = getxattr(path, name, now, MAX_VALUE);

    return size >= 0 && (size_t)size == xattr->value_size &&
           memcmp(now, xattr->value, xattr->value_size) == 0;
}

bool
bk_xattrs_apply(int fd, const BkFile *file, GError **error)
{
    g_autofree uint8_t *now = g_malloc(MAX_VALUE);
    char path[BK_FD_PATH_SIZE];
    BkWireReader reader;
    BkFileXattr xattr;
    bool ok;

    bk_fd_path(fd, path);
    ok = remove_others(path, file, error);
    bk_file_xattrs_begin(file, &reader);
    while (bk_file_xattrs_next(&reader, &xattr)) {
        g_autofree char *name = g_strndup((const char *)xattr.name, xattr.name_size);

        if (!has_value(path, name, &xattr, now) &&
            setxattr(path, name, xattr.value, xattr.value_size, 0) < 0)
            ok = bk_throw_errno(ok ? error : NULL, "set the extended attribute \"%s\"", name);
    }
    return ok;
}
