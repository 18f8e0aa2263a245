/* s3-xml.h - reads the XML of S3's answers.
 *
 * Source: the API reference of Amazon S3 (ListObjectsV2, ListObjectVersions, CreateMultipartUpload,
 * CompleteMultipartUpload, DeleteObjects, GetBucketVersioning, error responses). Elements that are
 * not known are skipped; an answer that is no XML, is cut off, nests deeper than 16 or lacks what
 * must be there fails with BK_ERROR_STORE. Threads: functions have no state. */
#pragma once
#include "base/buf.h"

/* <Error>: of an answer with another status than 2xx, or of one with 200, too. The texts are one
 * short line each, whatever the server answers. */
typedef struct BkS3Fault {
    char *code;    /* "NoSuchKey"; "" when there is none */
    char *message; /* or "" */
    char *region;  /* where the bucket is, when the answer says so, or NULL */
} BkS3Fault;
void bk_s3_fault_clear(BkS3Fault *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkS3Fault, bk_s3_fault_clear)

/* Returns true if the body is an <Error>. Never fails: what is not XML is none. */
bool bk_s3_xml_is_fault(const BkBuf *body, BkS3Fault *fault);

typedef struct BkS3Entry {
    char *key;
    char *version;  /* of ListObjectVersions; of an upload its id; else NULL */
    bool is_marker; /* a delete marker */
    uint64_t size;
    int64_t modified_us;
} BkS3Entry;
void bk_s3_entry_free(void *data); /* of a BkS3Entry */

/* A page of any kind of listing: of objects, their versions, or uploads in parts, in the order of
 * the answer (keys ascending in bytes; of versions of one key the newest first). */
typedef struct BkS3Page {
    GPtrArray *entries;  /* of BkS3Entry */
    GPtrArray *prefixes; /* of char *: CommonPrefixes, when a delimiter was asked for */
    bool is_truncated;
    char *next_token;      /* of ListObjectsV2, or NULL */
    char *next_key_marker; /* of the other two, or NULL */
    char *next_version_marker;
} BkS3Page;
void bk_s3_page_clear(BkS3Page *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkS3Page, bk_s3_page_clear)

/* Decodes a listing asked for with encoding-type=url, which must tell whether it goes on: keys are
 * percent-decoded when the answer says <EncodingType>url</EncodingType>. */
bool bk_s3_xml_page(const BkBuf *body, BkS3Page *page, GError **error) BK_MUST_USE;

/* The text of the first element at `path` below the root, such as "UploadId" or
 * "AssumeRoleWithWebIdentityResult/Credentials/AccessKeyId": a new string, or NULL when the
 * document has none. Fails on what is no XML. */
bool bk_s3_xml_text(const BkBuf *body, const char *path, char **text, GError **error) BK_MUST_USE;

/* Of an answer to DeleteObjects: the errors in it, as "KEY: CODE" (new strings, at most 1000). */
bool bk_s3_xml_delete_errors(const BkBuf *body, GPtrArray *errors, GError **error) BK_MUST_USE;

/* The bodies of requests: each appends to `out`. Texts are escaped. */
typedef struct BkS3Name {
    const char *key;
    const char *version; /* or NULL */
} BkS3Name;
void bk_s3_xml_put_delete(BkBuf *out, const BkS3Name *names, size_t count);
void bk_s3_xml_put_parts(BkBuf *out, const char *const *etags, size_t count); /* parts 1, 2, … */
void bk_s3_xml_put_retention(BkBuf *out, const char *mode, const char *until);
