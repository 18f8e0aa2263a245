/* keyfile.h - the key file that opens a repository.
 *
 * A text file, mode 0600, of one line that counts:
 *   backstay-key-1 SLOT SECRET CHECK
 * (16, 64 and 8 hex digits: name of the key slot, secret, first bytes of the SHA-256 of both).
 * Threads: safe. */
#pragma once
#include "base/secret.h"

#define BK_SLOT_SIZE 16 /* hex digits */

typedef struct BkKeyFile {
    char slot[BK_SLOT_SIZE + 1];
    BkSecret secret;
} BkKeyFile;

void bk_key_file_clear(BkKeyFile *self); /* wipes */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkKeyFile, bk_key_file_clear)

/* Makes a new slot and secret and writes them to `path`, durably; a file that exists is kept and
 * fails with BK_ERROR_EXISTS. */
bool bk_key_file_create(const char *path, BkKeyFile *self, GError **error) BK_MUST_USE;

/* Reads a key file. Fails with BK_ERROR_KEY when it is missing, can be read by others than its
 * owner, or is malformed; the secret is in no message. */
bool bk_key_file_read(const char *path, BkKeyFile *self, GError **error) BK_MUST_USE;
