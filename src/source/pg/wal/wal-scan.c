/* wal-scan.c - walks the records of one WAL segment in memory, PostgreSQL 13 to 18. */
#include "source/pg/wal/wal-scan.h"

#include "codec/crc32c.h"
#include "source/pg/format/bytes.h"

#include <inttypes.h>

/* Page header: magic, flags, timeline, position, length that is still to come of a record from the
 * page before; the first page of a segment adds system, segment size and page size. */
enum {
    PAGE_MAGIC = 0,
    PAGE_FLAGS = 2,
    PAGE_TIMELINE = 4,
    PAGE_LSN = 8,
    PAGE_REST = 16,
    PAGE_HEADER = 24,
    PAGE_SYSTEM_ID = 24,
    PAGE_SEGMENT_SIZE = 32,
    PAGE_SIZE = 36,
    PAGE_LONG_HEADER = 40,
};

enum {
    FLAG_CONTINUES = 1, /* begins with the rest of a record */
    FLAG_LONG = 2,
    FLAG_ABANDONS = 8, /* the record of the page before will not be continued */
    FLAGS_KNOWN = 15,
};

/* Record header: length, transaction, record before, info, resource manager, 2 unused, CRC of what
 * follows the header and then of the header up to here. */
enum {
    RECORD_XID = 4,
    RECORD_PREV = 8,
    RECORD_INFO = 16,
    RECORD_RMID = 17,
    RECORD_CRC = 20,
};

#define RECORD_LENGTH_MAX BK_GIB
#define RMID_BUILTIN_MAX  21  /* LogicalMessage, the last one in 13 to 18 */
#define RMID_CUSTOM_MIN   128 /* those of extensions, from 15 on */
#define XLOG_SWITCH       0x40
#define PREFETCH_AHEAD    ((size_t)2048)
#define CACHE_LINE        ((size_t)64)

typedef struct Scanner {
    const uint8_t *data;
    size_t size;
    BkWalScanOptions options;
    BkWalScan *scan;
    size_t pos;      /* of the next record, or of a page header */
    bool at_end;     /* scan->end has been set */
    BkBuf assembled; /* start of a record that crosses pages */
} Scanner;

/* How going through the pages of one record ended. */
typedef enum {
    WALK_WHOLE,
    WALK_TAIL,      /* at the end of the segment */
    WALK_ABANDONED, /* at a page that goes on with other records */
    WALK_ENDED,     /* scan->end has been set */
} WalkResult;

typedef struct Walk {
    uint32_t rest;        /* bytes to come */
    uint32_t done;        /* bytes gone through */
    size_t keep;          /* of the first bytes, how many are appended to `bytes` */
    size_t keep_unwanted; /* the same once the record turns out to be of a kind not wanted */
    BkBuf *bytes;
    bool is_record; /* begins with a record header (otherwise it is a lead) */
    bool verify_crc;
    uint32_t crc; /* of what follows the record header */
} Walk;

void
bk_wal_record_decode(const uint8_t *header, BkWalRecord *record)
{
    record->total = bk_bytes_u32(header);
    record->xid = bk_bytes_u32(header + RECORD_XID);
    record->prev_lsn = bk_bytes_u64(header + RECORD_PREV);
    record->info = header[RECORD_INFO];
    record->rmid = header[RECORD_RMID];
    record->crc = bk_bytes_u32(header + RECORD_CRC);
}

unsigned
bk_wal_magic_major(uint16_t magic)
{
    switch (magic) {
    case BK_WAL_MAGIC_13:
        return 13;
    case BK_WAL_MAGIC_14:
        return 14;
    case BK_WAL_MAGIC_15:
        return 15;
    case BK_WAL_MAGIC_16:
        return 16;
    case BK_WAL_MAGIC_17:
        return 17;
    case BK_WAL_MAGIC_18:
        return 18;
    default:
        return 0;
    }
}

void
bk_wal_scan_clear(BkWalScan *self)
{
    bk_buf_clear(&self->lead.bytes);
    bk_buf_clear(&self->tail.bytes);
    *self = (BkWalScan){0};
}

static void
end_scan(Scanner *self, BkWalEnd end, const char *reason)
{
    self->scan->end = end;
    self->scan->reason = reason;
    self->at_end = true;
}

static size_t
page_end(const Scanner *self, size_t pos)
{
    return (pos | (self->scan->page_size - 1)) + 1;
}

