/* fields.c - fields that several reports share. */
#include "engine/reports/fields.h"

char *
bk_lsn_to_text(const void *lsn)
{
    char text[BK_LSN_TEXT_SIZE];

    return g_strdup(bk_lsn_format(*(const BkLsn *)lsn, text));
}

const char *const bk_snapshot_state_names[] = {
    [BK_SNAPSHOT_COMPLETE] = "complete",
    [BK_SNAPSHOT_DAMAGED] = "damaged",
    [BK_SNAPSHOT_UNFINISHED] = "unfinished",
};

const char *const bk_snapshot_mode_names[] = {
    [BK_SNAPSHOT_FULL] = "full",
    [BK_SNAPSHOT_INCREMENTAL] = "incremental",
    [BK_SNAPSHOT_FULL_SCAN] = "scan",
};

const BkField bk_snapshot_work_fields[] = {
    BK_BYTES(BkSnapshotWork, read, "read_bytes"),
    BK_BYTES(BkSnapshotWork, changed, "changed_bytes"),
    BK_BYTES(BkSnapshotWork, repacked, "repacked_bytes"),
    BK_BYTES(BkSnapshotWork, reused, "reused_bytes"),
    BK_FIELD_END,
};

const BkField bk_snapshot_head_fields[] = {
    BK_CHARS(BkSnapshotHead, id, "snapshot"),
    BK_TIME(BkSnapshotHead, started_us, "started"),
    BK_TIME(BkSnapshotHead, finished_us, "finished"),
    BK_CHOICE(BkSnapshotHead, state, "state", bk_snapshot_state_names),
    BK_COUNT(BkSnapshotHead, file_count, "files"),
    BK_BYTES(BkSnapshotHead, bytes, "bytes"),
    BK_BYTES(BkSnapshotHead, stored_bytes, "stored_bytes"),
    BK_BYTES(BkSnapshotHead, new_bytes, "new_bytes"),
    BK_CHOICE(BkSnapshotHead, mode, "mode", bk_snapshot_mode_names),
    BK_TEXT(BkSnapshotHead, parent, "parent"),
    BK_TEXT(BkSnapshotHead, why, "why"),
    BK_OBJECT(BkSnapshotHead, work, NULL, bk_snapshot_work_fields),
    BK_TEXT(BkSnapshotHead, label, "label"),
    BK_FIELD_END,
};

const BkField bk_pg_meta_fields[] = {
    BK_COUNT(BkPgMeta, timeline, "timeline"),
    BK_LSN(BkPgMeta, start_lsn, "start_lsn"),
    BK_LSN(BkPgMeta, stop_lsn, "stop_lsn"),
    BK_ID(BkPgMeta, system_id, "system_id"),
    BK_COUNT(BkPgMeta, version, "pg_version"),
    BK_FLAG(BkPgMeta, is_standalone, "standalone"),
    BK_FIELD_END,
};

const BkField bk_lease_fields[] = {
    BK_TEXT(BkLeaseInfo, holder, "holder"),
    BK_TIME(BkLeaseInfo, expires_us, "expires"),
    BK_FLAG(BkLeaseInfo, is_dead, "dead"),
    BK_FIELD_END,
};

const BkField bk_system_fields[] = {
    BK_ID(BkSystemView, id, "system_identifier"),
    BK_FLAG(BkSystemView, is_current, "current"),
    BK_TIME(BkSystemView, declared_us, "declared"),
    BK_FIELD_END,
};

GArray *
bk_system_views_new(const BkSystems *systems)
{
    GArray *views = g_array_new(FALSE, FALSE, sizeof(BkSystemView));

    for (guint i = 0; i < systems->systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(systems->systems, i);
        BkSystemView view = {system->id, system == bk_systems_current(systems),
                             system->declared_us};

        if (system->id != 0)
            g_array_append_val(views, view);
    }
    return views;
}

const BkField bk_line_fields[] = {
    BK_COUNT(BkLineView, timeline, "timeline"), BK_TEXT(BkLineView, state, "state"),
    BK_FLAG(BkLineView, is_copy, "copy"),       BK_FLAG(BkLineView, grew_beside, "grew_beside"),
    BK_LSN(BkLineView, from_lsn, "from_lsn"),   BK_TIME(BkLineView, last_commit_us, "last_commit"),
    BK_TEXT(BkLineView, what, "what"),          BK_FIELD_END,
};

static const char *
name_verdict(const BkLine *line)
{
    switch (line->verdict) {
    case BK_LINE_LIVING:
        return line->is_declared_current ? "current by decision" : "current";
    case BK_LINE_OPEN:
        return "ambiguous";
    case BK_LINE_ENDED:
        return "ended";
    case BK_LINE_EMPTY:
        return "empty";
    case BK_LINE_DECLARED:
        break;
    }
    return "dead by decision";
}

static void
clear_line_view(void *data)
{
    g_free(((BkLineView *)data)->what);
}

GArray *
bk_line_views_new(const BkLines *lines)
{
    GArray *views = g_array_new(FALSE, FALSE, sizeof(BkLineView));

    g_array_set_clear_func(views, clear_line_view);
    for (size_t i = 0; i < lines->map.line_count; i++) {
        const BkLine *line = &lines->map.lines[i];
        const BkLineActivity *last = &lines->activities[line->end];
        BkLineView view = {
            .timeline = line->timeline,
            .state = name_verdict(line),
            .is_copy = line->is_copy,
            .grew_beside = line->grew_beside,
            .from_lsn = lines->map.stretches[bk_line_map_own_stretch(&lines->map, i)].begin_lsn,
            .last_commit_us = last->has_commits ? last->last_us : 0,
            .what = bk_lines_describe(lines, i),
        };

        g_array_append_val(views, view);
    }
    return views;
}
