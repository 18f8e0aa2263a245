/* snapshot.h - a snapshot in memory: one complete copy of a source.
 *
 * A head (who, what, when) and the tables of packs, owners and files with their extents. What only
 * one kind of source knows is opaque here: a block in the head (`meta`), and the notes of each
 * file.
 * Threads: a snapshot is built by one thread; once complete it may be read by many. */
#pragma once
#include "repo/pack/extent.h"
#include "repo/pack/pack.h"

#define BK_SNAPSHOT_ID_SIZE 25 /* "20261121T003905Z-1a2b3c4d" */

typedef enum {
    BK_SNAPSHOT_COMPLETE = 1,
    BK_SNAPSHOT_DAMAGED = 2,    /* complete, but some of the source itself was damaged or not to be
                                   read: its meta says what */
    BK_SNAPSHOT_UNFINISHED = 3, /* a checkpoint of a backup: never restored from */
} BkSnapshotState;              /* the numbers are on disk */

/* How a snapshot came about. It is complete all the same. */
typedef enum {
    BK_SNAPSHOT_FULL = 1,        /* everything was read and stored */
    BK_SNAPSHOT_INCREMENTAL = 2, /* what did not change was taken over from the parent unread */
    BK_SNAPSHOT_FULL_SCAN = 3,   /* everything was read, and what had changed was stored */
} BkSnapshotMode;                /* the numbers are on disk */

/* Bytes of a backup, before compression. */
typedef struct BkSnapshotWork {
    uint64_t read;     /* from the source */
    uint64_t changed;  /* stored anew: new, or not as in the parent */
    uint64_t repacked; /* stored anew though unchanged, so that old packs can be given up */
    uint64_t reused;   /* taken over from the parent */
} BkSnapshotWork;

typedef struct BkSnapshotHead {
    char id[BK_SNAPSHOT_ID_SIZE + 1];
    char *source;
    char *kind;   /* of source, "postgres": bk_snapshot_is_kind */
    char *parent; /* id, or "" */
    BkSnapshotMode mode;
    char *why; /* it is not an increment, or "" */
    BkSnapshotWork work;
    char *label; /* what the user called it, or "" */
    char *host;
    char *program; /* "backstay 0.1.0" */
    BkSnapshotState state;
    int64_t started_us; /* since 1970 */
    int64_t finished_us;
    uint64_t lease_epoch;
    uint64_t file_count;
    uint64_t bytes;        /* of all files */
    uint64_t stored_bytes; /* of all packs it names */
    uint64_t new_bytes;    /* of the packs that this backup put */
    uint64_t pack_count;
    uint64_t rest_size; /* of the manifest behind its head: set when it is sealed */
    BkBuf meta;         /* of the source's kind */
    BkBuf extensions;   /* area of those that are known, and of others that may be passed over */
} BkSnapshotHead;

void bk_snapshot_head_clear(BkSnapshotHead *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkSnapshotHead, bk_snapshot_head_clear)

typedef enum {
    BK_FILE_REGULAR = 1,
    BK_FILE_DIRECTORY = 2,
    BK_FILE_SYMLINK = 3,
    BK_FILE_HARD_LINK = 4, /* to an entry before it, neither a directory nor a hard link */
    BK_FILE_FIFO = 5,
    BK_FILE_CHARACTER_DEVICE = 6,
    BK_FILE_BLOCK_DEVICE = 7,
} BkFileKind; /* the numbers are on disk; 8 is reserved for sockets */

typedef enum {
    BK_FILE_CHANGED_WHILE_READ = 1, /* its content may be of no single point in time */
    BK_FILE_PARTIAL = 2,            /* some of it was unreadable, and is zeros or missing here */
} BkFileFlag;                       /* bits; the numbers are on disk */

typedef struct BkOwner {
    uint32_t uid;
    uint32_t gid;
    const char *user;  /* or "" */
    const char *group; /* or "" */
} BkOwner;

/* Files other than a relation's main fork bear a digest (XXH3-128 under the secret of the source's
 * key) for each piece of this size: a backup sees by it what of them has not changed. */
#define BK_FILE_DIGEST_UNIT ((size_t)256 * 1024)

/* What the kind of source notes of a file has at most this size. */
#define BK_FILE_NOTES_MAX ((size_t)256 * 1024)

typedef struct BkFile {
    const char *path; /* bytes; relative, no empty, "." or ".." component */
    const char
        *link; /* target of a symbolic link, path of the entry that a hard link is to, or "" */
    uint64_t size;
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    uint32_t owner;            /* index among the snapshot's owners */
    const uint8_t *extents;    /* encoded: extent.h */
    const uint8_t *digests;    /* BK_XXH3_SIZE bytes for each piece, or none */
    const uint8_t *notes;      /* the source's own area; the kind of source knows its encoding */
    const uint8_t *extensions; /* file-extension.h */
    uint32_t extents_size;
    uint32_t digest_count;
    uint32_t notes_size; /* at most BK_FILE_NOTES_MAX */
    uint32_t extensions_size;
    uint16_t mode; /* permission bits with setuid, setgid and sticky */
    BkFileKind kind : 8;
    unsigned flags : 8; /* BkFileFlag */
} BkFile;

typedef struct BkSnapshot BkSnapshot;

BkSnapshot *bk_snapshot_new(void);
void bk_snapshot_free(BkSnapshot *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkSnapshot, bk_snapshot_free)

/* A new id from the time and randomness. */
bool bk_snapshot_make_id(int64_t now_us, char id[BK_SNAPSHOT_ID_SIZE + 1],
                         GError **error) BK_MUST_USE;
bool bk_snapshot_is_id(const char *text);

/* Returns true if the text has the form of a kind of source: a lower-case letter, then up to 31
 * lower-case letters, digits, "_" and "-". docs/format.md has a list of those in use. */
bool bk_snapshot_is_kind(const char *text);

/* The head, to be filled (file_count, pack_count and rest_size excepted: they are counted). */
BkSnapshotHead *bk_snapshot_head(BkSnapshot *self);

/* Adds; strings, extents, digests, notes and extensions are copied. Files are added in byte order
 * of their paths. */
uint32_t bk_snapshot_add_pack(BkSnapshot *self, const BkPackRef *ref);
uint32_t bk_snapshot_add_owner(BkSnapshot *self, uint32_t uid, uint32_t gid, const char *user,
                               const char *group);
void bk_snapshot_add_file(BkSnapshot *self, const BkFile *file);

/* The tables. Pointers hold until the next addition. */
const BkPackRef *bk_snapshot_packs(const BkSnapshot *self, size_t *count);
const BkOwner *bk_snapshot_owners(const BkSnapshot *self, size_t *count);
const BkFile *bk_snapshot_files(const BkSnapshot *self, size_t *count);

/* The file of this path, or NULL. */
const BkFile *bk_snapshot_find_file(const BkSnapshot *self, const char *path);
