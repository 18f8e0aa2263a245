/* fuzz-operations.c - whole operations that read a repository, over a store whose answers are
 * scripted: the input says which listing lies, and how, and which object comes damaged. Whatever it
 * answers, an operation succeeds or fails with an error. */
#include "../past-fixture.h"
#include "base/log.h"
#include "engine/check/repo-check.h"
#include "engine/copy/object-index.h"
#include "repo/lease.h"
#include "source/pg/archive/archive-gap.h"
#include "source/pg/archive/decision.h"
#include "source/pg/restore/plan-lines.h"
#include "store/store-priv.h"

#include <string.h>

#define MAX_NAME 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. At its end every answer is honest. */
typedef struct Script {
    const uint8_t *next;
    size_t left;
} Script;

typedef struct ScriptStore {
    BkStore base;
    BkStore *inner;
    Script script;
} ScriptStore;

static uint8_t
take(Script *self)
{
    if (self->left == 0)
        return 0;
    self->left--;
    return *self->next++;
}

/* A name: made up, or an honest one with a byte changed. */
static char *
make_name(Script *self, const char *honest)
{
    char *name = g_malloc0(MAX_NAME + strlen(honest) + 1);
    size_t count = take(self) % MAX_NAME;

    if (count % 2 == 0) {
        (void)g_strlcpy(name, honest, MAX_NAME + strlen(honest) + 1);
        if (name[0] != 0)
            name[take(self) % strlen(name)] = (char)take(self);
        return name;
    }
    for (size_t i = 0; i < count; i++)
        name[i] = (char)take(self);
    return name;
}

/* An honest listing under way, into which lies are mixed. */
typedef struct Mix {
    Script *script;
    BkStoreVisit visit;
    void *data;
} Mix;

static bool
visit_mixed(const BkStoreEntry *entry, void *data, GError **error)
{
    Mix *self = data;
    g_autofree char *name = NULL;
    BkStoreEntry changed = *entry;

    switch (take(self->script) % 8) {
    case 1: /* left out */
        return true;
    case 2: /* twice */
        if (!self->visit(entry, self->data, error))
            return false;
        break;
    case 3: /* another name before it */
        name = make_name(self->script, entry->name);
        changed.name = name;
        if (!self->visit(&changed, self->data, error))
            return false;
        break;
    case 4: /* another size or time */
        changed.size = (uint64_t)take(self->script) << (take(self->script) % 64);
        changed.modified_us = (int64_t)((uint64_t)take(self->script) << (take(self->script) % 64));
        return self->visit(&changed, self->data, error);
    case 5: /* another name instead */
        name = make_name(self->script, entry->name);
        changed.name = name;
        return self->visit(&changed, self->data, error);
    default:
        break;
    }
    return self->visit(entry, self->data, error);
}

static bool
script_list(BkStore *store, const char *prefix, const char *after, BkStoreVisit visit, void *data,
            BkOp *op, GError **error)
{
    ScriptStore *self = (ScriptStore *)store;
    Mix mix = {.script = &self->script, .visit = visit, .data = data};
    const uint8_t way = take(&self->script) % 8;

    if (way == 1)
        return bk_throw(error, BK_ERROR_STORE, "scripted");
    return self->inner->driver->list(self->inner, way == 2 ? "" : prefix, way == 3 ? "" : after,
                                     visit_mixed, &mix, op, error);
}

static bool
script_get(BkStore *store, const char *name, uint64_t offset, size_t size, size_t limit, BkBuf *out,
           BkOp *op, GError **error)
{
    ScriptStore *self = (ScriptStore *)store;
    const uint8_t way = take(&self->script) % 8;

    if (way == 1)
        return bk_store_throw_absent(error);
    if (!self->inner->driver->get(self->inner, name, offset, size, limit, out, op, error))
        return false;
    if (way == 2 && out->size > 0)
        out->data[take(&self->script) * (size_t)257 % out->size] ^= 1;
    if (way == 3 && out->size > 0)
        out->size = take(&self->script) * (size_t)257 % out->size;
    return true;
}

static bool
script_stat(BkStore *store, const char *name, uint64_t *size, BkOp *op, GError **error)
{
    BkStore *inner = ((ScriptStore *)store)->inner;

    return inner->driver->stat(inner, name, size, op, error);
}

static bool
script_put(BkStore *store, const char *name, const BkBuf *data, const uint8_t *sha256, BkOp *op,
           GError **error)
{
    BkStore *inner = ((ScriptStore *)store)->inner;

    return inner->driver->put(inner, name, data, sha256, op, error);
}

static bool
script_settle(BkStore *store, const char *name, BkOp *op, GError **error)
{
    BkStore *inner = ((ScriptStore *)store)->inner;

    return inner->driver->settle(inner, name, op, error);
}

static bool
script_delete(BkStore *store, const char *name, BkOp *op, GError **error)
{
    BkStore *inner = ((ScriptStore *)store)->inner;

    return inner->driver->delete (inner, name, op, error);
}

