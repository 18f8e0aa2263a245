/* credentials.h - finds the credentials of a bucket, and renews them before they expire.
 *
 * In the order people know from other tools: a file that the configuration names, the environment
 * (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), the shared credentials file and
 * its profile (AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials; AWS_PROFILE), web identity
 * (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN: AssumeRoleWithWebIdentity of STS), a container's
 * endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with
 * AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE), and the metadata of an EC2 instance (version
 * 2; AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT). The first that has any is used
 * for good. A place that is set up but broken, or a shared file without the profile that was asked
 * for by name, is an error: those after it may hold someone else's. Secrets are wiped when they are
 * replaced and appear in no message.
 * Threads: any number of threads may use one BkCredentials at once; one of them refreshes. */
#pragma once
#include "base/op.h"
#include "store/credentials/credential-set.h"
#include "store/credentials/s3-sign.h"

typedef struct BkCredentialSource BkCredentialSource;

typedef struct BkCredentialOptions {
    const char *file;    /* in the form of the shared credentials file, or NULL; with it no other
                            place is looked at. It must be readable by its owner only. */
    const char *profile; /* in either file; NULL: AWS_PROFILE or "default" */
    const char *region;  /* of the bucket: for STS */
    const char *ca_file; /* for STS, or NULL */
    const char *proxy;   /* for STS, or NULL */
} BkCredentialOptions;

/* Strings are copied; nothing is read yet. */
BkCredentialSource *bk_credential_source_new(const BkCredentialOptions *options);
void bk_credential_source_free(BkCredentialSource *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkCredentialSource, bk_credential_source_free)

/* Finds or refreshes credentials, of which the caller gets a set of its own: five minutes before
 * they expire, and when that fails the old ones are used to their end. `credentials` must be {0} or
 * a former set, which is cleared. Fails with BK_ERROR_DENIED (there are none; the message says
 * where they were looked for), BK_ERROR_CONFIG (a file is unsafe or wrong), BK_ERROR_STORE (an
 * endpoint failed). */
bool bk_credentials_get(BkCredentialSource *self, BkCredentials *credentials, BkOp *op,
                        GError **error) BK_MUST_USE;

/* The server said that these have expired: the next call of bk_credentials_get gets others, or
 * fails with BK_ERROR_DENIED while there are no others. Nothing happens when they are not the ones
 * in use any more. */
void bk_credentials_expire(BkCredentialSource *self, const BkCredentials *credentials);
