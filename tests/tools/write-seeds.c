/* write-seeds.c - writes those seeds of the fuzzers that hold information on WAL as it is encoded,
 * which change with the encoding: write-seeds tests/fuzz/corpus
 *
 * Each WAL segment "wal-scan/pg*" of the corpus gives "wal-info/pg*", what is collected of it, and
 * "wal-head/pg*", the head of a WAL object that holds that. tests/unit/test-wal-info.c fails when
 * they are stale. */
#include "base/fd.h"
#include "codec/digest.h"
#include "codec/wire.h"
#include "source/pg/wal-info.h"

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

/* The form of src/source/pg/archive.c, for a file and a summary of ten bytes, as fuzz-wal-head.c
 * has them. */
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

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    g_assert(argc == 2);
    if (write_all(argv[1], &error))
        return 0;
    (void)printf("%s\n", error->message);
    return 1;
}