/* Made once, and lives as long as the program. */
static RepoFixture *
get_repository(ScriptStore **store)
{
    static const BkStoreDriver driver = {
        .put = script_put,
        .get = script_get,
        .stat = script_stat,
        .list = script_list,
        .settle = script_settle,
        .delete = script_delete,
    };
    static RepoFixture repo;
    static ScriptStore self;
    g_autoptr(GHashTable) packs = NULL;
    g_autoptr(GError) error = NULL;
    bool created;

    *store = &self;
    if (repo.op != NULL)
        return &repo;
    bk_store_init(&self.base, &driver, g_strdup("scripted memory"));
    self.inner = bk_store_mem_new();
    repo.op = bk_op_new(NULL);
    repo.store = &self.base;
    repo_fixture_key(&repo.key, 1);
    repo.repository =
        bk_repository_create(repo.store, "local", &repo.key, &created, repo.op, &error);
    repo.source_repo = repo.repository != NULL
                           ? bk_source_repo_create(repo.repository, "orders", NULL, repo.op, &error)
                           : NULL;
    g_assert_no_error(error);
    packs = past_packs_new();
    past_fill(&repo, packs);
    bk_log_set_level(BK_LOG_ERROR);
    return &repo;
}

/* An operation has failed if, and only if, it tells why. */
static void
expect_told(bool ok, const GError *error)
{
    g_assert((error == NULL) == ok);
}

static void
plan_restores(const BkRecoveryIndex *past, BkOp *op)
{
    static const char *const targets[] = {"latest", "immediate", "xid:702", "0/680000", FIRST};

    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_auto(BkRecoveryTarget) target = {0};
        g_auto(BkPlan) plan = {0};
        const BkPlanRequest request = {.target = &target};
        g_autoptr(GError) error = NULL;
        bool ok;

        if (!bk_recovery_target_parse(targets[i], MONDAY + 10 * PAST_DAY, &target, &error))
            continue;
        ok = bk_plan_make(past, &request, &plan, op, &error);

        expect_told(ok, error);
    }
}

static void
load_past(const BkSourceRepo *source_repo, BkRecoveryIndexArchive archive, BkOp *op)
{
    g_autoptr(GPtrArray) pasts = g_ptr_array_new_with_free_func(bk_recovery_index_free);
    g_autoptr(GError) error = NULL;
    bool ok = bk_recovery_index_load_all(source_repo, archive, pasts, op, &error);

    expect_told(ok, error);
    for (guint i = 0; ok && i < pasts->len; i++) {
        g_autoptr(GPtrArray) members = g_ptr_array_new();
        BkRecoveryIndex *joined;

        g_ptr_array_add(members, g_ptr_array_index(pasts, i));
        joined = bk_recovery_index_join(members);
        plan_restores(joined, op);
        bk_recovery_index_free(joined);
    }
}

static void
check_repository(const BkSourceRepo *source_repo, BkOp *op)
{
    g_auto(BkRepoCheck) check = {.problems = NULL};
    g_autoptr(GError) error = NULL;
    bool ok = bk_repo_check_run(&check, source_repo, op, &error);

    expect_told(ok, error);
}

static void
list_sources(const BkRepository *repository, BkOp *op)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) sources = bk_repository_list_sources(repository, op, &error);

    expect_told(sources != NULL, error);
}

static void
read_lease(const BkSourceRepo *source_repo, BkOp *op)
{
    g_auto(BkLeaseInfo) info = {0};
    g_autoptr(GError) error = NULL;
    bool ok = bk_lease_read(source_repo, &info, op, &error);

    expect_told(ok, error);
}

/* Listings that no other operation here makes. */
static void
list_holdings(const BkSourceRepo *source_repo, BkOp *op)
{
    g_auto(BkObjectIndex) holdings = {NULL};
    g_autoptr(GError) error = NULL;
    bool ok;

    bk_object_index_init(&holdings);
    ok = bk_object_index_load(&holdings, source_repo, op, &error);
    expect_told(ok, error);
}

static void
list_decisions(const BkSourceRepo *source_repo, BkOp *op)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    bool ok = bk_decision_list(source_repo, decisions, damage, op, &error);

    expect_told(ok, error);
}

static void
find_hole(const BkSourceRepo *source_repo, BkOp *op)
{
    g_auto(BkArchiveGap) hole = {NULL};
    g_autoptr(GError) error = NULL;
    BkWalName absent;
    bool ok = bk_wal_name_parse("000000010000000000000007", &absent) &&
              bk_archive_gap_find(source_repo, WAL_SYSTEM, &absent, MONDAY, &hole, op, &error);

    expect_told(ok, error);
}

static void
open_part(BkRepository *repository, BkOp *op)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkSourceRepo) source_repo = bk_source_repo_open(repository, "orders", op, &error);

    expect_told(source_repo != NULL, error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ScriptStore *store;
    RepoFixture *repo = get_repository(&store);

    store->script = (Script){data, size};
    open_part(repo->repository, repo->op);
    list_sources(repo->repository, repo->op);
    read_lease(repo->source_repo, repo->op);
    load_past(repo->source_repo, BK_RECOVERY_INDEX_KNOWN_ARCHIVE, repo->op);
    load_past(repo->source_repo, BK_RECOVERY_INDEX_WHOLE_ARCHIVE, repo->op);
    check_repository(repo->source_repo, repo->op);
    list_holdings(repo->source_repo, repo->op);
    list_decisions(repo->source_repo, repo->op);
    find_hole(repo->source_repo, repo->op);
    store->script = (Script){0};
    return 0;
}
