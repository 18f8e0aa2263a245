/* relation-names.c - the names of relations, read from the pages of pg_class, pg_namespace and
 * pg_database, and kept up to date from the WAL.
 *
 * A catalog knows two things and keeps them apart:
 *
 *   rows    place (block, line pointer) ► the first bytes of the row version there, whoever sees it
 *   oids    OID ► the relation as committed transactions left it; files: file node ► OID
 *
 * The WAL describes an update as a difference to a version at a place: the bytes that the versions
 * share at the front and the back are not in the record. So every version must be followed from
 * place to place (note_row), while its transaction is still open; only its commit makes it visible
 * (put, remove), and an abort or commit makes one of the two versions useless (forget_place). A
 * version whose place was never seen cannot be decoded: the relation keeps the name that it had,
 * and the row has no OID.
 *
 * A snapshot's pages are read while the server writes: they may be torn, and hold versions that
 * nobody sees. The hint bits of a version grade it: DEAD (its insertion failed, or its deletion is
 * known to have committed), REPLACED (a deletion is under way or unknown), SEEN. The best grade
 * wins; between equals the later xmin. Torn pages are repaired by the full-page images in the WAL
 * since the snapshot's start.
 *
 * pg_class and pg_namespace are mapped relations or have fixed file nodes in a new cluster. A
 * rewrite of a catalog (VACUUM FULL pg_class) changes the map: then all places are unknown from
 * there on, and the names are those known so far. */
#include "source/pg/format/relation-names.h"

#include "codec/crc32c.h"
#include "source/pg/format/bytes.h"

#include <stdio.h>
#include <string.h>

enum {
    PAGE_HEADER = 24,
    LINE_POINTER = 4,
    LINE_NORMAL = 1, /* points to a row */
    TUPLE_XMAX = 4,
    TUPLE_INFOMASK = 20,
    TUPLE_DATA_START = 22, /* where the byte is that tells where the columns begin */
    TUPLE_HEADER = 23,
};

enum {
    XMAX_LOCK_ONLY = 0x0080,
    XMIN_COMMITTED = 0x0100,
    XMIN_INVALID = 0x0200,
    XMAX_COMMITTED = 0x0400,
    XMAX_INVALID = 0x0800,
};

/* The first columns of pg_class, whose sizes are fixed; 18 has one more before relkind. */
enum {
    CLASS_OID = 0,
    CLASS_NAME = 4,
    CLASS_SCHEMA = 68,
    CLASS_FILE_NODE = 88,
    CLASS_TABLESPACE = 92,
    CLASS_KIND = 115,
    CLASS_KIND_18 = 119,
};

/* Every catalog that bears a name begins alike. */
enum {
    NAMED_OID = 0,
    NAMED_NAME = 4,
    NAMED_SIZE = 68,
};

enum {
    MAP_MAGIC = 0x592717,
    MAP_HEAD = 8, /* magic number and count */
    MAP_ENTRY = 8,
    MAP_ENTRIES_15 = 62, /* room for so many up to 15, and since 16 */
    MAP_ENTRIES_16 = 64,
};

/* How likely it is that a version of a row is the one that is seen. */
typedef enum {
    LIKELY_DEAD,
    LIKELY_REPLACED,
    LIKELY_SEEN,
} Likelihood;

typedef struct Entry {
    BkPgRelation relation;
    Likelihood likelihood;
    uint32_t xmin;
} Entry;

typedef struct Row {
    uint8_t head[BK_RELATION_NAMES_HEAD_SIZE];
    uint32_t size; /* of the columns, those behind the head too; 0: not known */
} Row;

struct BkRelationNames {
    uint32_t database;
    unsigned major;
    uint32_t class_node;
    uint32_t databases_node;
    GHashTable *rows;  /* place -> Row */
    GHashTable *oids;  /* OID -> Entry */
    GHashTable *files; /* file node -> OID */
    GHashTable *names; /* OID -> char * */
    bool is_full;
    size_t *total;  /* of all catalogs that share it, or NULL */
    size_t counted; /* what of it is this one's */
};

