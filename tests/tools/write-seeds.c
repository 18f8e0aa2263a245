/* write-seeds.c - writes those seeds of the fuzzers that change with an encoding, as it is now:
 * write-seeds tests/fuzz/corpus
 *
 * Each WAL segment "wal-scan/pg*" of the corpus gives "wal-info/pg*", what is collected of it, and
 * "wal-head/pg*", the head of a WAL object that holds that. tests/unit/test-wal-info.c fails when
 * they are stale. Those of "snapshot" are the head and the tables of a manifest. */
#include "base/fd.h"
#include "codec/digest.h"
#include "codec/extension.h"
#include "codec/wire.h"
#include "repo/snapshot/file-extension.h"
#include "repo/snapshot/snapshot-sections.h"
#include "source/pg/wal/wal-info.h"

#include <fcntl.h>
#include <stdio.h>

#define SEED_MAX (16 * BK_MIB)

static bool
write_seed(const char *corpus, const char *fuzzer, const char *name, const BkBuf *seed,
           GError **error)
{
    g_autofree char *path = g_build_filename(corpus, fuzzer, name, NULL);

    return bk_file_write(AT_FDCWD, path, seed->data, seed->size, 0644, BK_FILE_REPLACE, error);
}

/* The form of src/source/pg/archive/archive.c, for a file and a summary of ten bytes, as
 * fuzz-wal-head.c has them. */
static void
encode_head(const BkBuf *info, BkBuf *head)
{
    const uint8_t hash[BK_XXH3_SIZE] = {0};

    bk_wire_put_u8(head, 2);
    bk_wire_put_string(head, "000000010000000000000001");
    bk_wire_put_varint(head, 10);
    bk_buf_append(head, hash, sizeof hash);
    bk_wire_put_bytes(head, hash, sizeof hash);
    bk_wire_put_varint(head, 10);
    bk_wire_put_bytes(head, info->data, info->size);
    bk_extensions_put_none(head);
}

static bool
write_seeds(const char *corpus, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(corpus, "wal-scan", name, NULL);
    g_auto(BkBuf) wal = BK_BUF_INIT;
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    g_auto(BkBuf) head = BK_BUF_INIT;
    g_auto(BkWalInfo) info = {0};

    if (!bk_file_read(AT_FDCWD, path, SEED_MAX, &wal, error) ||
        !bk_wal_info_collect(wal.data, wal.size, NULL, &info, error))
        return bk_prefix(error, "\"%s\"", path);
    bk_wal_info_encode(&info, &encoded);
    encode_head(&encoded, &head);
    return write_seed(corpus, "wal-info", name, &encoded, error) &&
           write_seed(corpus, "wal-head", name, &head, error);
}

static bool
write_all(const char *corpus, GError **error)
{
    g_autofree char *scans = g_build_filename(corpus, "wal-scan", NULL);
    g_autoptr(GDir) dir = g_dir_open(scans, 0, error);
    const char *name;

    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL)
        if (g_str_has_prefix(name, "pg") && !write_seeds(corpus, name, error))
            return false;
    return true;
}

static void
encode_manifest_head(BkBuf *out)
{
    BkSnapshotHead head = {
        .source = (char *)(uintptr_t) "orders",
        .kind = (char *)(uintptr_t) "files",
        .parent = (char *)(uintptr_t) "20261120T003905Z-00000000",
        .mode = BK_SNAPSHOT_INCREMENTAL,
        .state = BK_SNAPSHOT_DAMAGED,
        .started_us = 1,
        .file_count = 8,
        .rest_size = 1000,
    };

    (void)g_strlcpy(head.id, "20261121T003905Z-1a2b3c4d", sizeof head.id);
    bk_buf_append(&head.meta, "meta", 4);
    bk_extension_put(&head.extensions, 0x7000, "later", 5);
    bk_snapshot_head_encode(&head, out);
    bk_buf_clear(&head.meta);
    bk_buf_clear(&head.extensions);
}

