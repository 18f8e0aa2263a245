/* wal-info-wire.c - the encoding of what a WAL segment contains, with bounds on what is read. */
#include "source/pg/wal/wal-info.h"

#include "codec/wire.h"

#include <string.h>

#define VERSION 1

enum {
    FLAG_MINIMAL_SEEN = 1,
    FLAG_HAS_WAL_LEVEL = 2,
    FLAG_LEAD_ABANDONED = 4,
    FLAG_HAS_DROP = 8,
    FLAGS_KNOWN = 15,
};

static void
put_moment(BkBuf *out, const BkWalMoment *moment)
{
    bk_wire_put_varint(out, moment->lsn);
    bk_wire_put_varint(out, moment->end_lsn);
    bk_wire_put_zigzag(out, moment->time_us);
    bk_wire_put_u32(out, moment->xid);
    bk_wire_put_u8(out, moment->commit ? 1 : 0);
}

static void
get_moment(BkWireReader *reader, BkWalMoment *moment)
{
    moment->lsn = bk_wire_get_varint(reader);
    moment->end_lsn = bk_wire_get_varint(reader);
    moment->time_us = bk_wire_get_zigzag(reader);
    moment->xid = bk_wire_get_u32(reader);
    moment->commit = bk_wire_get_u8(reader) != 0;
}

static void
put_checkpoint(BkBuf *out, const BkWalCheckpoint *checkpoint)
{
    bk_wire_put_varint(out, checkpoint->lsn);
    bk_wire_put_varint(out, checkpoint->redo);
    bk_wire_put_varint(out, checkpoint->timeline);
    bk_wire_put_u8(out, checkpoint->shutdown ? 1 : 0);
    bk_wire_put_u32(out, checkpoint->next_xid);
    bk_wire_put_u32(out, checkpoint->active_xid);
}

static void
get_checkpoint(BkWireReader *reader, BkWalCheckpoint *checkpoint)
{
    checkpoint->lsn = bk_wire_get_varint(reader);
    checkpoint->redo = bk_wire_get_varint(reader);
    checkpoint->timeline = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    checkpoint->shutdown = bk_wire_get_u8(reader) != 0;
    checkpoint->next_xid = bk_wire_get_u32(reader);
    checkpoint->active_xid = bk_wire_get_u32(reader);
}

static void
put_points(BkBuf *out, const GArray *points)
{
    guint count = points != NULL ? points->len : 0;

    bk_wire_put_varint(out, count);
    for (guint i = 0; i < count; i++) {
        const BkWalPoint *point = &g_array_index(points, BkWalPoint, i);

        bk_wire_put_string(out, point->name);
        bk_wire_put_varint(out, point->lsn);
        bk_wire_put_varint(out, point->end_lsn);
        bk_wire_put_zigzag(out, point->time_us);
    }
}

static void
get_points(BkWireReader *reader, BkWalInfo *info)
{
    uint64_t count = bk_wire_get_bounded(reader, BK_WAL_POINTS_MAX);

    for (uint64_t i = 0; i < count && bk_wire_is_ok(reader); i++) {
        g_autofree char *name = bk_wire_get_string(reader, BK_WAL_POINT_NAME_SIZE - 1);
        BkWalPoint point = {.lsn = bk_wire_get_varint(reader)};

        point.end_lsn = bk_wire_get_varint(reader);
        point.time_us = bk_wire_get_zigzag(reader);
        (void)g_strlcpy(point.name, name, sizeof point.name);
        if (info->points == NULL)
            info->points = g_array_new(false, false, sizeof(BkWalPoint));
        g_array_append_val(info->points, point);
    }
}

static void
get_edge_bytes(BkWireReader *reader, BkBuf *bytes)
{
    size_t size;
    const uint8_t *data = bk_wire_get_bytes(reader, BK_WAL_EDGE_MAX, &size);

    if (data != NULL)
        bk_buf_append(bytes, data, size);
}