bool
bk_pg_page_next_tuple(const uint8_t *page, uint16_t from, BkPgTuple *tuple)
{
    BkPgPage header;
    unsigned count;

    bk_pg_page_decode(page, &header);
    if (header.size != BK_PG_PAGE_SIZE || header.lower < PAGE_HEADER ||
        header.lower > BK_PG_PAGE_SIZE)
        return false;
    count = (unsigned)(header.lower - PAGE_HEADER) / LINE_POINTER;
    for (unsigned i = from; i >= 1 && i <= count; i++) {
        uint32_t line = bk_bytes_u32(page + PAGE_HEADER + (size_t)(i - 1) * LINE_POINTER);
        uint32_t at = line & 0x7FFF;
        uint32_t size = line >> 17;
        uint8_t start;

        if (((line >> 15) & 3) != LINE_NORMAL || size <= TUPLE_HEADER ||
            at + size > BK_PG_PAGE_SIZE)
            continue;
        start = page[at + TUPLE_DATA_START];
        if (start < TUPLE_HEADER || start > size)
            continue;
        *tuple = (BkPgTuple){
            .offset = (uint16_t)i,
            .xmin = bk_bytes_u32(page + at),
            .xmax = bk_bytes_u32(page + at + TUPLE_XMAX),
            .infomask = bk_bytes_u16(page + at + TUPLE_INFOMASK),
            .data = page + at + start,
            .size = size - start,
        };
        return true;
    }
    return false;
}

/* Copies a name of the server's: zero bytes to its end, and not empty. */
static bool
copy_relation_name(char name[BK_PG_NAME_SIZE], const uint8_t *from)
{
    memcpy(name, from, BK_PG_NAME_SIZE);
    return name[0] != 0 && name[BK_PG_NAME_SIZE - 1] == 0;
}

bool
bk_pg_relation_decode(const uint8_t *data, size_t size, unsigned major, BkPgRelation *relation)
{
    const size_t kind = major >= 18 ? CLASS_KIND_18 : CLASS_KIND;

    G_STATIC_ASSERT(CLASS_KIND_18 < BK_RELATION_NAMES_HEAD_SIZE);
    if (size <= kind || strchr("riStvmcfpI", data[kind]) == NULL || data[kind] == 0)
        return false;
    *relation = (BkPgRelation){
        .oid = bk_bytes_u32(data + CLASS_OID),
        .schema = bk_bytes_u32(data + CLASS_SCHEMA),
        .file_node = bk_bytes_u32(data + CLASS_FILE_NODE),
        .tablespace = bk_bytes_u32(data + CLASS_TABLESPACE),
        .kind = (char)data[kind],
        .persistence = (char)data[kind - 1],
    };
    return relation->oid != 0 && copy_relation_name(relation->name, data + CLASS_NAME);
}

bool
bk_pg_map_find(const uint8_t *map, size_t size, uint32_t oid, uint32_t *file_node)
{
    const size_t room =
        size == MAP_HEAD + (size_t)MAP_ENTRIES_16 * MAP_ENTRY + 4 ? MAP_ENTRIES_16 : MAP_ENTRIES_15;
    const size_t crc_at = MAP_HEAD + room * MAP_ENTRY;
    uint32_t count;

    if (size < crc_at + 4 || bk_bytes_u32(map) != MAP_MAGIC ||
        bk_bytes_u32(map + crc_at) != bk_crc32c(0, map, crc_at))
        return false;
    count = bk_bytes_u32(map + 4);
    for (size_t i = 0; i < count && i < room; i++) {
        const uint8_t *entry = map + MAP_HEAD + i * MAP_ENTRY;

        if (bk_bytes_u32(entry) == oid) {
            *file_node = bk_bytes_u32(entry + 4);
            return true;
        }
    }
    return false;
}

static void *
make_relation_key(uint64_t number)
{
    return (void *)(uintptr_t)number;
}

