/* wal-xact.c - what one transaction has done so far, and the judgement when it commits.
 *
 * The states of a relation in one transaction, by the changes of its row in pg_class (Fate):
 *
 *   row added      is_new       made by the transaction: its loss is none
 *   row deleted    is_deleted   dropped
 *   row changed    last         the row as it is now: its file tells what happened
 *   a row "pg_temp_OID" added   is_refilled   a rewrite (VACUUM FULL, CLUSTER, ALTER TABLE) fills a
 *                               new file for relation OID under this name
 *
 * The commit record lists the files that it removes. For each that is not the transaction's own:
 *
 *   relation deleted ► DROPPED      refilled, or moved to another tablespace ► REWRITTEN
 *   another file in the same place ► TRUNCATED
 *   no row known ► guess: refilled ► REWRITTEN; any relation dropped, or no row at all ► DROPPED;
 *                  otherwise ► TRUNCATED
 *
 * Not reported: indexes, TOAST tables, what belongs to one session, system catalogs other than
 * large objects, and files of mapped catalogs that the transaction has given another file.
 * Relations without a file (views, foreign and partitioned tables) are judged by their row alone.
 * Deleted rows count for the transaction as a whole, since many partitions may each lose few. */
#include "source/pg/wal/wal-xact.h"

#include <string.h>

#define TRANSIENT_PREFIX "pg_temp_" /* of the table that a rewrite fills; the OID follows */

#define OTHER_DATABASES UINT32_MAX /* the OID of none */

/* What became of a relation in the transaction. */
typedef struct Fate {
    bool is_new;      /* it was not there before */
    bool is_deleted;  /* it is not there any more */
    bool is_refilled; /* a rewrite has filled another file for it */
    const BkPgRelation *last;
} Fate;

struct BkWalVerdict {
    const Xact *xact; /* or NULL */
    BkWalCatalogs *catalogs;
    GHashTable *fates; /* database and OID -> Fate */
    size_t unknown_deletes;
    size_t refills;
    GArray *changes; /* BkWalChange */
    uint64_t omitted;
};

static void *
make_database_key(uint64_t number)
{
    return (void *)(uintptr_t)number;
}

static guint
hash_file_use(const void *data)
{
    const FileUse *use = data;

    return (use->file.file_node * 31 + use->file.database) * 31 + use->file.tablespace;
}

static gboolean
equal_files(const void *left, const void *right)
{
    const FileUse *a = left;
    const FileUse *b = right;

    return a->file.file_node == b->file.file_node && a->file.database == b->file.database &&
           a->file.tablespace == b->file.tablespace;
}

static void
clear_op(void *data)
{
    g_free(((RowOp *)data)->relation);
}

BkRelationNames *
bk_wal_catalogs_get(BkWalCatalogs *self, uint32_t database)
{
    bool has_room = g_hash_table_size(self->table) < BK_WAL_CATALOGS_MAX;
    BkRelationNames *catalog = NULL;

    if (self->last != NULL && self->last_database == database)
        return self->last;
    self->last_database = database;
    self->last = g_hash_table_lookup(self->table, make_database_key(database));
    if (self->last == NULL && !has_room)
        self->last = g_hash_table_lookup(self->table, make_database_key(OTHER_DATABASES));
    if (self->last != NULL)
        return self->last;
    if (has_room && self->open != NULL && self->held < BK_RELATION_NAMES_ALL_MAX)
        catalog = self->open(database, self->user);
    if (catalog == NULL)
        catalog = bk_relation_names_new(database, self->major);
    bk_wal_catalogs_set(self, has_room ? database : OTHER_DATABASES, catalog);
    self->last = catalog;
    return catalog;
}

void
bk_wal_catalogs_set(BkWalCatalogs *self, uint32_t database, BkRelationNames *catalog)
{
    self->last = NULL;
    bk_relation_names_share(catalog, &self->held);
    g_hash_table_insert(self->table, make_database_key(database), catalog);
}

Xact *
bk_wal_xact_new(uint32_t xid)
{
    Xact *self = g_new0(Xact, 1);

    self->xid = xid;
    self->files = g_hash_table_new_full(hash_file_use, equal_files, g_free, NULL);
    self->ops = g_array_new(FALSE, FALSE, sizeof(RowOp));
    g_array_set_clear_func(self->ops, clear_op);
    return self;
}

