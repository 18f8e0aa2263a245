/* system-id.c - which PostgreSQL clusters a source consists of, by system identifier. */
#include "source/pg/archive/system-id.h"

#include "base/log.h"
#include "codec/wire.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "repo/snapshot/snapshot.h"
#include "repo/targets/source-spec.h"
#include "repo/targets/targets.h"
#include "source/pg/archive/archive-list.h"
#include "source/pg/archive/decision.h"
#include "source/pg/cluster/pg-meta.h"

#include <inttypes.h>

#define NOTE_MAX ((size_t)4096)
#define GUIDE    "docs/guide-upgrade.md"

/* --- snapshots -------------------------------------------------------------------------------- */

/* The heads of a source's snapshots, newest first, as far as their manifests can be read. */
typedef struct Heads {
    const BkSourceRepo *source_repo;
    GPtrArray *entries; /* of BkSnapshotEntry */
    guint left;         /* not looked at yet */
    bool is_damaged;    /* a manifest is there and is none */
    GError *outage;     /* the first manifest that the storage did not give */
} Heads;

static void
heads_clear(Heads *self)
{
    g_clear_pointer(&self->entries, g_ptr_array_unref);
    g_clear_error(&self->outage);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Heads, heads_clear)

/* The system identifier in the next one; 0 behind the last. */
static bool
next_head(Heads *self, uint64_t *system_id, BkOp *op, GError **error)
{
    *system_id = 0;
    while (self->left > 0) {
        g_auto(BkSnapshotHead) head = {.source = NULL};
        g_auto(BkPgMeta) meta = {0};
        g_autoptr(GError) cause = NULL;

        self->left--;
        if (bk_snapshot_load_head(self->source_repo, g_ptr_array_index(self->entries, self->left),
                                  &head, op, &cause) &&
            bk_pg_meta_decode(&meta, &head.meta, &cause)) {
            *system_id = meta.system_id;
            return true;
        }
        if (!bk_targets_is_at_fault(cause) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        bk_log(BK_LOG_WARNING, "%s", cause->message);
        if (bk_error_is(cause, BK_ERROR_CORRUPT) || bk_error_is(cause, BK_ERROR_UNSUPPORTED))
            self->is_damaged = true;
        else if (self->outage == NULL && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            self->outage = g_steal_pointer(&cause);
    }
    return true;
}

static bool
find_in_snapshots(Heads *heads, uint64_t wanted, bool *found, BkOp *op, GError **error)
{
    uint64_t system_id = 0;

    *found = false;
    do {
        if (!next_head(heads, &system_id, op, error))
            return false;
        *found = system_id == wanted;
    } while (system_id != 0 && !*found);
    return true;
}

/* --- decisions -------------------------------------------------------------------------------- */

static void
warn_of_damaged_decisions(const GPtrArray *damage)
{
    for (guint i = 0; i < damage->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(damage, i));
}

/* Sets `*is_damaged` if one of them is. */
static bool
list_decisions(const BkSourceRepo *source_repo, GArray *decisions, bool *is_damaged, BkOp *op,
               GError **error)
{
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    bool ok = bk_decision_list(source_repo, decisions, damage, op, error);

    warn_of_damaged_decisions(damage);
    *is_damaged = *is_damaged || damage->len > 0;
    return ok;
}

/* The cluster that was declared current last; 0: none was. */
static uint64_t
find_declared(const GArray *decisions)
{
    const BkDecision *newest = NULL;

    for (guint i = 0; i < decisions->len; i++) {
        const BkDecision *decision = &g_array_index(decisions, BkDecision, i);

        if (decision->kind == BK_DECISION_CLUSTER &&
            (newest == NULL || decision->number > newest->number))
            newest = decision;
    }
    return newest != NULL ? newest->system_id : 0;
}

static bool
is_named_in_decision(const GArray *decisions, uint64_t system_id)
{
    for (guint i = 0; i < decisions->len; i++) {
        const BkDecision *decision = &g_array_index(decisions, BkDecision, i);

        if (decision->kind == BK_DECISION_CLUSTER &&
            (decision->system_id == system_id || decision->previous_id == system_id))
            return true;
    }
    return false;
}

/* Nothing that says which cluster is the source's can be read: whose WAL has it? */
static bool
judge_by_archive(const BkSourceRepo *source_repo, uint64_t system_id, BkSystemStanding *standing,
                 uint64_t *current, BkOp *op, GError **error)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    if (!bk_archive_list_systems(source_repo, found, op, error))
        return false;
    *standing = BK_SYSTEM_UNKNOWN;
    for (guint i = 0; i < found->len; i++)
        if (*current != system_id)
            *current = g_array_index(found, uint64_t, i);
    if (found->len == 1)
        *standing = *current == system_id ? BK_SYSTEM_CURRENT : BK_SYSTEM_FOREIGN;
    return true;
}

static bool
judge_by_decisions(Heads *heads, uint64_t newest, uint64_t system_id, BkSystemStanding *standing,
                   uint64_t *current, BkOp *op, GError **error)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    bool found = newest == system_id;

    if (!list_decisions(heads->source_repo, decisions, &heads->is_damaged, op, error))
        return false;
    *current = find_declared(decisions);
    if (*current == 0)
        *current = newest;
    if (*current == 0) {
        *standing = BK_SYSTEM_FIRST;
        /* What could not be read might tell it still: then it is not unknown. */
        if (heads->outage != NULL || !heads->is_damaged)
            return bk_propagate(error, &heads->outage);
        return judge_by_archive(heads->source_repo, system_id, standing, current, op, error);
    }
    *standing = *current == system_id                        ? BK_SYSTEM_CURRENT
                : is_named_in_decision(decisions, system_id) ? BK_SYSTEM_FORMER
                                                             : BK_SYSTEM_FOREIGN;
    if (*standing == BK_SYSTEM_FOREIGN && !found &&
        !find_in_snapshots(heads, system_id, &found, op, error))
        return false;
    if (*standing == BK_SYSTEM_FOREIGN && found)
        *standing = BK_SYSTEM_FORMER;
    return true;
}