static void *
place_key(const BkRelationNamesPlace *place)
{
    return make_relation_key((uint64_t)place->block << 16 | place->offset);
}

static void
count_row(BkRelationNames *self)
{
    size_t held = g_hash_table_size(self->rows);

    if (self->total == NULL)
        return;
    held += g_hash_table_size(self->oids);
    held += g_hash_table_size(self->names);
    *self->total += held - self->counted;
    self->counted = held;
}

static bool
has_names_room(BkRelationNames *self, GHashTable *table)
{
    count_row(self);
    if (g_hash_table_size(table) < BK_RELATION_NAMES_ROWS_MAX &&
        (self->total == NULL || *self->total < BK_RELATION_NAMES_ALL_MAX))
        return true;
    self->is_full = true;
    return false;
}

void
bk_relation_names_share(BkRelationNames *self, size_t *total)
{
    self->total = total;
    count_row(self);
}

BkRelationNames *
bk_relation_names_new(uint32_t database, unsigned major)
{
    static const struct {
        uint32_t oid;
        const char *name;
    } schemas[] = {{11, "pg_catalog"}, {99, "pg_toast"}, {2200, "public"}};
    BkRelationNames *self = g_new0(BkRelationNames, 1);

    self->database = database;
    self->major = major;
    self->class_node = BK_PG_CLASS_OID;
    self->databases_node = BK_PG_DATABASE_OID;
    self->rows = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    self->oids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    self->files = g_hash_table_new(NULL, NULL);
    self->names = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    for (size_t i = 0; database != 0 && i < G_N_ELEMENTS(schemas); i++)
        g_hash_table_insert(self->names, make_relation_key(schemas[i].oid),
                            g_strdup(schemas[i].name));
    return self;
}

void
bk_relation_names_free(BkRelationNames *self)
{
    if (self == NULL)
        return;
    if (self->total != NULL)
        *self->total -= self->counted;
    g_hash_table_unref(self->rows);
    g_hash_table_unref(self->oids);
    g_hash_table_unref(self->files);
    g_hash_table_unref(self->names);
    g_free(self);
}

BkRelationNames *
bk_relation_names_copy(const BkRelationNames *from, uint32_t database)
{
    BkRelationNames *self = bk_relation_names_new(database, from->major);
    GHashTableIter iter;
    void *key, *value;

    self->class_node = from->class_node;
    self->is_full = from->is_full;
    g_hash_table_iter_init(&iter, from->rows);
    while (g_hash_table_iter_next(&iter, &key, &value))
        g_hash_table_insert(self->rows, key, g_memdup2(value, sizeof(Row)));
    g_hash_table_iter_init(&iter, from->oids);
    while (g_hash_table_iter_next(&iter, &key, &value))
        g_hash_table_insert(self->oids, key, g_memdup2(value, sizeof(Entry)));
    g_hash_table_iter_init(&iter, from->files);
    while (g_hash_table_iter_next(&iter, &key, &value))
        g_hash_table_insert(self->files, key, value);
    g_hash_table_iter_init(&iter, from->names);
    while (g_hash_table_iter_next(&iter, &key, &value))
        g_hash_table_insert(self->names, key, g_strdup(value));
    return self;
}

void
bk_relation_names_set_map(BkRelationNames *self, const uint8_t *map, size_t size)
{
    uint32_t node;

    if (self->database == 0) {
        if (bk_pg_map_find(map, size, BK_PG_DATABASE_OID, &node))
            self->databases_node = node;
    } else if (bk_pg_map_find(map, size, BK_PG_CLASS_OID, &node) && node != self->class_node) {
        self->class_node = node;
        g_hash_table_remove_all(self->rows); /* they were of the other file */
    }
}

uint32_t
bk_relation_names_class_node(const BkRelationNames *self)
{
    return self->class_node;
}

uint32_t
bk_relation_names_schemas_node(const BkRelationNames *self)
{
    const BkPgRelation *schemas = bk_relation_names_find(self, BK_PG_SCHEMAS_OID);

    return schemas != NULL ? schemas->file_node : BK_PG_SCHEMAS_OID;
}

