/* file-reader.h - reads files of a running cluster without evicting what the server has in the
 * page cache.
 *
 * Threads: a reader belongs to one thread. */
#pragma once
#include "base/op.h"
#include "source/pg/cluster/data-dir.h"

typedef struct BkFileReader BkFileReader;

BkFileReader *bk_file_reader_new(const BkDataDir *dir); /* of the paths, borrowed */
void bk_file_reader_free(BkFileReader *self);           /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkFileReader, bk_file_reader_free)

/* Opens [offset, offset + length) of a file; `*found` is false when there is no such file. */
bool bk_file_reader_open(BkFileReader *self, const char *path, uint64_t offset, uint64_t length,
                         bool *found, GError **error) BK_MUST_USE;

/* Reads at `offset`; fewer bytes than `size` only at the end of the file. */
bool bk_file_reader_read(BkFileReader *self, void *data, size_t size, uint64_t offset, size_t *got,
                         GError **error) BK_MUST_USE;

/* As bk_fd_next_data. */
uint64_t bk_file_reader_next_data(const BkFileReader *self, uint64_t offset, uint64_t end);

/* Closes the file; what was not in the page cache before it was opened is dropped from it again. */
void bk_file_reader_close(BkFileReader *self);
