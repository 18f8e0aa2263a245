/* test-backup-manifest.c - the manifest, byte for byte as pg_verifybackup wants it. */
#include "base/fd.h"
#include "codec/digest.h"
#include "source/pg/restore/backup-manifest.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The content; its last line must bear the SHA-256 of all before that line. */
static char *
get_checked(TempDir *self)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    uint8_t digest[BK_SHA256_SIZE];
    char hex[2 * BK_SHA256_SIZE + 1];
    g_autofree char *line = NULL;
    const char *last;

    g_assert_true(bk_file_read(self->dir, "backup_manifest", 64 * BK_MIB, &content, NULL));
    last = strstr((const char *)content.data, "\"Manifest-Checksum\"");
    g_assert_nonnull(last);
    bk_sha256(content.data, (size_t)(last - (const char *)content.data), digest);
    bk_sha256_format(digest, hex);
    line = g_strdup_printf("\"Manifest-Checksum\": \"%s\"}\n", hex);
    g_assert_cmpstr(last, ==, line);
    return g_strndup((const char *)content.data, (gsize)(last - (const char *)content.data));
}

static void
add(BkBackupManifest *manifest, const BkBackupManifestFile *file)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(bk_backup_manifest_add(manifest, file, &error));
    g_assert_no_error(error);
}

static BkBackupManifest *
begin(TempDir *self, unsigned major)
{
    g_autoptr(GError) error = NULL;
    BkBackupManifest *manifest =
        bk_backup_manifest_begin(self->dir, major, G_GUINT64_CONSTANT(7500000000000000001), &error);

    g_assert_no_error(error);
    return manifest;
}

static void
test_first_version(TempDir *self, const void *data)
{
    g_autoptr(BkBackupManifest) manifest = begin(self, 16);
    g_autofree char *text = NULL;

    (void)data;
    add(manifest, &(BkBackupManifestFile){.path = "backup_label",
                                          .size = 227,
                                          .mtime_sec = INT64_C(1795256100),
                                          .has_crc32c = true,
                                          .crc32c = 0x04030201});
    add(manifest, &(BkBackupManifestFile){.path = "pg_tblspc/16384/a\"b\\c\n"});
    add(manifest, &(BkBackupManifestFile){.path = "\xff/x", .size = G_MAXUINT64, .mtime_sec = -1});
    g_assert_true(bk_backup_manifest_commit(manifest, NULL, 0, NULL));
    text = get_checked(self);
    g_assert_cmpstr(text, ==,
                    "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
                    "\"Files\": [\n"
                    "{ \"Path\": \"backup_label\", \"Size\": 227, \"Last-Modified\": "
                    "\"2026-11-21 10:15:00 GMT\", \"Checksum-Algorithm\": \"CRC32C\", "
                    "\"Checksum\": \"01020304\" },\n"
                    "{ \"Path\": \"pg_tblspc/16384/a\\\"b\\\\c\\u000a\", \"Size\": 0, "
                    "\"Last-Modified\": \"1970-01-01 00:00:00 GMT\" },\n"
                    "{ \"Encoded-Path\": \"ff2f78\", \"Size\": 18446744073709551615, "
                    "\"Last-Modified\": \"1969-12-31 23:59:59 GMT\" }\n"
                    "],\n"
                    "\"WAL-Ranges\": [\n"
                    "],\n");
}

static void
test_second_version(TempDir *self, const void *data)
{
    static const BkBackupManifestRange ranges[] = {{1, 0x2000028, 0x3000000},
                                                   {2, 0x3000000, 0x3000100}};
    g_autoptr(BkBackupManifest) manifest = begin(self, 17);
    g_autofree char *text = NULL;

    (void)data;
    g_assert_true(bk_backup_manifest_commit(manifest, ranges, G_N_ELEMENTS(ranges), NULL));
    text = get_checked(self);
    g_assert_cmpstr(
        text, ==,
        "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
        "\"System-Identifier\": 7500000000000000001,\n"
        "\"Files\": [\n"
        "],\n"
        "\"WAL-Ranges\": [\n"
        "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/3000000\" },\n"
        "{ \"Timeline\": 2, \"Start-LSN\": \"0/3000000\", \"End-LSN\": \"0/3000100\" }\n"
        "],\n");
}

/* More rows than the buffer holds. */
static void
test_many_rows(TempDir *self, const void *data)
{
    const unsigned count = 20000;
    g_autoptr(BkBackupManifest) manifest = begin(self, 15);
    g_autofree char *text = NULL;
    unsigned found = 0;

    (void)data;
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("base/1/%u", i);

        add(manifest, &(BkBackupManifestFile){.path = path, .has_crc32c = true, .crc32c = i});
    }
    g_assert_true(bk_backup_manifest_commit(manifest, NULL, 0, NULL));
    text = get_checked(self);
    for (const char *next = text; (next = strstr(next, "\"Path\"")) != NULL; next++)
        found++;
    g_assert_cmpuint(found, ==, count);
}

/* The file appears when it is committed, and one that was there stays until then. */
static void
test_whole_or_not_at_all(TempDir *self, const void *data)
{
    BkBackupManifest *manifest;
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GDir) dir = NULL;

    (void)data;
    g_assert_true(
        bk_file_write(self->dir, "backup_manifest", "old", 3, 0600, BK_FILE_REPLACE, NULL));
    manifest = begin(self, 15);
    add(manifest, &(BkBackupManifestFile){.path = "x"});
    bk_backup_manifest_free(manifest);
    g_assert_true(bk_file_read(self->dir, "backup_manifest", 100, &content, NULL));
    g_assert_cmpstr((const char *)content.data, ==, "old");
    dir = g_dir_open(self->root, 0, NULL);
    g_assert_cmpstr(g_dir_read_name(dir), ==, "backup_manifest");
    g_assert_null(g_dir_read_name(dir));
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(TempDir *, const void *);
    } tests[] = {
        {"/backup-manifest/first-version", test_first_version},
        {"/backup-manifest/second-version", test_second_version},
        {"/backup-manifest/many-rows", test_many_rows},
        {"/backup-manifest/whole-or-not-at-all", test_whole_or_not_at_all},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        TEMP_DIR_TEST(tests[i].name, tests[i].test);
    return g_test_run();
}