void
bk_wal_info_encode(const BkWalInfo *self, BkBuf *out)
{
    uint8_t flags = (uint8_t)((self->minimal_seen ? FLAG_MINIMAL_SEEN : 0) |
                              (self->has_wal_level ? FLAG_HAS_WAL_LEVEL : 0) |
                              (self->lead.abandoned ? FLAG_LEAD_ABANDONED : 0) |
                              (self->has_drop ? FLAG_HAS_DROP : 0));

    bk_wire_put_u8(out, VERSION);
    bk_wire_put_u8(out, flags);
    bk_wire_put_u16(out, self->magic);
    bk_wire_put_varint(out, self->timeline);
    bk_wire_put_varint(out, self->first_timeline);
    bk_wire_put_varint(out, self->segment_size);
    bk_wire_put_u64(out, self->system_id);
    bk_wire_put_varint(out, self->start_lsn);
    bk_wire_put_varint(out, self->end_lsn);
    bk_wire_put_u8(out, (uint8_t)self->end);
    bk_wire_put_varint(out, self->records);
    bk_wire_put_varint(out, self->xacts);
    put_moment(out, &self->first);
    put_moment(out, &self->last);
    bk_wire_put_zigzag(out, self->min_time_us);
    bk_wire_put_zigzag(out, self->max_time_us);
    bk_wire_put_u32(out, self->min_xid);
    bk_wire_put_u32(out, self->max_xid);
    put_points(out, self->points);
    bk_wire_put_varint(out, self->points_omitted);
    put_checkpoint(out, &self->first_checkpoint);
    put_checkpoint(out, &self->last_checkpoint);
    bk_wire_put_varint(out, self->end_of_recovery);
    bk_wire_put_varint(out, self->recovery_from);
    bk_wire_put_varint(out, self->recovery_to);
    bk_wire_put_u8(out, self->wal_level);
    bk_wire_put_varint(out, self->lead.rest);
    bk_wire_put_varint(out, self->lead.available);
    bk_wire_put_varint(out, self->lead.end_lsn);
    bk_wire_put_bytes(out, self->lead.bytes.data, self->lead.bytes.size);
    bk_wire_put_varint(out, self->tail.lsn);
    bk_wire_put_varint(out, self->tail.total);
    bk_wire_put_varint(out, self->tail.available);
    bk_wire_put_bytes(out, self->tail.bytes.data, self->tail.bytes.size);
}

static void
get_edges(BkWireReader *reader, BkWalInfo *info)
{
    info->lead.rest = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    info->lead.available = (uint32_t)bk_wire_get_bounded(reader, info->lead.rest);
    info->lead.end_lsn = bk_wire_get_varint(reader);
    get_edge_bytes(reader, &info->lead.bytes);
    info->tail.lsn = bk_wire_get_varint(reader);
    info->tail.total = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    info->tail.available = (uint32_t)bk_wire_get_bounded(reader, info->tail.total);
    get_edge_bytes(reader, &info->tail.bytes);
    if (info->lead.bytes.size > info->lead.available ||
        info->tail.bytes.size > info->tail.available)
        reader->failed = true;
}

static void
get_fields(BkWireReader *reader, BkWalInfo *info)
{
    uint8_t flags = bk_wire_get_u8(reader);
    uint8_t end;

    info->minimal_seen = (flags & FLAG_MINIMAL_SEEN) != 0;
    info->has_wal_level = (flags & FLAG_HAS_WAL_LEVEL) != 0;
    info->lead.abandoned = (flags & FLAG_LEAD_ABANDONED) != 0;
    info->has_drop = (flags & FLAG_HAS_DROP) != 0;
    info->magic = bk_wire_get_u16(reader);
    info->timeline = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    info->first_timeline = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    info->segment_size = (uint32_t)bk_wire_get_bounded(reader, BK_GIB);
    info->system_id = bk_wire_get_u64(reader);
    info->start_lsn = bk_wire_get_varint(reader);
    info->end_lsn = bk_wire_get_varint(reader);
    end = bk_wire_get_u8(reader);
    info->end = (BkWalEnd)MIN(end, (uint8_t)BK_WAL_END_BROKEN);
    info->records = bk_wire_get_varint(reader);
    info->xacts = bk_wire_get_varint(reader);
    get_moment(reader, &info->first);
    get_moment(reader, &info->last);
    info->min_time_us = bk_wire_get_zigzag(reader);
    info->max_time_us = bk_wire_get_zigzag(reader);
    info->min_xid = bk_wire_get_u32(reader);
    info->max_xid = bk_wire_get_u32(reader);
    get_points(reader, info);
    info->points_omitted = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    get_checkpoint(reader, &info->first_checkpoint);
    get_checkpoint(reader, &info->last_checkpoint);
    info->end_of_recovery = bk_wire_get_varint(reader);
    info->recovery_from = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    info->recovery_to = (uint32_t)bk_wire_get_bounded(reader, UINT32_MAX);
    info->wal_level = bk_wire_get_u8(reader);
    get_edges(reader, info);
    if ((flags & ~FLAGS_KNOWN) != 0 || !bk_wal_segment_size_is_valid(info->segment_size))
        reader->failed = true;
}

bool
bk_wal_info_decode(const void *data, size_t size, BkWalInfo *info, GError **error)
{
    BkWireReader reader;
    uint8_t version;

    *info = (BkWalInfo){0};
    bk_wire_reader_init(&reader, data, size);
    version = bk_wire_get_u8(&reader);
    if (bk_wire_is_ok(&reader) && version != VERSION)
        return bk_throw(error, BK_ERROR_UNSUPPORTED,
                        "WAL segment information has version %u, supported is %d", version,
                        VERSION);
    get_fields(&reader, info);
    if (bk_wire_end(&reader, "WAL segment information", error))
        return true;
    bk_wal_info_clear(info);
    return false;
}
