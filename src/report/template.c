/* template.c - fills templates. */
#include "report/template.h"

#include "report/format.h"

#include <string.h>

typedef struct Filling {
    GString *out;
    const char *at; /* in the template */
    const BkField *fields;
    const void *object;
} Filling;

/* A new string. */
static char *
format_value(BkValue value, const char *detail)
{
    switch (value.field->kind) {
    case BK_FIELD_COUNT:
    case BK_FIELD_ID:
        return detail != NULL ? bk_format_count(bk_value_number(value), detail)
                              : g_strdup_printf("%" G_GUINT64_FORMAT, bk_value_number(value));
    case BK_FIELD_BYTES:
        return bk_format_size(bk_value_number(value));
    case BK_FIELD_TIME:
        return bk_format_time(detail != NULL
                                  ? bk_value_time(value) / BK_USEC_PER_SEC * BK_USEC_PER_SEC
                                  : bk_value_time(value));
    case BK_FIELD_DURATION:
        return detail != NULL ? g_strdup_printf("%.1f s", bk_format_seconds(bk_value_time(value)))
                              : bk_format_age(bk_value_time(value));
    case BK_FIELD_SHARE:
        return bk_format_per_cent(*(const double *)value.member);
    case BK_FIELD_TEXT:
    case BK_FIELD_CHARS:
    case BK_FIELD_CHOICE:
    case BK_FIELD_CUSTOM:
        return bk_value_text(value);
    case BK_FIELD_FLAG:
        return g_strdup(bk_value_flag(value) ? "yes" : "no");
    case BK_FIELD_TEXTS:
    case BK_FIELD_NONE:
    case BK_FIELD_OBJECT:
    case BK_FIELD_POINTER:
    case BK_FIELD_LIST:
    case BK_FIELD_ARRAY:
        break;
    }
    g_assert_not_reached();
}

/* Messages of servers and names of files may have any character; a sentence is one line. */
static void
append_line(GString *out, const char *text)
{
    for (; *text != 0; text++) {
        if (!g_ascii_iscntrl(*text))
            g_string_append_c(out, *text);
        else if (out->len > 0 && out->str[out->len - 1] != ' ' && text[1] != 0)
            g_string_append_c(out, ' ');
    }
}

/* {name?yes|no} */
static bool
append_choice(Filling *self, BkValue value, const char *yes, const char *end)
{
    const char *bar = memchr(yes, '|', (size_t)(end - yes));
    bool is_yes =
        value.field->kind == BK_FIELD_FLAG ? bk_value_flag(value) : bk_value_is_present(value);

    if (is_yes)
        g_string_append_len(self->out, yes, (bar != NULL ? bar : end) - yes);
    else if (bar != NULL)
        g_string_append_len(self->out, bar + 1, end - bar - 1);
    return is_yes || bar != NULL;
}

/* What is between braces. */
static bool
append_field(Filling *self)
{
    const bool needs_some = self->at[1] == '+';
    const char *name = self->at + (needs_some ? 2 : 1);
    const char *end = strchr(name, '}');
    size_t length = strcspn(name, "}:?");
    g_autofree char *text = NULL;
    g_autofree char *detail = NULL;
    BkValue value;

    g_assert(end != NULL);
    self->at = end + 1;
    if (length == 0) {
        append_line(self->out, self->object);
        return true;
    }
    value = bk_field_find(self->fields, self->object, name, length);
    if (name[length] == '?')
        return append_choice(self, value, name + length + 1, end);
    if (!bk_value_is_present(value) || (needs_some && bk_value_number(value) == 0))
        return false;
    if (name[length] == ':')
        detail = g_strndup(name + length + 1, (size_t)(end - name) - length - 1);
    text = format_value(value, detail);
    append_line(self->out, text != NULL ? text : "?");
    return true;
}

/* Up to `end`, a bracket or the end of the template. */
static bool
append_until(Filling *self, char end)
{
    const gsize before = self->out->len;
    bool is_complete = true;

    while (*self->at != end) {
        g_assert(*self->at != 0);
        if (*self->at == '{') {
            is_complete = append_field(self) && is_complete;
        } else if (*self->at == '[') {
            self->at++;
            (void)append_until(self, ']');
        } else {
            g_string_append_c(self->out, *self->at++);
        }
    }
    if (end != 0)
        self->at++;
    if (!is_complete)
        g_string_truncate(self->out, before);
    return is_complete;
}

bool
bk_template_append(GString *out, const char *template, const BkField *fields, const void *object)
{
    Filling self = {.out = out, .at = template, .fields = fields, .object = object};

    return append_until(&self, 0);
}