uint32_t
bk_relation_names_databases_node(const BkRelationNames *self)
{
    return self->databases_node;
}

static Row *
make_row(BkRelationNames *self, const BkRelationNamesPlace *place)
{
    Row *row = g_hash_table_lookup(self->rows, place_key(place));

    if (row == NULL && has_names_room(self, self->rows)) {
        row = g_new0(Row, 1);
        g_hash_table_insert(self->rows, place_key(place), row);
    }
    return row;
}

static Likelihood
judge_tuple(const BkPgTuple *tuple)
{
    if ((tuple->infomask & (XMIN_COMMITTED | XMIN_INVALID)) == XMIN_INVALID)
        return LIKELY_DEAD;
    if (tuple->xmax == 0 || (tuple->infomask & (XMAX_INVALID | XMAX_LOCK_ONLY)) != 0)
        return LIKELY_SEEN;
    return (tuple->infomask & XMAX_COMMITTED) != 0 ? LIKELY_DEAD : LIKELY_REPLACED;
}

static void
set_entry(BkRelationNames *self, const Entry *from)
{
    Entry *entry = g_hash_table_lookup(self->oids, make_relation_key(from->relation.oid));

    if (entry == NULL) {
        if (!has_names_room(self, self->oids))
            return;
        entry = g_new0(Entry, 1);
        g_hash_table_insert(self->oids, make_relation_key(from->relation.oid), entry);
    } else if (g_hash_table_lookup(self->files, make_relation_key(entry->relation.file_node)) ==
               make_relation_key(entry->relation.oid)) {
        g_hash_table_remove(self->files, make_relation_key(entry->relation.file_node));
    }
    *entry = *from;
    if (from->relation.file_node != 0)
        g_hash_table_insert(self->files, make_relation_key(from->relation.file_node),
                            make_relation_key(from->relation.oid));
}

void
bk_relation_names_add_relations(BkRelationNames *self, const uint8_t *page, uint32_t block)
{
    BkPgTuple tuple = {.offset = 0};

    while (bk_pg_page_next_tuple(page, (uint16_t)(tuple.offset + 1), &tuple)) {
        const BkRelationNamesPlace place = {block, tuple.offset};
        Entry entry = {.likelihood = judge_tuple(&tuple), .xmin = tuple.xmin};
        const Entry *present;
        Row *row;

        if (!bk_pg_relation_decode(tuple.data, tuple.size, self->major, &entry.relation))
            continue;
        row = make_row(self, &place);
        if (row != NULL) {
            memcpy(row->head, tuple.data, MIN(tuple.size, sizeof row->head));
            row->size = (uint32_t)tuple.size;
        }
        if (entry.likelihood == LIKELY_DEAD)
            continue;
        present = g_hash_table_lookup(self->oids, make_relation_key(entry.relation.oid));
        if (present == NULL || entry.likelihood > present->likelihood ||
            (entry.likelihood == present->likelihood && (int32_t)(entry.xmin - present->xmin) > 0))
            set_entry(self, &entry);
    }
}

void
bk_relation_names_note_name(BkRelationNames *self, const uint8_t *data, size_t size)
{
    char name[BK_PG_NAME_SIZE];
    uint32_t oid;

    if (size < NAMED_SIZE || !copy_relation_name(name, data + NAMED_NAME))
        return;
    oid = bk_bytes_u32(data + NAMED_OID);
    if (oid != 0 && (g_hash_table_contains(self->names, make_relation_key(oid)) ||
                     has_names_room(self, self->names)))
        g_hash_table_insert(self->names, make_relation_key(oid), g_strdup(name));
}

void
bk_relation_names_add_names(BkRelationNames *self, const uint8_t *page)
{
    BkPgTuple tuple = {.offset = 0};

    while (bk_pg_page_next_tuple(page, (uint16_t)(tuple.offset + 1), &tuple)) {
        uint32_t oid = tuple.size >= NAMED_SIZE ? bk_bytes_u32(tuple.data + NAMED_OID) : 0;

        /* An older name is better than none. */
        if (judge_tuple(&tuple) == LIKELY_SEEN ||
            !g_hash_table_contains(self->names, make_relation_key(oid)))
            bk_relation_names_note_name(self, tuple.data, tuple.size);
    }
}

