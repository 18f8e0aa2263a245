/* credentials-priv.h - the places where credentials may be, each in its own way; the clock of
 * tests.
 *
 * A place is asked for the first time to learn whether it has any, and later for newer ones. What
 * it says of itself, in errors and notes, names files, variables and URLs, and never what is in
 * them. Threads: functions have no state; one thread at a time asks the places of one source. */
#pragma once
#include "store/credentials/credentials.h"

/* The most of an answer, and of a file with a token. */
#define BK_CREDENTIAL_LIMIT (64 * BK_KIB)

/* As BkCredentialOptions, owned. */
typedef struct BkCredentialWish {
    char *file;
    char *profile;
    char *region;
    char *ca_file;
    char *proxy;
    bool has_warned; /* of a shared file that others can read */
} BkCredentialWish;

typedef enum {
    BK_PLACE_FULL,   /* `credentials` are set */
    BK_PLACE_EMPTY,  /* `note` is set, a new string: why there are none */
    BK_PLACE_BROKEN, /* `error` is set: there should be some */
} BkPlaceState;

typedef BkPlaceState (*BkPlaceAsk)(BkCredentialWish *wish, BkCredentials *credentials, char **note,
                                   BkOp *op, GError **error);

/* The file that the configuration names, and the shared one. The latter is broken (DENIED) when it
 * lacks a profile that was asked for by name: credentials of another place would be someone else's.
 */
BkPlaceState bk_credential_file_ask(BkCredentialWish *wish, BkCredentials *credentials, char **note,
                                    BkOp *op, GError **error);
BkPlaceState bk_credential_file_ask_shared(BkCredentialWish *wish, BkCredentials *credentials,
                                           char **note, BkOp *op, GError **error);

/* The profile of a file's text, of which `name` is the name in messages. Fails with
 * BK_ERROR_CONFIG. */
BkPlaceState bk_credential_file_parse(const BkBuf *text, const char *name, const char *profile,
                                      BkCredentials *credentials, char **note, GError **error);

/* Web identity, the container's endpoint, and the metadata of an EC2 instance. */
BkPlaceState bk_credential_remote_ask_web(BkCredentialWish *wish, BkCredentials *credentials,
                                          char **note, BkOp *op, GError **error);
BkPlaceState bk_credential_remote_ask_container(BkCredentialWish *wish, BkCredentials *credentials,
                                                char **note, BkOp *op, GError **error);
BkPlaceState bk_credential_remote_ask_instance(BkCredentialWish *wish, BkCredentials *credentials,
                                               char **note, BkOp *op, GError **error);

/* Returns true if the token of a container may be sent to the URL: over TLS, or to this host itself
 * or one of the addresses of container agents? */
bool bk_credential_answer_is_safe_url(const char *url);

/* The answer of a container's endpoint or of the metadata, in JSON; of STS, in XML. Fail with
 * BK_ERROR_STORE; nothing of the body is in the message. */
bool bk_credential_answer_read_json(const BkBuf *body, BkCredentials *credentials,
                                    GError **error) BK_MUST_USE;
bool bk_credential_answer_read_xml(const BkBuf *body, BkCredentials *credentials,
                                   GError **error) BK_MUST_USE;

/* The code of an error in either form, such as "AccessDenied": a new string, or NULL. */
char *bk_credential_answer_find_code(const BkBuf *body);

/* "2026-11-21T09:41:00Z", also with a fraction of the second or an offset in place of the Z. */
bool bk_credential_answer_parse_time(const char *text, int64_t *time_us);

/* The time since 1970; set before the first bk_credentials_get. */
typedef int64_t (*BkCredentialClock)(void *data);
void bk_credential_source_set_clock(BkCredentialSource *self, BkCredentialClock clock, void *data);