void
bk_wal_xact_free(Xact *self)
{
    g_hash_table_unref(self->files);
    g_array_unref(self->ops);
    g_free(self);
}

uint64_t
bk_wal_xact_items(const Xact *self)
{
    return (uint64_t)g_hash_table_size(self->files) + self->ops->len;
}

FileUse *
bk_wal_xact_find_file(Xact *self, const BkForkKey *file)
{
    const FileUse key = {.file = *file};

    if (self->last == NULL || !equal_files(self->last, &key))
        self->last = g_hash_table_lookup(self->files, &key);
    return self->last;
}

FileUse *
bk_wal_xact_add_file(Xact *self, const BkForkKey *file)
{
    FileUse *use = g_new0(FileUse, 1);

    use->file = *file;
    g_hash_table_insert(self->files, use, use);
    self->last = use;
    return use;
}

void
bk_wal_xact_add_op(Xact *self, const RowOp *op)
{
    RowOp own = *op;

    own.relation = op->relation != NULL ? g_memdup2(op->relation, sizeof *op->relation) : NULL;
    g_array_append_val(self->ops, own);
}

void
bk_wal_xact_merge(Xact *self, Xact *sub)
{
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, sub->files);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const FileUse *from = value;
        FileUse *use = bk_wal_xact_find_file(self, &from->file);

        if (use == NULL)
            use = bk_wal_xact_add_file(self, &from->file);
        use->rows += from->rows;
        use->is_created = use->is_created || from->is_created;
    }
    sub->last = NULL;
    g_hash_table_remove_all(sub->files);
    g_array_append_vals(self->ops, sub->ops->data, sub->ops->len);
    g_array_set_clear_func(sub->ops, NULL); /* moved */
    g_array_set_size(sub->ops, 0);
    self->is_partial = self->is_partial || sub->is_partial;
    self->has_map = self->has_map || sub->has_map;
}

/* --- what came of it ---------------------------------------------------------------------- */

void
bk_wal_verdict_free(BkWalVerdict *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->fates);
    g_array_unref(self->changes);
    g_free(self);
}

const BkWalChange *
bk_wal_verdict_changes(const BkWalVerdict *self, size_t *count, uint64_t *omitted)
{
    *count = self->changes->len;
    *omitted = self->omitted;
    return (const BkWalChange *)(const void *)self->changes->data;
}

static void *
fate_key(uint32_t database, uint32_t oid)
{
    return make_database_key((uint64_t)database << 32 | oid);
}

static Fate *
make_fate(BkWalVerdict *self, uint32_t database, uint32_t oid)
{
    Fate *fate = g_hash_table_lookup(self->fates, fate_key(database, oid));

    if (fate == NULL) {
        fate = g_new0(Fate, 1);
        g_hash_table_insert(self->fates, fate_key(database, oid), fate);
    }
    return fate;
}

/* A rewrite fills a table of its own, changes files with it, and drops it. */
static void
note_transient(BkWalVerdict *self, const RowOp *op)
{
    guint64 oid;

    if (op->relation == NULL || !g_str_has_prefix(op->relation->name, TRANSIENT_PREFIX) ||
        !g_ascii_string_to_unsigned(op->relation->name + strlen(TRANSIENT_PREFIX), 10, 1,
                                    UINT32_MAX, &oid, NULL))
        return;
    make_fate(self, op->database, (uint32_t)oid)->is_refilled = true;
    self->refills++;
}

static void
note_op(BkWalVerdict *self, const RowOp *op)
{
    Fate *fate;

    if (op->oid == 0) {
        self->unknown_deletes += op->kind == ROW_DELETED ? 1 : 0;
        return;
    }
    fate = make_fate(self, op->database, op->oid);
    if (op->kind == ROW_ADDED) {
        fate->is_new = true;
        note_transient(self, op);
    }
    if (op->kind == ROW_DELETED)
        fate->is_deleted = true;
    else if (op->relation != NULL)
        fate->last = op->relation;
}

static int
compare_ops(const void *left, const void *right)
{
    const RowOp *a = left;
    const RowOp *b = right;

    return (a->lsn > b->lsn) - (a->lsn < b->lsn);
}

/* Indexes and the like, whose loss is none of data, and what belongs to one session are not told.
 */
static bool
is_shown(const BkPgRelation *relation)
{
    return strchr("rmSpfv", relation->kind) != NULL && relation->persistence != 't' &&
           (relation->oid >= BK_PG_FIRST_USER_OID || relation->oid == BK_PG_LARGE_OBJECT_OID);
}

