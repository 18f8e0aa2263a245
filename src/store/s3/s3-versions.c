/* s3-versions.c - objects and their versions: which of them counts, deletion, locks. */
#include "store/s3/s3-priv.h"

#include <string.h>

#define DELETE_BATCH    1000
#define DELETE_PAUSE_US (BK_USEC_PER_SEC / 10) /* between batches: others use the bucket, too */

/* The version that an object is: a new string, NULL when there is none. */
static bool
get_first_version(S3Store *self, const char *name, char **version, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) versions = NULL;
    const BkS3Entry *first;

    if (!bk_s3_get_versions(self, name, &versions, op, error))
        return false;
    first = bk_s3_find_first(versions);
    *version = first != NULL ? g_strdup(first->version) : NULL;
    return true;
}

bool
bk_s3_check_first(S3Store *self, const char *name, const char *version, bool *is_first, BkOp *op,
                  GError **error)
{
    g_autofree char *first = NULL;

    if (!get_first_version(self, name, &first, op, error))
        return false;
    *is_first = first == NULL || strcmp(first, version) == 0; /* NULL: just deleted */
    if (!*is_first)
        bk_s3_remember_first(self, name, first);
    return true;
}

bool
bk_s3_find_hidden(S3Store *self, const char *name, bool *found, BkOp *op, GError **error)
{
    g_autofree char *first = NULL;

    if (!get_first_version(self, name, &first, op, error))
        return false;
    *found = first != NULL;
    if (*found)
        bk_s3_remember_first(self, name, first);
    return true;
}

/* Where the current version is not the first: remembers the first. */
static bool
look_for_first_version(S3Store *self, const char *name, bool *has_other, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) versions = NULL;
    g_autofree char *known = bk_s3_first_of(self, name);
    const BkS3Entry *first;
    const BkS3Entry *current;

    *has_other = false;
    if (!bk_s3_get_versions(self, name, &versions, op, error))
        return false;
    first = bk_s3_find_first(versions);
    if (first == NULL)
        return true;
    current = g_ptr_array_index(versions, 0);
    *has_other = first != current && g_strcmp0(known, first->version) != 0;
    if (*has_other)
        bk_s3_remember_first(self, name, first->version);
    return true;
}

bool
bk_s3_distrust(BkStore *store, const char *name, bool *has_other, BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    bool keeps;

    *has_other = false;
    return bk_s3_keeps_versions(self, &keeps, op, error) &&
           (!keeps || look_for_first_version(self, name, has_other, op, error));
}

static bool
delete_version(S3Store *self, const char *name, const char *version, BkOp *op, GError **error)
{
    static const unsigned accepted[] = {404, 0};
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    const S3Call call = {
        .kind = BK_REQUEST_DELETE,
        .method = "DELETE",
        .what = "delete an object",
        .name = name,
        .fields = &fields,
        .limit = BK_S3_ANSWER_MAX,
        .accepted = accepted,
    };
    bool is_absent;

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    if (version != NULL)
        bk_s3_fields_add(&fields, "versionId", version);
    return bk_s3_call(self, &call, &answer, NULL, op, error) &&
           bk_s3_is_absent(self, &answer, &is_absent, error);
}

/* What is known of an object that is about to go. */
static void
forget_object(S3Store *self, const char *name)
{
    (void)pthread_mutex_lock(&self->mutex);
    (void)g_hash_table_remove(self->firsts, name);
    (void)g_hash_table_remove(self->ahead, name);
    (void)pthread_mutex_unlock(&self->mutex);
}

bool
bk_s3_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    g_autoptr(GPtrArray) versions = NULL;
    bool keeps;

    if (!bk_s3_keeps_versions(self, &keeps, op, error))
        return false;
    forget_object(self, name);
    if (!keeps)
        return delete_version(self, name, NULL, op, error);
    if (!bk_s3_get_versions(self, name, &versions, op, error))
        return false;
    /* The oldest last: until then the object is what it was. */
    for (guint i = 0; i < versions->len; i++) {
        const BkS3Entry *entry = g_ptr_array_index(versions, i);

        if (!delete_version(self, name, entry->version, op, error))
            return false;
    }
    return true;
}

static bool
delete_batch(S3Store *self, const char *const *names, size_t count, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree BkS3Name *list = g_new0(BkS3Name, count);
    g_auto(BkBuf) body = BK_BUF_INIT;
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    S3Call call = {
        .kind = BK_REQUEST_POST,
        .method = "POST",
        .what = "delete objects",
        .fields = &fields,
        .headers = &headers,
        .limit = BK_S3_ANSWER_MAX,
        .may_hold_fault = true,
    };

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    for (size_t i = 0; i < count; i++) {
        forget_object(self, names[i]);
        g_ptr_array_add(keys, bk_s3_key(self, names[i]));
        list[i].key = g_ptr_array_index(keys, i);
    }
    bk_s3_xml_put_delete(&body, list, count);
    call.body = body.data;
    call.body_size = body.size;
    bk_s3_fields_add(&fields, "delete", "");
    bk_s3_add_md5(&headers, body.data, body.size);
    if (!bk_s3_call(self, &call, &answer, NULL, op, error) ||
        !bk_s3_xml_delete_errors(&answer.body, errors, error))
        return false;
    if (errors->len == 0)
        return true;
    return bk_throw(error, BK_ERROR_DENIED, "%u of %zu objects, the first of them %s", errors->len,
                    count, (const char *)g_ptr_array_index(errors, 0));
}

