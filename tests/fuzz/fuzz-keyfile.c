/* fuzz-keyfile.c - the text of a key file: a key or an error that shows nothing of it. */
#include "repo/keyfile.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("key", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_auto(BkKeyFile) key = {{0}, {{0}}};
    g_autoptr(GError) error = NULL;
    bool ok;

    g_assert(fd >= 0 && fchmod(fd, 0600) == 0);
    g_assert(write(fd, data, size) == (ssize_t)size);
    ok = bk_key_file_read(path, &key, &error);
    g_assert(ok == (error == NULL));
    g_assert(ok || bk_error_is(error, BK_ERROR_KEY));
    g_assert(!ok || strlen(key.slot) == BK_SLOT_SIZE);
    g_assert(close(fd) == 0);
    return 0;
}