static void
copy_name_text(char to[BK_PG_NAME_SIZE], const char *from)
{
    (void)g_strlcpy(to, from != NULL ? from : "", BK_PG_NAME_SIZE);
}

static BkWalChange *
add_verdict_change(BkWalVerdict *self, BkWalChangeKind kind, uint32_t database,
                   const BkPgRelation *relation)
{
    BkWalChange change = {.kind = kind, .database = database};
    const BkRelationNames *shared = bk_wal_catalogs_get(self->catalogs, 0);

    if (self->changes->len == BK_WAL_CHANGES_MAX) {
        self->omitted++;
        return NULL;
    }
    copy_name_text(change.database_name, bk_relation_names_find_name(shared, database));
    if (relation != NULL) {
        const BkRelationNames *catalog = bk_wal_catalogs_get(self->catalogs, database);

        change.oid = relation->oid;
        change.file_node = relation->file_node;
        change.tablespace = relation->tablespace;
        copy_name_text(change.relation, relation->name);
        copy_name_text(change.schema, bk_relation_names_find_name(catalog, relation->schema));
    }
    g_array_append_val(self->changes, change);
    return &g_array_index(self->changes, BkWalChange, self->changes->len - 1);
}

/* Where no row of pg_class says what became of a file: a file that goes while no relation does has
 * been replaced. */
static BkWalChangeKind
guess_file_changes(const BkWalVerdict *self)
{
    bool has_rows = self->xact != NULL && self->xact->ops->len > 0;
    GHashTableIter iter;
    void *value;

    if (self->refills > 0)
        return BK_WAL_REWRITTEN;
    if (self->unknown_deletes > 0 || !has_rows)
        return BK_WAL_DROPPED;
    g_hash_table_iter_init(&iter, self->fates);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Fate *fate = value;

        if (fate->is_deleted && !fate->is_new)
            return BK_WAL_DROPPED;
    }
    return BK_WAL_TRUNCATED;
}

/* A file of the transaction's own, of an index or of a catalog says nothing. */
static bool
is_file_judged(const BkWalVerdict *self, const BkForkKey *file, const BkPgRelation *relation)
{
    const FileUse key = {.file = *file};
    const FileUse *use = self->xact != NULL ? g_hash_table_lookup(self->xact->files, &key) : NULL;

    if (use != NULL && use->is_created)
        return false;
    if (relation != NULL)
        return is_shown(relation);
    return file->file_node >= BK_PG_FIRST_USER_OID && (self->xact == NULL || !self->xact->has_map);
}

static BkWalChangeKind
judge_fate(const BkWalVerdict *self, const Fate *fate, const BkForkKey *file, uint32_t tablespace)
{
    if (fate->is_deleted)
        return BK_WAL_DROPPED;
    if (fate->is_refilled)
        return BK_WAL_REWRITTEN;
    if (fate->last == NULL || fate->last->file_node == file->file_node)
        return guess_file_changes(self);
    return fate->last->tablespace != tablespace ? BK_WAL_REWRITTEN : BK_WAL_TRUNCATED;
}

/* A file that is gone with the commit. */
static void
judge_file(BkWalVerdict *self, const BkForkKey *file)
{
    const BkRelationNames *catalog = bk_wal_catalogs_get(self->catalogs, file->database);
    const BkPgRelation *relation = bk_relation_names_find_file(catalog, file->file_node);
    const Fate *fate = NULL;
    BkWalChangeKind kind;
    BkWalChange *change;

    if (!is_file_judged(self, file, relation))
        return;
    if (relation != NULL)
        fate = g_hash_table_lookup(self->fates, fate_key(file->database, relation->oid));
    kind = fate != NULL ? judge_fate(self, fate, file, relation->tablespace)
                        : guess_file_changes(self);
    if (kind != BK_WAL_DROPPED && relation != NULL && relation->kind == 'S')
        return; /* ALTER SEQUENCE */
    change = add_verdict_change(self, kind, file->database, relation);
    if (change == NULL)
        return;
    change->tablespace = file->tablespace;
    change->file_node = file->file_node;
    if (kind != BK_WAL_DROPPED && fate != NULL && fate->last != NULL)
        change->new_file_node = fate->last->file_node;
}

