/* list-report.c - the report of "list". */
#include "engine/reports/list-report.h"

#include "engine/reports/fields.h"

static const BkField index_fields[] = {
    BK_OBJECT(BkRecoveryIndexSnapshot, head, NULL, bk_snapshot_head_fields),
    BK_OBJECT(BkRecoveryIndexSnapshot, meta, NULL, bk_pg_meta_fields),
    BK_FIELD_END,
};

static const BkField listed_fields[] = {
    BK_POINTER(BkListedSnapshot, snapshot, NULL, index_fields),
    BK_TEXTS(BkListedSnapshot, repositories, "repositories"),
    BK_FIELD_END,
};

static const BkField report_fields[] = {
    BK_TEXT(BkListReport, name, "name"),
    BK_LIST(BkListReport, snapshots, "snapshots", listed_fields),
    BK_LIST(BkListReport, problems, "problems", bk_problem_fields),
    BK_FIELD_END,
};

/* Sizes: of all files, what was stored anew since it had changed, what was only repacked, what was
 * reused from the parent, and what all that added to the repository. */
static const BkTextColumn columns[] = {
    {"snapshot", "{snapshot}", false},
    {"finished", "{finished:seconds}", false},
    {"state", "{state}", false},
    {"mode", "{mode}", false},
    {"size", "{bytes}", true},
    {"changed", "{changed_bytes}", true},
    {"repacked", "{repacked_bytes}", true},
    {"reused", "{reused_bytes}", true},
    {"added", "{new_bytes}", true},
    {"tl", "{timeline}", true},
    {"", "[{standalone?standalone}][  {label}]", false},
    {NULL, NULL, false},
};

static const BkTextRow source_rows[] = {
    {.text = "{snapshots?|no snapshots yet}"},
    {.field = "snapshots", .columns = columns},
    BK_TEXT_END,
};

static const BkTextRow report_rows[] = {
    {.text = "{name}", .rows = source_rows},
    BK_TEXT_END,
};

const BkReportKind bk_list_report = {report_fields, report_rows, NULL};