static size_t
align_record_size(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* The first page decides whether any of it is to be believed. */
static bool
check_segment(Scanner *self, GError **error)
{
    const uint8_t *page = self->data;
    uint16_t magic;

    if (self->size < PAGE_LONG_HEADER)
        return bk_throw(error, BK_ERROR_CORRUPT, "WAL segment has only %zu bytes", self->size);
    magic = bk_bytes_u16(page + PAGE_MAGIC);
    if (bk_wal_magic_major(magic) == 0 && magic >> 8 != 0xD1 && magic >> 8 != 0xD0)
        return bk_throw(error, BK_ERROR_CORRUPT, "WAL segment does not begin with a WAL page");
    if (bk_wal_magic_major(magic) == 0)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "WAL page with magic number %04X is not of a supported version (13 to 18)",
                        magic);
    if ((bk_bytes_u16(page + PAGE_FLAGS) & FLAG_LONG) == 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "first WAL page is not the first of a segment");
    *self->scan = (BkWalScan){
        .magic = magic,
        .timeline = bk_bytes_u32(page + PAGE_TIMELINE),
        .first_timeline = bk_bytes_u32(page + PAGE_TIMELINE),
        .start_lsn = bk_bytes_u64(page + PAGE_LSN),
        .end_lsn = bk_bytes_u64(page + PAGE_LSN),
        .system_id = bk_bytes_u64(page + PAGE_SYSTEM_ID),
        .segment_size = bk_bytes_u32(page + PAGE_SEGMENT_SIZE),
        .page_size = bk_bytes_u32(page + PAGE_SIZE),
    };
    return true;
}

static bool
check_sizes(const Scanner *self, GError **error)
{
    const BkWalScan *scan = self->scan;

    if (!bk_wal_segment_size_is_valid(scan->segment_size) || self->size > scan->segment_size)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "WAL segment of %zu bytes says that segments have %" PRIu32, self->size,
                        scan->segment_size);
    if (scan->page_size < 1024 || scan->page_size > 65536 ||
        (scan->page_size & (scan->page_size - 1)) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "WAL segment has pages of %" PRIu32 " bytes",
                        scan->page_size);
    if (scan->start_lsn % scan->segment_size != 0 || scan->start_lsn > UINT64_MAX - BK_GIB)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "WAL segment begins at %" PRIX64 ", which is not the start of a segment",
                        scan->start_lsn);
    return true;
}

bool
bk_wal_scan_system_id(const uint8_t *data, size_t size, uint64_t *system_id, GError **error)
{
    BkWalScan scan = {0};
    Scanner self = {.data = data, .size = size, .scan = &scan};

    if (!check_segment(&self, error) || !check_sizes(&self, error))
        return false;
    *system_id = scan.system_id;
    return scan.system_id != 0 ||
           bk_throw(error, BK_ERROR_CORRUPT, "WAL segment has no system identifier");
}

static bool
check_expected(const Scanner *self, GError **error)
{
    const BkWalScan *scan = self->scan;
    const BkWalScanOptions *options = &self->options;
    char found[BK_LSN_TEXT_SIZE], expected[BK_LSN_TEXT_SIZE];

    if (options->expect_system_id != 0 && scan->system_id != options->expect_system_id)
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "WAL segment is of system %" PRIu64 ", not of %" PRIu64, scan->system_id,
                        options->expect_system_id);
    if (options->expect_start_lsn != 0 && scan->start_lsn != options->expect_start_lsn)
        return bk_throw(error, BK_ERROR_CORRUPT, "WAL segment begins at %s, not at %s",
                        bk_lsn_format(scan->start_lsn, found),
                        bk_lsn_format(options->expect_start_lsn, expected));
    if (scan->timeline == 0 ||
        (options->expect_timeline != 0 && scan->timeline > options->expect_timeline))
        return bk_throw(error, BK_ERROR_CORRUPT,
                        "WAL segment is of timeline %" PRIu32 ", not of %" PRIu32, scan->timeline,
                        options->expect_timeline);
    return true;
}