/* Puts a row's head together from what the WAL tells and, at both ends, from the row it replaces.
 * The rows may differ in length: what they share at the end is counted from there. False when a
 * byte of the head is in neither. */
static bool
build_head(const BkRelationNamesRow *from, const Row *old, Row *row)
{
    const size_t size = from->prefix + from->size + from->suffix;
    const size_t head = MIN(size, sizeof row->head);
    size_t i = 0;

    if (from->prefix + from->suffix > old->size)
        return false;
    for (; i < MIN(from->prefix, head); i++)
        row->head[i] = old->head[i];
    for (; i < MIN(from->prefix + from->size, head); i++)
        row->head[i] = from->data[i - from->prefix];
    for (; i < head; i++) {
        size_t at = old->size - (size - i);

        if (at >= sizeof old->head)
            return false;
        row->head[i] = old->head[at];
    }
    row->size = (uint32_t)size;
    return true;
}

bool
bk_relation_names_note_row(BkRelationNames *self, const BkRelationNamesPlace *place,
                           const BkRelationNamesRow *from, BkPgRelation *relation)
{
    static const Row none = {.size = 0};
    const Row *old = from->has_old ? g_hash_table_lookup(self->rows, place_key(&from->old)) : NULL;
    Row built = {.size = 0};
    Row *row;

    if (!build_head(from, old != NULL ? old : &none, &built) ||
        !bk_pg_relation_decode(built.head, MIN(built.size, sizeof built.head), self->major,
                               relation)) {
        (void)g_hash_table_remove(self->rows, place_key(place));
        return false;
    }
    row = make_row(self, place);
    if (row != NULL)
        *row = built;
    return true;
}

uint32_t
bk_relation_names_oid_at(const BkRelationNames *self, const BkRelationNamesPlace *place)
{
    const Row *row = g_hash_table_lookup(self->rows, place_key(place));

    return row != NULL ? bk_bytes_u32(row->head + CLASS_OID) : 0;
}

void
bk_relation_names_forget_place(BkRelationNames *self, const BkRelationNamesPlace *place)
{
    (void)g_hash_table_remove(self->rows, place_key(place));
}

void
bk_relation_names_put(BkRelationNames *self, const BkPgRelation *relation)
{
    const Entry entry = {*relation, LIKELY_SEEN, 0};

    set_entry(self, &entry);
}

void
bk_relation_names_remove(BkRelationNames *self, uint32_t oid)
{
    const Entry *entry = g_hash_table_lookup(self->oids, make_relation_key(oid));

    if (entry == NULL)
        return;
    if (g_hash_table_lookup(self->files, make_relation_key(entry->relation.file_node)) ==
        make_relation_key(oid))
        g_hash_table_remove(self->files, make_relation_key(entry->relation.file_node));
    g_hash_table_remove(self->oids, make_relation_key(oid));
}

const BkPgRelation *
bk_relation_names_find(const BkRelationNames *self, uint32_t oid)
{
    const Entry *entry = g_hash_table_lookup(self->oids, make_relation_key(oid));

    return entry != NULL ? &entry->relation : NULL;
}

const BkPgRelation *
bk_relation_names_find_file(const BkRelationNames *self, uint32_t file_node)
{
    void *oid = g_hash_table_lookup(self->files, make_relation_key(file_node));

    return oid != NULL ? bk_relation_names_find(self, (uint32_t)(uintptr_t)oid) : NULL;
}

const char *
bk_relation_names_find_name(const BkRelationNames *self, uint32_t oid)
{
    return g_hash_table_lookup(self->names, make_relation_key(oid));
}

bool
bk_relation_names_is_full(const BkRelationNames *self)
{
    return self->is_full;
}
