/* credential-set.c - one set of credentials: checks, wiping, and what is wrong with it. */
#include "store/credentials/credential-set.h"

#include "base/secret.h"

#include <string.h>

#define MAX_KEY   512
#define MAX_TOKEN (16 * BK_KIB) /* Amazon names no bound; theirs are below 4 KiB */

void
bk_credentials_wipe_text(char *text)
{
    if (text != NULL)
        bk_wipe(text, strlen(text));
    g_free(text);
}

void
bk_credentials_clear(BkCredentials *self)
{
    bk_credentials_wipe_text(self->access_key);
    bk_credentials_wipe_text(self->secret_key);
    bk_credentials_wipe_text(self->session_token);
    *self = (BkCredentials){0};
}

static bool
is_graphic(const char *text)
{
    for (; *text != 0; text++)
        if (!g_ascii_isgraph(*text))
            return false;
    return true;
}

bool
bk_credentials_is_same(const BkCredentials *one, const BkCredentials *two)
{
    return g_strcmp0(one->access_key, two->access_key) == 0 &&
           g_strcmp0(one->secret_key, two->secret_key) == 0 &&
           g_strcmp0(one->session_token, two->session_token) == 0;
}

const char *
bk_credentials_find_fault(const BkCredentials *self)
{
    if (self->access_key == NULL || self->access_key[0] == 0)
        return "there is no access key";
    if (self->secret_key == NULL || self->secret_key[0] == 0)
        return "there is no secret key";
    if (!is_graphic(self->access_key) || strlen(self->access_key) > MAX_KEY)
        return "the access key is malformed";
    if (!is_graphic(self->secret_key) || strlen(self->secret_key) > MAX_KEY)
        return "the secret key is malformed";
    if (self->session_token != NULL &&
        (!is_graphic(self->session_token) || strlen(self->session_token) > MAX_TOKEN))
        return "the session token is malformed";
    return NULL;
}
