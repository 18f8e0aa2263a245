/* report-fields.c - fields that several reports have in common, as JSON. */
#include "cli/report-fields.h"

#include "report/format.h"
#include "report/json-fields.h"

const char *
bk_snapshot_state_name(BkSnapshotState state)
{
    switch (state) {
    case BK_SNAPSHOT_COMPLETE:
        return "complete";
    case BK_SNAPSHOT_DAMAGED:
        return "damaged";
    case BK_SNAPSHOT_UNFINISHED:
        break;
    }
    return "unfinished";
}

const char *
bk_snapshot_mode_name(BkSnapshotMode mode)
{
    switch (mode) {
    case BK_SNAPSHOT_INCREMENTAL:
        return "incremental";
    case BK_SNAPSHOT_FULL_SCAN:
        return "scan";
    case BK_SNAPSHOT_FULL:
        break;
    }
    return "full";
}

static void
add_text(BkJson *json, const char *key, const char *text)
{
    if (text[0] != 0)
        bk_json_add_string(json, key, text);
    else
        bk_json_add_null(json, key);
}

void
bk_json_add_work(BkJson *json, BkSnapshotMode mode, const char *parent, const char *why,
                 const BkSnapshotWork *work)
{
    bk_json_add_string(json, "mode", bk_snapshot_mode_name(mode));
    add_text(json, "parent", parent);
    add_text(json, "why", why);
    bk_json_add_uint(json, "read_bytes", work->read);
    bk_json_add_uint(json, "changed_bytes", work->changed);
    bk_json_add_uint(json, "repacked_bytes", work->repacked);
    bk_json_add_uint(json, "reused_bytes", work->reused);
}

void
bk_json_add_system(BkJson *json, const char *key, uint64_t system_id)
{
    bk_json_add_format(json, key, "%" G_GUINT64_FORMAT, system_id);
}

void
bk_json_add_time(BkJson *json, const char *key, int64_t time_us)
{
    g_autofree char *text = bk_format_time(time_us);

    bk_json_add_string(json, key, text);
}

void
bk_json_add_lsn(BkJson *json, const char *key, BkLsn lsn)
{
    char text[BK_LSN_TEXT_SIZE];

    bk_json_add_string(json, key, bk_lsn_format(lsn, text));
}

void
bk_json_add_pg_meta(BkJson *json, const BkPgMeta *meta)
{
    bk_json_add_uint(json, "timeline", meta->timeline);
    bk_json_add_lsn(json, "start_lsn", meta->start_lsn);
    bk_json_add_lsn(json, "stop_lsn", meta->stop_lsn);
    bk_json_add_format(json, "system_id", "%" G_GUINT64_FORMAT, meta->system_id);
    bk_json_add_uint(json, "pg_version", meta->version);
    bk_json_add_bool(json, "standalone", meta->is_standalone);
}

void
bk_json_add_problems(BkJson *json, const GPtrArray *problems)
{
    bk_json_begin_array(json, "problems");
    for (guint i = 0; i < problems->len; i++)
        bk_json_add_object(json, NULL, bk_problem_fields, g_ptr_array_index(problems, i));
    bk_json_end_array(json);
}
