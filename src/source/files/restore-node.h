/* restore-node.h - makes what of a file tree is no content: directories, links, FIFOs, devices,
 * owners, modes, attributes, times.
 *
 *   begin     directories, mode 0700 at least; what is in the way of a file is removed
 *   …         the content of regular files, by whoever restores it (repo/extract)
 *   finish    links, FIFOs, devices; then owner, mode, attributes, time of each, those of
 *             directories last, from the deepest up
 *
 * Nothing is reached through a link of the destination (base/beneath.h), and no inode is touched
 * that has more names than the snapshot gives it: whoever may write to a directory could otherwise
 * have root give him any file that he makes a link to. What is there already, and is of another
 * kind, is replaced, unless it is a directory that is not empty. What the snapshot does not have
 * stays. Directories above the roots that are there already are left as they are. Interrupted
 * anywhere, the same calls complete it another time. Nothing is durable before the caller syncs.
 * Threads: belongs to one thread. */
#pragma once
#include "base/beneath.h"
#include "base/op.h"
#include "source/files/node-metadata.h"

typedef struct BkRestoreNodeOptions {
    const BkBeneath *place; /* the destination */
    const BkSnapshot *snapshot;
    const BkNodeOwners *owners;
    const GPtrArray *roots; /* of char *, without their leading slash */
} BkRestoreNodeOptions;

typedef struct BkRestoreNode BkRestoreNode;

BkRestoreNode *bk_restore_node_new(const BkRestoreNodeOptions *options); /* all borrowed */
void bk_restore_node_free(BkRestoreNode *self);                          /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkRestoreNode, bk_restore_node_free)

/* Fail with BK_ERROR_UNFIT when something is in the way, otherwise as the system says. */
bool bk_restore_node_begin(BkRestoreNode *self, BkOp *op, GError **error) BK_MUST_USE;
bool bk_restore_node_finish(BkRestoreNode *self, BkOp *op, GError **error) BK_MUST_USE;

const BkNodeReport *bk_restore_node_report(const BkRestoreNode *self);

/* Logs the report, a line for each kind of loss. */
void bk_restore_node_warn(const BkRestoreNode *self);