bool
bk_system_judge(const BkSourceRepo *source_repo, uint64_t system_id, BkSystemStanding *standing,
                uint64_t *current, BkOp *op, GError **error)
{
    g_auto(Heads)
        heads = {.source_repo = source_repo, .entries = bk_snapshot_list(source_repo, op, error)};
    uint64_t unused;
    uint64_t newest;

    if (heads.entries == NULL)
        return false;
    heads.left = heads.entries->len;
    if (current == NULL)
        current = &unused;
    if (!next_head(&heads, &newest, op, error))
        return false;
    /* The usual case. That the source went on with another cluster since, and this one is FORMER,
     * shows as soon as the other one has a snapshot. */
    if (newest == system_id) {
        *current = newest;
        *standing = BK_SYSTEM_CURRENT;
        return true;
    }
    return judge_by_decisions(&heads, newest, system_id, standing, current, op, error);
}

/* --- what this host has noted ----------------------------------------------------------------- */

static char *
make_system_note_name(const BkSourceRepo *source_repo)
{
    return bk_source_repo_object_name(source_repo, "system");
}

bool
bk_system_id_recall(const BkSourceRepo *source_repo, uint64_t *system_id)
{
    g_autofree char *name = make_system_note_name(source_repo);
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_NOTE, name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    BkWireReader reader;

    if (!bk_store_cache_get(bk_source_repo_store(source_repo), name, &note) ||
        !bk_unseal(opener, &as, &note, NOTE_MAX, &raw, NULL))
        return false;
    bk_wire_reader_init(&reader, raw.data, raw.size);
    *system_id = bk_wire_get_u64(&reader);
    return bk_wire_end(&reader, "system identifier", NULL) && *system_id != 0;
}

