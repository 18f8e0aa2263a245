/* s3-multipart.c - puts a large object in parts. */
#include "base/log.h"
#include "store/s3/s3-priv.h"

#include <string.h>

#define ABORT_TIMEOUT_US (10 * BK_USEC_PER_SEC)

/* An upload in parts. */
typedef struct Upload {
    S3Store *store;
    const char *name;
    char *id;
    GPtrArray *etags; /* of char * */
} Upload;

static void
upload_clear(Upload *self)
{
    g_free(self->id);
    g_clear_pointer(&self->etags, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Upload, upload_clear)

static bool
begin_upload(Upload *self, const char *id, BkOp *op, GError **error)
{
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_POST,
        .method = "POST",
        .what = "begin an upload",
        .name = self->name,
        .fields = &fields,
        .headers = &headers,
        .limit = BK_S3_ANSWER_MAX,
        .may_hold_fault = true,
    };

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_fields_add(&fields, "uploads", "");
    bk_s3_add_object_headers(self->store, self->name, id, &headers);
    if (!bk_s3_call(self->store, &call, &answer, NULL, op, error) ||
        !bk_s3_xml_text(&answer.body, "UploadId", &self->id, error))
        return false;
    return self->id != NULL || bk_throw(error, BK_ERROR_STORE, "the server returned no upload id");
}

static bool
put_part(Upload *self, const BkBuf *data, size_t offset, BkOp *op, GError **error)
{
    g_autofree char *number = g_strdup_printf("%u", self->etags->len + 1);
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    const S3Call call = {
        .kind = BK_REQUEST_PUT,
        .method = "PUT",
        .what = "put a part of an object",
        .name = self->name,
        .fields = &fields,
        .headers = &headers,
        .body = data->data + offset,
        .body_size = MIN(BK_S3_PART_SIZE, data->size - offset),
        .limit = BK_S3_ANSWER_MAX,
    };
    const char *etag;

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_fields_add(&fields, "partNumber", number);
    bk_s3_fields_add(&fields, "uploadId", self->id);
    bk_s3_add_access_headers(self->store, &headers);
    if (!bk_s3_call(self->store, &call, &answer, NULL, op, error))
        return false;
    etag = bk_http_answer_get(&answer, "etag");
    if (etag == NULL)
        return bk_throw(error, BK_ERROR_STORE, "the server returned no ETag for a part");
    g_ptr_array_add(self->etags, g_strdup(etag));
    return true;
}

static bool
complete_upload(Upload *self, BkHttpAnswer *answer, bool *is_uncertain, BkOp *op, GError **error)
{
    /* 404: an attempt whose answer was lost has completed it, which the caller finds out. */
    static const unsigned accepted[] = {404, 412, 501, 0};
    g_auto(BkBuf) body = BK_BUF_INIT;
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    S3Call call = {
        .kind = BK_REQUEST_POST,
        .method = "POST",
        .what = "complete an upload",
        .name = self->name,
        .fields = &fields,
        .headers = &headers,
        .limit = BK_S3_ANSWER_MAX,
        .accepted = accepted,
        .may_hold_fault = true,
    };
    g_autofree char *key = NULL;

    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_fields_add(&fields, "uploadId", self->id);
    if (!atomic_load(&self->store->is_bare))
        bk_s3_fields_add(&headers, "if-none-match", "*");
    bk_s3_add_access_headers(self->store, &headers);
    bk_s3_xml_put_parts(&body, (const char *const *)self->etags->pdata, self->etags->len);
    call.body = body.data;
    call.body_size = body.size;
    if (!bk_s3_call(self->store, &call, answer, is_uncertain, op, error))
        return false;
    /* What is cut off may have been an error. */
    if (answer->status == 200 && !bk_s3_xml_text(&answer->body, "Key", &key, error))
        return bk_prefix(error, "complete an upload");
    if (answer->status == 404 && !*is_uncertain)
        return bk_throw(error, BK_ERROR_STORE, "the server no longer knows the upload");
    if (answer->status == 404)
        answer->status = 412; /* it is there, and perhaps it is ours */
    return true;
}

bool
bk_s3_abort_upload(BkStore *store, const char *name, const char *id, BkOp *op, GError **error)
{
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    static const unsigned accepted[] = {404, 0}; /* it was completed after all, or is gone */
    const S3Call call = {
        .kind = BK_REQUEST_DELETE,
        .method = "DELETE",
        .what = "abort an upload",
        .name = name,
        .fields = &fields,
        .limit = BK_S3_ANSWER_MAX,
        .accepted = accepted,
    };

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_add(&fields, "uploadId", id);
    return bk_s3_call((S3Store *)store, &call, &answer, NULL, op, error);
}

/* Parts that stay behind would be paid for. Also after the operation was cancelled. */
static void
give_up_upload(const Upload *self)
{
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GError) error = NULL;

    bk_op_set_deadline(op, g_get_monotonic_time() + ABORT_TIMEOUT_US);
    if (!bk_s3_abort_upload(&self->store->base, self->name, self->id, op, &error))
        bk_log(BK_LOG_INFO,
               "parts of \"%s\" remain in %s until the next backup or a lifecycle rule removes "
               "them: %s",
               self->name, self->store->base.description, error->message);
}

static bool
put_parts(Upload *self, const BkBuf *data, BkHttpAnswer *answer, bool *is_uncertain, BkOp *op,
          GError **error)
{
    for (size_t offset = 0; offset < data->size; offset += BK_S3_PART_SIZE)
        if (!put_part(self, data, offset, op, error))
            return false;
    return complete_upload(self, answer, is_uncertain, op, error);
}

bool
bk_s3_put_parts(S3Store *self, const char *name, const BkBuf *data, const char *id,
                BkHttpAnswer *answer, bool *is_uncertain, BkOp *op, GError **error)
{
    g_auto(Upload) upload = {.store = self, .name = name};

    upload.etags = g_ptr_array_new_with_free_func(g_free);
    /* Some stores ignore the condition of the completion. */
    if (!bk_s3_check_is_free(self, name, op, error) || !begin_upload(&upload, id, op, error))
        return false;
    if (!put_parts(&upload, data, answer, is_uncertain, op, error)) {
        give_up_upload(&upload);
        return false;
    }
    if (answer->status == 412 || answer->status == 501)
        give_up_upload(&upload);
    return true;
}
