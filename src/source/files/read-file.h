/* read-file.h - reads a regular file that somebody may be writing to.
 *
 * It is opened beneath a directory without following links (base/beneath.h), never waits for the
 * other end of a FIFO that has taken its name, and does not move the time of the last access where
 * that is permitted. What is read ends where the file ended when it was opened: a log that grows
 * meanwhile is cut there. Threads: belongs to one thread. */
#pragma once
#include "base/beneath.h"

typedef struct BkReadFile {
    BkFd fd;
    struct stat st; /* when it was opened: what the manifest is to say of it */
} BkReadFile;

#define BK_READ_FILE_INIT ((BkReadFile){.fd = -1})

void bk_read_file_close(BkReadFile *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkReadFile, bk_read_file_close)

/* Opens `path`. Fails with BK_ERROR_ABSENT when it has vanished, with BK_ERROR_UNFIT when it is
 * no regular file (any more), otherwise as the system says. */
bool bk_read_file_open(BkReadFile *self, const BkBeneath *place, const char *path,
                       GError **error) BK_MUST_USE;

/* Reads at `offset`; fewer bytes than `size` only at the end: where the file ended when it was
 * opened, or where it ends now, if it was cut off. */
bool bk_read_file_read(const BkReadFile *self, void *data, size_t size, uint64_t offset,
                       size_t *got, GError **error) BK_MUST_USE;

/* As bk_fd_next_data. */
uint64_t bk_read_file_next_data(const BkReadFile *self, uint64_t offset, uint64_t end);

typedef enum {
    BK_READ_SAME,    /* what was read is of one point in time */
    BK_READ_GREW,    /* longer than it was, as a log that is appended to */
    BK_READ_CHANGED, /* may be of no single point in time: read it again, or mark it */
} BkReadOutcome;

/* To be asked when all has been read. */
bool bk_read_file_end(const BkReadFile *self, BkReadOutcome *outcome, GError **error) BK_MUST_USE;
