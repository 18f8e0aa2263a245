/* write-golden.c - writes a small repository with files of every kind, for tests/data/make-golden:
 * write-golden DIRECTORY CODEC (none, zstd or lz4)
 *
 * DIRECTORY gets "repo" and "key"; the files are made up, and tests/data/make-golden knows what is
 * in them. */
#include "codec/extension.h"
#include "repo/pack/pack.h"
#include "repo/snapshot/file-extension.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "store/posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE    "orders"
#define LINES     25000u
#define HOLE_SIZE ((uint64_t)1 << 20)

typedef struct Maker {
    BkOp *op;
    BkKeyFile key;
    BkRepository *repository;
    BkSourceRepo *source_repo;
    BkPackWriter *writer;
    BkBuf pack;
    BkSnapshot *snapshot;
} Maker;

static void
stop_unless(bool ok, const GError *error)
{
    if (ok)
        return;
    (void)fprintf(stderr, "write-golden: %s\n", error != NULL ? error->message : "failed");
    exit(1);
}

static void
open_repository(Maker *self, const char *directory)
{
    g_autofree char *key = g_build_filename(directory, "key", NULL);
    g_autofree char *repo = g_build_filename(directory, "repo", NULL);
    const BkLocation location = {.path = repo};
    g_autoptr(GError) error = NULL;
    bool created;

    stop_unless(bk_key_file_create(key, &self->key, &error), error);
    self->repository =
        bk_repository_create_at(&location, "golden", &self->key, &created, self->op, &error);
    stop_unless(self->repository != NULL, error);
    self->source_repo = bk_source_repo_create(self->repository, SOURCE, NULL, self->op, &error);
    stop_unless(self->source_repo != NULL, error);
}

/* Stores `text`, and appends the extents of a file that has it behind a hole of `hole` bytes. */
static void
store_text(Maker *self, const char *text, uint64_t hole, BkBuf *extents)
{
    const BkExtent extent = {.file_offset = hole,
                             .length = strlen(text),
                             .pack_offset = bk_pack_writer_position(self->writer)};
    g_autoptr(GError) error = NULL;

    for (size_t done = 0; done < extent.length;) {
        size_t room;
        uint8_t *to = bk_pack_writer_room(self->writer, &room);
        size_t size = MIN(room, extent.length - done);

        memcpy(to, text + done, size);
        stop_unless(bk_pack_writer_commit(self->writer, size, &error), error);
        done += size;
    }
    bk_extents_encode(&extent, 1, hole + extent.length, extents);
}

static void
add_file(Maker *self, BkFile file, const char *text, uint64_t hole, const BkBuf *extensions)
{
    g_auto(BkBuf) extents = BK_BUF_INIT;

    file.link = file.link != NULL ? file.link : "";
    file.mtime_sec = INT64_C(1764345600);
    file.mtime_nsec = 123456789;
    if (text != NULL) {
        store_text(self, text, hole, &extents);
        file.size = hole + strlen(text);
        file.extents = extents.data;
        file.extents_size = (uint32_t)extents.size;
    }
    if (extensions != NULL) {
        file.extensions = extensions->data;
        file.extensions_size = (uint32_t)extensions->size;
    }
    bk_snapshot_head(self->snapshot)->bytes += file.size;
    bk_snapshot_add_file(self->snapshot, &file);
}

