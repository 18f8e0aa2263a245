/* fuzz-credential-json.c - the answers of endpoints, as JSON and as the XML of STS: credentials
 * that can be sent, or an error. */
#include "store/credentials/credentials-priv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool ok, BkCredentials *found, GError *error)
{
    g_assert(ok == (error == NULL));
    g_assert(ok || bk_error_is(error, BK_ERROR_STORE));
    g_assert(ok == (found->access_key != NULL));
    g_assert(!ok || bk_credentials_find_fault(found) == NULL);
    bk_credentials_clear(found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const BkBuf body = {(uint8_t *)(uintptr_t)data, size, size};
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) json_error = NULL;
    g_autoptr(GError) xml_error = NULL;
    g_autofree char *code = bk_credential_answer_find_code(&body);
    bool ok = bk_credential_answer_read_json(&body, &found, &json_error);

    check(ok, &found, json_error);
    ok = bk_credential_answer_read_xml(&body, &found, &xml_error);
    check(ok, &found, xml_error);
    g_assert(code == NULL || (strlen(code) > 0 && strlen(code) <= 64));
    return 0;
}
