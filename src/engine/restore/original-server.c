/* original-server.c - whether the original of a restored copy still seems to be running. */
#include "engine/restore/original-server.h"

#include "engine/restore/destination.h"
#include "source/pg/cluster/control.h"
#include "source/pg/cluster/server.h"

#include <string.h>

#define CONNECT_US (5 * BK_USEC_PER_SEC)

/* Servers with little to write finish a segment every archive_timeout, a few minutes usually. */
#define GROWS_MINUTES 10
#define GROWS_US      (INT64_C(60) * GROWS_MINUTES * BK_USEC_PER_SEC)

void
bk_original_clear(BkOriginal *self)
{
    g_free(self->sign);
    *self = (BkOriginal){0};
}

typedef enum {
    PLACE_NONE,    /* this host has no such cluster there */
    PLACE_STOPPED, /* the cluster is there, and no server runs in it */
    PLACE_RUNS,
} Place;

static Place
look_at_data_directory(const char *data, const BkPgMeta *meta)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkPgControl control;

    if (data == NULL || data[0] == '\0' || !bk_pg_control_read(data, &content, &control, NULL) ||
        control.system_id != meta->system_id)
        return PLACE_NONE;
    return bk_destination_has_server(data) ? PLACE_RUNS : PLACE_STOPPED;
}

/* True when the operation goes on; `*answers` tells whether the original answers. */
static bool
ask_original_server(const BkSourceSpec *source, const BkPgMeta *meta, bool *answers, BkOp *op,
                    GError **error)
{
    g_autoptr(BkOp) own = bk_op_new(op);
    g_autoptr(BkServer) server = NULL;
    g_auto(BkServerFacts) facts = {0};

    *answers = false;
    if (source->connection == NULL)
        return true;
    bk_op_set_deadline(own, g_get_monotonic_time() + CONNECT_US);
    server = bk_server_connect(source->connection, own, NULL);
    *answers = server != NULL && bk_server_get_facts(server, &facts, own, NULL) &&
               facts.system_id == meta->system_id;
    return bk_op_check(op, error);
}

static int64_t
newest_wal_us(const GPtrArray *pasts)
{
    int64_t newest_us = 0;

    for (guint i = 0; i < pasts->len; i++) {
        const BkRecoveryIndex *past = g_ptr_array_index(pasts, i);

        for (guint j = 0; past->archive != NULL && j < past->archive->len; j++) {
            const BkArchiveTimeline *timeline = g_ptr_array_index(past->archive, j);

            newest_us = MAX(newest_us, timeline->modified_us);
        }
    }
    return newest_us;
}

bool
bk_original_find(const BkSourceSpec *source, const BkPgMeta *meta, const GPtrArray *pasts,
                 const char *to, int64_t now_us, BkOriginal *self, BkOp *op, GError **error)
{
    const char *const data[] = {source->data, meta->data_directory};
    bool is_stopped = false;
    bool answers;

    *self = (BkOriginal){0};
    for (size_t i = 0; i < G_N_ELEMENTS(data); i++) {
        Place place = PLACE_NONE;

        if (data[i] != NULL && bk_destination_is_same(data[i], to))
            self->is_own = true;
        else
            place = look_at_data_directory(data[i], meta);
        if (place == PLACE_RUNS && self->sign == NULL)
            self->sign = g_strdup_printf("the source's server is running in \"%s\"", data[i]);
        is_stopped = is_stopped || place == PLACE_STOPPED;
    }
    if (self->sign == NULL) {
        if (!ask_original_server(source, meta, &answers, op, error))
            return false;
        if (answers)
            self->sign = g_strdup("the source's server answers at its connection");
    }
    self->runs = self->sign != NULL;
    if (self->sign == NULL && !self->is_own && !is_stopped &&
        newest_wal_us(pasts) > now_us - GROWS_US)
        self->sign = g_strdup_printf("the source's archive grew in the last %d minutes, and its "
                                     "server cannot be asked",
                                     GROWS_MINUTES);
    return true;
}
