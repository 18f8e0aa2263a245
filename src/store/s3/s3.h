/* s3.h - the store driver for a bucket of S3 or of a compatible server.
 *
 * The promises of store.h, and what they rest on:
 *   Whole    an object appears by one PUT or by CompleteMultipartUpload, whose payload hash is
 *            signed; an answer 200 that contains an error is an error.
 *   Durable  S3 answers when it has stored the object.
 *   First    "If-None-Match: *"; in a bucket with versions, of which some stores ignore the
 *            condition, the versions of the name are listed after the put, and who is not the first
 *            takes its own back. In such a bucket an object is the first of its versions, whatever
 *            versions or delete markers came to lie on it.
 *   Listed   S3 is consistent.
 * Requests that time out, break, or are answered with 5xx or SlowDown are tried again with growing,
 * random pauses; a put whose answer was lost is recognised by the random number in its metadata.
 * Threads: as store.h; opening is safe at any time. */
#pragma once
#include "store/credentials/credentials.h"
#include "store/store.h"

/* What an object is, for storage classes and locks. */
typedef enum {
    BK_OBJECT_PACK,
    BK_OBJECT_WAL,
    BK_OBJECT_MANIFEST,
    BK_OBJECT_KEY,       /* small, and kept as long as the repository */
    BK_OBJECT_TRANSIENT, /* leases: deleted soon, never locked */
    BK_OBJECT_KINDS
} BkObjectKind;

typedef enum { BK_S3_ADDRESS_VIRTUAL, BK_S3_ADDRESS_PATH } BkS3Address;
typedef enum { BK_S3_SSE_NONE, BK_S3_SSE_AES256, BK_S3_SSE_KMS, BK_S3_SSE_CUSTOMER } BkS3Sse;
typedef enum { BK_S3_LOCK_NONE, BK_S3_LOCK_GOVERNANCE, BK_S3_LOCK_COMPLIANCE } BkS3Lock;

typedef struct BkS3Options {
    const char *bucket;
    const char *prefix;   /* "" or "a/b": before every name, with a slash between */
    const char *region;   /* "us-east-1" */
    const char *endpoint; /* "https://host:port"; NULL: Amazon's of the region */
    BkS3Address address;
    const char *storage_class[BK_OBJECT_KINDS]; /* NULL: the bucket's default */
    BkObjectKind (*kind_of)(const char *name);
    BkS3Sse sse;
    const char *kms_key;           /* of BK_S3_SSE_KMS, or NULL: the bucket's */
    const char *customer_key_file; /* of BK_S3_SSE_CUSTOMER: 32 bytes in base64, readable by its
                                      owner only */
    const char *tags;              /* "a=b&c=d", encoded as in a URL, or NULL */
    bool requester_pays;
    BkS3Lock lock;
    int64_t lock_us;     /* how long objects are to be locked, at least */
    bool sends_checksum; /* x-amz-checksum-sha256 */
    /* The store knows no If-None-Match: each put asks first whether the name is free, which does
     * for one writer at a time only. */
    bool is_unconditional;
    int64_t retry_us;    /* how long a call goes on trying; 0: 60 s */
    const char *ca_file; /* these as in http.h */
    const char *proxy;
    int64_t connect_timeout_us;
    int64_t idle_timeout_us;
    uint64_t max_send_rate;
    uint64_t max_receive_rate;
    unsigned connections;
    const char *credentials_file; /* these as in credentials.h */
    const char *profile;
} BkS3Options;

/* Strings are copied. Makes no request yet: a bucket that is not there shows with the first call,
 * as BK_ERROR_STORE. */
BkStore *bk_store_s3_open(const BkS3Options *options, GError **error) BK_MUST_USE;
