/* decision.c - decisions of an operator about a source: about the lines of its history
 * (source/pg/history/line.h), and its current cluster (source/pg/history/system.h). */
#include "source/pg/archive/decision.h"

#include "codec/extension.h"

#include <string.h>

#define DECISION_VERSION 2
#define MAX_DECISION     4096

void
bk_decision_encode(const BkDecision *self, BkBuf *out)
{
    bk_wire_put_u8(out, DECISION_VERSION);
    bk_wire_put_varint(out, self->number);
    bk_wire_put_u8(out, (uint8_t)self->kind);
    bk_wire_put_u64(out, self->system_id);
    bk_wire_put_u64(out, self->previous_id);
    bk_wire_put_varint(out, self->timeline);
    bk_wire_put_varint(out, self->lsn);
    bk_wire_put_zigzag(out, self->time_us);
    bk_wire_put_string(out, self->host);
    bk_extensions_put_none(out);
}

bool
bk_decision_decode(const void *data, size_t size, BkDecision *decision, GError **error)
{
    g_autofree char *host = NULL;
    BkWireReader reader;
    uint8_t kind;

    *decision = (BkDecision){0};
    bk_wire_reader_init(&reader, data, size);
    if (bk_wire_get_u8(&reader) != DECISION_VERSION)
        reader.failed = true;
    decision->number = bk_wire_get_varint(&reader);
    kind = bk_wire_get_u8(&reader);
    decision->system_id = bk_wire_get_u64(&reader);
    decision->previous_id = bk_wire_get_u64(&reader);
    decision->timeline = (uint32_t)bk_wire_get_bounded(&reader, UINT32_MAX);
    decision->lsn = bk_wire_get_varint(&reader);
    decision->time_us = bk_wire_get_zigzag(&reader);
    host = bk_wire_get_string(&reader, BK_DECISION_HOST_MAX);
    if (kind < BK_DECISION_DEAD || kind > BK_DECISION_CLUSTER || decision->number == 0 ||
        decision->system_id == 0 || (kind == BK_DECISION_CLUSTER) != (decision->timeline == 0) ||
        (kind == BK_DECISION_CLUSTER) != (decision->previous_id != 0))
        reader.failed = true;
    if (!bk_extensions_end(&reader, "decision", error)) {
        *decision = (BkDecision){0};
        return false;
    }
    decision->kind = (BkDecisionKind)kind;
    (void)g_strlcpy(decision->host, host, sizeof decision->host);
    return true;
}

static char *
decision_name(const BkSourceRepo *source_repo, uint64_t number)
{
    return bk_source_repo_object_name(source_repo, "decisions/%016" G_GINT64_MODIFIER "x", number);
}

typedef struct DecisionVisit {
    const BkSourceRepo *source_repo;
    GArray *numbers; /* uint64_t */
    GPtrArray *damage;
} DecisionVisit;

static bool
visit_decision(const BkStoreEntry *entry, void *data, GError **error)
{
    const DecisionVisit *visit = data;
    const char *slash = strrchr(entry->name, '/');
    uint64_t number = slash != NULL ? g_ascii_strtoull(slash + 1, NULL, 16) : 0;
    g_autofree char *expected = decision_name(visit->source_repo, number);

    if (number == 0 || strcmp(expected, entry->name) != 0)
        g_ptr_array_add(visit->damage,
                        g_strdup_printf("\"%s\" does not belong among decisions", entry->name));
    else if (visit->numbers->len == BK_DECISIONS_MAX)
        return bk_throw(error, BK_ERROR_UNSUPPORTED, "more than %d decisions about \"%s\"",
                        BK_DECISIONS_MAX, bk_source_repo_source(visit->source_repo));
    else
        g_array_append_val(visit->numbers, number);
    return true;
}

static bool
read_decision(const BkSourceRepo *source_repo, uint64_t number, BkDecision *decision, BkOp *op,
              GError **error)
{
    g_autofree char *name = decision_name(source_repo, number);
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_DECISION, name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    if (!bk_store_get(bk_source_repo_store(source_repo), name, 0, SIZE_MAX, MAX_DECISION, &object,
                      op, error))
        return false;
    if (!bk_unseal(opener, &as, &object, MAX_DECISION, &raw, error) ||
        !bk_decision_decode(raw.data, raw.size, decision, error))
        return bk_prefix(error, "object \"%s\" of repository \"%s\"", name,
                         bk_repository_name(bk_source_repo_repository(source_repo)));
    return decision->number == number ||
           bk_throw(error, BK_ERROR_CORRUPT, "the content of object \"%s\" belongs to another one",
                    name);
}

