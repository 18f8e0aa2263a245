/* conninfo.c - finds what is not allowed in a PostgreSQL connection string. */
#include "config/conninfo.h"

#include <string.h>

static bool
refuse_form(GError **error)
{
    return bk_throw(error, BK_ERROR_CONFIG, "not a PostgreSQL connection string");
}

static bool
refuse_password(GError **error)
{
    return bk_throw(
        error, BK_ERROR_CONFIG,
        "a password is not allowed here: put it into ~/.pgpass or a file given by passfile=");
}

static bool
is_password(const char *keyword)
{
    return strcmp(keyword, "password") == 0 || strcmp(keyword, "sslpassword") == 0;
}

static const char *
skip_conninfo_blanks(const char *text)
{
    while (g_ascii_isspace(*text))
        text++;
    return text;
}

/* Behind a value: in quotes, or up to the next blank; a backslash takes the next character as it
 * is. NULL when the quotes are not closed. */
static const char *
skip_value(const char *text)
{
    bool is_quoted = *text == '\'';

    if (is_quoted)
        text++;
    while (*text != 0 && (is_quoted ? *text != '\'' : !g_ascii_isspace(*text)))
        text += *text == '\\' && text[1] != 0 ? 2 : 1;
    if (!is_quoted)
        return text;
    return *text == '\'' ? text + 1 : NULL;
}

static bool
check_keywords(const char *text, GError **error)
{
    for (text = skip_conninfo_blanks(text); *text != 0; text = skip_conninfo_blanks(text)) {
        size_t size = strcspn(text, "= \t\r\n");
        g_autofree char *keyword = g_strndup(text, size);

        text = skip_conninfo_blanks(text + size);
        if (size == 0 || *text != '=')
            return refuse_form(error);
        text = skip_value(skip_conninfo_blanks(text + 1));
        if (text == NULL)
            return refuse_form(error);
        if (is_password(keyword))
            return refuse_password(error);
    }
    return true;
}

/* "user:password@host…/database?keyword=value&…", what follows the scheme. */
static bool
check_uri(const char *text, GError **error)
{
    g_autofree char *authority = g_strndup(text, strcspn(text, "/?"));
    const char *at = strrchr(authority, '@');
    const char *colon = strchr(authority, ':');
    const char *query = strchr(text, '?');
    g_auto(GStrv) words = g_strsplit(query != NULL ? query + 1 : "", "&", -1);

    if (at != NULL && colon != NULL && colon + 1 < at)
        return refuse_password(error);
    for (size_t i = 0; words[i] != NULL; i++) {
        g_autofree char *keyword = g_strndup(words[i], strcspn(words[i], "="));
        g_autofree char *plain = g_uri_unescape_string(keyword, NULL);

        if (plain == NULL)
            return refuse_form(error);
        if (is_password(plain))
            return refuse_password(error);
    }
    return true;
}

bool
bk_conninfo_check(const char *text, GError **error)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};

    for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++)
        if (g_str_has_prefix(text, schemes[i]))
            return check_uri(text + strlen(schemes[i]), error);
    return check_keywords(text, error);
}
