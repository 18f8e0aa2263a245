/* fuzz-decision.c - a decision about a line or a cluster: decoded, or an error; and encoded again
 * it is the same. */
#include "codec/wire.h"
#include "source/pg/archive/decision.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_same_decision(const BkDecision *a, const BkDecision *b)
{
    return a->number == b->number && a->kind == b->kind && a->system_id == b->system_id &&
           a->previous_id == b->previous_id && a->timeline == b->timeline && a->lsn == b->lsn &&
           a->time_us == b->time_us && strcmp(a->host, b->host) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) again = BK_BUF_INIT;
    BkDecision decision, second;

    if (!bk_decision_decode(data, size, &decision, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        g_assert(decision.number == 0);
        return 0;
    }
    g_assert(error == NULL && decision.number > 0 && decision.system_id > 0);
    g_assert(strlen(decision.host) <= BK_DECISION_HOST_MAX);
    bk_decision_encode(&decision, &again);
    g_assert(bk_decision_decode(again.data, again.size, &second, NULL));
    g_assert(is_same_decision(&decision, &second));
    return 0;
}