/* Checks the header of the page at `pos`, not the first. False when the scan ends here. */
static bool
check_page(Scanner *self, size_t pos)
{
    const uint8_t *page = self->data + pos;
    BkWalScan *scan = self->scan;
    uint32_t timeline;
    uint16_t flags;

    if (self->size - pos < PAGE_HEADER || bk_bytes_u16(page + PAGE_MAGIC) == 0 ||
        bk_bytes_u64(page + PAGE_LSN) != scan->start_lsn + pos) {
        end_scan(self, BK_WAL_END_ZERO, NULL);
        return false;
    }
    timeline = bk_bytes_u32(page + PAGE_TIMELINE);
    flags = bk_bytes_u16(page + PAGE_FLAGS);
    if (bk_bytes_u16(page + PAGE_MAGIC) != scan->magic || (flags & ~FLAGS_KNOWN) != 0 ||
        (flags & FLAG_LONG) != 0) {
        end_scan(self, BK_WAL_END_BROKEN, "a page header is malformed");
        return false;
    }
    if (timeline < scan->timeline ||
        (self->options.expect_timeline != 0 && timeline > self->options.expect_timeline)) {
        end_scan(self, BK_WAL_END_BROKEN, "a page is of another timeline");
        return false;
    }
    scan->timeline = timeline;
    return true;
}

static void
walk_bytes(Walk *walk, const uint8_t *data, size_t size)
{
    size_t header = 0;

    if (walk->done < walk->keep)
        bk_buf_append(walk->bytes, data, MIN(size, walk->keep - walk->done));
    if (walk->verify_crc) {
        if (walk->done < BK_WAL_RECORD_HEADER)
            header = MIN(size, BK_WAL_RECORD_HEADER - walk->done);
        walk->crc = bk_crc32c(walk->crc, data + header, size - header);
    }
    walk->done += (uint32_t)size;
    walk->rest -= (uint32_t)size;
}

/* Is a record that crosses pages to be put together? `header` is its own. */
static bool
is_record_wanted(const Scanner *self, const uint8_t *header)
{
    switch (header[RECORD_RMID]) {
    case BK_WAL_RM_XLOG:
    case BK_WAL_RM_XACT:
    case BK_WAL_RM_SMGR:
    case BK_WAL_RM_DBASE:
        return true;
    default:
        return bk_bytes_u32(header) <= self->options.assemble_max;
    }
}

/* Records that nobody wants whole are not put together: known as soon as the header is there. */
static void
limit_kept(const Scanner *self, Walk *walk)
{
    if (walk->is_record && walk->keep > walk->keep_unwanted &&
        walk->bytes->size >= BK_WAL_RECORD_HEADER && !is_record_wanted(self, walk->bytes->data))
        walk->keep = walk->keep_unwanted;
}

/* Goes through the pages of a record (or lead) from self->pos on, and leaves self->pos behind it,
 * or at the page that abandons it. */
static WalkResult
walk_pages(Scanner *self, Walk *walk)
{
    for (;;) {
        size_t border = page_end(self, self->pos);
        size_t size = MIN(walk->rest, MIN(border, self->size) - self->pos);
        uint16_t flags;

        walk_bytes(walk, self->data + self->pos, size);
        limit_kept(self, walk);
        self->pos += size;
        if (walk->rest == 0)
            return WALK_WHOLE;
        if (border == self->scan->segment_size && self->pos == border)
            return WALK_TAIL;
        if (self->pos != border || !check_page(self, border)) {
            if (!self->at_end)
                end_scan(self, BK_WAL_END_ZERO, NULL);
            return WALK_ENDED;
        }
        flags = bk_bytes_u16(self->data + border + PAGE_FLAGS);
        if ((flags & FLAG_ABANDONS) != 0)
            return WALK_ABANDONED;
        if ((flags & FLAG_CONTINUES) == 0 ||
            bk_bytes_u32(self->data + border + PAGE_REST) != walk->rest) {
            end_scan(self, BK_WAL_END_BROKEN, "a record is not continued on the next page");
            return WALK_ENDED;
        }
        self->pos = border + PAGE_HEADER;
    }
}

/* What the header tells must be possible: a sane kind, and the link to the record before. */
static bool
check_record(Scanner *self, const BkWalRecord *record)
{
    const BkWalScan *scan = self->scan;
    const char *reason = NULL;

    if (record->rmid > RMID_BUILTIN_MAX && record->rmid < RMID_CUSTOM_MIN)
        reason = "a record is of an unknown resource manager";
    else if (record->prev_lsn >= record->lsn ||
             (scan->last_lsn != 0 && record->prev_lsn != scan->last_lsn))
        reason = "a record does not link to the previous one";
    if (reason != NULL)
        end_scan(self, BK_WAL_END_BROKEN, reason);
    return reason == NULL;
}

