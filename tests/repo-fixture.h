/* repo-fixture.h - a repository in memory with one source, for tests.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "expect.h"
#include "repo/repository.h"
#include "store/testing/fault-store.h"
#include "store/testing/mem.h"

typedef struct RepoFixture {
    BkOp *op;
    BkKeyFile key;
    BkStore *store; /* borrowed from the repository; a fault store around one in memory */
    BkRepository *repository;
    BkSourceRepo *source_repo;       /* of source "orders" */
    BkRepository *second_repository; /* see repo_fixture_add_second */
    BkStore *second_store;           /* as `store` */
    BkSourceRepo *second;            /* of the same source, whose key it has */
} RepoFixture;

/* A key of its own for each `number`, without a file. */
static inline void
repo_fixture_key(BkKeyFile *key, uint8_t number)
{
    (void)g_snprintf(key->slot, sizeof key->slot, "%016x", number);
    memset(key->secret.bytes, number, sizeof key->secret.bytes);
}

static inline void
repo_fixture_init(RepoFixture *self)
{
    g_autoptr(GError) error = NULL;
    bool created;

    *self = (RepoFixture){.op = NULL};
    self->op = bk_op_new(NULL);
    repo_fixture_key(&self->key, 1);
    self->store = bk_store_fault_new(bk_store_mem_new());
    self->repository =
        bk_repository_create(self->store, "local", &self->key, &created, self->op, &error);
    g_assert_no_error(error);
    g_assert_true(created);
    self->source_repo = bk_source_repo_create(self->repository, "orders", NULL, self->op, &error);
    g_assert_no_error(error);
}

/* A second repository for the source, with a key of its own. */
static inline void
repo_fixture_add_second(RepoFixture *self)
{
    g_autoptr(GError) error = NULL;
    BkKeyFile key;
    bool created;

    repo_fixture_key(&key, 2);
    self->second_store = bk_store_fault_new(bk_store_mem_new());
    self->second_repository =
        bk_repository_create(self->second_store, "second", &key, &created, self->op, &error);
    g_assert_no_error(error);
    self->second = bk_source_repo_create(self->second_repository, "orders", self->source_repo,
                                         self->op, &error);
    g_assert_no_error(error);
}

static inline void
repo_fixture_clear(RepoFixture *self)
{
    bk_source_repo_free(self->second);
    bk_repository_free(self->second_repository);
    bk_source_repo_free(self->source_repo);
    bk_repository_free(self->repository);
    bk_op_free(self->op);
}

static inline void
repo_fixture_set_up(RepoFixture *self, const void *data)
{
    (void)data;
    repo_fixture_init(self);
}

static inline void
repo_fixture_tear_down(RepoFixture *self, const void *data)
{
    (void)data;
    repo_fixture_clear(self);
}

#define REPO_TEST(name, function)                                                                  \
    g_test_add(name, RepoFixture, NULL, repo_fixture_set_up, function, repo_fixture_tear_down)

/* Replaces what is stored under `name`: what a disk or an intruder may do. */
static inline void
repo_fixture_overwrite(BkStore *store, const char *name, const BkBuf *object, BkOp *op)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_delete(store, name, op, &error));
    EXPECT_DONE(bk_store_put(store, name, object, op, &error));
}

static inline void
repo_fixture_get(BkStore *store, const char *name, BkBuf *object, BkOp *op)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_get(store, name, 0, SIZE_MAX, SIZE_MAX, object, op, &error));
}

static inline bool
repo_fixture_collect(const BkStoreEntry *entry, void *data, GError **error)
{
    (void)error;
    g_ptr_array_add(data, g_strdup(entry->name));
    return true;
}

/* Names of all objects with `prefix`. */
static inline GPtrArray *
repo_fixture_names(BkStore *store, const char *prefix, BkOp *op)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_list(store, prefix, NULL, repo_fixture_collect, names, op, &error));
    return names;
}
