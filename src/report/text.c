/* text.c - lines and tables made of described structs. */
#include "report/text.h"

#include "report/template.h"

#include <string.h>

#define INDENT "  "

const BkTextRow bk_problem_below[] = {
    {.text = "to do: {action}"},
    BK_TEXT_END,
};

/* One line, or what is below it. */
typedef struct Line {
    char *label; /* or NULL */
    char *text;
    char *below; /* whole lines; or NULL */
} Line;

static void
clear_line(void *data)
{
    Line *line = data;

    g_free(line->label);
    g_free(line->text);
    g_free(line->below);
}

/* A new string; NULL if absent or empty. */
static char *
fill(const char *template, const BkField *fields, const void *object)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!bk_template_append(text, template, fields, object) || text->len == 0)
        return NULL;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
append_indented(GString *out, const char *lines)
{
    while (*lines != 0) {
        const char *end = strchr(lines, '\n') + 1;

        g_string_append(out, INDENT);
        g_string_append_len(out, lines, end - lines);
        lines = end;
    }
}

/* A line about `object`, which `fields` describe; or none. */
static void
add_line(GArray *lines, const BkTextRow *row, const BkField *fields, const void *object)
{
    Line line = {.label = row->label != NULL ? fill(row->label, fields, object) : NULL,
                 .text = row->text != NULL ? fill(row->text, fields, object) : NULL};
    g_autoptr(GString) below = g_string_new(NULL);

    if (row->rows != NULL && (row->text == NULL || line.text != NULL))
        bk_text_append(below, row->rows, fields, object);
    if (line.text == NULL && below->len == 0) {
        clear_line(&line);
        return;
    }
    line.below = g_string_free(g_steal_pointer(&below), FALSE);
    g_array_append_val(lines, line);
}

/* --- tables -------------------------------------------------------------------------------- */

static size_t
count_columns(const BkTextColumn *columns)
{
    size_t count = 0;

    while (columns[count].title != NULL)
        count++;
    return count;
}

static size_t
width_of(const char *text)
{
    return text != NULL ? (size_t)g_utf8_strlen(text, -1) : 0;
}

/* Cells by row; the first row is that of the titles. */
static GPtrArray *
fill_cells(const BkTextColumn *columns, BkValue list)
{
    GPtrArray *cells = g_ptr_array_new_with_free_func(g_free);
    size_t count = count_columns(columns);

    for (size_t i = 0; i < count; i++)
        g_ptr_array_add(cells, g_strdup(columns[i].title));
    for (size_t row = 0; row < bk_value_length(list); row++)
        for (size_t i = 0; i < count; i++)
            g_ptr_array_add(cells,
                            fill(columns[i].text, list.field->fields, bk_value_element(list, row)));
    return cells;
}

static void
append_cell(GString *line, const char *cell, size_t width, bool is_right)
{
    size_t blank = width - width_of(cell);

    if (line->len > 0)
        g_string_append(line, INDENT);
    g_string_append_printf(line, "%*s%s%*s", is_right ? (int)blank : 0, "",
                           cell != NULL ? cell : "", is_right ? 0 : (int)blank, "");
}

static void
add_table(GArray *lines, const BkTextColumn *columns, BkValue list)
{
    g_autoptr(GPtrArray) cells = fill_cells(columns, list);
    size_t count = count_columns(columns);
    g_autofree size_t *widths = g_new0(size_t, count);

    for (guint i = 0; i < cells->len; i++)
        widths[i % count] = MAX(widths[i % count], width_of(g_ptr_array_index(cells, i)));
    for (guint row = 0; bk_value_length(list) > 0 && row < cells->len; row += (guint)count) {
        g_autoptr(GString) text = g_string_new(NULL);
        Line line = {.label = NULL};

        for (size_t i = 0; i < count; i++)
            append_cell(text, g_ptr_array_index(cells, row + i), widths[i], columns[i].is_right);
        line.text = g_strchomp(g_string_free(g_steal_pointer(&text), FALSE));
        g_array_append_val(lines, line);
    }
}

/* --- rows ---------------------------------------------------------------------------------- */

static bool
is_list(BkFieldKind kind)
{
    return kind == BK_FIELD_LIST || kind == BK_FIELD_ARRAY || kind == BK_FIELD_TEXTS;
}

static void
add_row(GArray *lines, const BkTextRow *row, const BkField *fields, const void *object)
{
    BkValue value;

    if (row->field == NULL) {
        add_line(lines, row, fields, object);
        return;
    }
    value = bk_field_find(fields, object, row->field, strlen(row->field));
    if (row->columns != NULL)
        add_table(lines, row->columns, value);
    else if (is_list(value.field->kind))
        for (size_t i = 0; i < bk_value_length(value); i++)
            add_line(lines, row, value.field->fields, bk_value_element(value, i));
    else if (bk_value_object(value) != NULL)
        add_line(lines, row, value.field->fields, bk_value_object(value));
}

static bool
is_end(const BkTextRow *row)
{
    return row->text == NULL && row->columns == NULL && row->rows == NULL;
}

void
bk_text_append(GString *out, const BkTextRow *rows, const BkField *fields, const void *object)
{
    g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(Line));
    size_t width = 0;

    g_array_set_clear_func(lines, clear_line);
    for (; !is_end(rows); rows++)
        add_row(lines, rows, fields, object);
    for (guint i = 0; i < lines->len; i++)
        width = MAX(width, width_of(g_array_index(lines, Line, i).label));
    for (guint i = 0; i < lines->len; i++) {
        const Line *line = &g_array_index(lines, Line, i);

        if (line->label != NULL)
            g_string_append_printf(out, "%-*s" INDENT, (int)width, line->label);
        if (line->text != NULL)
            g_string_append_printf(out, "%s\n", line->text);
        if (line->below != NULL)
            append_indented(out, line->below);
    }
}

char *
bk_text_format(const BkReportKind *kind, const void *report)
{
    GString *text = g_string_new(NULL);

    bk_text_append(text, kind->rows, kind->text_fields != NULL ? kind->text_fields : kind->fields,
                   report);
    return g_string_free(text, FALSE);
}
