/* archive.h - the WAL archive of a source: segments and the small files beside them.
 *
 * A segment is the sealed object "SOURCE/wal/SYSTEM/TIMELINE/16 HEX/NAME", SYSTEM being the system
 * identifier of its cluster in 16 hex digits: an upgraded cluster begins anew with timeline 1, and
 * its files may have the names of older ones. The first frame is a head
 * (kind of content, XXH3-128 of the raw bytes, what wal-info.h collects of it), whose second is the
 * summary (wal-blocks.h), and whose other frames are the raw bytes. History, backup history and
 * partial files are "SOURCE/wal/SYSTEM/TIMELINE/NAME", the same way without a summary. An object is
 * put whole or not at all; the same content again is success, other content under the same name is
 * BK_ERROR_CONFLICT. Threads: functions are safe from any thread; a BkArchiveWriter belongs to one.
 */
#pragma once
#include "repo/repository.h"
#include "source/pg/archive/archive-file.h"
#include "source/pg/wal/wal-blocks.h"

#define BK_ARCHIVE_FILE_MAX ((size_t)1 << 30) /* the largest segment that PostgreSQL can have */

/* "SOURCE/wal/…": a new string. */
char *bk_archive_object_name(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                             const BkWalName *parsed);

/* "SOURCE/wal/SYSTEM/" and "SOURCE/wal/SYSTEM/TIMELINE/": new strings. */
char *bk_archive_system_directory(const BkSourceRepo *source_repo, uint64_t system_id);
char *bk_archive_timeline_directory(const BkSourceRepo *source_repo, uint64_t system_id,
                                    uint32_t timeline);

/* The system identifier in the name of an object, or of a directory, of the archive of
 * `source_repo`. False when it has none. */
bool bk_archive_parse_system(const BkSourceRepo *source_repo, const char *object_name,
                             uint64_t *system_id);

/* Compressor, cipher and buffers for several puts by one thread. */
typedef struct BkArchiveWriter BkArchiveWriter;
BkArchiveWriter *bk_archive_writer_new(BkCodec codec, int level);
void bk_archive_writer_free(BkArchiveWriter *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkArchiveWriter, bk_archive_writer_free)

/* Tells this state of the file at `path` from every other one and from other files, of this host
 * since it was started: by its number and the times of its last change. A new string, or NULL where
 * nothing can be told. */
char *bk_archive_identify(const char *path);

/* Archives a file of that cluster in every one of `source_repos`; true only when each holds it
 * durably. A segment is checked as by bk_archive_check_segment (archive-check.h), with its errors;
 * other files are taken as they are. */
bool bk_archive_put(BkArchiveWriter *self, GPtrArray *source_repos, const BkArchiveFile *file,
                    uint64_t system_id, BkOp *op, GError **error) BK_MUST_USE;

/* Puts what bk_archive_put has put last, into a part with the same keys. */
bool bk_archive_put_again(BkArchiveWriter *self, const BkSourceRepo *source_repo,
                          const BkArchiveFile *file, uint64_t system_id, BkOp *op,
                          GError **error) BK_MUST_USE;

/* Finds out whether every one of `source_repos` has the file at `path`, durably and with this
 * content. Other content fails with BK_ERROR_CONFLICT. The file is read only when the archive has
 * one of its name, which was not read from this very file as it is. */
bool bk_archive_has(GPtrArray *source_repos, uint64_t system_id, const char *path,
                    const BkWalName *parsed, bool *has, BkOp *op, GError **error) BK_MUST_USE;

/* The same by name only: not whether the content is this. */
bool bk_archive_has_name(GPtrArray *source_repos, uint64_t system_id, const char *name,
                         const BkWalName *parsed, bool *has, BkOp *op, GError **error) BK_MUST_USE;

/* Reads a file into `content`. BK_ERROR_NOT_FOUND only when the archive answered that it has none.
 */
bool bk_archive_get(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                    const BkWalName *parsed, BkBuf *content, BkOp *op, GError **error) BK_MUST_USE;

/* What the first frame of a WAL object says. */
typedef struct BkArchiveHead {
    char name[65];
    uint64_t size; /* of the file */
    uint8_t hash[BK_XXH3_SIZE];
    uint64_t summary_size;
    bool has_info; /* the file is a segment */
    BkWalInfo info;
} BkArchiveHead;

void bk_archive_head_clear(BkArchiveHead *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkArchiveHead, bk_archive_head_clear)

/* `head` is overwritten. Fails with BK_ERROR_CORRUPT or BK_ERROR_UNSUPPORTED. */
bool bk_archive_head_decode(const BkBuf *raw, BkArchiveHead *head, GError **error) BK_MUST_USE;

/* Reads what the head of a segment's object says. Fails like bk_archive_get. */
bool bk_archive_get_info(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                         const BkWalName *parsed, BkWalInfo *info, BkOp *op,
                         GError **error) BK_MUST_USE;

/* Reads the head and the summary of a segment: which blocks its records change. If the summary is
 * damaged, the segment itself is read and summarized again. Fails like bk_archive_get. */
bool bk_archive_get_blocks(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                           const BkWalName *parsed, BkWalInfo *info, BkWalBlocks *blocks, BkOp *op,
                           GError **error) BK_MUST_USE;

/* Proves, before an object of a file is read whole, that it has the `size` bytes that are said of
 * it; one of a usual size needs no proof. Fails with BK_ERROR_CORRUPT or as the store. */
bool bk_archive_prove_size(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                           const BkWalName *parsed, uint64_t size, BkOp *op,
                           GError **error) BK_MUST_USE;

/* Finds out whether both source repositories have the same content under this name. Sealed at
 * different times its objects need not be of the same bytes, nor size. Reads both whole, and fails
 * like bk_archive_get. */
bool bk_archive_is_same(const BkSourceRepo *source_repo, const BkSourceRepo *other,
                        uint64_t system_id, const char *name, const BkWalName *parsed,
                        bool *is_same, BkOp *op, GError **error) BK_MUST_USE;
