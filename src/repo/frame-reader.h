/* frame-reader.h - a sealed object read from its store frame by frame.
 *
 * Promise: until the key has proven what an object is, no more of it is in memory than one window,
 * whatever size the store tells; and afterwards one window and one frame. An object that is longer
 * than a window has the tag of its trailer, and so its size, proven before its frames are read.
 * Threads: a reader belongs to one thread. */
#pragma once
#include "repo/seal.h"
#include "store/store.h"

/* Holds any frame, and most manifests whole: then one request reads the object. */
#define BK_FRAME_WINDOW ((size_t)5 * 1024 * 1024)

typedef struct BkFrameSource {
    BkStore *store;
    const char *name; /* of the object, borrowed like the rest */
    BkSealAs as;
    size_t window; /* bytes that are read at once, at least BK_FRAME_WINDOW */
    BkBuf *keep;   /* gets all bytes of the object as they are read, once its size is proven, or
                      NULL */
    const BkBuf *whole; /* all bytes of the object, if they are here already and the store is not to
                           be asked, or NULL */
} BkFrameSource;

typedef struct BkFrameReader {
    BkFrameSource source;
    BkOp *op;
    BkOpener *opener;
    BkBuf window;
    size_t next;       /* in the window: the next frame */
    uint64_t fetched;  /* offset in the object at which the window ends */
    uint64_t size;     /* of the object, proven */
    uint64_t ordinal;  /* of the next frame */
    bool has_had_last; /* nothing is left */
} BkFrameReader;

/* Reads the start of an object and proves its header and its trailer. Fails with BK_ERROR_CORRUPT
 * or BK_ERROR_UNSUPPORTED, or as bk_store_get. To be cleared in any case. */
bool bk_frame_reader_begin(BkFrameReader *self, const BkFrameSource *source, BkOp *op,
                           GError **error) BK_MUST_USE;

/* Opens the next frame; its raw bytes replace the content of `raw`. With NULL it is passed over
 * unopened. To be called until `has_had_last`. Fails as begin, also when something is left over
 * behind the last frame. */
bool bk_frame_reader_next(BkFrameReader *self, BkBuf *raw, GError **error) BK_MUST_USE;

void bk_frame_reader_clear(BkFrameReader *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BkFrameReader, bk_frame_reader_clear)

/* Proves the size of an object by the tag of its trailer, by two small requests. Fails as begin. */
bool bk_frame_prove_size(const BkFrameSource *source, uint64_t size, BkOp *op,
                         GError **error) BK_MUST_USE;
