/* plan-request.c - what a plan consists of, and the commands that its refusals name. */
#include "source/pg/restore/plan-request.h"

#include "base/escape.h"

#include <string.h>

void
bk_plan_clear(BkPlan *self)
{
    bk_window_path_clear(&self->path);
    g_free(self->note);
    g_free(self->caution);
    *self = (BkPlan){0};
}

bool
bk_plan_check_timeline(const char *timeline, GError **error)
{
    if (timeline == NULL || strcmp(timeline, "latest") == 0 || strcmp(timeline, "current") == 0 ||
        g_ascii_string_to_unsigned(timeline, 10, 1, UINT32_MAX, NULL, NULL))
        return true;
    return bk_throw(error, BK_ERROR_USAGE, "--timeline: \"%s\" is not latest, current or a number",
                    timeline);
}

/* The target as the command line takes it, with --exclusive: a new string; "" for the default. */
static char *
format_target(const BkRecoveryTarget *target)
{
    g_autofree char *value = bk_recovery_target_value(target);
    g_autofree char *text = NULL;
    g_autofree char *quoted = NULL;

    switch (target->kind) {
    case BK_RECOVERY_TARGET_LATEST:
        return g_strdup("");
    case BK_RECOVERY_TARGET_IMMEDIATE:
        text = g_strdup("immediate");
        break;
    case BK_RECOVERY_TARGET_LSN:
    case BK_RECOVERY_TARGET_XID:
    case BK_RECOVERY_TARGET_NAME:
        text = g_strdup_printf("%s:%s", bk_recovery_target_kind_name(target->kind), value);
        break;
    case BK_RECOVERY_TARGET_TIME:
    case BK_RECOVERY_TARGET_SNAPSHOT:
        text = g_strdup(value);
        break;
    }
    quoted = bk_escape_argument(text);
    return g_strdup_printf(" --at %s%s", quoted, target->exclusive ? " --exclusive" : "");
}

char *
bk_plan_format_command(const BkPlanRequest *request, const char *at, uint32_t timeline)
{
    g_autoptr(GString) text = g_string_new(request->command);
    g_autofree char *target =
        at != NULL ? g_strdup_printf(" --at %s", at) : format_target(request->target);

    g_string_append(text, target);
    if (request->names_system)
        g_string_append_printf(text, " --system %" G_GUINT64_FORMAT, request->system_id);
    if (timeline != 0)
        g_string_append_printf(text, " --timeline %u", timeline);
    return g_strdup(text->str + (text->str[0] == ' '));
}

char *
bk_plan_format_time(int64_t time_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / BK_USEC_PER_SEC);

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC")
                        : g_strdup("an impossible time");
}

char *
bk_plan_format_choice(const BkPlanRequest *request, const char *at, uint32_t timeline)
{
    return request->lines != NULL && request->lines->map.line_count > 1
               ? bk_plan_format_command(request, at, timeline)
               : g_strdup_printf("--at %s", at);
}
