/* backup-manifest.h - writes PostgreSQL's backup_manifest, which pg_verifybackup reads.
 *
 * Version 1 for servers up to 16, version 2 (which has the system identifier) from 17 on. Rows
 * are written as they come, in any order; memory does not grow with them. The file appears whole
 * and durable when it is committed, or not at all.
 * Threads: a manifest belongs to one thread. */
#pragma once
#include "source/pg/format/lsn.h"

typedef struct BkBackupManifest BkBackupManifest;

typedef struct BkBackupManifestFile {
    const char *path; /* relative; of a tablespace's file: pg_tblspc/OID/… */
    uint64_t size;
    int64_t mtime_sec;
    bool has_crc32c;
    uint32_t crc32c; /* of the whole content */
} BkBackupManifestFile;

/* WAL that pg_verifybackup is to check with pg_waldump. */
typedef struct BkBackupManifestRange {
    uint32_t timeline;
    BkLsn start_lsn;
    BkLsn end_lsn;
} BkBackupManifestRange;

/* Begins the file "backup_manifest" of `data_dir`, which must outlive the manifest. `major` is the
 * server's. An earlier backup_manifest stays until commit. */
BkBackupManifest *bk_backup_manifest_begin(int data_dir, unsigned major, uint64_t system_id,
                                           GError **error) BK_MUST_USE;

/* Aborts a manifest that was not committed. NULL is fine. */
void bk_backup_manifest_free(BkBackupManifest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkBackupManifest, bk_backup_manifest_free)

/* Adds a row. Files that the server does not list (backup_manifest itself, pg_wal, recovery.signal,
 * postgresql.auto.conf when it is changed afterwards) are left out by the caller. */
bool bk_backup_manifest_add(BkBackupManifest *self, const BkBackupManifestFile *file,
                            GError **error) BK_MUST_USE;

/* Ends the file, makes it durable and gives it its name. With no `ranges` pg_verifybackup asks for
 * no WAL. */
bool bk_backup_manifest_commit(BkBackupManifest *self, const BkBackupManifestRange *ranges,
                               size_t count, GError **error) BK_MUST_USE;
