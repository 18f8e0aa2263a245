/* report-line.c - lines of a source's history in reports, as text and as JSON. */
#include "cli/report-line.h"

#include "cli/report-fields.h"
#include "report/format.h"

#include <stdio.h>

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

void
bk_cli_print_lines(const BkLines *lines)
{
    for (size_t i = 0; i < lines->map.line_count; i++) {
        g_autofree char *what = bk_lines_describe(lines, i);

        (void)printf("  line           %s: %s\n", name_verdict(&lines->map.lines[i]), what);
    }
}

void
bk_json_add_lines(BkJson *json, const BkLines *lines)
{
    bk_json_begin_array(json, "lines");
    for (size_t i = 0; i < lines->map.line_count; i++) {
        const BkLine *line = &lines->map.lines[i];
        const BkLineActivity *last = &lines->activities[line->end];
        g_autofree char *what = bk_lines_describe(lines, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_uint(json, "timeline", line->timeline);
        bk_json_add_string(json, "state", name_verdict(line));
        bk_json_add_bool(json, "copy", line->is_copy);
        bk_json_add_bool(json, "grew_beside", line->grew_beside);
        bk_json_add_lsn(json, "from_lsn",
                        lines->map.stretches[bk_line_map_own_stretch(&lines->map, i)].begin_lsn);
        bk_json_add_time(json, "last_commit", last->has_commits ? last->last_us : 0);
        bk_json_add_string(json, "what", what);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

static bool
is_current(const BkSystems *systems, const BkSystem *system)
{
    return system == bk_systems_current(systems);
}

void
bk_cli_print_systems(const BkSystems *systems)
{
    for (guint i = 0; i < systems->systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(systems->systems, i);
        g_autofree char *since = bk_format_time(system->declared_us);

        (void)printf("  cluster        %s: system identifier %" G_GUINT64_FORMAT "%s%s\n",
                     is_current(systems, system) ? "current" : "former", system->id,
                     system->declared_us != 0 ? ", declared current " : "",
                     system->declared_us != 0 ? since : "");
    }
}

void
bk_json_add_systems(BkJson *json, const BkSystems *systems)
{
    bk_json_begin_array(json, "clusters");
    for (guint i = 0; i < systems->systems->len; i++) {
        const BkSystem *system = g_ptr_array_index(systems->systems, i);

        if (system->id == 0)
            continue;
        bk_json_begin_object(json, NULL);
        bk_json_add_system(json, "system_identifier", system->id);
        bk_json_add_bool(json, "current", is_current(systems, system));
        bk_json_add_time(json, "declared", system->declared_us);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}
