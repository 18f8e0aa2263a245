/* s3-ahead.c - small objects fetched together before they are asked for. */
#include "base/workers.h"
#include "store/s3/s3-priv.h"

#define AHEAD_MAX ((size_t)64 * 1024) /* of one object */

/* Objects that are asked for at once. Each worker has a place of its own. */
typedef struct Ahead {
    S3Store *store;
    const char *const *names;
    size_t count;
    GError **errors;
} Ahead;

static void
free_content(void *data)
{
    bk_buf_clear(data);
    g_free(data);
}

void
bk_s3_ahead_init(S3Store *self)
{
    self->ahead = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_content);
}

static void
keep_prefetched(S3Store *self, const char *name, BkBuf *content)
{
    BkBuf *own = g_new(BkBuf, 1);

    *own = *content;
    *content = BK_BUF_INIT;
    (void)pthread_mutex_lock(&self->mutex);
    (void)g_hash_table_insert(self->ahead, g_strdup(name), own);
    (void)pthread_mutex_unlock(&self->mutex);
}

bool
bk_s3_take_ahead(S3Store *self, const char *name, size_t limit, BkBuf *out)
{
    BkBuf *content = NULL;
    g_autofree char *key = NULL;

    (void)pthread_mutex_lock(&self->mutex);
    (void)g_hash_table_steal_extended(self->ahead, name, (void **)&key, (void **)&content);
    (void)pthread_mutex_unlock(&self->mutex);
    if (content == NULL)
        return false;
    if (content->size > limit) { /* let the store say it */
        free_content(content);
        return false;
    }
    out->size = 0;
    bk_buf_append(out, content->data, content->size);
    free_content(content);
    return true;
}

void
bk_s3_give_ahead(BkStore *store, const char *name, const BkBuf *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    bk_buf_append(&content, data->data, data->size);
    keep_prefetched((S3Store *)store, name, &content);
}

/* What is absent, or too large to be kept, is for who asks for it to find out. */
static bool
read_one(S3Store *self, const char *name, BkOp *op, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;

    if (bk_store_get(&self->base, name, 0, SIZE_MAX, AHEAD_MAX, &content, op, &cause)) {
        keep_prefetched(self, name, &content);
        return true;
    }
    return bk_error_is(cause, BK_ERROR_ABSENT) || bk_error_is(cause, BK_ERROR_CORRUPT) ||
           bk_propagate(error, &cause);
}

/* None ends the others: which error is reported must not depend on who was first. */
static bool
run_prefetch_worker(unsigned index, void *data, BkOp *op, GError **error)
{
    Ahead *ahead = data;
    bool keeps;

    (void)error;
    if (index < ahead->count)
        (void)!read_one(ahead->store, ahead->names[index], op, &ahead->errors[index]);
    else
        (void)!bk_s3_keeps_versions(ahead->store, &keeps, op, &ahead->errors[index]);
    return true;
}

bool
bk_s3_read_ahead(BkStore *store, const char *const *names, size_t count, BkOp *op, GError **error)
{
    g_autofree GError **errors = g_new0(GError *, count + 1);
    Ahead ahead = {(S3Store *)store, names, count, errors};
    bool ok = bk_workers_run((unsigned)count + 1, run_prefetch_worker, &ahead, op, error);

    for (size_t i = 0; i <= count; i++) {
        if (ok && errors[i] != NULL) {
            g_propagate_error(error, errors[i]);
            ok = false;
        } else {
            g_clear_error(&errors[i]);
        }
    }
    return ok;
}
