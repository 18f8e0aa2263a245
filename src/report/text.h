/* text.h - described structs as text for people: lines with labels, and tables.
 *
 * Threads: safe. */
#pragma once
#include "report/field.h"

typedef struct BkTextColumn {
    const char *title; /* NULL ends the columns */
    const char *text;  /* a template (template.h) about the element; blank where it is absent */
    bool is_right;     /* aligned so */
} BkTextColumn;

/* A row is a line; or one for each element, if `field` is a list. It is left out when its text is
 * absent or empty. */
typedef struct BkTextRow BkTextRow;
struct BkTextRow {
    const char *label; /* a template; NULL: the text begins at the margin */
    const char *field; /* an object or a list that the row is about; NULL: the struct itself */
    const char *text;  /* a template; NULL: the columns, or the rows alone */
    const BkTextColumn *columns; /* of a table of the elements */
    const BkTextRow *rows;       /* below each line, indented */
};

#define BK_TEXT_END                                                                                \
    {                                                                                              \
        .label = NULL                                                                              \
    }

/* A kind of report: a struct's fields for JSON, and its rows for people. */
typedef struct BkReportKind {
    const BkField *fields;
    const BkTextRow *rows;
    const BkField *text_fields; /* those that the rows mention; NULL: `fields` */
} BkReportKind;

/* The report as text: a new string. */
char *bk_text_format(const BkReportKind *kind, const void *report);

/* Appends the rows, each with a line feed; texts behind labels are aligned. */
void bk_text_append(GString *out, const BkTextRow *rows, const BkField *fields, const void *object);

/* A row for each problem of a list of BkProblem, with what to do below it. */
#define BK_ROW_OF_PROBLEMS(list)                                                                   \
    {                                                                                              \
        .label = "{severity}", .field = list, .text = "{text}", .rows = bk_problem_below           \
    }
extern const BkTextRow bk_problem_below[];
