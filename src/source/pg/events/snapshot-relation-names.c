/* snapshot-relation-names.c - the catalogs that name relations, read from a snapshot. */
#include "source/pg/events/snapshot-relation-names.h"

#include "base/log.h"
#include "repo/extract/extract.h"
#include "repo/snapshot/snapshot-manifest.h"

#include <string.h>

#define MAP_NAME      "pg_filenode.map"
#define MAP_LIMIT     ((size_t)4096)
#define CATALOG_LIMIT ((size_t)256 * BK_MIB) /* of a file: more pages than rows are kept */

struct BkSnapshotRelationNames {
    GPtrArray *source_repos;
    BkSnapshot *snapshot;
    unsigned major;
};

BkSnapshotRelationNames *
bk_snapshot_relation_names_load(GPtrArray *source_repos, const BkSourceRepo *source_repo,
                                const char *id, unsigned major, BkOp *op, GError **error)
{
    BkSnapshot *snapshot = bk_snapshot_load(source_repo, id, op, error);
    BkSnapshotRelationNames *self;

    if (snapshot == NULL)
        return NULL;
    self = g_new0(BkSnapshotRelationNames, 1);
    self->source_repos = source_repos;
    self->snapshot = snapshot;
    self->major = major;
    return self;
}

void
bk_snapshot_relation_names_free(BkSnapshotRelationNames *self)
{
    if (self == NULL)
        return;
    bk_snapshot_free(self->snapshot);
    g_free(self);
}

/* The directory of a database, which has a map wherever it is: a new string, or NULL. */
static char *
find_database_directory(const BkSnapshotRelationNames *self, uint32_t database)
{
    g_autofree char *directory = g_strdup_printf("base/%u", database);
    g_autofree char *map = g_strdup_printf("%s/" MAP_NAME, directory);
    g_autofree char *ending = g_strdup_printf("/%u/" MAP_NAME, database);
    size_t count;
    const BkFile *files;

    if (database == 0)
        return g_strdup("global");
    if (bk_snapshot_find_file(self->snapshot, map) != NULL)
        return g_steal_pointer(&directory);
    files = bk_snapshot_files(self->snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (g_str_has_prefix(files[i].path, "pg_tblspc/") &&
            g_str_has_suffix(files[i].path, ending))
            return g_strndup(files[i].path, strlen(files[i].path) - strlen("/" MAP_NAME));
    return NULL;
}

/* False when there is no such file, or it cannot be read. */
static bool
read_catalog_file(const BkSnapshotRelationNames *self, const char *path, size_t limit,
                  BkBuf *content, BkOp *op)
{
    const BkExtractOptions options = {.source_repos = self->source_repos,
                                      .snapshot = self->snapshot};
    const BkFile *file = bk_snapshot_find_file(self->snapshot, path);
    g_autoptr(GError) error = NULL;

    if (file == NULL || file->kind != BK_FILE_REGULAR)
        return false;
    if (bk_extract_read(&options, file, limit, content, op, &error))
        return true;
    bk_log(BK_LOG_WARNING, "names of relations are incomplete: %s", error->message);
    return false;
}

typedef void (*AddPage)(BkRelationNames *catalog, const uint8_t *page, uint32_t block);

static void
add_page_names(BkRelationNames *catalog, const uint8_t *page, uint32_t block)
{
    (void)block;
    bk_relation_names_add_names(catalog, page);
}

/* All segments of a relation's file. */
static void
add_pages(const BkSnapshotRelationNames *self, BkRelationNames *catalog, const char *directory,
          uint32_t node, AddPage add, BkOp *op)
{
    for (uint32_t segment = 0; !bk_relation_names_is_full(catalog); segment++) {
        g_autofree char *path = segment == 0
                                    ? g_strdup_printf("%s/%u", directory, node)
                                    : g_strdup_printf("%s/%u.%u", directory, node, segment);
        g_auto(BkBuf) content = BK_BUF_INIT;

        if (!read_catalog_file(self, path, CATALOG_LIMIT, &content, op))
            return;
        for (size_t at = 0; at + BK_PG_PAGE_SIZE <= content.size; at += BK_PG_PAGE_SIZE)
            add(catalog, content.data + at,
                segment * BK_PG_SEGMENT_BLOCKS + (uint32_t)(at / BK_PG_PAGE_SIZE));
        if (content.size < (size_t)BK_PG_SEGMENT_BLOCKS * BK_PG_PAGE_SIZE)
            return;
    }
}

BkRelationNames *
bk_snapshot_relation_names_open(BkSnapshotRelationNames *self, uint32_t database, BkOp *op)
{
    BkRelationNames *catalog = bk_relation_names_new(database, self->major);
    g_autofree char *directory = find_database_directory(self, database);
    g_autofree char *map_path = NULL;
    g_auto(BkBuf) map = BK_BUF_INIT;

    if (directory == NULL)
        return catalog; /* made since the snapshot: the WAL tells */
    map_path = g_strdup_printf("%s/" MAP_NAME, directory);
    if (read_catalog_file(self, map_path, MAP_LIMIT, &map, op))
        bk_relation_names_set_map(catalog, map.data, map.size);
    if (database == 0) {
        add_pages(self, catalog, directory, bk_relation_names_databases_node(catalog),
                  add_page_names, op);
    } else {
        add_pages(self, catalog, directory, bk_relation_names_class_node(catalog),
                  bk_relation_names_add_relations, op);
        add_pages(self, catalog, directory, bk_relation_names_schemas_node(catalog), add_page_names,
                  op);
    }
    return catalog;
}
