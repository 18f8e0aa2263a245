/* copy.c - copies sealed objects of one source from one repository to another, unchanged. */
#include "engine/copy/copy.h"

#include "base/fault.h"
#include "base/log.h"
#include "engine/copy/copied-objects.h"
#include "engine/copy/copy-choice.h"
#include "repo/reread.h"
#include "repo/snapshot/object-lock.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/archive/decision.h"
#include "source/pg/archive/wal-span.h"

#include <string.h>

#define COPYING_WAL "copying WAL"

typedef struct Replication {
    const BkCopyOptions *options;
    BkCopyReport *report;
    BkLease *own_lease; /* NULL: the caller has it */
    BkLease *lease;
    BkObjectIndex here; /* what there is to copy */
    BkCopiedObjects replicas;
    BkObjectLock retain; /* of the keys */
    GPtrArray *ids;      /* of const char *: the chosen snapshots, oldest first */
    GArray *spans;       /* of BkWalSpan: of those that could be read */
} Replication;

static void
replication_clear(Replication *self)
{
    bk_object_index_clear(&self->here);
    bk_copied_objects_clear(&self->replicas);
    g_clear_pointer(&self->ids, g_ptr_array_unref);
    g_clear_pointer(&self->spans, g_array_unref);
    bk_lease_release(self->own_lease);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Replication, replication_clear)

static bool
check_parts(const BkSourceRepo *from, const BkSourceRepo *to, GError **error)
{
    g_assert(strcmp(bk_source_repo_source(from), bk_source_repo_source(to)) == 0);
    if (strcmp(bk_repository_id(bk_source_repo_repository(from)),
               bk_repository_id(bk_source_repo_repository(to))) == 0)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" and \"%s\" are the same repository",
                        bk_source_repo_repository_name(from), bk_source_repo_repository_name(to));
    return bk_source_repo_shares_keys(from, to) ||
           bk_throw(error, BK_ERROR_CONFLICT,
                    "repositories \"%s\" and \"%s\" have \"%s\" under different keys: copy it to a "
                    "repository that has nothing of it",
                    bk_source_repo_repository_name(from), bk_source_repo_repository_name(to),
                    bk_source_repo_source(from));
}

/* Does the choice name single snapshots, which need no WAL past their own? */
static bool
is_single(const BkCopyOptions *options)
{
    return options->snapshots != NULL || options->last_of != BK_REPLICATE_ALL;
}

/* Is everything to be copied that there is? */
static bool
is_unlimited(const BkCopyOptions *options)
{
    return !is_single(options) && options->since_us == 0;
}

static char *
make_copied_manifest_name(const BkSourceRepo *source_repo, const char *id)
{
    return bk_source_repo_object_name(source_repo, "snapshots/%s", id);
}

/* A damaged manifest is noted, and costs its own snapshot alone. One that was deleted since it was
 * listed is none of ours. */
static bool
pass_over(Replication *self, GError **cause, GError **error)
{
    if (bk_error_is(*cause, BK_ERROR_NOT_FOUND))
        return true;
    if (!bk_copied_objects_is_damage(*cause))
        return bk_propagate(error, cause);
    bk_copied_objects_note(&self->replicas, cause);
    self->report->left_out++;
    return true;
}

static int
compare_ids(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return strcmp(*a, *b);
}

/* Those that are named must all be there. */
static bool
choose_named(Replication *self, GError **error)
{
    const BkSourceRepo *from = self->replicas.from;

    for (const char *const *id = self->options->snapshots; *id != NULL; id++) {
        g_autofree char *name = make_copied_manifest_name(from, *id);
        const BkHeldObject *held = bk_held_find(self->here.snapshots, name);

        if (held == NULL)
            return bk_throw(error, BK_ERROR_NOT_FOUND,
                            "there is no snapshot \"%s\" of \"%s\" in repository \"%s\"", *id,
                            bk_source_repo_source(from), bk_source_repo_repository_name(from));
        g_ptr_array_add(self->ids, (void *)(uintptr_t)held->base);
    }
    g_ptr_array_sort(self->ids, compare_ids);
    return true;
}

