/* file-extension.h - what the entry of a file in a manifest says beyond what each entry has.
 *
 * The values live encoded in the entry's extension area (BkFile.extensions), so that entries
 * without them, such as those of a PostgreSQL cluster, neither grow in memory nor on disk. They are
 * put in the order of their tags. Those of a loaded snapshot are well-formed.
 * Threads: functions have no state. */
#pragma once
#include "repo/snapshot/snapshot.h"

typedef enum {
    BK_FILE_TAG_IDENTITY = 1,
    BK_FILE_TAG_NODE = 2,
    BK_FILE_TAG_XATTRS = 3,
    /* Numbers that are reserved, with an encoding in docs/format.md: inode flags, birth time,
     * project id, ids of content-defined chunks. */
    BK_FILE_TAG_INODE_FLAGS = 4,
    BK_FILE_TAG_BIRTH_TIME = 5,
    BK_FILE_TAG_PROJECT = 6,
    BK_FILE_TAG_CHUNK_IDS = 7,
} BkFileTag; /* the numbers are on disk */

/* By what the next backup recognises a file that has not changed. */
typedef struct BkFileIdentity {
    int64_t ctime_sec;
    uint32_t ctime_nsec;
    uint64_t inode;
    uint32_t device_major; /* of the file system */
    uint32_t device_minor;
} BkFileIdentity;

void bk_file_put_identity(BkBuf *extensions, const BkFileIdentity *identity);

/* Returns false if the entry has none. */
bool bk_file_get_identity(const BkFile *file, BkFileIdentity *identity);

/* The numbers of a character or block device, which each such entry has. */
typedef struct BkFileNode {
    uint32_t major;
    uint32_t minor;
} BkFileNode;

void bk_file_put_node(BkBuf *extensions, const BkFileNode *node);
bool bk_file_get_node(const BkFile *file, BkFileNode *node);

/* An extended attribute; POSIX ACLs ("system.posix_acl_access") and capabilities
 * ("security.capability") are such. */
typedef struct BkFileXattr {
    const uint8_t *name; /* without a zero byte, at least one byte */
    size_t name_size;
    const uint8_t *value;
    size_t value_size;
} BkFileXattr;

/* In byte order of their names. */
void bk_file_put_xattrs(BkBuf *extensions, const BkFileXattr *xattrs, size_t count);

/* Walks the attributes of an entry; `reader` is made by begin. */
void bk_file_xattrs_begin(const BkFile *file, BkWireReader *reader);
bool bk_file_xattrs_next(BkWireReader *reader, BkFileXattr *xattr);

/* Checks the extension area of an entry whose other fields are set. Fails with BK_ERROR_CORRUPT, or
 * with BK_ERROR_UNSUPPORTED when a critical one is not known. */
bool bk_file_check_extensions(const BkFile *file, GError **error) BK_MUST_USE;
