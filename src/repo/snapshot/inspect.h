/* inspect.h - takes a sealed object apart for people: what it says, and where exactly it is wrong.
 *
 * Unlike a reader, which ends at the first thing that is wrong, this goes on as far as it can. The
 * content of a key's object is kept here only to be decoded, wiped by clear, and for no report.
 * Threads: an inspection belongs to one thread. */
#pragma once
#include "repo/snapshot/snapshot.h"

typedef struct BkInspectFrame {
    uint64_t offset; /* in the object */
    uint64_t size;
    bool is_last;
    bool is_open; /* what follows is known, and the frame proven */
    uint8_t codec;
    size_t raw_size;
} BkInspectFrame;

typedef struct BkInspectProblem {
    uint64_t offset; /* the bytes that are wrong */
    uint64_t size;
    char *text;
} BkInspectProblem;

typedef struct BkInspectSection {
    uint8_t number;
    uint64_t rows;
} BkInspectSection;

typedef struct BkInspection {
    uint64_t size;
    bool has_header; /* the next five are set */
    uint16_t version;
    uint16_t kind;
    uint32_t generation;
    uint8_t salt[BK_SEAL_SALT_SIZE];
    uint8_t commitment[BK_SEAL_COMMIT_SIZE];
    GArray *frames;                 /* of BkInspectFrame */
    uint8_t digest[BK_SHA256_SIZE]; /* that the trailer has */
    bool is_digest_right;
    uint8_t whole_digest[BK_SHA256_SIZE]; /* of the object, trailer included: the name of a pack */
    GPtrArray *problems; /* of BkInspectProblem, in the order in which they were found */

    bool is_open;         /* with a key: the rest is set as far as it could be read */
    BkBuf first;          /* raw content of the first frame */
    BkBuf last;           /* and of the last */
    BkSnapshot *snapshot; /* of a manifest */
    GArray *sections;     /* of BkInspectSection, of a manifest */
} BkInspection;

/* Looks at an object without a key: header, sizes of frames, trailer, SHA-256. To be cleared. */
void bk_inspection_init(BkInspection *self, const BkBuf *object);

/* And with a key: opens each frame, and decodes a manifest. */
void bk_inspection_open(BkInspection *self, const BkBuf *object, const BkSealAs *as);

void bk_inspection_clear(BkInspection *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkInspection, bk_inspection_clear)

/* Adds what is wrong with `size` bytes from `offset` on, by the error, which is cleared. */
void bk_inspection_add_problem(BkInspection *self, uint64_t offset, uint64_t size, GError **cause);

/* Keys for objects by their names. */
typedef struct BkInspectKeys {
    BkKeyring *slot;           /* for key slots, from the key file */
    BkSourceRepo *source_repo; /* of the source, or NULL */
    char *seal_name;           /* what the object is sealed under */
    BkSealAs as;               /* refers to the others and to the repository */
} BkInspectKeys;

/* Finds what opens the object `name` of `repository`, whose key file is `key`. Fails with
 * BK_ERROR_USAGE when objects do not have names of that form, with BK_ERROR_KEY when it takes
 * another key file, and as bk_source_repo_open. To be cleared. */
bool bk_inspect_keys_find(BkInspectKeys *self, BkRepository *repository, const BkKeyFile *key,
                          const char *name, BkOp *op, GError **error) BK_MUST_USE;
void bk_inspect_keys_clear(BkInspectKeys *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkInspectKeys, bk_inspect_keys_clear)

/* Takes the id out of the content of "backstay.json", which must have no byte besides. Fails with
 * BK_ERROR_CORRUPT. */
#define BK_INSPECT_ID_SIZE 32
bool bk_inspect_identity(const BkBuf *object, char id[BK_INSPECT_ID_SIZE + 1],
                         GError **error) BK_MUST_USE;

/* What an object of this name is sealed as. Returns false if no object is called so. */
bool bk_inspect_kind_of(const char *name, BkSealKind *kind);
