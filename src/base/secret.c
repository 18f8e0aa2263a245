#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void
bk_wipe(void *data, size_t size)
{
    explicit_bzero(data, size);
}

void
bk_secret_clear(BkSecret *self)
{
    bk_wipe(self, sizeof *self);
}

bool
bk_random_fill(void *data, size_t size, GError **error)
{
    uint8_t *next = data;

    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return bk_throw_errno(error, "read random bytes");
        next += got;
        size -= (size_t)got;
    }
    return true;
}
