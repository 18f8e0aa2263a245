/* snapshot-wal.c - the WAL that a standalone snapshot contains, read from its packs. */
#include "source/pg/restore/snapshot-wal.h"

#include "repo/extract/extract.h"
#include "repo/snapshot/snapshot-manifest.h"

struct BkSnapshotWal {
    const BkRecoveryIndex *past;
    const BkRecoveryIndexSnapshot *snapshot;
    GPtrArray *source_repos; /* of BkSourceRepo, borrowed: the one that has the manifest first */
    BkSnapshot *loaded;      /* NULL until it is needed */
};

BkSnapshotWal *
bk_snapshot_wal_new(const BkRecoveryIndex *past, const BkRecoveryIndexSnapshot *snapshot)
{
    BkSnapshotWal *self = g_new0(BkSnapshotWal, 1);

    self->past = past;
    self->snapshot = snapshot;
    self->source_repos = g_ptr_array_new();
    return self;
}

void
bk_snapshot_wal_free(BkSnapshotWal *self)
{
    if (self == NULL)
        return;
    bk_snapshot_free(self->loaded);
    g_ptr_array_unref(self->source_repos);
    g_free(self);
}

/* Repositories with the same keys have the same packs. */
static void
find_parts(BkSnapshotWal *self)
{
    const BkRecoveryIndex *past = self->past;
    const BkRecoveryIndex *first =
        past->members != NULL ? bk_recovery_index_find_member(past, self->snapshot->head.id) : past;

    g_ptr_array_add(self->source_repos, (void *)(uintptr_t)first->source_repo);
    for (guint i = 0; past->members != NULL && i < past->members->len; i++) {
        const BkRecoveryIndex *other = g_ptr_array_index(past->members, i);

        if (other != first && bk_source_repo_shares_keys(other->source_repo, first->source_repo))
            g_ptr_array_add(self->source_repos, (void *)(uintptr_t)other->source_repo);
    }
}

static bool
load_snapshot(BkSnapshotWal *self, BkOp *op, GError **error)
{
    g_autoptr(GError) first = NULL;

    if (self->source_repos->len == 0)
        find_parts(self);
    for (guint i = 0; self->loaded == NULL && i < self->source_repos->len; i++) {
        g_autoptr(GError) cause = NULL;

        self->loaded = bk_snapshot_load(g_ptr_array_index(self->source_repos, i),
                                        self->snapshot->head.id, op, &cause);
        if (self->loaded == NULL && first == NULL)
            first = g_steal_pointer(&cause);
    }
    return self->loaded != NULL || bk_propagate(error, &first);
}

bool
bk_snapshot_wal_get(BkSnapshotWal *self, uint64_t segno, BkBuf *content, BkOp *op, GError **error)
{
    const BkPgMeta *meta = &self->snapshot->meta;
    BkExtractOptions options = {.source_repos = self->source_repos};
    char name[BK_WAL_NAME_SIZE];
    g_autofree char *path = g_strconcat(
        "pg_wal/", bk_wal_segment_name(meta->timeline, segno, meta->segment_size, name), NULL);
    const BkFile *file;

    if (!load_snapshot(self, op, error))
        return false;
    options.snapshot = self->loaded;
    file = bk_snapshot_find_file(self->loaded, path);
    if (file == NULL || file->kind != BK_FILE_REGULAR)
        return bk_throw(error, BK_ERROR_CORRUPT, "snapshot %s is missing its own WAL, \"%s\"",
                        self->snapshot->head.id, path);
    return bk_extract_read(&options, file, meta->segment_size, content, op, error) ||
           bk_prefix(error, "snapshot %s, \"%s\"", self->snapshot->head.id, path);
}

bool
bk_snapshot_wal_get_info(BkSnapshotWal *self, uint64_t segno, BkWalInfo *info, BkOp *op,
                         GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    return bk_snapshot_wal_get(self, segno, &content, op, error) &&
           bk_wal_info_collect(content.data, content.size, NULL, info, error);
}
