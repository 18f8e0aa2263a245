/* keyfile.c - the key file that opens a repository. */
#include "repo/keyfile.h"

#include "base/escape.h"
#include "base/fd.h"
#include "codec/digest.h"
#include "store/posix-owner.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PREFIX     "backstay-key-1"
#define CHECK_SIZE 4

void
bk_key_file_clear(BkKeyFile *self)
{
    bk_wipe(self, sizeof *self);
}

static void
format_hex(const uint8_t *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        (void)g_snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static bool
parse_hex(const char *text, uint8_t *bytes, size_t size)
{
    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]);
        int low = g_ascii_xdigit_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static void
compute_check(const BkKeyFile *self, uint8_t check[CHECK_SIZE])
{
    g_autoptr(BkSha256) sha = bk_sha256_new();
    uint8_t digest[BK_SHA256_SIZE];

    bk_sha256_update(sha, self->slot, BK_SLOT_SIZE);
    bk_sha256_update(sha, self->secret.bytes, BK_SECRET_SIZE);
    bk_sha256_get(sha, digest);
    memcpy(check, digest, CHECK_SIZE);
}

bool
bk_key_file_create(const char *path, BkKeyFile *self, GError **error)
{
    char secret[2 * BK_SECRET_SIZE + 1];
    char check_text[2 * CHECK_SIZE + 1];
    char text[512];
    uint8_t slot[BK_SLOT_SIZE / 2];
    uint8_t check[CHECK_SIZE];
    int size;
    bool ok;

    if (!bk_random_fill(slot, sizeof slot, error) ||
        !bk_random_fill(self->secret.bytes, BK_SECRET_SIZE, error))
        return false;
    format_hex(slot, sizeof slot, self->slot);
    compute_check(self, check);
    format_hex(self->secret.bytes, BK_SECRET_SIZE, secret);
    format_hex(check, sizeof check, check_text);
    size =
        g_snprintf(text, sizeof text,
                   "# Key of a Backstay repository. With it and the repository every backup can be "
                   "read;\n# without it none can, by nobody. Keep a copy away from both.\n" PREFIX
                   " %s %s %s\n",
                   self->slot, secret, check_text);
    ok = bk_file_write(AT_FDCWD, path, text, (size_t)size, 0600, BK_FILE_NEW, error);
    bk_wipe(text, sizeof text);
    bk_wipe(secret, sizeof secret);
    return ok;
}

static bool
parse_line(const char *line, BkKeyFile *self)
{
    g_auto(GStrv) words = g_strsplit_set(line, " \t", -1);
    uint8_t slot[BK_SLOT_SIZE / 2];
    uint8_t check[CHECK_SIZE];
    uint8_t expected[CHECK_SIZE];
    bool ok = g_strv_length(words) == 4 && strcmp(words[0], PREFIX) == 0 &&
              parse_hex(words[1], slot, sizeof slot) &&
              parse_hex(words[2], self->secret.bytes, BK_SECRET_SIZE) &&
              parse_hex(words[3], check, sizeof check);

    if (ok) {
        format_hex(slot, sizeof slot, self->slot);
        compute_check(self, expected);
        ok = memcmp(check, expected, sizeof check) == 0;
    }
    for (size_t i = 0; words[i] != NULL; i++)
        bk_wipe(words[i], strlen(words[i]));
    return ok;
}

static bool
parse_text(char *text, const char *path, BkKeyFile *self, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    size_t count = 0;
    bool ok = true;

    for (size_t i = 0; lines[i] != NULL; i++) {
        char *line = g_strstrip(lines[i]);

        if (line[0] != 0 && line[0] != '#') {
            count++;
            ok = ok && parse_line(line, self);
        }
        bk_wipe(lines[i], strlen(lines[i]));
    }
    if (count == 1 && ok)
        return true;
    return bk_throw(error, BK_ERROR_KEY, "key file \"%s\" is malformed: restore it from your copy",
                    path);
}

/* A key that others can read is no secret any more, and one that another user wrote is none of
 * ours: refused, so that it is noticed. Root may use the key of the user for whom it acts. */
static bool
check_private(const struct stat *st, const char *path, GError **error)
{
    g_autofree char *quoted = bk_escape_argument(path);

    if (!S_ISREG(st->st_mode))
        return bk_throw(error, BK_ERROR_KEY, "key file \"%s\" is not a regular file", path);
    if (geteuid() != 0 && st->st_uid != geteuid() && st->st_uid != 0)
        return bk_throw(error, BK_ERROR_KEY,
                        "key file \"%s\" belongs neither to this user nor to root", path);
    if ((st->st_mode & 077) != 0)
        return bk_throw(error, BK_ERROR_KEY, "key file \"%s\" can be read by others: chmod 600 %s",
                        path, quoted);
    return true;
}

/* Everything is asked of the one descriptor that is read: nobody can swap the file in between. It
 * is opened without blocking, so that a pipe does not wait for its writer. */
static bool
read_private(const char *path, BkBuf *content, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &cause);
    struct stat st;

    if (bk_error_is(cause, BK_ERROR_ABSENT))
        return bk_throw(
            error, BK_ERROR_KEY,
            "key file \"%s\" is missing: copy it there, or run \"backstay init\" for a new "
            "repository",
            path);
    if (fd >= 0 && fstat(fd, &st) < 0)
        bk_throw_errno(&cause, "look at \"%s\"", path);
    else if (fd >= 0 && !check_private(&st, path, error))
        return false;
    else if (fd >= 0 && bk_fd_read_all(fd, path, 64 * BK_KIB, content, &cause))
        return true;
    bk_posix_owner_explain(NULL, path, AT_FDCWD, path, &cause);
    return bk_throw(error, BK_ERROR_KEY, "key file: %s", cause->message);
}

bool
bk_key_file_read(const char *path, BkKeyFile *self, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    bool ok =
        read_private(path, &content, error) && parse_text((char *)content.data, path, self, error);

    if (content.data != NULL)
        bk_wipe(content.data, content.capacity);
    return ok;
}
