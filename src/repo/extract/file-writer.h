/* file-writer.h - the files at a destination, as one worker writes and compares them.
 *
 * Threads: a sink belongs to one thread; several may work on the same destination, each on other
 * bytes. */
#pragma once
#include "base/beneath.h"
#include "repo/extract/chown-map.h"

typedef struct BkFileWriter BkFileWriter;

BkFileWriter *bk_file_writer_new(const BkBeneath *place, const BkFile *files); /* both borrowed */
void bk_file_writer_free(BkFileWriter *self);                                  /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkFileWriter, bk_file_writer_free)

/* Writes into file `index`, creating it when it is not there. */
bool bk_file_writer_write(BkFileWriter *self, size_t index, const void *data, size_t size,
                          uint64_t offset, GError **error) BK_MUST_USE;

/* Reads from it; `*got` is less than `size` where it ends, and 0 when there is no such file. */
bool bk_file_writer_read(BkFileWriter *self, size_t index, void *data, size_t size, uint64_t offset,
                         size_t *got, GError **error) BK_MUST_USE;

/* As bk_fd_next_data; `end` when there is no such file. */
bool bk_file_writer_next_data(BkFileWriter *self, size_t index, uint64_t offset, uint64_t end,
                              uint64_t *data, GError **error) BK_MUST_USE;

/* Gives the file its exact size, mode and group, creating it when it is not there. To be called as
 * the owner of the place. */
bool bk_file_writer_finish(BkFileWriter *self, size_t index, BkChownMap *owners,
                           GError **error) BK_MUST_USE;
