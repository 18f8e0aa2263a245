/* snapshot-sections.h - the sections of a manifest in bytes: written, and read with every bound.
 *
 * Threads: as snapshot.h. */
#pragma once
#include "repo/snapshot/snapshot.h"

typedef enum {
    BK_SECTION_HEAD = 1,
    BK_SECTION_PACKS = 2,
    BK_SECTION_OWNERS = 3,
    BK_SECTION_FILES = 4,
    BK_SECTION_IGNORABLE = 128, /* from here on: programs that do not know it pass it over */
} BkSection;                    /* the numbers are on disk: the first byte of a frame */

void bk_snapshot_head_encode(const BkSnapshotHead *head, BkBuf *out);
bool bk_snapshot_head_decode(BkSnapshotHead *head, const BkBuf *frame, GError **error) BK_MUST_USE;

/* Adds the content of any other section to the snapshot. */
bool bk_snapshot_section_decode(BkSnapshot *self, const BkBuf *frame, GError **error) BK_MUST_USE;

/* Append one row of a section. */
void bk_pack_ref_encode(const BkPackRef *ref, BkBuf *out);
void bk_owner_encode(const BkOwner *owner, BkBuf *out);
void bk_file_encode(const BkFile *file, BkBuf *out);
