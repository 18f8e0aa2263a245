/* problem.c - problems, made from their templates. */
#include "report/problem.h"

#include "base/log.h"
#include "report/template.h"

typedef struct ProblemInfo {
    BkSeverity severity;
    const char *code, *object, *name, *sentence, *action;
} ProblemInfo;

#include "problem-table.h" /* generated */

static const char *const severity_names[] = {
    [BK_SEVERITY_CRITICAL] = "critical",
    [BK_SEVERITY_WARNING] = "warning",
    [BK_SEVERITY_INFO] = "info",
};

static const BkField object_fields[] = {
    BK_TEXT(BkProblem, object.kind, "kind"),
    BK_TEXT(BkProblem, object.name, "name"),
    BK_FIELD_END,
};

const BkField bk_problem_fields[] = {
    BK_TEXT(BkProblem, code_name, "code"),
    BK_CHOICE(BkProblem, severity, "severity", severity_names),
    {.name = "object", .kind = BK_FIELD_OBJECT, .fields = object_fields},
    BK_TEXT(BkProblem, text, "text"),
    BK_TEXT(BkProblem, action, "action"),
    BK_FIELD_END,
};

static void
free_problem(void *data)
{
    BkProblem *self = data;

    g_free(self->object.name);
    g_free(self->text);
    g_free(self->action);
    g_free(self);
}

GPtrArray *
bk_problem_list_new(void)
{
    return g_ptr_array_new_with_free_func(free_problem);
}

static char *
fill_template(const char *template, const BkProblemValues *values)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!bk_template_append(text, template, value_fields, values))
        g_error("a value is missing for \"%s\"", template);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

void
bk_problem_add_values(GPtrArray *list, BkProblemCode code, const BkProblemValues *values)
{
    const ProblemInfo *info = &infos[code];
    BkProblem *self = g_new0(BkProblem, 1);

    *self = (BkProblem){
        .code = code,
        .code_name = info->code,
        .severity = info->severity,
        .object = {info->object, fill_template(info->name, values)},
        .text = fill_template(info->sentence, values),
        .action = fill_template(info->action, values),
    };
    g_ptr_array_add(list, self);
}

void
bk_problem_add_all(GPtrArray *list, const GPtrArray *others)
{
    for (guint i = 0; i < others->len; i++) {
        const BkProblem *other = g_ptr_array_index(others, i);
        BkProblem *self = g_memdup2(other, sizeof *other);

        self->object.name = g_strdup(other->object.name);
        self->text = g_strdup(other->text);
        self->action = g_strdup(other->action);
        g_ptr_array_add(list, self);
    }
}

void
bk_problem_prefix(BkProblem *self, const char *prefix)
{
    g_autofree char *before = self->text;

    self->text = g_strdup_printf("%s: %s", prefix, before);
}

size_t
bk_problem_count(const GPtrArray *list)
{
    size_t count = 0;

    for (guint i = 0; i < list->len; i++)
        count += ((const BkProblem *)g_ptr_array_index(list, i))->severity != BK_SEVERITY_INFO;
    return count;
}

void
bk_problem_log(const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++)
        bk_log(BK_LOG_WARNING, "%s", ((const BkProblem *)g_ptr_array_index(list, i))->text);
}