static void
note_system_id(const BkSourceRepo *source_repo, uint64_t system_id)
{
    g_autofree char *name = make_system_note_name(source_repo);
    const BkSealAs as = {bk_source_repo_keys(source_repo), BK_SEAL_NOTE, name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    bk_wire_put_u64(&raw, system_id);
    if (bk_seal(sealer, &as, raw.data, raw.size, &note, NULL))
        bk_store_cache_put(bk_source_repo_store(source_repo), name, &note);
}

/* --- checks ----------------------------------------------------------------------------------- */

char *
bk_system_advise(const char *source, BkSystemStanding standing, uint64_t system_id,
                 uint64_t current)
{
    return standing == BK_SYSTEM_FORMER
               ? g_strdup_printf(
                     "\"%s\" was continued with another cluster (system identifier %" PRIu64
                     ") than this one (%" PRIu64 "): to make this one current again, "
                     "run \"backstay backup %s --new-cluster\" (%s)",
                     source, current, system_id, source, GUIDE)
               : g_strdup_printf("the server is another cluster (system identifier %" PRIu64
                                 ") than that of \"%s\" (%" PRIu64 "): after an upgrade by "
                                 "pg_upgrade run \"backstay backup %s --new-cluster\" once (%s); "
                                 "otherwise give it a source of its own",
                                 system_id, source, current, source, GUIDE);
}

static bool
refuse_system(const BkSourceRepo *source_repo, BkSystemStanding standing, uint64_t system_id,
              uint64_t current, GError **error)
{
    const char *source = bk_source_repo_source(source_repo);
    const char *repository = bk_repository_name(bk_source_repo_repository(source_repo));
    g_autofree char *advice = bk_system_advise(source, standing, system_id, current);

    if (standing == BK_SYSTEM_UNKNOWN)
        return bk_throw(error, BK_ERROR_UNFIT,
                        "what says which cluster is that of \"%s\" is damaged in repository "
                        "\"%s\", and its WAL does not tell whether it is this one (system "
                        "identifier %" PRIu64 "): see \"backstay repo check %s\"; if it is, run "
                        "\"backstay backup %s --new-cluster\" once (%s)",
                        source, repository, system_id, repository, source, GUIDE);
    return bk_throw(error, BK_ERROR_UNFIT, "%s", advice);
}

bool
bk_system_check_wal(const BkSourceRepo *source_repo, uint64_t system_id, BkOp *op, GError **error)
{
    BkSystemStanding standing;
    uint64_t current;

    if (bk_system_id_recall(source_repo, &current) && current == system_id)
        return true;
    if (!bk_system_judge(source_repo, system_id, &standing, &current, op, error))
        return false;
    if (standing == BK_SYSTEM_FOREIGN || (standing == BK_SYSTEM_UNKNOWN && current != system_id))
        return refuse_system(source_repo, standing, system_id, current, error);
    if (standing != BK_SYSTEM_FIRST && standing != BK_SYSTEM_UNKNOWN &&
        bk_store_is_remote(bk_source_repo_store(source_repo)))
        note_system_id(source_repo, system_id);
    return true;
}

/* The newest snapshot alone proves nothing here: another cluster may have been declared current
 * since, and ids follow the clocks of the hosts. */
bool
bk_system_check_current(const BkSourceRepo *source_repo, GPtrArray *snapshots, uint64_t system_id,
                        BkOp *op, GError **error)
{
    g_auto(Heads) heads = {.source_repo = source_repo};
    BkSystemStanding standing = BK_SYSTEM_CURRENT;
    uint64_t current, newest;
    bool has_any = true;

    heads.entries =
        snapshots != NULL ? g_ptr_array_ref(snapshots) : bk_snapshot_list(source_repo, op, error);
    if (heads.entries == NULL)
        return false;
    heads.left = heads.entries->len;
    if (!next_head(&heads, &newest, op, error) ||
        (newest == system_id && !bk_decision_has_any(source_repo, &has_any, op, error)))
        return false;
    if (has_any && !judge_by_decisions(&heads, newest, system_id, &standing, &current, op, error))
        return false;
    return standing == BK_SYSTEM_FIRST || standing == BK_SYSTEM_CURRENT ||
           refuse_system(source_repo, standing, system_id, current, error);
}

/* --- declaring -------------------------------------------------------------------------------- */

static bool
bring_decisions(const GArray *decisions, const BkSourceRepo *to, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;
    bool ok = bk_decision_bring(decisions, to, damage, op, &cause);

    warn_of_damaged_decisions(damage);
    if (!ok && bk_error_is(cause, BK_ERROR_EXISTS))
        return bk_throw(error, BK_ERROR_CONFLICT,
                        "another decision about \"%s\" was made at the same time: run the "
                        "command again",
                        bk_source_repo_source(to));
    return ok || bk_propagate(error, &cause);
}

bool
bk_system_bring_decisions(const BkSourceRepo *from, const BkSourceRepo *to, BkOp *op,
                          GError **error)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    bool is_damaged = false;

    return list_decisions(from, decisions, &is_damaged, op, error) &&
           bring_decisions(decisions, to, op, error);
}

static bool
collect_decisions(const GPtrArray *source_repos, GArray *decisions, BkOp *op, GError **error)
{
    for (guint i = 0; i < source_repos->len; i++) {
        g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(BkDecision));
        bool is_damaged = false;

        if (!list_decisions(g_ptr_array_index(source_repos, i), own, &is_damaged, op, error))
            return false;
        bk_decision_join(decisions, own);
    }
    return true;
}

/* Is the cluster not known to be the current one in one of `source_repos`? Sets `*previous` to the
 * first other one that is. In a part that is empty nothing needs to be declared. */
static bool
find_doubted_system(const GPtrArray *source_repos, uint64_t system_id, uint64_t *previous,
                    bool *is_doubtful, BkOp *op, GError **error)
{
    for (guint i = 0; i < source_repos->len; i++) {
        BkSystemStanding standing;
        uint64_t current;

        if (!bk_system_judge(g_ptr_array_index(source_repos, i), system_id, &standing, &current, op,
                             error))
            return false;
        if (standing != BK_SYSTEM_FIRST && standing != BK_SYSTEM_CURRENT)
            *is_doubtful = true;
        if (*previous == 0 && current != system_id)
            *previous = current;
    }
    return true;
}

bool
bk_system_declare(const GPtrArray *source_repos, uint64_t system_id, BkOp *op, GError **error)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    BkDecision decision = {.kind = BK_DECISION_CLUSTER, .system_id = system_id};
    uint64_t declared;

    if (!collect_decisions(source_repos, decisions, op, error))
        return false;
    declared = find_declared(decisions);
    if (declared != system_id) {
        bool is_doubtful = declared != 0;

        decision.previous_id = declared;
        if (!find_doubted_system(source_repos, system_id, &decision.previous_id, &is_doubtful, op,
                                 error))
            return false;
        if (is_doubtful) {
            if (decision.previous_id == 0)
                decision.previous_id = system_id;
            decision.number = bk_decision_next_number(decisions);
            decision.time_us = g_get_real_time();
            (void)g_strlcpy(decision.host, g_get_host_name(), sizeof decision.host);
            g_array_append_val(decisions, decision);
        }
    }
    for (guint i = source_repos->len; i-- > 0;)
        if (!bring_decisions(decisions, g_ptr_array_index(source_repos, i), op, error))
            return bk_prefix(error, "recording the new cluster");
    return true;
}