static void
add_files(Maker *self)
{
    const BkFileXattr attributes[] = {
        {(const uint8_t *)"user.color", 10, (const uint8_t *)"red", 3},
        {(const uint8_t *)"user.empty", 10, (const uint8_t *)"", 0}};
    g_autoptr(GString) lines = g_string_new(NULL);
    g_auto(BkBuf) all = BK_BUF_INIT;
    g_auto(BkBuf) node = BK_BUF_INIT;
    const BkFile regular = {.kind = BK_FILE_REGULAR, .mode = 0640};
    BkFile file = regular;

    for (unsigned i = 0; i < LINES; i++)
        g_string_append_printf(lines, "line %u\n", i);
    bk_file_put_identity(&all, &(BkFileIdentity){1764345601, 999999999, 4711, 259, 2});
    bk_file_put_xattrs(&all, attributes, G_N_ELEMENTS(attributes));
    bk_extension_put(&all, 0x7000, "later", 5); /* nobody knows it */
    bk_file_put_node(&node, &(BkFileNode){8, 1});
    add_file(self, (BkFile){.path = "a", .kind = BK_FILE_DIRECTORY, .mode = 01777}, NULL, 0, NULL);
    file.path = "a/empty";
    add_file(self, file, "", 0, NULL);
    file.path = "a/lines";
    add_file(self, file, lines->str, 0, &all);
    file.path = "a/sparse";
    file.flags = BK_FILE_CHANGED_WHILE_READ | BK_FILE_PARTIAL;
    add_file(self, file, "behind the hole\n", HOLE_SIZE, NULL);
    file = regular;
    file.path = "a/\xff name\n";
    file.mode = 06755;
    add_file(self, file, "bytes, not text\n", 0, NULL);
    add_file(self, (BkFile){.path = "b", .kind = BK_FILE_HARD_LINK, .link = "a/lines"}, NULL, 0,
             NULL);
    add_file(self, (BkFile){.path = "c", .kind = BK_FILE_FIFO, .mode = 0600}, NULL, 0, NULL);
    add_file(self, (BkFile){.path = "d", .kind = BK_FILE_CHARACTER_DEVICE}, NULL, 0, &node);
    add_file(self, (BkFile){.path = "e", .kind = BK_FILE_BLOCK_DEVICE}, NULL, 0, &node);
    add_file(self, (BkFile){.path = "f", .kind = BK_FILE_SYMLINK, .link = "a/lines"}, NULL, 0,
             NULL);
}

static void
fill_head(BkSnapshotHead *head)
{
    (void)g_strlcpy(head->id, "20261128T160000Z-00000001", sizeof head->id);
    head->source = g_strdup(SOURCE);
    head->kind = g_strdup("sample");
    head->mode = BK_SNAPSHOT_FULL;
    head->state = BK_SNAPSHOT_COMPLETE;
    head->program = g_strdup("write-golden");
    bk_buf_append(&head->meta, "opaque", 6);
    bk_extension_put(&head->extensions, 0x7000, "later", 5);
}

static void
put_pack(Maker *self)
{
    BkPackRef ref = {.size = 0};
    g_autoptr(GError) error = NULL;

    stop_unless(bk_pack_writer_finish(self->writer, &ref, &error) &&
                    bk_pack_put(self->source_repo, ref.name, &self->pack, self->op, &error),
                error);
    (void)bk_snapshot_add_pack(self->snapshot, &ref);
}

static void
put_snapshot(Maker *self)
{
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    stop_unless(bk_snapshot_seal(self->snapshot, self->source_repo, &object, &error) &&
                    bk_snapshot_put(self->source_repo, bk_snapshot_head(self->snapshot)->id,
                                    &object, self->op, &error),
                error);
}

int
main(int argc, char **argv)
{
    Maker self = {.op = bk_op_new(NULL), .snapshot = bk_snapshot_new()};
    g_autoptr(GError) error = NULL;
    BkCodec codec;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: write-golden DIRECTORY none|zstd|lz4\n");
        return 2;
    }
    codec = argv[2][0] == 'n' ? BK_CODEC_STORED : argv[2][0] == 'l' ? BK_CODEC_LZ4 : BK_CODEC_ZSTD;
    open_repository(&self, argv[1]);
    self.writer = bk_pack_writer_new(self.source_repo, codec, 3);
    stop_unless(bk_pack_writer_begin(self.writer, &self.pack, &error), error);
    fill_head(bk_snapshot_head(self.snapshot));
    (void)bk_snapshot_add_owner(self.snapshot, 0, 0, "root", "root");
    add_files(&self);
    put_pack(&self);
    put_snapshot(&self);
    bk_snapshot_free(self.snapshot);
    bk_pack_writer_free(self.writer);
    bk_buf_clear(&self.pack);
    bk_source_repo_free(self.source_repo);
    bk_repository_free(self.repository);
    bk_key_file_clear(&self.key);
    bk_op_free(self.op);
    return 0;
}
