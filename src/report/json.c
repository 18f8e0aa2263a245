/* json.c - writes JSON, with its commas, indentation and escapes. */
#include "report/json.h"

#include <math.h>
#include <string.h>

#define MAX_DEPTH 32

struct BkJson {
    GString *out;
    struct {
        bool is_object;
        bool has_members;
    } levels[MAX_DEPTH];
    unsigned depth;
};

BkJson *
bk_json_new(void)
{
    BkJson *self = g_new0(BkJson, 1);

    self->out = g_string_new(NULL);
    return self;
}

void
bk_json_free(BkJson *self)
{
    if (self == NULL)
        return;
    (void)g_string_free(self->out, true);
    g_free(self);
}

static void
new_line(BkJson *self)
{
    g_string_append_c(self->out, '\n');
    for (unsigned i = 0; i < self->depth; i++)
        g_string_append(self->out, "  ");
}

static void
append_char(BkJson *self, gunichar c)
{
    if (c == '"' || c == '\\')
        g_string_append_printf(self->out, "\\%c", (int)c);
    else if (c == '\n')
        g_string_append(self->out, "\\n");
    else if (c == '\t')
        g_string_append(self->out, "\\t");
    else if (c < 0x20 || c == 0x7f)
        g_string_append_printf(self->out, "\\u%04x", (unsigned)c);
    else
        g_string_append_unichar(self->out, c);
}

static void
append_text(BkJson *self, const char *text, size_t size)
{
    const char *end = text + size;

    g_string_append_c(self->out, '"');
    while (text < end) {
        gunichar c = g_utf8_get_char_validated(text, end - text);
        bool is_valid = c != (gunichar)-1 && c != (gunichar)-2;

        if (*text == 0) /* which GLib takes for an end */
            append_char(self, 0);
        else
            append_char(self, is_valid ? c : 0xfffd);
        text += is_valid ? g_utf8_skip[(uint8_t)*text] : 1;
    }
    g_string_append_c(self->out, '"');
}

/* All that comes before a value: comma, line, key. */
static void
begin_value(BkJson *self, const char *key)
{
    if (self->depth == 0) {
        g_assert(key == NULL && self->out->len == 0);
        return;
    }
    g_assert(self->levels[self->depth - 1].is_object == (key != NULL));
    if (self->levels[self->depth - 1].has_members)
        g_string_append_c(self->out, ',');
    self->levels[self->depth - 1].has_members = true;
    new_line(self);
    if (key == NULL)
        return;
    append_text(self, key, strlen(key));
    g_string_append(self->out, ": ");
}

static void
begin_level(BkJson *self, const char *key, bool is_object)
{
    g_assert(self->depth < MAX_DEPTH);
    begin_value(self, key);
    g_string_append_c(self->out, is_object ? '{' : '[');
    self->levels[self->depth].is_object = is_object;
    self->levels[self->depth].has_members = false;
    self->depth++;
}

static void
end_level(BkJson *self, bool is_object)
{
    g_assert(self->depth > 0 && self->levels[self->depth - 1].is_object == is_object);
    self->depth--;
    if (self->levels[self->depth].has_members)
        new_line(self);
    g_string_append_c(self->out, is_object ? '}' : ']');
}

void
bk_json_begin_object(BkJson *self, const char *key)
{
    begin_level(self, key, true);
}

void
bk_json_end_object(BkJson *self)
{
    end_level(self, true);
}

void
bk_json_begin_array(BkJson *self, const char *key)
{
    begin_level(self, key, false);
}

void
bk_json_end_array(BkJson *self)
{
    end_level(self, false);
}

void
bk_json_add_string(BkJson *self, const char *key, const char *value)
{
    if (value == NULL)
        bk_json_add_null(self, key);
    else
        bk_json_add_bytes(self, key, value, strlen(value));
}

void
bk_json_add_bytes(BkJson *self, const char *key, const void *value, size_t size)
{
    begin_value(self, key);
    append_text(self, value, size);
}

void
bk_json_add_format(BkJson *self, const char *key, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    bk_json_add_string(self, key, text);
}

void
bk_json_add_int(BkJson *self, const char *key, int64_t value)
{
    begin_value(self, key);
    g_string_append_printf(self->out, "%" G_GINT64_FORMAT, value);
}

void
bk_json_add_uint(BkJson *self, const char *key, uint64_t value)
{
    begin_value(self, key);
    g_string_append_printf(self->out, "%" G_GUINT64_FORMAT, value);
}

void
bk_json_add_double(BkJson *self, const char *key, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (!isfinite(value)) {
        bk_json_add_null(self, key);
        return;
    }
    begin_value(self, key);
    g_string_append(self->out, g_ascii_formatd(text, sizeof text, "%.15g", value));
}

void
bk_json_add_bool(BkJson *self, const char *key, bool value)
{
    begin_value(self, key);
    g_string_append(self->out, value ? "true" : "false");
}

void
bk_json_add_null(BkJson *self, const char *key)
{
    begin_value(self, key);
    g_string_append(self->out, "null");
}

const char *
bk_json_text(const BkJson *self)
{
    g_assert(self->depth == 0);
    if (self->out->len > 0 && self->out->str[self->out->len - 1] != '\n')
        g_string_append_c(self->out, '\n');
    return self->out->str;
}