/* By their heads. */
static bool
choose_by_time(Replication *self, BkOp *op, GError **error)
{
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(BkCopyCandidate));
    g_autofree bool *is_chosen = NULL;

    for (guint i = 0; i < self->here.snapshots->len; i++) {
        const char *id = bk_held_at(self->here.snapshots, i)->base;
        const BkSnapshotEntry entry = bk_held_snapshot(bk_held_at(self->here.snapshots, i));
        g_auto(BkSnapshotHead) head = {.id = ""};
        g_autoptr(GError) cause = NULL;
        BkCopyCandidate candidate;

        if (!bk_snapshot_load_head(self->replicas.from, &entry, &head, op, &cause)) {
            if (!pass_over(self, &cause, error))
                return false;
            continue;
        }
        candidate = (BkCopyCandidate){id, head.started_us, head.state};
        g_array_append_val(candidates, candidate);
    }
    g_array_sort(candidates, bk_copy_compare);
    is_chosen = g_new0(bool, candidates->len + 1);
    (void)bk_copy_choose((const BkCopyCandidate *)(const void *)candidates->data, candidates->len,
                         self->options, is_chosen);
    for (guint i = 0; i < candidates->len; i++)
        if (is_chosen[i])
            g_ptr_array_add(self->ids,
                            (void *)(uintptr_t)g_array_index(candidates, BkCopyCandidate, i).id);
    return true;
}

static bool
choose_snapshots(Replication *self, BkOp *op, GError **error)
{
    const BkCopyOptions *options = self->options;

    self->ids = g_ptr_array_new();
    self->spans = g_array_new(FALSE, FALSE, sizeof(BkWalSpan));
    if (options->snapshots != NULL)
        return choose_named(self, error);
    if (!is_unlimited(options))
        return choose_by_time(self, op, error);
    for (guint i = 0; i < self->here.snapshots->len; i++)
        g_ptr_array_add(self->ids, (void *)(uintptr_t)bk_held_at(self->here.snapshots, i)->base);
    return true;
}

/* Loads the manifest of a chosen snapshot; NULL without an error when it is to be passed over. */
static BkSnapshot *
load_chosen_manifest(Replication *self, const char *id, BkBuf *object, BkOp *op, GError **error)
{
    const BkSourceRepo *from = self->replicas.from;
    g_autofree char *name = make_copied_manifest_name(from, id);
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkSnapshot) snapshot = NULL;
    unsigned tries = 0;

    do {
        snapshot = bk_snapshot_load_sealed(from, id, object, op, &cause);
        if (snapshot != NULL && !bk_seal_check(object, &cause)) {
            (void)bk_prefix(&cause, "object \"%s\" of repository \"%s\"", name,
                            bk_source_repo_repository_name(from));
            g_clear_pointer(&snapshot, bk_snapshot_free);
        }
    } while (snapshot == NULL &&
             bk_reread_is_worth(bk_source_repo_store(from), name, &tries, &cause, op));
    if (snapshot == NULL)
        (void)pass_over(self, &cause, error);
    return g_steal_pointer(&snapshot);
}

static bool
note_wal_span(Replication *self, BkSnapshot *snapshot, GError **error)
{
    BkWalSpan span;

    if (!bk_wal_span_init(&span, bk_snapshot_head(snapshot), error))
        return false;
    g_array_append_val(self->spans, span);
    return true;
}

/* The packs of the snapshot noted last and, where `with_wal`, the WAL that it needs itself. */
static GPtrArray *
collect_needs(Replication *self, const BkSnapshot *snapshot, bool with_wal)
{
    const BkWalSpan *span = &g_array_index(self->spans, BkWalSpan, self->spans->len - 1);
    GPtrArray *needs = g_ptr_array_new();
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(snapshot, &count);

    for (size_t i = 0; i < count; i++)
        g_ptr_array_add(needs, bk_copied_objects_add_pack(&self->replicas, &packs[i]));
    for (guint i = 0; i < self->here.wal->len && with_wal; i++) {
        const BkHeldObject *file = bk_held_at(self->here.wal, i);

        if (bk_wal_span_needs(span, file->system_id, &file->wal))
            g_ptr_array_add(needs, bk_copied_objects_add_wal(&self->replicas, file));
    }
    return needs;
}

