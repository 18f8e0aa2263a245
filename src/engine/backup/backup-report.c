/* backup-report.c - fills the report of a backup. */
#include "engine/backup/backup-report.h"

void
bk_backup_report_clear(BkBackupReport *self)
{
    bk_pg_meta_clear(&self->meta);
    g_free(self->parent);
    g_free(self->why);
    g_clear_pointer(&self->repositories, g_ptr_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    *self = (BkBackupReport){0};
}

void
bk_backup_report_fill(BkBackupReport *self, const BkAssembly *assembly)
{
    const BkSnapshotHead *head = bk_snapshot_head(assembly->snapshot);

    self->finished_us = head->finished_us;
    self->files = assembly->files;
    self->packs = assembly->packs;
    self->bytes = head->bytes;
    self->stored_bytes = head->stored_bytes;
    self->new_bytes = head->new_bytes;
    self->mode = head->mode;
    self->parent = g_strdup(head->parent);
    self->why = g_strdup(head->why);
    self->work = head->work;
}

static void
free_repository(void *data)
{
    BkBackupRepository *repository = data;

    g_free(repository->why);
    g_free(repository);
}

void
bk_backup_report_add_repositories(BkBackupReport *self, const BkTargets *targets)
{
    self->repositories = g_ptr_array_new_with_free_func(free_repository);
    for (guint i = 0; i < targets->all->len; i++) {
        const BkTarget *target = bk_targets_at(targets, i);
        BkBackupRepository *repository = g_new0(BkBackupRepository, 1);

        repository->name = target->spec->name;
        repository->is_required = target->is_required;
        repository->why = g_strdup(target->why);
        g_ptr_array_add(self->repositories, repository);
    }
}

static void
add_problems(BkBackupReport *self, const char *source, const char *contradiction,
             const GPtrArray *removed)
{
    self->problems = bk_problem_list_new();
    bk_problem_add_all(self->problems, removed);
    if (contradiction != NULL)
        bk_problem_add(self->problems, BK_PROBLEM_WAL_INCOMPLETE, .source = source,
                       .snapshot = self->id, .cause = contradiction);
    if (self->state == BK_SNAPSHOT_DAMAGED)
        bk_problem_add(self->problems, BK_PROBLEM_SNAPSHOT_DAMAGED, .source = source,
                       .snapshot = self->id, .count = self->meta.damaged_pages);
    for (guint i = 0; i < self->repositories->len; i++) {
        const BkBackupRepository *repository = g_ptr_array_index(self->repositories, i);

        if (repository->why != NULL)
            bk_problem_add(self->problems, BK_PROBLEM_REPOSITORY_BEHIND, .source = source,
                           .repository = repository->name, .is_best_effort = true,
                           .cause = repository->why);
    }
}

bool
bk_backup_report_check(BkBackupReport *self, const char *source, const char *contradiction,
                       const GPtrArray *removed, GError **error)
{
    const BkPgDamage *first;

    add_problems(self, source, contradiction, removed);
    if (contradiction != NULL)
        return bk_throw(error, BK_ERROR_CONTRADICTION,
                        "snapshot %s of \"%s\" is complete, since everything was read: %s",
                        self->id, source, contradiction);
    if (self->state != BK_SNAPSHOT_DAMAGED)
        return removed->len == 0 ||
               bk_throw(error, BK_ERROR_ABSENT,
                        "snapshot %s of \"%s\" is complete, but what was there before is not: %s",
                        self->id, source, ((BkProblem *)g_ptr_array_index(removed, 0))->text);
    first = g_ptr_array_index(self->meta.damage, 0);
    return bk_throw(error, BK_ERROR_DAMAGED,
                    "snapshot %s of \"%s\" is kept but marked damaged: %" G_GUINT64_FORMAT
                    " pages fail their checksum (first: %s block %u)",
                    self->id, source, self->meta.damaged_pages, first->file, first->block);
}
