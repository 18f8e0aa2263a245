/* push-ahead.c - which segments a call of wal push has archived before the server asks for them. */
#include "source/pg/archive/push-ahead.h"

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
bk_push_ahead_note(const BkTargets *targets, const GPtrArray *names)
{
    g_auto(BkBuf) note = BK_BUF_INIT;

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        bk_buf_append(&note, name, strlen(name));
        bk_buf_append(&note, "\n", 1);
    }
    for (guint i = 0; i < targets->source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(targets->source_repos, i);
        g_autofree char *key = bk_source_repo_object_name(source_repo, "ahead");

        bk_store_cache_put(bk_source_repo_store(source_repo), key, &note);
    }
}

bool
bk_push_ahead_has(const BkSourceRepo *source_repo, const char *name)
{
    g_autofree char *key = bk_source_repo_object_name(source_repo, "ahead");
    g_auto(BkBuf) note = BK_BUF_INIT;

    return bk_store_cache_get(bk_source_repo_store(source_repo), key, &note) &&
           is_noted(&note, name);
}

bool
bk_push_ahead_find(const BkSourceSpec *source, const char *path, const BkWalName *parsed,
                   uint64_t system_id, BkOp *op)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autoptr(GError) cause = NULL;
    g_auto(BkTargets) targets = {NULL};
    bool is_known;
    bool has = false;

    is_known = bk_targets_recall(source, &targets, op);
    for (guint i = 0; is_known && i < targets.source_repos->len; i++)
        is_known = bk_push_ahead_has(g_ptr_array_index(targets.source_repos, i), name);
    if (is_known && bk_archive_has(targets.source_repos, system_id, path, parsed, &has, op, &cause))
        return has;
    if (cause != NULL)
        bk_log(BK_LOG_INFO, "%s", cause->message);
    return false;
}