bool
bk_decision_list(const BkSourceRepo *source_repo, GArray *decisions, GPtrArray *damage, BkOp *op,
                 GError **error)
{
    g_autofree char *prefix = bk_source_repo_object_name(source_repo, "decisions/");
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    DecisionVisit visit = {source_repo, numbers, damage};

    if (!bk_store_list(bk_source_repo_store(source_repo), prefix, NULL, visit_decision, &visit, op,
                       error))
        return false;
    for (guint i = 0; i < numbers->len; i++) {
        g_autoptr(GError) cause = NULL;
        BkDecision decision;

        if (!read_decision(source_repo, g_array_index(numbers, uint64_t, i), &decision, op,
                           &cause)) {
            if (!bk_error_is(cause, BK_ERROR_CORRUPT) && !bk_error_is(cause, BK_ERROR_UNSUPPORTED))
                return bk_propagate(error, &cause);
            g_ptr_array_add(damage, g_strdup(cause->message));
            decision = (BkDecision){.number = g_array_index(numbers, uint64_t, i)};
        }
        g_array_append_val(decisions, decision);
    }
    return true;
}

static BkDecision *
find_decision(const GArray *decisions, uint64_t number)
{
    for (guint i = 0; i < decisions->len; i++)
        if (g_array_index(decisions, BkDecision, i).number == number)
            return &g_array_index(decisions, BkDecision, i);
    return NULL;
}

static int
compare_decisions(const void *left, const void *right)
{
    const BkDecision *a = left;
    const BkDecision *b = right;

    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return (a->time_us > b->time_us) - (a->time_us < b->time_us);
}

static bool
is_same_decision(const BkDecision *a, const BkDecision *b)
{
    return a->number == b->number && a->kind == b->kind && a->system_id == b->system_id &&
           a->timeline == b->timeline && a->lsn == b->lsn;
}

static bool
has_decision(const GArray *decisions, const BkDecision *wanted)
{
    for (guint i = 0; i < decisions->len; i++)
        if (is_same_decision(&g_array_index(decisions, BkDecision, i), wanted))
            return true;
    return false;
}

void
bk_decision_join(GArray *decisions, const GArray *others)
{
    for (guint i = 0; i < others->len; i++) {
        const BkDecision *other = &g_array_index(others, BkDecision, i);
        BkDecision *present = find_decision(decisions, other->number);

        if (present != NULL && present->kind == BK_DECISION_DAMAGED)
            *present = *other;
        else if (present == NULL ||
                 (other->kind != BK_DECISION_DAMAGED && !has_decision(decisions, other)))
            g_array_append_val(decisions, *other);
    }
    g_array_sort(decisions, compare_decisions);
}

uint64_t
bk_decision_next_number(const GArray *decisions)
{
    uint64_t highest = 0;

    for (guint i = 0; i < decisions->len; i++)
        highest = MAX(highest, g_array_index(decisions, BkDecision, i).number);
    return highest + 1;
}

bool
bk_decision_bring(const GArray *decisions, const BkSourceRepo *source_repo, GPtrArray *damage,
                  BkOp *op, GError **error)
{
    g_autoptr(GArray) present = g_array_new(FALSE, FALSE, sizeof(BkDecision));

    if (!bk_decision_list(source_repo, present, damage, op, error))
        return false;
    for (guint i = 0; i < decisions->len; i++) {
        const BkDecision *decision = &g_array_index(decisions, BkDecision, i);

        if (decision->kind != BK_DECISION_DAMAGED &&
            find_decision(present, decision->number) == NULL &&
            !bk_decision_put(source_repo, decision, op, error))
            return false;
    }
    return true;
}

bool
bk_decision_has_any(const BkSourceRepo *source_repo, bool *has, BkOp *op, GError **error)
{
    g_autofree char *name = decision_name(source_repo, 1);
    g_autoptr(GError) cause = NULL;
    uint64_t size;

    *has = bk_store_stat(bk_source_repo_store(source_repo), name, &size, op, &cause);
    return *has || bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}

bool
bk_decision_put(const BkSourceRepo *source_repo, const BkDecision *decision, BkOp *op,
                GError **error)
{
    g_autofree char *name = decision_name(source_repo, decision->number);
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_DECISION, name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    bk_decision_encode(decision, &raw);
    return bk_seal(sealer, &as, raw.data, raw.size, &object, error) &&
           bk_store_put(bk_source_repo_store(source_repo), name, &object, op, error);
}
