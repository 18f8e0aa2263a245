#include "engine/system-id.h"

#include "base/log.h"
#include "codec/wire.h"
#include "engine/source-spec.h"
#include "repo/snapshot.h"
#include "source/pg/meta.h"

#define NOTE_MAX ((size_t)4096)

bool
bk_find_system_id(const BkPart *part, uint64_t *system_id, BkOp *op, GError **error)
{
    g_autoptr(GPtrArray) ids = bk_snapshot_list(part, op, error);
    g_autoptr(GError) outage = NULL; /* the first manifest that could not be read */

    *system_id = 0;
    if (ids == NULL)
        return false;
    for (guint i = ids->len; i-- > 0;) {
        g_auto(BkSnapshotHead) head = {.source = NULL};
        g_auto(BkPgMeta) meta = {0};
        g_autoptr(GError) cause = NULL;

        if (bk_snapshot_load_head(part, g_ptr_array_index(ids, i), &head, op, &cause) &&
            bk_pg_meta_decode(&meta, &head.meta, &cause)) {
            *system_id = meta.system_id;
            return true;
        }
        if (!bk_parts_is_at_fault(cause) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        bk_log(BK_LOG_WARNING, "%s", cause->message);
        if (outage == NULL && !bk_error_is(cause, BK_ERROR_CORRUPT) &&
            !bk_error_is(cause, BK_ERROR_UNSUPPORTED) && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            outage = g_steal_pointer(&cause);
    }
    /* What could not be read might tell it still: then it is not unknown. */
    return bk_propagate(error, &outage);
}

static char *
note_name(const BkPart *part)
{
    return bk_part_object_name(part, "system");
}

bool
bk_system_id_recall(const BkPart *part, uint64_t *system_id)
{
    g_autofree char *name = note_name(part);
    const BkSealAs as = {bk_part_keys(part), BK_SEAL_NOTE, name};
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;
    BkWireReader reader;

    if (!bk_store_recall(bk_part_store(part), name, &note) ||
        !bk_unseal(opener, &as, &note, NOTE_MAX, &raw, NULL))
        return false;
    bk_wire_reader_init(&reader, raw.data, raw.size);
    *system_id = bk_wire_get_u64(&reader);
    return bk_wire_end(&reader, "system identifier", NULL) && *system_id != 0;
}

static void
note_system_id(const BkPart *part, uint64_t system_id)
{
    g_autofree char *name = note_name(part);
    const BkSealAs as = {bk_part_keys(part), BK_SEAL_NOTE, name};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) note = BK_BUF_INIT;
    g_auto(BkBuf) raw = BK_BUF_INIT;

    bk_wire_put_u64(&raw, system_id);
    if (bk_seal(sealer, &as, raw.data, raw.size, &note, NULL))
        bk_store_note(bk_part_store(part), name, &note);
}

bool
bk_system_id_find_and_note(const BkPart *part, uint64_t *system_id, BkOp *op, GError **error)
{
    if (!bk_find_system_id(part, system_id, op, error))
        return false;
    if (*system_id != 0 && bk_store_is_remote(bk_part_store(part)))
        note_system_id(part, *system_id);
    return true;
}
