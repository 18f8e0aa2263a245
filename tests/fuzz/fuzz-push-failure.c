/* fuzz-push-failure.c - notes of failed archiving: anybody may have put anything there, and what is
 * accepted goes onto terminals. */
#include "source/pg/archive/push-failure.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(BkPushFailure) failure = {0};

    if (bk_push_failure_decode(data, size, &failure)) {
        g_assert(strlen(failure.wal) + strlen(failure.source) + strlen(failure.message) + 3 ==
                 size);
        g_assert(g_utf8_validate(failure.message, -1, NULL));
        g_assert(strpbrk(failure.message, "\n\r\033\177") == NULL);
        g_assert(strpbrk(failure.source, "\n\r\033\177") == NULL);
    } else {
        g_assert(failure.wal == NULL && failure.message == NULL);
    }
    return 0;
}
