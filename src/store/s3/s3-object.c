/* s3-object.c - what every new object of the bucket is put with: its headers and its lock. */
#include "store/s3/s3-priv.h"

int64_t
bk_s3_lock_until_us(const S3Store *self)
{
    /* A quarter more than is asked for, so that locks need not be extended at each snapshot. */
    return self->now_us() + self->options.lock_us + self->options.lock_us / 4;
}

bool
bk_s3_is_locked_kind(const S3Store *self, const char *name)
{
    return self->options.lock != BK_S3_LOCK_NONE &&
           self->options.kind_of(name) != BK_OBJECT_TRANSIENT;
}

static void
add_encryption(const S3Store *self, S3Fields *headers)
{
    static const char header[] = "x-amz-server-side-encryption";

    if (self->options.sse == BK_S3_SSE_AES256)
        bk_s3_fields_add(headers, header, "AES256");
    if (self->options.sse == BK_S3_SSE_KMS) {
        bk_s3_fields_add(headers, header, "aws:kms");
        if (self->options.kms_key != NULL)
            bk_s3_fields_add(headers, "x-amz-server-side-encryption-aws-kms-key-id",
                             self->options.kms_key);
    }
}

void
bk_s3_add_object_headers(const S3Store *self, const char *name, const char *id, S3Fields *headers)
{
    const char *storage_class = self->options.storage_class[self->options.kind_of(name)];

    bk_s3_fields_add(headers, BK_S3_PUT_HEADER, id);
    bk_s3_add_access_headers(self, headers);
    add_encryption(self, headers);
    if (storage_class != NULL)
        bk_s3_fields_add(headers, "x-amz-storage-class", storage_class);
    if (self->options.tags != NULL)
        bk_s3_fields_add(headers, "x-amz-tagging", self->options.tags);
    if (bk_s3_is_locked_kind(self, name)) {
        char until[21];

        bk_s3_format_date(bk_s3_lock_until_us(self), until);
        bk_s3_fields_add(headers, "x-amz-object-lock-mode",
                         self->options.lock == BK_S3_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE");
        bk_s3_fields_add(headers, "x-amz-object-lock-retain-until-date", until);
    }
}
