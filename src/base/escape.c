/* escape.c - makes text from outside safe for a terminal and a log. */
#include "base/escape.h"

#include <string.h>

static bool
is_fit(gunichar character, BkEscape escape)
{
    GUnicodeType type;

    if (character == '\n' || character == '\t')
        return escape == BK_ESCAPE_BUT_LINES;
    type = g_unichar_type(character);
    return type != G_UNICODE_CONTROL && type != G_UNICODE_SURROGATE &&
           type != G_UNICODE_FORMAT && /* turns the direction of writing around, say */
           type != G_UNICODE_LINE_SEPARATOR && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *
bk_escape(const char *text, size_t max, BkEscape escape)
{
    GString *out = g_string_new(NULL);

    while (*text != 0) {
        gunichar character = g_utf8_get_char_validated(text, -1);
        bool is_character = character != (gunichar)-1 && character != (gunichar)-2;
        size_t size = is_character ? (size_t)g_utf8_skip[(uint8_t)*text] : 1;

        if (out->len + 4 * size > max) {
            g_string_append(out, "…");
            break;
        }
        if (is_character && is_fit(character, escape))
            g_string_append_len(out, text, (gssize)size);
        else
            for (size_t i = 0; i < size; i++)
                g_string_append_printf(out, "\\x%02x", (unsigned char)text[i]);
        text += size;
    }
    return g_string_free(out, FALSE);
}

char *
bk_escape_argument(const char *word)
{
    bool is_plain =
        word[0] != 0 && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789_-+=:,./@%") == strlen(word);

    return is_plain ? g_strdup(word) : g_shell_quote(word);
}
