/* file-extension.c - the extension area of a file's entry in a manifest. */
#include "repo/snapshot/file-extension.h"

#include "codec/extension.h"

#include <string.h>

#define NSEC_PER_SEC 1000000000u
#define MAX_NAME     255u            /* as XATTR_NAME_MAX */
#define MAX_VALUE    ((size_t)65536) /* as XATTR_SIZE_MAX */

void
bk_file_put_identity(BkBuf *extensions, const BkFileIdentity *identity)
{
    g_auto(BkBuf) value = BK_BUF_INIT;

    bk_wire_put_zigzag(&value, identity->ctime_sec);
    bk_wire_put_varint(&value, identity->ctime_nsec);
    bk_wire_put_varint(&value, identity->inode);
    bk_wire_put_varint(&value, identity->device_major);
    bk_wire_put_varint(&value, identity->device_minor);
    bk_extension_put(extensions, BK_FILE_TAG_IDENTITY, value.data, value.size);
}

static bool
find_tagged_value(const BkFile *file, BkFileTag tag, BkWireReader *reader)
{
    BkExtension extension = {.size = 0};
    bool found =
        bk_extension_find(file->extensions, file->extensions_size, (uint16_t)tag, &extension);

    bk_wire_reader_init(reader, found ? extension.data : NULL, found ? extension.size : 0);
    return found;
}

/* The value to its end and not beyond. */
static bool
is_read_whole(const BkWireReader *reader)
{
    return bk_wire_is_ok(reader) && bk_wire_left(reader) == 0;
}

bool
bk_file_get_identity(const BkFile *file, BkFileIdentity *identity)
{
    BkWireReader reader;

    if (!find_tagged_value(file, BK_FILE_TAG_IDENTITY, &reader))
        return false;
    identity->ctime_sec = bk_wire_get_zigzag(&reader);
    identity->ctime_nsec = (uint32_t)bk_wire_get_bounded(&reader, NSEC_PER_SEC - 1);
    identity->inode = bk_wire_get_varint(&reader);
    identity->device_major = (uint32_t)bk_wire_get_bounded(&reader, UINT32_MAX);
    identity->device_minor = (uint32_t)bk_wire_get_bounded(&reader, UINT32_MAX);
    return is_read_whole(&reader);
}

void
bk_file_put_node(BkBuf *extensions, const BkFileNode *node)
{
    g_auto(BkBuf) value = BK_BUF_INIT;

    bk_wire_put_varint(&value, node->major);
    bk_wire_put_varint(&value, node->minor);
    bk_extension_put(extensions, BK_FILE_TAG_NODE, value.data, value.size);
}

bool
bk_file_get_node(const BkFile *file, BkFileNode *node)
{
    BkWireReader reader;

    if (!find_tagged_value(file, BK_FILE_TAG_NODE, &reader))
        return false;
    node->major = (uint32_t)bk_wire_get_bounded(&reader, UINT32_MAX);
    node->minor = (uint32_t)bk_wire_get_bounded(&reader, UINT32_MAX);
    return is_read_whole(&reader);
}

void
bk_file_put_xattrs(BkBuf *extensions, const BkFileXattr *xattrs, size_t count)
{
    g_auto(BkBuf) value = BK_BUF_INIT;

    for (size_t i = 0; i < count; i++) {
        bk_wire_put_bytes(&value, xattrs[i].name, xattrs[i].name_size);
        bk_wire_put_bytes(&value, xattrs[i].value, xattrs[i].value_size);
    }
    bk_extension_put(extensions, BK_FILE_TAG_XATTRS, value.data, value.size);
}

void
bk_file_xattrs_begin(const BkFile *file, BkWireReader *reader)
{
    (void)find_tagged_value(file, BK_FILE_TAG_XATTRS, reader);
}

bool
bk_file_xattrs_next(BkWireReader *reader, BkFileXattr *xattr)
{
    if (!bk_wire_is_ok(reader) || bk_wire_left(reader) == 0)
        return false;
    xattr->name = bk_wire_get_bytes(reader, MAX_NAME, &xattr->name_size);
    xattr->value = bk_wire_get_bytes(reader, MAX_VALUE, &xattr->value_size);
    return bk_wire_is_ok(reader);
}

/* By the bytes of the shorter one, then the shorter one first. */
static bool
has_lower_name(const BkFileXattr *xattr, const BkFileXattr *other)
{
    int order = memcmp(xattr->name, other->name, MIN(xattr->name_size, other->name_size));

    return order < 0 || (order == 0 && xattr->name_size < other->name_size);
}

static bool
are_xattrs_valid(const BkFile *file)
{
    BkWireReader reader;
    BkFileXattr before = {.name = NULL};
    BkFileXattr xattr;

    bk_file_xattrs_begin(file, &reader);
    while (bk_file_xattrs_next(&reader, &xattr)) {
        if (xattr.name_size == 0 || memchr(xattr.name, 0, xattr.name_size) != NULL ||
            (before.name != NULL && !has_lower_name(&before, &xattr)))
            return false;
        before = xattr;
    }
    return bk_wire_is_ok(&reader);
}

bool
bk_file_check_extensions(const BkFile *file, GError **error)
{
    static const uint16_t known[] = {BK_FILE_TAG_IDENTITY, BK_FILE_TAG_NODE, BK_FILE_TAG_XATTRS};
    const bool is_device =
        file->kind == BK_FILE_CHARACTER_DEVICE || file->kind == BK_FILE_BLOCK_DEVICE;
    BkFileIdentity identity;
    BkFileNode node;
    BkWireReader reader;

    if (file->extensions_size == 0)
        return !is_device ||
               bk_throw(error, BK_ERROR_CORRUPT, "a device in a snapshot has no numbers");
    if (!bk_extensions_check(file->extensions, file->extensions_size, known, G_N_ELEMENTS(known),
                             "a file in a snapshot", error))
        return false;
    if ((find_tagged_value(file, BK_FILE_TAG_IDENTITY, &reader) &&
         !bk_file_get_identity(file, &identity)) ||
        find_tagged_value(file, BK_FILE_TAG_NODE, &reader) != is_device ||
        (is_device && !bk_file_get_node(file, &node)) || !are_xattrs_valid(file))
        return bk_throw(error, BK_ERROR_CORRUPT, "malformed extensions: a file in a snapshot");
    return true;
}
