#include "engine/push-ahead.h"

#include "base/log.h"

#include <string.h>

static bool
is_noted(const BkBuf *note, const char *name)
{
    g_autofree char *text = g_strndup(note->size > 0 ? (const char *)note->data : "", note->size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    return g_strv_contains((const char *const *)lines, name);
}

void
bk_push_ahead_note(const BkParts *parts, const GPtrArray *names)
{
    g_auto(BkBuf) note = BK_BUF_INIT;

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        bk_buf_append(&note, name, strlen(name));
        bk_buf_append(&note, "\n", 1);
    }
    for (guint i = 0; i < parts->parts->len; i++) {
        const BkPart *part = g_ptr_array_index(parts->parts, i);
        g_autofree char *key = bk_part_object_name(part, "ahead");

        bk_store_note(bk_part_store(part), key, &note);
    }
}

bool
bk_push_ahead_has(const BkPart *part, const char *name)
{
    g_autofree char *key = bk_part_object_name(part, "ahead");
    g_auto(BkBuf) note = BK_BUF_INIT;

    return bk_store_recall(bk_part_store(part), key, &note) && is_noted(&note, name);
}

bool
bk_push_ahead_find(const BkSourceSpec *source, const char *path, const BkWalName *parsed,
                   uint64_t system_id, BkOp *op)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autoptr(GError) cause = NULL;
    g_auto(BkParts) parts = {NULL};
    bool is_known;
    bool has = false;

    is_known = bk_parts_recall(source, &parts, op);
    for (guint i = 0; is_known && i < parts.parts->len; i++)
        is_known = bk_push_ahead_has(g_ptr_array_index(parts.parts, i), name);
    if (is_known && bk_archive_has(parts.parts, system_id, path, parsed, &has, op, &cause))
        return has;
    if (cause != NULL)
        bk_log(BK_LOG_INFO, "%s", cause->message);
    return false;
}
