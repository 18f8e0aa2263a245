/* dump-blocks.c - prints what the blocks of WAL segments say, for tests that compare it with what
 * PostgreSQL's own program says: dump-blocks SEGMENT...
 *
 * One paragraph for each segment, named by its file, and one named "all" for the whole stretch:
 *     summary NAME UNFIT          why nobody may rely on it, or "-"
 *     renewed TABLESPACE DATABASE
 *     limit TABLESPACE DATABASE FILE_NODE FORK BLOCK
 *     run TABLESPACE DATABASE FILE_NODE FORK FIRST COUNT
 * It reads the map from its encoding, as docs/format.md describes it. */
#include "base/fd.h"
#include "codec/wire.h"
#include "source/pg/wal/wal-blocks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

static void
print_fork(BkWireReader *reader)
{
    uint64_t tablespace = bk_wire_get_varint(reader);
    uint64_t database = bk_wire_get_varint(reader);
    uint64_t file_node = bk_wire_get_varint(reader);
    unsigned fork = bk_wire_get_u8(reader);
    uint64_t limit = bk_wire_get_varint(reader);
    uint64_t runs = bk_wire_get_varint(reader);
    uint64_t reached = 0;
    g_autofree char *name = g_strdup_printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %u", tablespace,
                                            database, file_node, fork);

    if (limit > 0)
        (void)printf("limit %s %" PRIu64 "\n", name, limit - 1);
    for (uint64_t i = 0; i < runs && bk_wire_is_ok(reader); i++) {
        uint64_t head = bk_wire_get_varint(reader);
        uint64_t first = reached + head / 2;
        uint64_t count = (head & 1) != 0 ? bk_wire_get_varint(reader) + 2 : 1;

        (void)printf("run %s %" PRIu64 " %" PRIu64 "\n", name, first, count);
        reached = first + count;
    }
}

static bool
print_blocks(const char *name, const BkWalBlocks *blocks, GError **error)
{
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    BkWireReader reader;
    uint64_t count;

    bk_block_map_encode(blocks->map, &bytes);
    bk_wire_reader_init(&reader, bytes.data, bytes.size);
    (void)printf("summary %s %s\n", name, blocks->unfit != NULL ? blocks->unfit : "-");
    (void)bk_wire_get_u8(&reader); /* version */
    count = bk_wire_get_varint(&reader);
    for (uint64_t i = 0; i < count && bk_wire_is_ok(&reader); i++) {
        uint64_t tablespace = bk_wire_get_varint(&reader);

        (void)printf("renewed %" PRIu64 " %" PRIu64 "\n", tablespace, bk_wire_get_varint(&reader));
    }
    count = bk_wire_get_varint(&reader); /* databases made by copying files: renewed, too */
    for (uint64_t i = 0; i < 4 * count && bk_wire_is_ok(&reader); i++)
        (void)bk_wire_get_varint(&reader);
    count = bk_wire_get_varint(&reader);
    for (uint64_t i = 0; i < count && bk_wire_is_ok(&reader); i++)
        print_fork(&reader);
    return bk_wire_end(&reader, "block map", error);
}

static bool
dump(char **paths, int count, GError **error)
{
    g_auto(BkWalBlocks) all = {0};
    g_auto(BkWalInfo) left = {0};

    bk_wal_blocks_init(&all);
    for (int i = 0; i < count; i++) {
        g_autofree char *name = g_path_get_basename(paths[i]);
        g_auto(BkBuf) content = BK_BUF_INIT;
        g_auto(BkWalBlocks) blocks = {0};
        BkWalInfo info;

        if (!bk_file_read(AT_FDCWD, paths[i], BK_GIB, &content, error) ||
            !bk_wal_blocks_collect(content.data, content.size, NULL, &info, &blocks, error) ||
            !print_blocks(name, &blocks, error))
            return bk_prefix(error, "\"%s\"", paths[i]);
        if (i > 0) {
            bk_wal_blocks_join(&all, &left, &info);
            (void)bk_wal_info_join(&left, &info);
        }
        bk_wal_blocks_merge(&all, &blocks);
        bk_wal_info_clear(&left);
        left = info; /* moved */
    }
    return print_blocks("all", &all, error);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    if (dump(argv + 1, argc - 1, &error))
        return 0;
    (void)printf("%s\n", error->message);
    return 1;
}
