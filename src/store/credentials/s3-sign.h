/* s3-sign.h - AWS Signature Version 4, by headers.
 *
 * Source: "Signature Version 4 signing process" and "Authenticating Requests: Using the
 * Authorization Header" of Amazon's documentation of S3. Pure calculation: the time comes in, and
 * what is signed is exactly what is to be sent. Threads: functions have no state. */
#pragma once
#include "base/buf.h"
#include "codec/digest.h"

typedef struct BkS3Credentials {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* or NULL */
} BkS3Credentials;

typedef struct BkS3Parameter {
    const char *name;  /* not encoded */
    const char *value; /* likewise; "" for none: it is sent as "name=" */
} BkS3Parameter;

typedef struct BkS3Request {
    const char *method;
    const char *host;                /* as in the Host header: with the port unless the default */
    const char *path;                /* "/bucket/name", not encoded; starts with a slash */
    const BkS3Parameter *parameters; /* of the query, in any order; may be NULL */
    size_t parameter_count;
    const BkS3Parameter *headers; /* names in lower case; host, x-amz-date, x-amz-content-sha256
                                     and x-amz-security-token are added */
    size_t header_count;
    const uint8_t *payload_sha256; /* NULL: that of an empty body */
    const char *region;
    const char *service; /* "s3" or "sts" */
    int64_t time_us;     /* since 1970 */
} BkS3Request;

/* "/bucket/name?a=b": path and query as they are to be sent, encoded (RFC 3986, upper-case hex; the
 * slashes of the path stay) and sorted: a new string. */
char *bk_s3_encode_target(const BkS3Request *request);

/* All headers to send, "name: value" each, Authorization among them: a new NULL-terminated array.
 * `credentials` NULL: without a signature (an anonymous request). */
char **bk_s3_sign(const BkS3Request *request, const BkS3Credentials *credentials);

/* "20130524T000000Z" of a time. */
void bk_s3_format_time(int64_t time_us, char text[17]);
