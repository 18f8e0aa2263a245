/* test-file-extension.c - files of every kind in a manifest, and what their entries say of them. */
#include "base/fd.h"
#include "codec/extension.h"
#include "repo-fixture.h"
#include "repo/snapshot/file-extension.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "repo/snapshot/snapshot-sections.h"

#include <fcntl.h>

#define ID     "20261121T003905Z-1a2b3c4d"
#define OBJECT "orders/snapshots/" ID
#define CORPUS "tests/fuzz/corpus/snapshot/"

static BkSnapshot *
make_snapshot(void)
{
    BkSnapshot *snapshot = bk_snapshot_new();
    BkSnapshotHead *head = bk_snapshot_head(snapshot);

    (void)g_strlcpy(head->id, ID, sizeof head->id);
    head->source = g_strdup("orders");
    head->kind = g_strdup("files");
    head->mode = BK_SNAPSHOT_FULL;
    head->state = BK_SNAPSHOT_COMPLETE;
    (void)bk_snapshot_add_owner(snapshot, 0, 0, "root", "root");
    return snapshot;
}

/* What it loads as, or NULL with `error`. */
static BkSnapshot *
reload(RepoFixture *self, const BkSnapshot *snapshot, GError **error)
{
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    BkSnapshot *loaded;

    g_assert_true(bk_snapshot_seal(snapshot, self->source_repo, &object, &cause));
    g_assert_true(bk_snapshot_put(self->source_repo, ID, &object, self->op, &cause));
    loaded = bk_snapshot_load(self->source_repo, ID, self->op, error);
    g_assert_true(bk_store_delete(self->store, OBJECT, self->op, &cause));
    return loaded;
}

static void
add_entry(BkSnapshot *snapshot, const char *path, BkFileKind kind, const char *link,
          const BkBuf *extensions)
{
    const BkFile file = {.path = path,
                         .link = link,
                         .kind = kind,
                         .mode = 07755,
                         .extensions = extensions != NULL ? extensions->data : NULL,
                         .extensions_size = extensions != NULL ? (uint32_t)extensions->size : 0};

    bk_snapshot_add_file(snapshot, &file);
}

static BkFileXattr
xattr(const char *name, const char *value)
{
    return (BkFileXattr){(const uint8_t *)name, strlen(name), (const uint8_t *)value,
                         strlen(value)};
}

static void
test_every_kind(RepoFixture *self, const void *data)
{
    static const BkFileIdentity identity = {-1, 999999999, UINT64_MAX, 259, UINT32_MAX};
    const BkFileXattr attributes[] = {xattr("security.capability", "\1\2"), xattr("user.a", ""),
                                      xattr("user.ab", "value")};
    g_autoptr(BkSnapshot) snapshot = make_snapshot();
    g_autoptr(BkSnapshot) loaded = NULL;
    g_auto(BkBuf) all = BK_BUF_INIT;
    g_auto(BkBuf) node = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkFileIdentity read;
    BkFileNode numbers;
    BkFileXattr attribute;
    BkWireReader reader;
    const BkFile *files;
    size_t count;

    (void)data;
    bk_file_put_identity(&all, &identity);
    bk_file_put_xattrs(&all, attributes, G_N_ELEMENTS(attributes));
    bk_file_put_node(&node, &(BkFileNode){8, 1048575});
    add_entry(snapshot, "a\xff\n", BK_FILE_REGULAR, "", &all); /* names are bytes */
    add_entry(snapshot, "b", BK_FILE_HARD_LINK, "a\xff\n", NULL);
    add_entry(snapshot, "c", BK_FILE_FIFO, "", NULL);
    add_entry(snapshot, "d", BK_FILE_CHARACTER_DEVICE, "", &node);
    add_entry(snapshot, "e", BK_FILE_BLOCK_DEVICE, "", &node);
    add_entry(snapshot, "f", BK_FILE_HARD_LINK, "e", NULL);
    add_entry(snapshot, "g", BK_FILE_SYMLINK, "/\xff", NULL);
    bk_snapshot_add_file(snapshot, &(BkFile){.path = "h",
                                             .link = "",
                                             .kind = BK_FILE_REGULAR,
                                             .flags = BK_FILE_CHANGED_WHILE_READ | BK_FILE_PARTIAL,
                                             .mtime_sec = INT64_MIN,
                                             .mtime_nsec = 999999999});
    loaded = reload(self, snapshot, &error);
    g_assert_no_error(error);
    files = bk_snapshot_files(loaded, &count);
    g_assert_cmpuint(count, ==, 8);
    g_assert_cmpstr(files[0].path, ==, "a\xff\n");
    g_assert_true(bk_file_get_identity(&files[0], &read));
    EXPECT_BYTES(&read, sizeof read, &identity, sizeof identity);
    bk_file_xattrs_begin(&files[0], &reader);
    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
        g_assert_true(bk_file_xattrs_next(&reader, &attribute));
        EXPECT_BYTES(attribute.name, attribute.name_size, attributes[i].name,
                     attributes[i].name_size);
        EXPECT_BYTES(attribute.value, attribute.value_size, attributes[i].value,
                     attributes[i].value_size);
    }
    g_assert_false(bk_file_xattrs_next(&reader, &attribute));
    g_assert_cmpint(files[1].kind, ==, BK_FILE_HARD_LINK);
    g_assert_cmpstr(files[1].link, ==, "a\xff\n");
    g_assert_false(bk_file_get_identity(&files[1], &read));
    g_assert_false(bk_file_get_node(&files[2], &numbers));
    for (size_t i = 3; i <= 4; i++) {
        g_assert_true(bk_file_get_node(&files[i], &numbers));
        g_assert_cmpuint(numbers.major, ==, 8);
        g_assert_cmpuint(numbers.minor, ==, 1048575);
    }
    g_assert_cmpuint(files[4].mode, ==, 07755);
    g_assert_cmpuint(files[7].flags, ==, BK_FILE_CHANGED_WHILE_READ | BK_FILE_PARTIAL);
    g_assert_cmpint(files[7].mtime_sec, ==, INT64_MIN);
    g_assert_cmpuint(files[7].mtime_nsec, ==, 999999999);
}

