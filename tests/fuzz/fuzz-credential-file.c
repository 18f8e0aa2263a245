/* fuzz-credential-file.c - the text of a credentials file: a pair of keys, a reason why there is
 * none, or an error. */
#include "store/credentials/credentials-priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const BkBuf text = {(uint8_t *)(uintptr_t)data, size, size};
    g_auto(BkCredentials) found = {0};
    g_autofree char *note = NULL;
    g_autoptr(GError) error = NULL;
    BkPlaceState state = bk_credential_file_parse(&text, "file", "default", &found, &note, &error);

    g_assert((state == BK_PLACE_BROKEN) == (error != NULL));
    g_assert((state == BK_PLACE_EMPTY) == (note != NULL));
    g_assert((state == BK_PLACE_FULL) == (found.access_key != NULL));
    g_assert(error == NULL || bk_error_is(error, BK_ERROR_CONFIG));
    g_assert(state != BK_PLACE_FULL || bk_credentials_find_fault(&found) == NULL);
    return 0;
}