/* A whole record that self->pos is behind of: `body_crc` is of what follows its header. */
static bool
finish_record(Scanner *self, BkWalRecord *record, const uint8_t *header, uint32_t body_crc,
              GError **error)
{
    BkWalScan *scan = self->scan;

    if (!check_record(self, record))
        return true;
    if (self->options.verify_crc &&
        bk_crc32c(body_crc, header, RECORD_CRC) != bk_bytes_u32(header + RECORD_CRC)) {
        end_scan(self, BK_WAL_END_BROKEN, "a record does not match its checksum");
        return true;
    }
    self->pos = align_record_size(self->pos);
    record->end_lsn = scan->start_lsn + self->pos;
    scan->end_lsn = record->end_lsn;
    scan->last_lsn = record->lsn;
    scan->records++;
    if (record->rmid == BK_WAL_RM_XLOG && bk_wal_record_kind(record) == XLOG_SWITCH)
        end_scan(self, BK_WAL_END_SWITCH, NULL);
    return self->options.on_record == NULL ||
           self->options.on_record(record, self->options.user, error);
}

static void
keep_tail(Scanner *self, BkLsn lsn, uint32_t total, const Walk *walk)
{
    BkWalTail *tail = &self->scan->tail;

    tail->lsn = lsn;
    tail->total = total;
    tail->available = walk->done;
    bk_buf_append(&tail->bytes, walk->bytes->data, MIN(walk->bytes->size, BK_WAL_EDGE_MAX));
    self->scan->end_lsn = self->scan->start_lsn + self->scan->segment_size;
    end_scan(self, BK_WAL_END_FULL, NULL);
}

/* Will the record of `total` bytes at self->pos be cut off by the end of the segment? */
static bool
is_cut_off(const Scanner *self, uint32_t total)
{
    size_t page_size = self->scan->page_size;
    size_t pages = (self->scan->segment_size - page_end(self, self->pos)) / page_size;

    return total > page_end(self, self->pos) - self->pos + pages * (page_size - PAGE_HEADER);
}

static bool
scan_crossing(Scanner *self, uint32_t total, GError **error)
{
    const size_t start = self->pos;
    const size_t start_max = MAX(self->options.start_max, BK_WAL_RECORD_HEADER);
    Walk walk = {
        .rest = total,
        .keep = MIN(total, BK_WAL_ASSEMBLE_MAX),
        .keep_unwanted = is_cut_off(self, total) ? BK_WAL_EDGE_MAX : start_max,
        .bytes = &self->assembled,
        .is_record = true,
        .verify_crc = self->options.verify_crc,
    };
    BkWalRecord record = {.lsn = self->scan->start_lsn + start};

    self->assembled.size = 0;
    if (page_end(self, start) - start >= BK_WAL_RECORD_HEADER &&
        start + BK_WAL_RECORD_HEADER <= self->size && !is_record_wanted(self, self->data + start))
        walk.keep = MIN(total, walk.keep_unwanted);
    switch (walk_pages(self, &walk)) {
    case WALK_WHOLE:
        break;
    case WALK_TAIL:
        keep_tail(self, record.lsn, total, &walk);
        return true;
    case WALK_ABANDONED:
    case WALK_ENDED:
        return true;
    }
    bk_wal_record_decode(self->assembled.data, &record);
    if (self->assembled.size == MIN(total, BK_WAL_ASSEMBLE_MAX) || self->options.start_max > 0) {
        record.data = self->assembled.data;
        record.size = self->assembled.size;
    }
    return finish_record(self, &record, self->assembled.data, walk.crc, error);
}

/* Where the next record is, only this one's length says, so that memory would be waited for at
 * each: what comes soon is asked for now. */
static void
prefetch_next_record(const Scanner *self)
{
    const uint8_t *ahead;

    if (self->size - self->pos < PREFETCH_AHEAD + 3 * CACHE_LINE)
        return;
    ahead = self->data + self->pos + PREFETCH_AHEAD;
    __builtin_prefetch(ahead);
    __builtin_prefetch(ahead + CACHE_LINE);
    __builtin_prefetch(ahead + 2 * CACHE_LINE);
}