/* The fuzzer's snapshot has one pack of 5,000 raw bytes and one owner. */
static void
encode_file(BkFile file, BkBuf *out)
{
    const BkExtent extent = {.length = 3000, .pack_offset = 1000};
    g_auto(BkBuf) extents = BK_BUF_INIT;

    if (file.size > 0)
        bk_extents_encode(&extent, 1, file.size, &extents);
    file.extents = extents.data;
    file.extents_size = (uint32_t)extents.size;
    bk_file_encode(&file, out);
}

static void
encode_files(BkBuf *out)
{
    static const uint8_t digest[BK_XXH3_SIZE] = {1};
    const BkFileXattr xattr = {(const uint8_t *)"user.a", 6, (const uint8_t *)"b", 1};
    g_auto(BkBuf) all = BK_BUF_INIT;
    g_auto(BkBuf) node = BK_BUF_INIT;

    bk_file_put_identity(&all, &(BkFileIdentity){1, 2, 3, 4, 5});
    bk_file_put_xattrs(&all, &xattr, 1);
    bk_file_put_node(&node, &(BkFileNode){8, 1});
    bk_wire_put_u8(out, BK_SECTION_FILES);
    bk_wire_put_varint(out, 7);
    encode_file((BkFile){.path = "a",
                         .link = "",
                         .kind = BK_FILE_REGULAR,
                         .flags = BK_FILE_PARTIAL,
                         .size = 4000,
                         .mtime_sec = -1,
                         .mtime_nsec = 999999999,
                         .mode = 04755,
                         .digests = digest,
                         .digest_count = 1,
                         .notes = digest,
                         .notes_size = 2,
                         .extensions = all.data,
                         .extensions_size = (uint32_t)all.size},
                out);
    encode_file((BkFile){.path = "b", .link = "a", .kind = BK_FILE_HARD_LINK}, out);
    encode_file((BkFile){.path = "c", .link = "/a", .kind = BK_FILE_SYMLINK}, out);
    encode_file((BkFile){.path = "d", .link = "", .kind = BK_FILE_DIRECTORY, .mode = 01777}, out);
    encode_file((BkFile){.path = "d/e", .link = "", .kind = BK_FILE_FIFO}, out);
    for (BkFileKind kind = BK_FILE_CHARACTER_DEVICE; kind <= BK_FILE_BLOCK_DEVICE; kind++)
        encode_file((BkFile){.path = kind == BK_FILE_BLOCK_DEVICE ? "g" : "f",
                             .link = "",
                             .kind = kind,
                             .extensions = node.data,
                             .extensions_size = (uint32_t)node.size},
                    out);
}

static void
encode_pack(BkBuf *out)
{
    const BkPackRef ref = {.size = 1000, .raw_size = 5000, .tail_size = 200, .chunk_count = 1};

    bk_wire_put_u8(out, BK_SECTION_PACKS);
    bk_wire_put_varint(out, 1);
    bk_pack_ref_encode(&ref, out);
}

static void
encode_owner(BkBuf *out)
{
    bk_wire_put_u8(out, BK_SECTION_OWNERS);
    bk_wire_put_varint(out, 1);
    bk_owner_encode(&(BkOwner){26, 26, "postgres", ""}, out);
}

static bool
write_manifest(const char *corpus, GError **error)
{
    static const struct {
        const char *name;
        void (*encode)(BkBuf *out);
    } sections[] = {{"head", encode_manifest_head},
                    {"packs", encode_pack},
                    {"owners", encode_owner},
                    {"files", encode_files}};

    for (size_t i = 0; i < G_N_ELEMENTS(sections); i++) {
        g_auto(BkBuf) seed = BK_BUF_INIT;

        sections[i].encode(&seed);
        if (!write_seed(corpus, "snapshot", sections[i].name, &seed, error))
            return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    g_assert(argc == 2);
    if (write_all(argv[1], &error) && write_manifest(argv[1], &error))
        return 0;
    (void)printf("%s\n", error->message);
    return 1;
}