static bool
is_complete(const GPtrArray *needs)
{
    for (guint i = 0; i < needs->len; i++)
        if (((const BkCopiedObject *)g_ptr_array_index(needs, i))->state == BK_COPIED_OBJECT_BAD)
            return false;
    return true;
}

static bool
put_copied_manifest(Replication *self, const char *id, const BkBuf *object, BkOp *op,
                    GError **error)
{
    const BkObjectLockRequest locks = {.source_repo = self->replicas.to,
                                       .now_us = g_get_real_time()};
    g_autoptr(GError) cause = NULL;

    /* Like the packs, for the lock's time from the manifest on. */
    if (!bk_object_lock_keys(&self->retain, &locks, op, error) ||
        !bk_lease_confirm(self->lease, error) || !bk_fault(BK_FAULT_COPY_PUT_MANIFEST, error))
        return false;
    if (bk_snapshot_put(self->replicas.to, id, object, op, &cause)) {
        self->report->snapshots++;
        self->report->bytes += object->size;
        return true;
    }
    /* An id is of one snapshot only. */
    self->report->present += bk_error_is(cause, BK_ERROR_EXISTS);
    return bk_error_is(cause, BK_ERROR_EXISTS) || bk_propagate(error, &cause);
}

/* One that is there already is gone through as well: what it lacks is brought. */
static bool
copy_snapshot(Replication *self, const char *id, bool *matches, BkOp *op, GError **error)
{
    g_autofree char *name = make_copied_manifest_name(self->replicas.to, id);
    bool is_there = bk_held_find(self->replicas.there.snapshots, name) != NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) cause = NULL;
    g_autoptr(BkSnapshot) snapshot = load_chosen_manifest(self, id, &object, op, &cause);
    g_autoptr(GPtrArray) needs = NULL;

    if (snapshot == NULL)
        return cause == NULL || bk_propagate(error, &cause);
    if (bk_snapshot_head(snapshot)->state == BK_SNAPSHOT_UNFINISHED)
        return true;
    *matches = true;
    if (!note_wal_span(self, snapshot, &cause))
        return pass_over(self, &cause, error);
    needs = collect_needs(self, snapshot, !is_there && !self->options->without_wal);
    g_clear_pointer(&snapshot, bk_snapshot_free); /* it may be large */
    if (!bk_copied_objects_bring(&self->replicas, needs, !is_there, "copying", op, error))
        return false;
    if (is_there) {
        self->report->present++;
        return true;
    }
    if (is_complete(needs))
        return put_copied_manifest(self, id, &object, op, error);
    self->report->left_out++;
    return true;
}

static bool
is_wal_wanted(const Replication *self, const BkHeldObject *file)
{
    if (file->wal.kind == BK_WAL_HISTORY)
        return true;
    for (guint i = 0; i < self->spans->len; i++) {
        const BkWalSpan *span = &g_array_index(self->spans, BkWalSpan, i);

        if (bk_wal_span_needs(span, file->system_id, &file->wal) ||
            (!is_single(self->options) && bk_wal_span_leads_to(span, file->system_id, &file->wal)))
            return true;
    }
    return self->spans->len == 0 && is_unlimited(self->options);
}

static bool
copy_chosen_wal(Replication *self, bool only_histories, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();

    if (self->options->without_wal)
        return true;
    for (guint i = 0; i < self->here.wal->len; i++) {
        const BkHeldObject *file = bk_held_at(self->here.wal, i);

        if (only_histories ? file->wal.kind == BK_WAL_HISTORY : is_wal_wanted(self, file))
            g_ptr_array_add(wanted, bk_copied_objects_add_wal(&self->replicas, file));
    }
    return bk_copied_objects_bring(&self->replicas, wanted, false, COPYING_WAL, op, error);
}

