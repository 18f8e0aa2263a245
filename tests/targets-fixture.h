/* targets-fixture.h - targets of tests: repositories that are open, and belong to somebody else.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo-fixture.h"
#include "repo/targets/targets.h"

#define TARGETS_FIXTURE_MAX 3

typedef struct TargetsFixture {
    BkRepositorySpec specs[TARGETS_FIXTURE_MAX];
    BkSourceSpec source;
    BkTargets targets;
} TargetsFixture;

/* The targets of source "orders": the required repository of `repo`, opened, and `names` (NULL at
 * its end; may be NULL) of best effort, which are to be given one. */
static inline void
targets_fixture_init(TargetsFixture *self, const RepoFixture *repo, const char *const *names,
                     const BkTargetsOptions *options)
{
    BkTarget *target;

    self->specs[0] = (BkRepositorySpec){.name = "local", .is_required = true};
    self->source = (BkSourceSpec){
        .name = "orders", .repositories = self->specs, .repository_count = 1, .workers = 2};
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        self->specs[self->source.repository_count++] = (BkRepositorySpec){.name = names[i]};
    bk_targets_init(&self->targets, &self->source, options, repo->op);
    target = bk_targets_at(&self->targets, 0);
    target->repository = repo->repository;
    target->source_repo = repo->source_repo;
    g_ptr_array_add(self->targets.source_repos, repo->source_repo);
}

/* What `repo` owns stays with it. */
static inline void
targets_fixture_clear(TargetsFixture *self)
{
    BkTarget *target = bk_targets_at(&self->targets, 0);

    g_clear_pointer(&target->lease, bk_lease_release);
    target->source_repo = NULL;
    target->repository = NULL;
    bk_targets_clear(&self->targets);
}
