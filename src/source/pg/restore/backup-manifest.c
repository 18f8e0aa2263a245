/* backup-manifest.c - writes PostgreSQL's backup_manifest, which pg_verifybackup reads. */
#include "source/pg/restore/backup-manifest.h"

#include "base/fd.h"
#include "codec/digest.h"
#include "source/pg/cluster/data-dir-priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME                   "backup_manifest"
#define BUFFER_SIZE            (64 * BK_KIB)
#define MAJOR_WITH_SYSTEM_ID   17
#define MAJOR_OF_FIRST_VERSION 13

struct BkBackupManifest {
    int data_dir;
    char *temp; /* name of the temporary file; NULL once it is gone */
    BkFd fd;
    GString *text; /* not yet written */
    BkSha256 *digest;
    bool has_files;
};

/* Writes what is buffered; all of it counts for the checksum. */
static bool
flush_manifest(BkBackupManifest *self, GError **error)
{
    bk_sha256_update(self->digest, self->text->str, self->text->len);
    if (!bk_fd_write(self->fd, self->text->str, self->text->len, error))
        return bk_prefix(error, "\"" NAME "\"");
    g_string_truncate(self->text, 0);
    return true;
}

BkBackupManifest *
bk_backup_manifest_begin(int data_dir, unsigned major, uint64_t system_id, GError **error)
{
    g_autoptr(BkBackupManifest) self = g_new0(BkBackupManifest, 1);
    mode_t mode;

    g_assert(major >= MAJOR_OF_FIRST_VERSION);
    self->data_dir = data_dir;
    self->fd = -1;
    self->text = g_string_sized_new(BUFFER_SIZE);
    self->digest = bk_sha256_new();
    if (!bk_data_dir_file_mode(data_dir, &mode, error))
        return NULL;
    self->temp = g_strdup_printf(NAME ".tmp-%ld", (long)getpid());
    (void)unlinkat(data_dir, self->temp, 0);
    self->fd = bk_fd_open(data_dir, self->temp, O_WRONLY | O_CREAT | O_EXCL, mode, error);
    if (self->fd < 0)
        return NULL;
    if (fchmod(self->fd, mode) < 0) {
        bk_throw_errno(error, "set the mode of \"" NAME "\"");
        return NULL;
    }
    if (major >= MAJOR_WITH_SYSTEM_ID)
        g_string_append_printf(self->text,
                               "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
                               "\"System-Identifier\": %" G_GUINT64_FORMAT ",\n",
                               system_id);
    else
        g_string_append(self->text, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n");
    g_string_append(self->text, "\"Files\": [");
    return g_steal_pointer(&self);
}

void
bk_backup_manifest_free(BkBackupManifest *self)
{
    if (self == NULL)
        return;
    bk_fd_clear(&self->fd);
    if (self->temp != NULL)
        (void)unlinkat(self->data_dir, self->temp, 0);
    g_free(self->temp);
    g_string_free(self->text, TRUE);
    bk_sha256_free(self->digest);
    g_free(self);
}

static void
append_hex(GString *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        g_string_append_printf(text, "%02x", (unsigned char)bytes[i]);
}

static void
append_json_string(GString *text, const char *value)
{
    g_string_append_c(text, '"');
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) {
            g_string_append_printf(text, "\\u%04x", (unsigned)(unsigned char)*c);
            continue;
        }
        if (*c == '"' || *c == '\\')
            g_string_append_c(text, '\\');
        g_string_append_c(text, *c);
    }
    g_string_append_c(text, '"');
}

static void
append_path(GString *text, const char *path)
{
    if (g_utf8_validate(path, -1, NULL)) {
        g_string_append(text, "\"Path\": ");
        append_json_string(text, path);
        return;
    }
    g_string_append(text, "\"Encoded-Path\": \"");
    append_hex(text, path, strlen(path));
    g_string_append_c(text, '"');
}

/* "2026-11-21 10:15:00 GMT" */
static void
append_manifest_time(GString *text, int64_t time_sec)
{
    time_t seconds = (time_t)time_sec;
    char shown[40] = "1970-01-01 00:00:00";
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &tm);
    g_string_append_printf(text, "\"%s GMT\"", shown);
}

bool
bk_backup_manifest_add(BkBackupManifest *self, const BkBackupManifestFile *file, GError **error)
{
    GString *text = self->text;

    g_string_append(text, self->has_files ? ",\n{ " : "\n{ ");
    self->has_files = true;
    append_path(text, file->path);
    g_string_append_printf(text,
                           ", \"Size\": %" G_GUINT64_FORMAT ", \"Last-Modified\": ", file->size);
    append_manifest_time(text, file->mtime_sec);
    if (file->has_crc32c) {
        /* The server prints the bytes of the number as they lie in memory. */
        uint32_t bytes = GUINT32_TO_LE(file->crc32c);
        char raw[sizeof bytes];

        memcpy(raw, &bytes, sizeof raw);
        g_string_append(text, ", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"");
        append_hex(text, raw, sizeof raw);
        g_string_append_c(text, '"');
    }
    g_string_append(text, " }");
    return text->len < BUFFER_SIZE || flush_manifest(self, error);
}

static void
append_ranges(GString *text, const BkBackupManifestRange *ranges, size_t count)
{
    char start[BK_LSN_TEXT_SIZE];
    char end[BK_LSN_TEXT_SIZE];

    g_string_append(text, "\n],\n\"WAL-Ranges\": [");
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(
            text, "%s{ \"Timeline\": %u, \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }",
            i == 0 ? "\n" : ",\n", ranges[i].timeline, bk_lsn_format(ranges[i].start_lsn, start),
            bk_lsn_format(ranges[i].end_lsn, end));
    g_string_append(text, "\n],\n");
}

bool
bk_backup_manifest_commit(BkBackupManifest *self, const BkBackupManifestRange *ranges, size_t count,
                          GError **error)
{
    uint8_t digest[BK_SHA256_SIZE];
    char hex[2 * BK_SHA256_SIZE + 1];

    append_ranges(self->text, ranges, count);
    if (!flush_manifest(self, error))
        return false;
    bk_sha256_get(self->digest, digest);
    bk_sha256_format(digest, hex);
    g_string_append_printf(self->text, "\"Manifest-Checksum\": \"%s\"}\n", hex);
    if (!flush_manifest(self, error))
        return false;
    if (!bk_data_dir_own(self->data_dir, self->fd, error) || !bk_fd_sync(self->fd, error))
        return bk_prefix(error, "\"" NAME "\"");
    if (renameat(self->data_dir, self->temp, self->data_dir, NAME) < 0)
        return bk_throw_errno(error, "create \"" NAME "\"");
    g_clear_pointer(&self->temp, g_free);
    return bk_file_sync_parent(self->data_dir, NAME, error);
}
