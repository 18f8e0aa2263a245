/* fuzz-snapshot.c - sections of a manifest: what is decoded is sound, and encodes and decodes to
 * itself. */
#include "repo/snapshot/file-extension.h"
#include "repo/snapshot/snapshot-sections.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_head(const BkBuf *frame)
{
    g_auto(BkSnapshotHead) head = {0};
    g_auto(BkSnapshotHead) again = {0};
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_snapshot_head_decode(&head, frame, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        return;
    }
    g_assert(bk_snapshot_is_id(head.id));
    bk_snapshot_head_encode(&head, &once);
    g_assert(bk_snapshot_head_decode(&again, &once, &error));
    bk_snapshot_head_encode(&again, &twice);
    g_assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
}

/* What is in the extension area of an accepted file can be read, and written again. */
static void
check_extensions(const BkFile *file)
{
    BkFileIdentity identity;
    BkFileNode node;
    BkFileXattr xattr;
    BkWireReader reader;

    if (bk_file_get_identity(file, &identity))
        g_assert(identity.ctime_nsec < 1000000000);
    g_assert(bk_file_get_node(file, &node) ==
             (file->kind == BK_FILE_CHARACTER_DEVICE || file->kind == BK_FILE_BLOCK_DEVICE));
    bk_file_xattrs_begin(file, &reader);
    while (bk_file_xattrs_next(&reader, &xattr))
        g_assert(xattr.name_size > 0);
    g_assert(bk_wire_is_ok(&reader));
}

/* A file that was accepted stays below its destination, and its extents in their packs. */
static void
check_file(const BkSnapshot *snapshot, const BkFile *file)
{
    BkExtentIter iter;
    BkExtent extent;
    size_t pack_count;
    const BkPackRef *packs = bk_snapshot_packs(snapshot, &pack_count);

    g_assert(file->path[0] != '/' && file->path[0] != 0 && strstr(file->path, "//") == NULL);
    g_assert(strcmp(file->path, "..") != 0 && !g_str_has_prefix(file->path, "../"));
    g_assert(strstr(file->path, "/../") == NULL && !g_str_has_suffix(file->path, "/.."));
    g_assert((file->link[0] != 0) ==
             (file->kind == BK_FILE_SYMLINK || file->kind == BK_FILE_HARD_LINK));
    check_extensions(file);
    bk_extent_iter_init(&iter, file->extents, file->extents_size, file->size);
    while (bk_extent_iter_next(&iter, &extent))
        g_assert(extent.is_hole ||
                 (extent.pack < pack_count && extent.length <= packs[extent.pack].raw_size &&
                  extent.pack_offset <= packs[extent.pack].raw_size - extent.length));
    g_assert(bk_extent_iter_is_complete(&iter));
}

static void
check_section(const BkBuf *frame)
{
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_new();
    const BkPackRef pack = {.size = 1000, .raw_size = 5000, .tail_size = 200, .chunk_count = 1};
    g_autoptr(GError) error = NULL;
    const BkFile *files;
    size_t count;

    (void)bk_snapshot_add_pack(snapshot, &pack);
    (void)bk_snapshot_add_owner(snapshot, 1, 2, "a", "b");
    if (!bk_snapshot_section_decode(snapshot, frame, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        return;
    }
    files = bk_snapshot_files(snapshot, &count);
    for (size_t i = 0; i < count; i++)
        check_file(snapshot, &files[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *copy = g_memdup2(data, size);
    BkBuf frame = {copy, size, size};

    check_head(&frame);
    check_section(&frame);
    return 0;
}