/* Relations without a file go by their row alone. */
static void
judge_fileless(BkWalVerdict *self)
{
    for (guint i = 0; self->xact != NULL && i < self->xact->ops->len; i++) {
        const RowOp *op = &g_array_index(self->xact->ops, RowOp, i);
        const BkPgRelation *relation;

        if (op->kind != ROW_DELETED || op->oid == 0)
            continue;
        relation =
            bk_relation_names_find(bk_wal_catalogs_get(self->catalogs, op->database), op->oid);
        if (relation != NULL && relation->file_node == 0 && is_shown(relation))
            (void)add_verdict_change(self, BK_WAL_DROPPED, op->database, relation);
    }
}

static bool
counts_deleted_rows(const BkWalVerdict *self, const FileUse *use, const BkPgRelation **relation)
{
    *relation = bk_relation_names_find_file(bk_wal_catalogs_get(self->catalogs, use->file.database),
                                            use->file.file_node);
    return use->rows > 0 && !use->is_created && (*relation == NULL || is_shown(*relation));
}

static int
compare_uses(const void *left, const void *right)
{
    const FileUse *const *a = left;
    const FileUse *const *b = right;

    if ((*a)->rows != (*b)->rows)
        return (*a)->rows > (*b)->rows ? -1 : 1;
    return ((*a)->file.file_node > (*b)->file.file_node) -
           ((*a)->file.file_node < (*b)->file.file_node);
}

/* Many partitions may each lose few rows: the sum decides. */
static void
judge_deletions(BkWalVerdict *self, uint64_t min_deletes)
{
    g_autoptr(GPtrArray) uses = g_ptr_array_new();
    const BkPgRelation *relation;
    GHashTableIter iter;
    uint64_t rows = 0;
    void *value;

    g_hash_table_iter_init(&iter, self->xact->files);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (!counts_deleted_rows(self, value, &relation))
            continue;
        rows += ((FileUse *)value)->rows;
        g_ptr_array_add(uses, value);
    }
    if (rows < min_deletes)
        return;
    g_ptr_array_sort(uses, compare_uses);
    for (guint i = 0; i < uses->len; i++) {
        const FileUse *use = g_ptr_array_index(uses, i);
        BkWalChange *change;

        (void)counts_deleted_rows(self, use, &relation);
        change = add_verdict_change(self, BK_WAL_DELETED, use->file.database, relation);
        if (change == NULL)
            continue;
        change->tablespace = use->file.tablespace;
        change->file_node = use->file.file_node;
        change->rows = use->rows;
    }
}

BkWalVerdict *
bk_wal_xact_judge(Xact *xact, const BkWalList *files, BkWalCatalogs *catalogs, uint64_t min_deletes)
{
    BkWalVerdict *self = g_new0(BkWalVerdict, 1);

    self->xact = xact;
    self->catalogs = catalogs;
    self->fates = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    self->changes = g_array_new(FALSE, FALSE, sizeof(BkWalChange));
    if (xact != NULL) {
        g_array_sort(xact->ops, compare_ops);
        for (guint i = 0; i < xact->ops->len; i++)
            note_op(self, &g_array_index(xact->ops, RowOp, i));
        if (xact->database_lsn != 0)
            (void)add_verdict_change(self, BK_WAL_DATABASE_DROPPED, xact->database, NULL);
    }
    judge_fileless(self);
    /* The server lists last what was dropped first. */
    for (size_t i = files->count; i-- > 0;) {
        const BkForkKey file = bk_wal_list_file(files, i);

        judge_file(self, &file);
    }
    if (xact != NULL)
        judge_deletions(self, min_deletes);
    return self;
}

void
bk_wal_xact_apply(const Xact *self, BkWalCatalogs *catalogs, bool committed)
{
    for (guint i = 0; i < self->ops->len; i++) {
        const RowOp *op = &g_array_index(self->ops, RowOp, i);
        BkRelationNames *catalog = bk_wal_catalogs_get(catalogs, op->database);

        /* Versions that no one will see again. */
        if (committed && op->kind != ROW_ADDED)
            bk_relation_names_forget_place(catalog, &op->old);
        if (!committed && op->kind != ROW_DELETED)
            bk_relation_names_forget_place(catalog, &op->at);
        if (!committed)
            continue;
        if (op->kind == ROW_DELETED)
            bk_relation_names_remove(catalog, op->oid);
        else if (op->relation != NULL)
            bk_relation_names_put(catalog, op->relation);
    }
}
