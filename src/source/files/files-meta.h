/* files-meta.h - what a snapshot says of the file trees that it is a copy of: what a report shows.
 *
 * It is the opaque block in the head of a snapshot whose kind is "files". Lists are bounded, counts
 * are of everything. Threads: a BkFilesMeta belongs to one thread, or is read only. */
#pragma once
#include "repo/snapshot/snapshot.h"
#include "source/files/pattern.h"

#define BK_FILES_KIND       "files"
#define BK_FILES_ROOTS_MAX  1024u
#define BK_FILES_TEXTS_MAX  (64 * BK_KIB) /* bytes of the texts of each list */
#define BK_FILES_LISTED_MAX 1000u         /* entries of each list */

typedef struct BkFilesRoot {
    char *path;       /* absolute */
    uint64_t entries; /* itself and below it, in the snapshot */
} BkFilesRoot;

typedef struct BkFilesPattern {
    char *text;
    uint64_t count; /* of entries that it decided about */
} BkFilesPattern;

typedef struct BkFilesNote {
    char *path; /* as in the snapshot */
    char *why;
} BkFilesNote;

/* Paths of one sort: the first of them are listed. */
typedef struct BkFilesNotes {
    uint64_t count;
    size_t bytes;     /* of the texts in the list */
    GPtrArray *first; /* of BkFilesNote */
} BkFilesNotes;

#define BK_FILES_KINDS (BK_FILE_BLOCK_DEVICE + 1)

typedef struct BkFilesMeta {
    GPtrArray *roots;    /* of BkFilesRoot, in byte order of their paths */
    GPtrArray *patterns; /* of BkFilesPattern, in their order */
    bool one_file_system;
    uint64_t kinds[BK_FILES_KINDS]; /* entries of the snapshot by BkFileKind */
    uint64_t excluded;              /* by patterns; a directory with all below it counts as one */
    uint64_t sockets;               /* left out: they have no content, and who listens makes them */
    uint64_t vanished;              /* between being listed and being read */
    uint64_t links_apart;           /* names of a file with several, stored as files of their own */
    BkFilesNotes mounts;            /* what is mounted there was left out */
    BkFilesNotes errors;            /* could not be read: not in the snapshot, or not whole */
    BkFilesNotes changed;           /* while they were read */
} BkFilesMeta;

void bk_files_meta_init(BkFilesMeta *self);
void bk_files_meta_clear(BkFilesMeta *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkFilesMeta, bk_files_meta_clear)

BkFilesRoot *bk_files_meta_add_root(BkFilesMeta *self, const char *path);

/* Takes over the patterns and their counts, as many as there is room for. */
void bk_files_meta_set_patterns(BkFilesMeta *self, const BkPatterns *patterns);

/* Counts a path, and lists it while there is room. */
void bk_files_notes_add(BkFilesNotes *self, const char *path, const char *why);

/* Fails with BK_ERROR_UNFIT when a root that had entries in the parent has none but itself now: a
 * file system is probably not mounted, and the next snapshots would replace the good ones. */
bool bk_files_meta_check_roots(const BkFilesMeta *self, const BkFilesMeta *parent,
                               GError **error) BK_MUST_USE;

void bk_files_meta_encode(const BkFilesMeta *self, BkBuf *out);

/* `self` is overwritten, and left initialised and empty on failure: BK_ERROR_CORRUPT, or
 * BK_ERROR_UNSUPPORTED. */
bool bk_files_meta_decode(BkFilesMeta *self, const BkBuf *meta, GError **error) BK_MUST_USE;