/* What was decided about lines, of which there are several only where there is a history, and about
 * clusters. */
static bool
copy_decisions(Replication *self, BkOp *op, GError **error)
{
    g_autoptr(GArray) here = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);

    if (!bk_decision_list(self->replicas.from, here, damage, op, error) ||
        (here->len > 0 && !bk_decision_bring(here, self->replicas.to, damage, op, error)))
        return false;
    for (guint i = 0; i < damage->len; i++)
        bk_log(BK_LOG_WARNING, "%s", (const char *)g_ptr_array_index(damage, i));
    return true;
}

static bool
throw_nothing(const Replication *self, GError **error)
{
    const BkSourceRepo *from = self->replicas.from;

    return bk_throw(error, BK_ERROR_NOT_FOUND,
                    "repository \"%s\" has no snapshot of \"%s\" that matches",
                    bk_source_repo_repository_name(from), bk_source_repo_source(from));
}

static bool
copy_all(Replication *self, BkOp *op, GError **error)
{
    /* Without a choice there may be WAL alone: of a source not backed up yet. */
    bool matches =
        is_unlimited(self->options) && !self->options->without_wal && self->here.wal->len > 0;

    if (self->ids->len == 0 && !matches && self->replicas.problem == NULL)
        return throw_nothing(self, error);
    /* Whoever finds a segment of a timeline there is to find the history of it. */
    if (!copy_chosen_wal(self, true, op, error) || !copy_decisions(self, op, error))
        return false;
    for (guint i = 0; i < self->ids->len; i++)
        if (!copy_snapshot(self, g_ptr_array_index(self->ids, i), &matches, op, error))
            return false;
    if (!matches && self->replicas.problem == NULL)
        return throw_nothing(self, error);
    return copy_chosen_wal(self, false, op, error);
}

static bool
take_lease(Replication *self, BkOp *op, GError **error)
{
    const BkLeaseOptions options = {.break_held = self->options->break_lease};

    self->lease = self->options->lease;
    if (self->lease == NULL)
        self->lease = self->own_lease = bk_lease_acquire(self->replicas.to, &options, op, error);
    return self->lease != NULL;
}

static bool
copy_chosen_snapshots(Replication *self, BkOp *op, GError **error)
{
    bk_op_begin_phase(op, "listing", 0);
    bk_object_index_init(&self->here);
    bk_object_lock_init(&self->retain, 0, NULL);
    if (!take_lease(self, op, error) || !bk_copied_objects_open(&self->replicas, op, error) ||
        !bk_object_index_load(&self->here, self->replicas.from, op, error))
        return false;
    for (guint i = 0; i < self->here.strange->len; i++)
        bk_log(BK_LOG_WARNING, "skipped \"%s\": it does not belong in a repository",
               (const char *)g_ptr_array_index(self->here.strange, i));
    return choose_snapshots(self, op, error) && copy_all(self, op, error);
}

bool
bk_replicate(const BkSourceRepo *from, const BkSourceRepo *to, const BkCopyOptions *options,
             BkCopyReport *report, BkOp *op, GError **error)
{
    g_auto(Replication) self = {
        .options = options,
        .report = report,
        .replicas = {.from = from, .to = to, .workers = options->workers, .report = report},
    };
    g_autoptr(GError) cause = NULL;

    *report = (BkCopyReport){0};
    if (!check_parts(from, to, error))
        return false;
    if (!copy_chosen_snapshots(&self, op, &cause)) {
        bk_lease_explain(self.lease, &cause);
        return bk_propagate(error, &cause);
    }
    if (self.replicas.problem == NULL)
        return true;
    if (report->damaged > 1)
        (void)bk_prefix(&self.replicas.problem,
                        "%" G_GUINT64_FORMAT " objects could not be copied, the first",
                        report->damaged);
    return bk_propagate(error, &self.replicas.problem);
}
