/* fuzz-kept.c - what a host has kept to open a source: a whole record or an error, of bounded size,
 * and what is decoded encodes to the same again. */
#include "repo/kept.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(BkKept) kept = {0};
    g_auto(BkKept) again = {0};
    g_auto(BkBuf) encoded = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_kept_init(&kept);
    if (!bk_kept_decode(data, size, &kept, &error)) {
        g_assert(error != NULL);
        return 0;
    }
    g_assert(kept.keys->len > 0 && kept.keys->len <= BK_KEPT_KEYS_MAX);
    bk_kept_encode(&kept, &encoded);
    bk_kept_init(&again);
    g_assert(bk_kept_decode(encoded.data, encoded.size, &again, NULL));
    g_assert(again.made_us == kept.made_us && again.has_no_versions == kept.has_no_versions &&
             again.keys->len == kept.keys->len && strcmp(again.slot, kept.slot) == 0);
    return 0;
}