bool
bk_s3_delete_many(BkStore *store, const char *const *names, size_t count, BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    bool keeps;

    if (!bk_s3_keeps_versions(self, &keeps, op, error))
        return false;
    for (size_t i = 0; keeps && i < count; i++)
        if (!bk_s3_delete(store, names[i], op, error))
            return bk_prefix(error, "\"%s\"", names[i]);
    for (size_t i = 0; !keeps && i < count; i += DELETE_BATCH)
        if ((i > 0 && !bk_op_sleep(op, DELETE_PAUSE_US, error)) ||
            !delete_batch(self, names + i, MIN(count - i, DELETE_BATCH), op, error))
            return false;
    return true;
}

/* Until when a version is locked; 0 when it is not. */
static bool
get_retention(S3Store *self, const char *name, const char *version, int64_t *until_us, BkOp *op,
              GError **error)
{
    static const unsigned accepted[] = {404, 0};
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    const S3Call call = {
        .kind = BK_REQUEST_GET,
        .method = "GET",
        .what = "read the lock of an object",
        .name = name,
        .fields = &fields,
        .limit = BK_S3_ANSWER_MAX,
        .accepted = accepted,
    };
    g_autofree char *text = NULL;
    g_autoptr(GDateTime) time = NULL;

    *until_us = 0;
    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_add(&fields, "retention", "");
    bk_s3_fields_add(&fields, "versionId", version);
    if (!bk_s3_call(self, &call, &answer, NULL, op, error) ||
        (answer.status == 200 && !bk_s3_xml_text(&answer.body, "RetainUntilDate", &text, error)))
        return false;
    time = text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    if (time != NULL)
        *until_us = g_date_time_to_unix(time) * BK_USEC_PER_SEC;
    return true;
}

static bool
put_retention(S3Store *self, const char *name, const char *version, BkOp *op, GError **error)
{
    g_auto(BkBuf) body = BK_BUF_INIT;
    g_auto(BkHttpAnswer) answer = {0};
    g_auto(S3Fields) fields = {0};
    g_auto(S3Fields) headers = {0};
    S3Call call = {
        .kind = BK_REQUEST_PUT,
        .method = "PUT",
        .what = "extend the lock of an object",
        .name = name,
        .fields = &fields,
        .headers = &headers,
        .limit = BK_S3_ANSWER_MAX,
    };
    char until[21];

    bk_http_answer_init(&answer);
    bk_s3_fields_init(&fields);
    bk_s3_fields_init(&headers);
    bk_s3_format_date(bk_s3_lock_until_us(self), until);
    bk_s3_xml_put_retention(
        &body, self->options.lock == BK_S3_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE", until);
    call.body = body.data;
    call.body_size = body.size;
    bk_s3_fields_add(&fields, "retention", "");
    bk_s3_fields_add(&fields, "versionId", version);
    bk_s3_add_md5(&headers, body.data, body.size);
    return bk_s3_call(self, &call, &answer, NULL, op, error);
}

/* The version that an object is, with the time until which it is locked. */
static bool
find_lock(S3Store *self, const char *name, char **version, int64_t *until_us, BkOp *op,
          GError **error)
{
    if (!get_first_version(self, name, version, op, error))
        return false;
    return *version != NULL ? get_retention(self, name, *version, until_us, op, error)
                            : bk_store_throw_absent(error);
}

bool
bk_s3_get_lock(BkStore *store, const char *name, int64_t *until_us, BkOp *op, GError **error)
{
    g_autofree char *version = NULL;

    return find_lock((S3Store *)store, name, &version, until_us, op, error);
}

bool
bk_s3_retain(BkStore *store, const char *name, BkOp *op, GError **error)
{
    S3Store *self = (S3Store *)store;
    g_autofree char *version = NULL;
    int64_t until_us = 0;

    if (!bk_s3_is_locked_kind(self, name))
        return true;
    return find_lock(self, name, &version, &until_us, op, error) &&
           (until_us >= bk_s3_lock_until_us(self) || put_retention(self, name, version, op, error));
}

bool
bk_s3_check_is_free(S3Store *self, const char *name, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    uint64_t size;

    if (self->base.driver->stat(&self->base, name, &size, op, &cause))
        return bk_store_throw_exists(error);
    return bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}
