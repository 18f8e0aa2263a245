/* node-metadata.h - owner, mode, attributes and time of one restored inode.
 *
 * In this order: a change of the owner clears setuid and capabilities, and an ACL says what the
 * mode says of the group. Threads: functions have no state. */
#pragma once
#include "base/beneath.h"
#include "source/files/node-owners.h"

/* Entries of which something did not come back, and the first of them. */
typedef struct BkNodeLoss {
    uint64_t count;
    char *first; /* path, or NULL */
    char *why;
} BkNodeLoss;

typedef struct BkNodeReport {
    BkNodeLoss owners;     /* belong to who restores; nobody else may give files away */
    BkNodeLoss set_ids;    /* lost setuid or setgid, since their owner is another one */
    BkNodeLoss attributes; /* of any kind, ACLs and capabilities included */
    BkNodeLoss devices;    /* were not made */
    uint64_t copied_links; /* hard links that became files of their own */
} BkNodeReport;

typedef struct BkNodeMetadata {
    const BkBeneath *place;
    const BkNodeOwners *owners;
    BkNodeReport *report; /* what is lost is noted there */
} BkNodeMetadata;

void bk_node_report_clear(BkNodeReport *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkNodeReport, bk_node_report_clear)

typedef enum {
    BK_NODE_BEGUN, /* as it will be, but its owner may still write to it */
    BK_NODE_FINISHED,
} BkNodeStage;

/* Counts an entry that lost something. */
void bk_node_loss_add(BkNodeLoss *loss, const char *path, const char *why);

/* Gives what is at `path` what `file` says; a device that was not made is passed by. Fails with
 * BK_ERROR_UNFIT when it is of another kind, or has more than 1 + `other_names` names. What cannot
 * be set for lack of privilege, or since the file system does not have it, is noted in the
 * report. */
bool bk_node_metadata_apply(const BkNodeMetadata *self, const char *path, const BkFile *file,
                            BkNodeStage stage, uint32_t other_names, GError **error) BK_MUST_USE;
