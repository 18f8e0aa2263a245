/* line-report.c - the report of "line list". */
#include "engine/reports/line-report.h"

#include "engine/reports/fields.h"

typedef struct DecisionView {
    const BkDecision *decision;
    uint64_t previous_id; /* 0 unless it is about clusters */
    bool is_of_another;   /* cluster than the report */
} DecisionView;

static const char *const decision_names[] = {
    [BK_DECISION_DAMAGED] = "damaged", [BK_DECISION_DEAD] = "dead",
    [BK_DECISION_CURRENT] = "current", [BK_DECISION_CLUSTER] = "cluster",
    [BK_DECISION_FORGET] = "forget",
};

static char *
format_lsn(const void *lsn)
{
    return *(const BkLsn *)lsn != 0 ? bk_lsn_to_text(lsn) : NULL;
}

static const BkField made_fields[] = {
    BK_COUNT(BkDecision, number, "number"),
    BK_CHOICE(BkDecision, kind, "decision", decision_names),
    BK_ID(BkDecision, system_id, "system_identifier"),
    BK_COUNT_OR_NULL(BkDecision, timeline, "timeline"),
    BK_CUSTOM(BkDecision, lsn, "lsn", format_lsn),
    BK_TIME(BkDecision, time_us, "time"),
    BK_CHARS(BkDecision, host, "host"),
    BK_FIELD_END,
};

static const BkField decision_fields[] = {
    BK_POINTER(DecisionView, decision, NULL, made_fields),
    BK_ID(DecisionView, previous_id, "previous_system_identifier"),
    BK_FLAG(DecisionView, is_of_another, "of_another_cluster"),
    BK_FIELD_END,
};

static const BkField report_fields[] = {
    BK_TEXT(BkLineReport, source, "source"),
    BK_ARRAY(BkLineReport, systems, "clusters", bk_system_fields),
    BK_ID(BkLineReport, system_id, "system_identifier"),
    BK_ARRAY(BkLineReport, lines, "lines", bk_line_fields),
    BK_ARRAY(BkLineReport, decisions, "decisions", decision_fields),
    BK_LIST(BkLineReport, problems, "problems", bk_problem_fields),
    BK_FIELD_END,
};

static const BkField text_fields[] = {
    BK_ARRAY(BkLineReport, shown_systems, "shown_clusters", bk_system_fields),
    {.name = NULL, .kind = BK_FIELD_OBJECT, .fields = report_fields},
    BK_FIELD_END,
};

static const BkTextRow below_rows[] = {
    {"cluster", "shown_clusters", BK_SYSTEM_TEXT, NULL, NULL},
    {"line", "lines", "{state}: {what}", NULL, NULL},
    {"decision", "decisions",
     "{decision}[ timeline {timeline}[{of_another_cluster? of cluster }{system_identifier}]]"
     "[ {system_identifier} after {previous_system_identifier}], {time} on {host}",
     NULL, NULL},
    BK_TEXT_END,
};

static const BkTextRow report_rows[] = {
    {.text = "{source}", .rows = below_rows},
    BK_TEXT_END,
};

const BkReportKind bk_line_report = {report_fields, report_rows, text_fields};

void
bk_line_report_init(BkLineReport *self, const char *source, const BkListing *listing,
                    const BkLines *lines, const GPtrArray *problems)
{
    *self = (BkLineReport){
        .source = source,
        .system_id = lines->system_id,
        .systems = bk_system_views_new(&listing->systems),
        .lines = bk_line_views_new(lines),
        .decisions = g_array_new(FALSE, FALSE, sizeof(DecisionView)),
        .problems = problems,
    };
    self->shown_systems = self->systems->len > 1 ? self->systems : NULL;
    for (guint i = 0; i < lines->decisions->len; i++) {
        const BkDecision *decision = &g_array_index(lines->decisions, BkDecision, i);
        DecisionView view = {
            .decision = decision,
            .previous_id = decision->kind == BK_DECISION_CLUSTER ? decision->previous_id : 0,
            .is_of_another = decision->system_id != lines->system_id,
        };

        if (decision->kind != BK_DECISION_DAMAGED) /* a problem says so */
            g_array_append_val(self->decisions, view);
    }
}

void
bk_line_report_clear(BkLineReport *self)
{
    g_clear_pointer(&self->systems, g_array_unref);
    g_clear_pointer(&self->lines, g_array_unref);
    g_clear_pointer(&self->decisions, g_array_unref);
}
