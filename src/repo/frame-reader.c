/* frame-reader.c - a sealed object read from its store frame by frame. */
#include "repo/frame-reader.h"

#include <string.h>

void
bk_frame_reader_clear(BkFrameReader *self)
{
    bk_opener_free(self->opener);
    bk_buf_clear(&self->window);
    *self = (BkFrameReader){0};
}

static bool
throw_cut_off(GError **error)
{
    return bk_throw(error, BK_ERROR_CORRUPT, "object is cut off");
}

/* The trailer of an object that is said to have `size` bytes. */
static bool
prove_far_trailer(const BkFrameSource *source, BkOpener *opener, uint64_t size, BkOp *op,
                  GError **error)
{
    g_auto(BkBuf) trailer = BK_BUF_INIT;

    if (size < BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE)
        return throw_cut_off(error);
    if (!bk_store_get(source->store, source->name, size - BK_SEAL_TRAILER_SIZE,
                      BK_SEAL_TRAILER_SIZE + 1, BK_SEAL_TRAILER_SIZE + 1, &trailer, op, error))
        return false;
    if (trailer.size != BK_SEAL_TRAILER_SIZE)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "object does not end at its %" G_GUINT64_FORMAT " bytes", size);
    return bk_opener_trailer(opener, trailer.data, size, error);
}

/* The whole object is in the window. */
static bool
prove_near_trailer(BkFrameReader *self, GError **error)
{
    const BkBuf *window = &self->window;

    self->size = window->size;
    if (window->size < BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE)
        return throw_cut_off(error);
    return bk_opener_trailer(self->opener, window->data + window->size - BK_SEAL_TRAILER_SIZE,
                             self->size, error);
}

/* The object goes on behind the window. */
static bool
prove_size(BkFrameReader *self, GError **error)
{
    const BkFrameSource *source = &self->source;

    return bk_store_stat(source->store, source->name, &self->size, self->op, error) &&
           prove_far_trailer(source, self->opener, self->size, self->op, error);
}

/* Only now that the size is proven: it may be large. */
static bool
keep_window(BkFrameReader *self, size_t from, GError **error)
{
    BkBuf *keep = self->source.keep;

    if (keep == NULL)
        return true;
    if (!bk_buf_reserve(keep, (size_t)self->size - keep->size, error))
        return false;
    bk_buf_append(keep, self->window.data + from, self->window.size - from);
    return true;
}

static bool
read_window(BkFrameReader *self, GError **error)
{
    const BkFrameSource *source = &self->source;

    if (source->whole == NULL)
        return bk_store_get(source->store, source->name, 0, source->window, source->window,
                            &self->window, self->op, error);
    bk_buf_append(&self->window, source->whole->data, source->whole->size);
    return true;
}

bool
bk_frame_reader_begin(BkFrameReader *self, const BkFrameSource *source, BkOp *op, GError **error)
{
    *self = (BkFrameReader){.source = *source, .op = op, .opener = bk_opener_new()};
    g_assert(source->window >= BK_FRAME_WINDOW);
    if (source->keep != NULL)
        source->keep->size = 0;
    if (!read_window(self, error) ||
        !bk_opener_begin(self->opener, &source->as, self->window.data, self->window.size, error))
        return false;
    self->fetched = self->window.size;
    self->next = BK_SEAL_HEADER_SIZE;
    if (!(source->whole != NULL || self->window.size < source->window
              ? prove_near_trailer(self, error)
              : prove_size(self, error)))
        return false;
    return keep_window(self, 0, error);
}

/* Moves what is left of the window to its front and fills it up. */
static bool
fill_window(BkFrameReader *self, GError **error)
{
    g_auto(BkBuf) more = BK_BUF_INIT;
    size_t left = self->window.size - self->next;
    size_t wanted = (size_t)MIN(self->source.window - left, self->size - self->fetched);

    if (!bk_store_get(self->source.store, self->source.name, self->fetched, wanted, wanted, &more,
                      self->op, error))
        return false;
    if (more.size != wanted)
        return throw_cut_off(error);
    memmove(self->window.data, self->window.data + self->next, left);
    self->window.size = left;
    self->next = 0;
    if (!bk_buf_reserve(&self->window, more.size, error))
        return false;
    bk_buf_append(&self->window, more.data, more.size);
    self->fetched += more.size;
    return keep_window(self, left, error);
}

/* Where the frames end, in the window; more may follow when that is not all here. */
static size_t
frames_end(const BkFrameReader *self)
{
    const uint64_t end = self->size - BK_SEAL_TRAILER_SIZE;
    const uint64_t start = self->fetched - self->window.size;

    return (size_t)MIN(end - MIN(end, start), self->window.size);
}

static bool
measure(BkFrameReader *self, BkFrame *frame, GError **error)
{
    size_t end = frames_end(self);

    *frame = (BkFrame){
        .ordinal = self->ordinal,
        .data = self->window.data + self->next,
        .size = end - MIN(end, self->next),
    };
    return bk_frame_measure(frame, error);
}

bool
bk_frame_reader_next(BkFrameReader *self, BkBuf *raw, GError **error)
{
    BkFrame frame;

    g_assert(!self->has_had_last);
    if (self->fetched < self->size && !measure(self, &frame, NULL) && !fill_window(self, error))
        return false;
    if (!measure(self, &frame, error) ||
        (raw != NULL && !bk_opener_frame(self->opener, &frame, raw, error)))
        return false;
    frame.is_last = frame.is_last && raw != NULL; /* nothing proves what is passed over */
    self->next += frame.size;
    self->ordinal++;
    self->has_had_last = frame.is_last;
    return !frame.is_last ||
           self->fetched - self->window.size + self->next == self->size - BK_SEAL_TRAILER_SIZE ||
           bk_throw(error, BK_ERROR_CORRUPT, "object has data after its last frame");
}

bool
bk_frame_prove_size(const BkFrameSource *source, uint64_t size, BkOp *op, GError **error)
{
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) header = BK_BUF_INIT;

    return bk_store_get(source->store, source->name, 0, BK_SEAL_HEADER_SIZE, BK_SEAL_HEADER_SIZE,
                        &header, op, error) &&
           bk_opener_begin(opener, &source->as, header.data, header.size, error) &&
           prove_far_trailer(source, opener, size, op, error);
}
