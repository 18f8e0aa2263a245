/* fuzz-pattern.c - a pattern and a path, the first line and the rest: refused, or decided about as
 * a plain reading of the rules, which tries every way, decides. */
#include "source/files/pattern.h"

#include <string.h>

#define SMALL 64u /* bytes of each; what is tried grows with their product */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Trial {
    const char *pattern;
    const char *start;
    const char *end; /* of the pattern */
    const char *text;
    int8_t known[SMALL + 2][SMALL + 2]; /* 0: not yet, 1: no, 2: yes */
} Trial;

static bool matches(Trial *trial, const char *pattern, const char *text);

static bool
try_star(Trial *trial, const char *pattern, const char *text)
{
    bool is_deep = pattern + 1 < trial->end && pattern[1] == '*';
    const char *rest = pattern + (is_deep ? 2 : 1);

    if (is_deep && (pattern == trial->start || pattern[-1] == '/') && rest < trial->end &&
        *rest == '/') {
        if (matches(trial, rest + 1, text))
            return true;
        for (; *text != 0; text++)
            if (*text == '/' && matches(trial, rest + 1, text + 1))
                return true;
        return false;
    }
    for (;; text++) {
        if (matches(trial, rest, text))
            return true;
        if (*text == 0 || (*text == '/' && !is_deep))
            return false;
    }
}

static bool
try_all(Trial *trial, const char *pattern, const char *text)
{
    if (pattern == trial->end)
        return *text == 0;
    if (*pattern == '*')
        return try_star(trial, pattern, text);
    if (*text == 0 || (*pattern == '?' && *text == '/'))
        return false;
    if (*pattern == '\\')
        pattern++;
    else if (*pattern == '?')
        return matches(trial, pattern + 1, text + 1);
    return *pattern == *text && matches(trial, pattern + 1, text + 1);
}

static bool
matches(Trial *trial, const char *pattern, const char *text)
{
    int8_t *known = &trial->known[pattern - trial->pattern][text - trial->text];

    if (*known == 0)
        *known = try_all(trial, pattern, text) ? 2 : 1;
    return *known == 2;
}

/* `pattern` was taken, and `path` has no empty component. */
static bool
decide(const char *pattern, const char *path, bool is_directory)
{
    Trial trial = {.pattern = pattern};
    size_t size = strlen(pattern);
    bool is_absolute = pattern[0] == '/';
    const char *name = strrchr(path, '/');

    trial.end = pattern + size - (pattern[size - 1] == '/' ? 1 : 0);
    if (*trial.end == '/' && !is_directory)
        return false;
    trial.start = pattern + (is_absolute ? 1 : 0);
    trial.text = path;
    if (!is_absolute && memchr(pattern, '/', (size_t)(trial.end - pattern)) == NULL && name != NULL)
        trial.text = name + 1;
    return matches(&trial, trial.start, trial.text);
}

static bool
is_path(const char *text)
{
    return text[0] != 0 && text[0] != '/' && strstr(text, "//") == NULL &&
           text[strlen(text) - 1] != '/';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *input = g_strndup((const char *)data, size);
    char *path = strchr(input, '\n');
    g_autoptr(BkPatterns) patterns = bk_patterns_new();
    g_autoptr(GError) error = NULL;
    BkPatternPath subject = {.is_directory = size % 2 == 0};
    bool is_found;
    uint64_t count;

    if (path == NULL)
        return 0;
    *path++ = 0;
    if (!bk_patterns_exclude(patterns, input, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CONFIG) && bk_patterns_size(patterns) == 0);
        return 0;
    }
    g_assert(strcmp(bk_patterns_get(patterns, 0, &count), input) == 0 && count == 0);
    if (!is_path(path))
        return 0;
    subject.path = path;
    is_found = bk_patterns_find(patterns, &subject, BK_PATTERN_NONE) == 0;
    (void)bk_patterns_has_include_below(patterns, &subject, BK_PATTERN_NONE);
    if (strlen(input) < SMALL && strlen(path) < SMALL)
        g_assert(is_found == decide(input + (input[0] == '!' ? 1 : 0), path, subject.is_directory));
    return 0;
}
