/* pg-meta.h - what a snapshot says of the PostgreSQL cluster that it is a copy of.
 *
 * It is the opaque block in the head of a snapshot whose kind is "postgres".
 * Threads: a BkPgMeta belongs to one thread, or is read only. */
#pragma once
#include "base/buf.h"
#include "source/pg/wal/wal-mark.h"

#define BK_PG_KIND "postgres"

typedef struct BkPgTablespace {
    uint32_t oid;
    char *name;
    char *location; /* absolute */
} BkPgTablespace;

typedef struct BkPgDamage {
    char *file;     /* path in the snapshot */
    uint32_t block; /* within the relation's fork */
} BkPgDamage;

/* A link that leads out of the data directory, and is neither a tablespace nor pg_wal. */
typedef struct BkPgLeftOut {
    char *path;   /* of the link in the data directory */
    char *target; /* as it is in the link */
} BkPgLeftOut;

typedef struct BkPgMeta {
    uint64_t system_id;
    uint32_t version; /* as server_version_num, such as 150020 */
    uint32_t control_version;
    uint32_t catalog_version;
    uint32_t block_size;
    uint32_t segment_size; /* of the WAL */
    bool has_checksums;
    bool is_standalone; /* holds its own WAL, from start to stop */
    uint32_t timeline;
    BkLsn start_lsn;
    BkLsn redo_lsn;
    BkLsn stop_lsn;
    BkWalMark mark;  /* a checkpoint not before the start: the history that the snapshot is of */
    int64_t stop_us; /* when pg_backup_stop returned, the server's clock */
    char *data_directory;
    char *wal_directory; /* where a link pg_wal led, "" for a plain directory */
    uint32_t data_mode;  /* permission bits of the data directory: 0700 or 0750 */
    GPtrArray *left_out; /* of BkPgLeftOut */
    char *backup_label;  /* contents of the two files, "" for no tablespace */
    char *tablespace_map;
    GPtrArray *tablespaces; /* of BkPgTablespace */
    uint64_t damaged_pages; /* all of them; the first are listed */
    GPtrArray *damage;      /* of BkPgDamage */
} BkPgMeta;

#define BK_PG_DAMAGE_LISTED   1000
#define BK_PG_LEFT_OUT_LISTED 1000

void bk_pg_meta_init(BkPgMeta *self);
void bk_pg_meta_clear(BkPgMeta *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkPgMeta, bk_pg_meta_clear)

void bk_pg_meta_add_tablespace(BkPgMeta *self, uint32_t oid, const char *name,
                               const char *location);
/* Lists a link that was left out, while there is room. */
void bk_pg_meta_add_left_out(BkPgMeta *self, const char *path, const char *target);
/* Counts a damaged page, and lists it while there is room. */
void bk_pg_meta_add_damage(BkPgMeta *self, const char *file, uint32_t block);

void bk_pg_meta_encode(const BkPgMeta *self, BkBuf *out);

/* `self` is overwritten, and left initialised and empty on failure: BK_ERROR_CORRUPT. */
bool bk_pg_meta_decode(BkPgMeta *self, const BkBuf *meta, GError **error) BK_MUST_USE;
