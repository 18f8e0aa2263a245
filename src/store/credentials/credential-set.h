/* credential-set.h - one set of credentials: its parts, whether they can be any, and its end.
 *
 * Threads: functions have no state. */
#pragma once
#include "base/buf.h"

typedef struct BkCredentials {
    char *access_key;
    char *secret_key;
    char *session_token; /* or NULL */
    int64_t expires_us;  /* since 1970; 0: never */
} BkCredentials;
void bk_credentials_clear(BkCredentials *self); /* wipes */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkCredentials, bk_credentials_clear)

/* Returns true if both are the same keys and token, whenever they expire. */
bool bk_credentials_is_same(const BkCredentials *one, const BkCredentials *two);

/* What is wrong with them, a static string, or NULL: both keys are there, and what is sent in
 * headers can be. */
const char *bk_credentials_find_fault(const BkCredentials *self);

/* Wipes and frees; NULL is fine. */
void bk_credentials_wipe_text(char *text);
