/* repo-compare.c - compares what two repositories have of a source. */
#include "engine/check/repo-compare.h"

#include "engine/check/manifest-union.h"
#include "engine/copy/copied-objects.h"
#include "report/problem.h"
#include "source/pg/archive/archive.h"

#include <string.h>

typedef struct Comparison {
    BkRepoComparison *report;
    const BkSourceRepo *const *source_repos;
    BkObjectIndex held[BK_COMPARE_SIDES];
    BkManifestUnion manifests; /* of both */
} Comparison;

static void
comparison_clear(Comparison *self)
{
    for (size_t side = 0; side < BK_COMPARE_SIDES; side++)
        bk_object_index_clear(&self->held[side]);
    bk_manifest_union_clear(&self->manifests);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Comparison, comparison_clear)

static void
compared_clear(BkCompared *self)
{
    for (size_t side = 0; side < BK_COMPARE_SIDES; side++)
        g_clear_pointer(&self->missing[side].names, g_ptr_array_unref);
    g_clear_pointer(&self->differing.names, g_ptr_array_unref);
}

void
bk_repo_comparison_clear(BkRepoComparison *self)
{
    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++)
        compared_clear(&self->kinds[kind]);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    g_clear_pointer(&self->names, g_string_chunk_free);
}

static void
comparison_init(BkRepoComparison *self)
{
    *self = (BkRepoComparison){
        .problems = bk_problem_list_new(),
        .names = g_string_chunk_new(4096),
    };
    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++) {
        for (size_t side = 0; side < BK_COMPARE_SIDES; side++)
            self->kinds[kind].missing[side].names = g_ptr_array_new();
        self->kinds[kind].differing.names = g_ptr_array_new();
    }
}

static void
add_compared_lack(BkRepoComparison *self, BkComparedLack *lack, const char *name, uint64_t size)
{
    lack->count++;
    lack->bytes += size;
    if (lack->names->len < BK_COMPARE_NAMED)
        g_ptr_array_add(lack->names, g_string_chunk_insert(self->names, name));
}

/* An object as both sides have it; NULL: one has not. */
typedef struct Pair {
    const char *name;
    uint64_t size; /* that it is to have */
    const BkHeldObject *held[BK_COMPARE_SIDES];
} Pair;

static void
add_pair(BkRepoComparison *self, BkCompareKind kind, const Pair *pair, bool is_alike)
{
    BkCompared *compared = &self->kinds[kind];
    bool is_missing = false;

    compared->objects++;
    compared->bytes += pair->size;
    for (size_t side = 0; side < BK_COMPARE_SIDES; side++) {
        if (pair->held[side] != NULL)
            continue;
        is_missing = true;
        add_compared_lack(self, &compared->missing[side], pair->name, pair->size);
    }
    if (is_missing)
        return;
    if (!is_alike) {
        add_compared_lack(self, &compared->differing, pair->name, pair->size);
        return;
    }
    compared->replicated++;
    compared->replicated_bytes += pair->size;
}

/* Goes through two sorted arrays at once, by name. False at the end. */
static bool
next_pair(const GArray *left, const GArray *right, guint at[BK_COMPARE_SIDES], Pair *pair)
{
    const BkHeldObject *a = at[0] < left->len ? bk_held_at(left, at[0]) : NULL;
    const BkHeldObject *b = at[1] < right->len ? bk_held_at(right, at[1]) : NULL;
    int order;

    if (a == NULL && b == NULL)
        return false;
    order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->name, b->name);
    *pair = (Pair){.held = {order <= 0 ? a : NULL, order >= 0 ? b : NULL}};
    pair->name = order <= 0 ? a->name : b->name;
    pair->size = order <= 0 ? a->size : b->size;
    at[0] += order <= 0;
    at[1] += order >= 0;
    return true;
}

/* Each side seals its own manifest, unless it was copied: their bytes may differ. */
static void
compare_snapshots(Comparison *self)
{
    guint at[BK_COMPARE_SIDES] = {0, 0};
    Pair pair;

    while (next_pair(self->held[0].snapshots, self->held[1].snapshots, at, &pair)) {
        const BkHeldObject *held = pair.held[0] != NULL ? pair.held[0] : pair.held[1];

        if (!g_hash_table_contains(self->manifests.unfinished, held->base))
            add_pair(self->report, BK_COMPARE_SNAPSHOTS, &pair, true);
    }
}

static void
compare_packs(Comparison *self)
{
    for (guint i = 0; i < self->manifests.packs->len; i++) {
        const BkNamedPack *pack = &g_array_index(self->manifests.packs, BkNamedPack, i);
        Pair pair = {.name = pack->name, .size = pack->size};
        bool is_alike = true;

        for (size_t side = 0; side < BK_COMPARE_SIDES; side++) {
            pair.held[side] = bk_held_find(self->held[side].packs, pack->name);
            is_alike = is_alike && pair.held[side] != NULL && pair.held[side]->size == pack->size;
        }
        add_pair(self->report, BK_COMPARE_PACKS, &pair, is_alike);
    }
}