static void
assert_refused(RepoFixture *self, const BkFile *file, BkErrorCode code)
{
    g_autoptr(BkSnapshot) snapshot = make_snapshot();
    g_autoptr(GError) error = NULL;

    add_entry(snapshot, "a", BK_FILE_REGULAR, "", NULL);
    add_entry(snapshot, "b", BK_FILE_DIRECTORY, "", NULL);
    add_entry(snapshot, "c", BK_FILE_HARD_LINK, "a", NULL);
    bk_snapshot_add_file(snapshot, file);
    EXPECT_ERROR(reload(self, snapshot, &error) != NULL, code);
}

static void
test_wrong_links(RepoFixture *self, const void *data)
{
    static const BkFile wrong[] = {
        {.path = "d", .link = "", .kind = BK_FILE_HARD_LINK},
        {.path = "d", .link = "b", .kind = BK_FILE_HARD_LINK}, /* to a directory */
        {.path = "d", .link = "c", .kind = BK_FILE_HARD_LINK}, /* to another one */
        {.path = "d", .link = "d", .kind = BK_FILE_HARD_LINK}, /* to itself */
        {.path = "d", .link = "z", .kind = BK_FILE_HARD_LINK},
        {.path = "d", .link = "", .kind = BK_FILE_SYMLINK},
        {.path = "d", .link = "a", .kind = BK_FILE_REGULAR},
        {.path = "d", .link = "a", .kind = BK_FILE_FIFO},
        {.path = "d", .link = "", .kind = BK_FILE_FIFO, .size = 1},
        {.path = "d", .link = "", .kind = BK_FILE_REGULAR, .mtime_nsec = 1000000000},
        {.path = "d", .link = "", .kind = BK_FILE_BLOCK_DEVICE}, /* without numbers */
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_refused(self, &wrong[i], BK_ERROR_CORRUPT);
}

/* What a later program may write and this one must not misread. */
static void
test_newer(RepoFixture *self, const void *data)
{
    g_autoptr(BkSnapshot) snapshot = make_snapshot();
    g_auto(BkSnapshotHead) decoded = {.source = NULL};
    g_auto(BkBuf) critical = BK_BUF_INIT;
    g_auto(BkBuf) head = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkFile file = {.path = "d", .link = "", .kind = BK_FILE_REGULAR};

    (void)data;
    bk_extension_put(&critical, BK_EXTENSION_CRITICAL, "", 0);
    file.extensions = critical.data;
    file.extensions_size = (uint32_t)critical.size;
    assert_refused(self, &file, BK_ERROR_UNSUPPORTED);
    file.extensions_size = 0;
    file.flags = 4;
    assert_refused(self, &file, BK_ERROR_UNSUPPORTED);
    file.flags = 0;
    file.kind = (BkFileKind)8;
    assert_refused(self, &file, BK_ERROR_UNSUPPORTED);
    bk_snapshot_head_encode(bk_snapshot_head(snapshot), &head);
    EXPECT_DONE(bk_snapshot_head_decode(&decoded, &head, &error));
    bk_snapshot_head_clear(&decoded);
    head.data[1]++; /* the version */
    EXPECT_ERROR(bk_snapshot_head_decode(&decoded, &head, &error), BK_ERROR_UNSUPPORTED);
}

/* And what it may pass over: values of a file, of the head, and whole sections. */
static void
test_newer_and_harmless(RepoFixture *self, const void *data)
{
    static const char later[] = "\x80what it holds is nobody's business";
    static const char stranger[] = "\x05\x00";
    g_autoptr(BkSnapshot) snapshot = make_snapshot();
    g_autoptr(BkSnapshot) loaded = NULL;
    g_auto(BkBuf) ignorable = BK_BUF_INIT;
    g_auto(BkBuf) frame = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_extension_put(&ignorable, 0x7000, "later", 5);
    bk_buf_append(&bk_snapshot_head(snapshot)->extensions, ignorable.data, ignorable.size);
    add_entry(snapshot, "a", BK_FILE_REGULAR, "", &ignorable);
    loaded = reload(self, snapshot, &error);
    g_assert_no_error(error);
    EXPECT_BYTES(bk_snapshot_head(loaded)->extensions.data,
                 bk_snapshot_head(loaded)->extensions.size, ignorable.data, ignorable.size);
    bk_buf_append(&frame, later, sizeof later);
    EXPECT_DONE(bk_snapshot_section_decode(snapshot, &frame, &error));
    frame.size = 0;
    bk_buf_append(&frame, stranger, 2);
    EXPECT_ERROR(bk_snapshot_section_decode(snapshot, &frame, &error), BK_ERROR_UNSUPPORTED);
    bk_buf_clear(&bk_snapshot_head(snapshot)->extensions);
    bk_extension_put(&bk_snapshot_head(snapshot)->extensions, BK_EXTENSION_CRITICAL | 1, "", 0);
    EXPECT_ERROR(reload(self, snapshot, &error) != NULL, BK_ERROR_UNSUPPORTED);
}

/* Values whose tag is known and whose content is not what it says. */
static void
test_malformed_values(RepoFixture *self, const void *data)
{
    static const struct {
        uint16_t tag;
        const char *value;
        size_t size;
    } wrong[] = {
        {BK_FILE_TAG_IDENTITY, "", 0},         {BK_FILE_TAG_IDENTITY, "\1\1\1\1\1\1", 6},
        {BK_FILE_TAG_NODE, "\1\1", 2}, /* of a regular file */
        {BK_FILE_TAG_XATTRS, "\0\0", 2},       {BK_FILE_TAG_XATTRS, "\1a", 2},
        {BK_FILE_TAG_XATTRS, "\1b\0\1a\0", 6}, {BK_FILE_TAG_XATTRS, "\1a\0\1a\0", 6},
        {BK_FILE_TAG_XATTRS, "\2a\0\0", 4},
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_auto(BkBuf) extensions = BK_BUF_INIT;
        BkFile file = {.path = "d", .link = "", .kind = BK_FILE_REGULAR};

        bk_extension_put(&extensions, wrong[i].tag, wrong[i].value, wrong[i].size);
        file.extensions = extensions.data;
        file.extensions_size = (uint32_t)extensions.size;
        assert_refused(self, &file, BK_ERROR_CORRUPT);
    }
}

/* The fuzzer begins with sections of the present encoding: build/tests/write-seeds writes them. */
static void
test_seeds(void)
{
    static const char *const names[] = {"packs", "owners", "files"};
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_new();
    g_auto(BkSnapshotHead) head = {.source = NULL};
    g_auto(BkBuf) seed = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    size_t count;

    EXPECT_DONE(bk_file_read(AT_FDCWD, CORPUS "head", BK_MIB, &seed, &error));
    EXPECT_DONE(bk_snapshot_head_decode(&head, &seed, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strconcat(CORPUS, names[i], NULL);

        EXPECT_DONE(bk_file_read(AT_FDCWD, path, BK_MIB, &seed, &error));
        EXPECT_DONE(bk_snapshot_section_decode(snapshot, &seed, &error));
    }
    (void)bk_snapshot_files(snapshot, &count);
    g_assert_cmpuint(count, ==, 7);
}

static void
test_source_kinds(void)
{
    g_assert_true(bk_snapshot_is_kind("postgres"));
    g_assert_true(bk_snapshot_is_kind("files"));
    g_assert_true(bk_snapshot_is_kind("a"));
    g_assert_false(bk_snapshot_is_kind(""));
    g_assert_false(bk_snapshot_is_kind("Files"));
    g_assert_false(bk_snapshot_is_kind("1st"));
    g_assert_false(bk_snapshot_is_kind("a b"));
    g_assert_false(bk_snapshot_is_kind("a23456789012345678901234567890123"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    REPO_TEST("/file-extension/every-kind", test_every_kind);
    REPO_TEST("/file-extension/wrong-links", test_wrong_links);
    REPO_TEST("/file-extension/newer", test_newer);
    REPO_TEST("/file-extension/newer-and-harmless", test_newer_and_harmless);
    REPO_TEST("/file-extension/malformed-values", test_malformed_values);
    g_test_add_func("/file-extension/seeds", test_seeds);
    g_test_add_func("/file-extension/source-kinds", test_source_kinds);
    return g_test_run();
}
