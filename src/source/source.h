/* source.h - what a backup asks of a source, whatever kind it is of.
 *
 * A kind of source lists its files (BkSourceFile), says of each what is to be read (selection.h),
 * and has the files read by readers of its own (BkReader). The engine stores what they read, and
 * knows nothing of what it is: whatever only the kind knows of a file goes into the file's notes.
 *
 * The order of calls, for one file:
 *     reader   open, then any of next_data, read, verify, is_unchanged, note_stored; close
 *     reader   hand_over, once, when everything that it was asked for is stored
 *     source   collect_notes for each file of a snapshot, then encode_notes for each
 * Threads: a reader belongs to one thread, and several work at once. hand_over is called by one
 * thread at a time; collect_notes and encode_notes by the thread of the backup, when no reader
 * works.
 */
#pragma once
#include "repo/snapshot/snapshot.h"

#include <sys/types.h>

/* An entry of the tree that is backed up, as it was listed. */
typedef struct BkSourceFile {
    char *path; /* of the snapshot's entry */
    char *link; /* of a symbolic link, else NULL */
    uint64_t size;
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    mode_t mode; /* with the file type */
    uid_t uid;
    gid_t gid;
    uint32_t page_size;  /* of a file of pages, which are kept aligned in packs; 0 for any other */
    uint32_t first_page; /* the number that the kind of source gives to its first page */
    bool is_left_out;    /* found later to be no part of the snapshot */
} BkSourceFile;

typedef struct BkReader BkReader;

typedef struct BkReaderDriver {
    /* Opens [offset, offset + length) of a file; `*found` is false when it is gone. */
    bool (*open)(BkReader *self, const BkSourceFile *file, uint64_t offset, uint64_t length,
                 bool *found, GError **error);

    /* Reads at `offset`; fewer bytes than `size` only at the end of the file. */
    bool (*read)(BkReader *self, void *data, size_t size, uint64_t offset, size_t *got,
                 GError **error);

    /* Where data begin at or behind `offset`: what lies before it is a hole. `end` when all is. */
    uint64_t (*next_data)(const BkReader *self, uint64_t offset, uint64_t end);

    /* Looks at what was just read from `offset`; may read some of it again into `data`, and keeps
     * for itself what is wrong. NULL: nothing is looked at. */
    void (*verify)(BkReader *self, uint8_t *data, size_t size, uint64_t offset);

    /* Returns true if the page at `offset` is as in `parent`; for files that are selected as
     * BK_READ_COMPARED. */
    bool (*is_unchanged)(const BkReader *self, const BkFile *parent, const uint8_t *page,
                         uint64_t offset);

    /* These bytes, which are not nothing but zeros, go into the snapshot. NULL: nothing is noted.
     */
    void (*note_stored)(BkReader *self, const uint8_t *data, size_t size, uint64_t offset);

    void (*close)(BkReader *self);

    /* Adds to the source what this reader has found and noted. NULL: it keeps nothing. */
    void (*hand_over)(BkReader *self);

    void (*free)(BkReader *self); /* also in the middle of a file */
} BkReaderDriver;

/* The first member of every reader. */
struct BkReader {
    const BkReaderDriver *driver;
};

typedef struct BkSource BkSource;

/* What a snapshot has of a file. */
typedef struct BkStoredFile {
    const BkSourceFile *file;
    const BkFile *parent;  /* of which the rest is reused, or NULL */
    const GArray *extents; /* of BkExtent, by their place in the file */
    uint64_t size;
    uint32_t first_pack; /* extents in packs below it are the parent's */
} BkStoredFile;

typedef struct BkSourceDriver {
    BkReader *(*new_reader)(BkSource *self);

    /* Notes of files (BkFile.notes), where the kind of source has any; both may be NULL. The first
     * sees all files of a snapshot, the second then appends to `notes` those of one. */
    void (*begin_notes)(BkSource *self);
    void (*collect_notes)(BkSource *self, const BkStoredFile *stored);
    void (*encode_notes)(BkSource *self, const BkSourceFile *file, BkBuf *notes);
} BkSourceDriver;

/* The first member of every source. */
struct BkSource {
    const BkSourceDriver *driver;
};