static bool
is_needed(const Comparison *self, const BkHeldObject *file)
{
    const GArray *spans = self->manifests.spans;

    for (guint i = 0; i < spans->len; i++) {
        const BkWalSpan *span = &g_array_index(spans, BkWalSpan, i);

        if (bk_wal_span_needs(span, file->system_id, &file->wal) ||
            bk_wal_span_leads_to(span, file->system_id, &file->wal))
            return true;
    }
    return spans->len == 0 || file->wal.kind == BK_WAL_HISTORY;
}

/* Objects of other sizes may have the same content. */
static bool
is_same_compared_file(const Comparison *self, const Pair *pair, bool *is_same, BkOp *op,
                      GError **error)
{
    const BkHeldObject *held = pair->held[0];
    g_autoptr(GError) cause = NULL;

    *is_same = pair->held[0] == NULL || pair->held[1] == NULL ||
               pair->held[0]->size == pair->held[1]->size;
    if (*is_same ||
        bk_archive_is_same(self->source_repos[0], self->source_repos[1], held->system_id,
                           held->base, &held->wal, is_same, op, &cause))
        return true;
    if (!bk_copied_objects_is_damage(cause))
        return bk_propagate(error, &cause);
    bk_problem_add(self->report->problems, BK_PROBLEM_OBJECT_DAMAGED,
                   .source = bk_source_repo_source(self->source_repos[0]), .cause = cause->message);
    return true;
}

static bool
compare_archived_wal(Comparison *self, BkOp *op, GError **error)
{
    guint at[BK_COMPARE_SIDES] = {0, 0};
    Pair pair;

    while (next_pair(self->held[0].wal, self->held[1].wal, at, &pair)) {
        const BkHeldObject *held = pair.held[0] != NULL ? pair.held[0] : pair.held[1];
        bool is_same;

        if (!is_needed(self, held))
            continue;
        if (!is_same_compared_file(self, &pair, &is_same, op, error))
            return false;
        add_pair(self->report, BK_COMPARE_WAL, &pair, is_same);
    }
    return true;
}

static bool
load_compared_repositories(Comparison *self, BkOp *op, GError **error)
{
    for (size_t side = 0; side < BK_COMPARE_SIDES; side++)
        bk_object_index_init(&self->held[side]);
    bk_manifest_union_init(&self->manifests);
    self->manifests.only_finished = true;
    for (size_t side = 0; side < BK_COMPARE_SIDES; side++) {
        const BkSourceRepo *source_repo = self->source_repos[side];

        if (source_repo != NULL &&
            (!bk_object_index_load(&self->held[side], source_repo, op, error) ||
             !bk_manifest_union_load(&self->manifests, source_repo, self->held[side].snapshots, op,
                                     error)))
            return false;
    }
    for (guint i = 0; i < self->manifests.damage->len; i++)
        bk_problem_add(self->report->problems, BK_PROBLEM_OBJECT_DAMAGED,
                       .source = bk_source_repo_source(
                           self->source_repos[self->source_repos[0] != NULL ? 0 : 1]),
                       .cause = g_ptr_array_index(self->manifests.damage, i));
    return true;
}

bool
bk_repo_comparison_run(BkRepoComparison *report,
                       const BkSourceRepo *const source_repos[BK_COMPARE_SIDES], BkOp *op,
                       GError **error)
{
    g_auto(Comparison) self = {.report = report, .source_repos = source_repos};

    g_assert(source_repos[0] != NULL || source_repos[1] != NULL);
    comparison_init(report);
    if (!load_compared_repositories(&self, op, error))
        return false;
    if (source_repos[0] != NULL && source_repos[1] != NULL &&
        !bk_source_repo_shares_keys(source_repos[0], source_repos[1]))
        bk_problem_add(report->problems, BK_PROBLEM_KEYS_DIFFER,
                       .source = bk_source_repo_source(source_repos[0]));
    compare_snapshots(&self);
    compare_packs(&self);
    return compare_archived_wal(&self, op, error);
}

bool
bk_repo_comparison_is_equal(const BkRepoComparison *self)
{
    for (size_t kind = 0; kind < BK_COMPARE_KINDS; kind++)
        if (self->kinds[kind].replicated != self->kinds[kind].objects)
            return false;
    return bk_problem_count(self->problems) == 0;
}

double
bk_repo_comparison_share(uint64_t replicated, uint64_t total)
{
    return total > 0 ? (double)replicated / (double)total : 1.0;
}