/* The record at self->pos, which is within a page. */
static bool
scan_record(Scanner *self, GError **error)
{
    const uint8_t *data = self->data + self->pos;
    size_t available = MIN(page_end(self, self->pos), self->size) - self->pos;
    uint32_t total = available >= 4 ? bk_bytes_u32(data) : 0;
    BkWalRecord record = {.lsn = self->scan->start_lsn + self->pos, .data = data};
    uint32_t crc = 0;

    if (total == 0) {
        end_scan(self, BK_WAL_END_ZERO, NULL);
        return true;
    }
    if (total < BK_WAL_RECORD_HEADER || total > RECORD_LENGTH_MAX) {
        end_scan(self, BK_WAL_END_BROKEN, "a record's length is impossible");
        return true;
    }
    if (total > available)
        return scan_crossing(self, total, error);
    prefetch_next_record(self);
    bk_wal_record_decode(data, &record);
    record.size = total;
    if (self->options.verify_crc)
        crc = bk_crc32c(0, data + BK_WAL_RECORD_HEADER, total - BK_WAL_RECORD_HEADER);
    self->pos += total;
    return finish_record(self, &record, data, crc, error);
}

static void
scan_lead(Scanner *self)
{
    BkWalScan *scan = self->scan;
    BkWalLead *lead = &scan->lead;
    uint16_t flags = bk_bytes_u16(self->data + PAGE_FLAGS);
    Walk walk = {.keep = BK_WAL_EDGE_MAX, .bytes = &lead->bytes};
    WalkResult result;

    self->pos = PAGE_LONG_HEADER;
    lead->abandoned = (flags & FLAG_ABANDONS) != 0;
    if ((flags & FLAG_CONTINUES) == 0)
        return;
    walk.rest = lead->rest = bk_bytes_u32(self->data + PAGE_REST);
    if (lead->rest == 0 || lead->rest > RECORD_LENGTH_MAX) {
        end_scan(self, BK_WAL_END_BROKEN, "the length of a continued record is impossible");
        lead->rest = 0;
        return;
    }
    result = walk_pages(self, &walk);
    lead->available = walk.done;
    lead->abandoned = lead->abandoned || result == WALK_ABANDONED;
    if (result == WALK_WHOLE) {
        self->pos = align_record_size(self->pos);
        lead->end_lsn = scan->end_lsn = scan->start_lsn + self->pos;
    } else if (result == WALK_TAIL) {
        scan->end_lsn = scan->start_lsn + scan->segment_size;
        end_scan(self, BK_WAL_END_FULL, NULL);
    }
}

/* The header of a page on which a new record may begin. */
static void
enter_wal_page(Scanner *self)
{
    if (!check_page(self, self->pos))
        return;
    /* After a record that ended with the page before, nothing can be continued; after one that was
     * abandoned, the flag is another one. */
    if ((bk_bytes_u16(self->data + self->pos + PAGE_FLAGS) & FLAG_CONTINUES) != 0)
        end_scan(self, BK_WAL_END_BROKEN, "a page continues a record that has no beginning");
    else
        self->pos += PAGE_HEADER;
}

static bool
scan_all(Scanner *self, GError **error)
{
    scan_lead(self);
    while (!self->at_end) {
        if (self->pos >= self->size) {
            bool full = self->pos == self->scan->segment_size;

            end_scan(self, full ? BK_WAL_END_FULL : BK_WAL_END_ZERO, NULL);
            break;
        }
        if ((self->pos & (self->scan->page_size - 1)) == 0)
            enter_wal_page(self);
        else if (!scan_record(self, error))
            return false;
    }
    if (self->scan->end == BK_WAL_END_FULL)
        self->scan->end_lsn = self->scan->start_lsn + self->scan->segment_size;
    return true;
}

bool
bk_wal_scan(const uint8_t *data, size_t size, const BkWalScanOptions *options, BkWalScan *scan,
            GError **error)
{
    Scanner self = {.data = data, .size = size, .scan = scan};
    bool done;

    *scan = (BkWalScan){0};
    if (options != NULL)
        self.options = *options;
    self.options.assemble_max = (uint32_t)MIN(self.options.assemble_max, BK_WAL_ASSEMBLE_MAX);
    self.options.start_max = (uint32_t)MIN(self.options.start_max, BK_WAL_EDGE_MAX);
    if (!check_segment(&self, error) || !check_sizes(&self, error) || !check_expected(&self, error))
        return false;
    done = scan_all(&self, error);
    bk_buf_clear(&self.assembled);
    return done;
}
