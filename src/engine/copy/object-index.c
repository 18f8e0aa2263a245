/* object-index.c - the objects of one source in one repository, by kind: names and sizes, from
 * listings. */
#include "engine/copy/object-index.h"

#include "source/pg/archive/archive.h"

#include <string.h>

void
bk_object_index_init(BkObjectIndex *self)
{
    *self = (BkObjectIndex){
        .snapshots = g_array_new(FALSE, FALSE, sizeof(BkHeldObject)),
        .packs = g_array_new(FALSE, FALSE, sizeof(BkHeldObject)),
        .wal = g_array_new(FALSE, FALSE, sizeof(BkHeldObject)),
        .strange = g_ptr_array_new_with_free_func(g_free),
        .names = g_string_chunk_new((gsize)64 * 1024),
    };
}

void
bk_object_index_clear(BkObjectIndex *self)
{
    g_clear_pointer(&self->snapshots, g_array_unref);
    g_clear_pointer(&self->packs, g_array_unref);
    g_clear_pointer(&self->wal, g_array_unref);
    g_clear_pointer(&self->strange, g_ptr_array_unref);
    g_clear_pointer(&self->names, g_string_chunk_free);
}

BkSnapshotEntry
bk_held_snapshot(const BkHeldObject *snapshot)
{
    BkSnapshotEntry entry = {.size = MAX(snapshot->size, 1)};

    (void)g_strlcpy(entry.id, snapshot->base, sizeof entry.id);
    return entry;
}

const BkHeldObject *
bk_held_at(const GArray *objects, guint index)
{
    g_assert(index < objects->len);
    return &((const BkHeldObject *)(const void *)objects->data)[index];
}

const BkHeldObject *
bk_held_find(const GArray *objects, const char *name)
{
    guint low = 0;
    guint high = objects->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const BkHeldObject *object = bk_held_at(objects, middle);
        int order = strcmp(object->name, name);

        if (order == 0)
            return object;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool
is_pack(const char *base)
{
    return strlen(base) == (size_t)2 * BK_SHA256_SIZE &&
           strspn(base, "0123456789abcdef") == (size_t)2 * BK_SHA256_SIZE;
}

typedef enum { HELD_SNAPSHOTS, HELD_PACKS, HELD_WAL, HELD_KINDS } HeldKind;

typedef struct Visit {
    const BkSourceRepo *source_repo;
    BkObjectIndex *holdings;
    HeldKind kind;
    GArray *objects; /* where those of this kind go */
} Visit;

static bool
has_place(const Visit *visit, BkHeldObject *object)
{
    switch (visit->kind) {
    case HELD_SNAPSHOTS:
        return bk_snapshot_is_id(object->base);
    case HELD_PACKS:
        return is_pack(object->base);
    case HELD_WAL:
        return bk_archive_parse_system(visit->source_repo, object->name, &object->system_id) &&
               bk_wal_name_parse(object->base, &object->wal);
    case HELD_KINDS:
        break;
    }
    g_assert_not_reached();
}

static bool
visit_object(const BkStoreEntry *entry, void *data, GError **error)
{
    const Visit *visit = data;
    BkHeldObject object = {.size = entry->size};

    (void)error;
    object.name = g_string_chunk_insert(visit->holdings->names, entry->name);
    object.base = bk_store_base_name(object.name);
    if (has_place(visit, &object))
        g_array_append_val(visit->objects, object);
    else
        g_ptr_array_add(visit->holdings->strange, g_strdup(entry->name));
    return true;
}

bool
bk_object_index_load(BkObjectIndex *self, const BkSourceRepo *source_repo, BkOp *op, GError **error)
{
    static const char *const directories[HELD_KINDS] = {"snapshots/", "packs/", "wal/"};
    GArray *const arrays[HELD_KINDS] = {self->snapshots, self->packs, self->wal};

    for (int kind = 0; kind < (int)HELD_KINDS; kind++) {
        g_autofree char *prefix = bk_source_repo_object_name(source_repo, "%s", directories[kind]);
        Visit visit = {.source_repo = source_repo,
                       .holdings = self,
                       .kind = (HeldKind)kind,
                       .objects = arrays[kind]};

        if (!bk_store_list(bk_source_repo_store(source_repo), prefix, NULL, visit_object, &visit,
                           op, error))
            return false;
    }
    return true;
}
