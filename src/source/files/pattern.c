/* pattern.c - patterns of names and paths, matched by sets of states.
 *
 * A pattern is compiled to tokens, each of which takes one byte, any number of bytes, or none.
 * State i stands before token i, and the state behind the last one accepts. A set of states is a
 * set of bits, and each byte of a path turns one set into the next: there is nothing to go back to,
 * so no pattern takes more than its length for a byte. */
#include "source/files/pattern.h"

#include <string.h>

#define WORD_BITS 64u
#define WORDS     (BK_PATTERN_SIZE_MAX / WORD_BITS + 1)

typedef enum {
    TOKEN_BYTE,
    TOKEN_ONE,        /* any byte but a slash */
    TOKEN_MANY,       /* any number of bytes but a slash */
    TOKEN_DEEP,       /* any number of bytes */
    TOKEN_MAYBE_DIRS, /* nothing: TOKEN_DIRS, which is next, or what is behind it */
    TOKEN_DIRS,       /* names, each with the slash behind it */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    uint8_t byte;
} Token;

typedef enum {
    SCOPE_NAME,     /* the last component */
    SCOPE_BELOW,    /* the path from the root */
    SCOPE_ABSOLUTE, /* the full path */
} Scope;

typedef struct Pattern {
    char *text;
    Token *tokens;
    size_t size;
    Scope scope;
    bool is_include;
    bool is_directory;
    uint64_t count;
} Pattern;

struct BkPatterns {
    GPtrArray *patterns; /* of Pattern */
};

typedef struct States {
    uint64_t words[WORDS];
} States;

static void
free_pattern(void *data)
{
    Pattern *pattern = data;

    g_free(pattern->text);
    g_free(pattern->tokens);
    g_free(pattern);
}

BkPatterns *
bk_patterns_new(void)
{
    BkPatterns *self = g_new0(BkPatterns, 1);

    self->patterns = g_ptr_array_new_with_free_func(free_pattern);
    return self;
}

void
bk_patterns_free(BkPatterns *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->patterns);
    g_free(self);
}

static bool
throw_pattern(const char *text, const char *what, GError **error)
{
    return bk_throw(error, BK_ERROR_CONFIG, "pattern \"%s\" %s", text, what);
}

/* No path has such a component, so the pattern is a mistake. */
static bool
check_components(const char *text, const char *body, size_t size, GError **error)
{
    const char *end = body + size;

    for (const char *component = body; component <= end;) {
        const char *slash = memchr(component, '/', (size_t)(end - component));
        size_t length = (size_t)((slash != NULL ? slash : end) - component);

        if (length == 0)
            return throw_pattern(text, "has an empty name in it", error);
        if ((length == 1 && component[0] == '.') ||
            (length == 2 && component[0] == '.' && component[1] == '.'))
            return throw_pattern(text, "has \".\" or \"..\" in it, which no path has", error);
        component += length + 1;
    }
    return true;
}

static void
add_token(Pattern *pattern, TokenKind kind, char byte)
{
    pattern->tokens[pattern->size++] = (Token){kind, (uint8_t)byte};
}

/* Each token is of at least one byte of the text. */
static bool
compile_body(Pattern *pattern, const char *body, size_t size, GError **error)
{
    pattern->tokens = g_new0(Token, size);
    for (size_t i = 0; i < size; i++) {
        bool is_first = i == 0 || body[i - 1] == '/';

        if (body[i] == '\\') {
            if (++i == size)
                return throw_pattern(pattern->text, "ends with a backslash", error);
            add_token(pattern, TOKEN_BYTE, body[i]);
        } else if (body[i] == '?') {
            add_token(pattern, TOKEN_ONE, 0);
        } else if (body[i] != '*') {
            add_token(pattern, TOKEN_BYTE, body[i]);
        } else if (i + 1 == size || body[i + 1] != '*') {
            add_token(pattern, TOKEN_MANY, 0);
        } else if (is_first && i + 2 < size && body[i + 2] == '/') {
            add_token(pattern, TOKEN_MAYBE_DIRS, 0);
            add_token(pattern, TOKEN_DIRS, 0);
            i += 2;
        } else {
            add_token(pattern, TOKEN_DEEP, 0);
            i++;
        }
    }
    return true;
}

static bool
add_pattern(BkPatterns *self, const char *body, bool is_include, GError **error)
{
    Pattern *pattern = g_new0(Pattern, 1);
    size_t size = strlen(body);

    g_ptr_array_add(self->patterns, pattern);
    pattern->text = g_strconcat(is_include ? "!" : "", body, NULL);
    pattern->is_include = is_include;
    if (self->patterns->len > BK_PATTERNS_MAX)
        return throw_pattern(pattern->text, "is one of too many patterns", error);
    if (size > BK_PATTERN_SIZE_MAX)
        return throw_pattern(pattern->text, "is too long", error);
    if (size > 0 && body[0] == '/') {
        pattern->scope = SCOPE_ABSOLUTE;
        body++;
        size--;
    }
    if (size > 0 && body[size - 1] == '/') {
        pattern->is_directory = true;
        size--;
    }
    if (pattern->scope != SCOPE_ABSOLUTE && memchr(body, '/', size) != NULL)
        pattern->scope = SCOPE_BELOW;
    return check_components(pattern->text, body, size, error) &&
           compile_body(pattern, body, size, error);
}

/* A pattern that failed is not there. */
static bool
add_or_remove(BkPatterns *self, const char *body, bool is_include, GError **error)
{
    if (add_pattern(self, body, is_include, error))
        return true;
    g_ptr_array_set_size(self->patterns, (gint)self->patterns->len - 1);
    return false;
}

bool
bk_patterns_exclude(BkPatterns *self, const char *text, GError **error)
{
    return text[0] == '!' ? add_or_remove(self, text + 1, true, error)
                          : add_or_remove(self, text, false, error);
}

bool
bk_patterns_include(BkPatterns *self, const char *text, GError **error)
{
    if (text[0] == '!')
        return throw_pattern(text, "begins with \"!\" though it includes already", error);
    return add_or_remove(self, text, true, error);
}

static bool
has_state(const States *states, size_t state)
{
    return (states->words[state / WORD_BITS] >> (state % WORD_BITS) & 1) != 0;
}

static size_t
count_words(const Pattern *pattern)
{
    return pattern->size / WORD_BITS + 1;
}

static bool
is_empty(const Pattern *pattern, const States *states)
{
    for (size_t i = 0; i < count_words(pattern); i++)
        if (states->words[i] != 0)
            return false;
    return true;
}

/* Adds a state, and those that are reached from it without a byte: not again where they are. */
static void
add_state(const Pattern *pattern, States *states, size_t state)
{
    for (;; state++) {
        TokenKind kind;

        if (has_state(states, state))
            return;
        states->words[state / WORD_BITS] |= (uint64_t)1 << (state % WORD_BITS);
        if (state == pattern->size)
            return;
        kind = pattern->tokens[state].kind;
        if (kind == TOKEN_MAYBE_DIRS)
            add_state(pattern, states, state + 2);
        else if (kind != TOKEN_MANY && kind != TOKEN_DEEP)
            return;
    }
}

static void
take_byte(const Pattern *pattern, States *next, size_t state, uint8_t byte)
{
    const Token *token = &pattern->tokens[state];

    switch (token->kind) {
    case TOKEN_BYTE:
        if (byte == token->byte)
            add_state(pattern, next, state + 1);
        break;
    case TOKEN_ONE:
        if (byte != '/')
            add_state(pattern, next, state + 1);
        break;
    case TOKEN_MANY:
        if (byte != '/')
            add_state(pattern, next, state);
        break;
    case TOKEN_DEEP:
        add_state(pattern, next, state);
        break;
    case TOKEN_DIRS:
        add_state(pattern, next, state);
        if (byte == '/')
            add_state(pattern, next, state + 1);
        break;
    case TOKEN_MAYBE_DIRS:
        break;
    }
}

static void
take_text(const Pattern *pattern, States *states, const char *text, size_t size)
{
    const size_t words = count_words(pattern);

    for (size_t i = 0; i < size && !is_empty(pattern, states); i++) {
        States next;

        memset(next.words, 0, words * sizeof next.words[0]);
        for (size_t word = 0; word < words; word++)
            for (uint64_t bits = states->words[word]; bits != 0; bits &= bits - 1) {
                size_t state = word * WORD_BITS + (size_t)__builtin_ctzll(bits);

                if (state < pattern->size)
                    take_byte(pattern, &next, state, (uint8_t)text[i]);
            }
        memcpy(states->words, next.words, words * sizeof next.words[0]);
    }
}

static const char *
find_subject(const Pattern *pattern, const BkPatternPath *path)
{
    const char *slash;

    switch (pattern->scope) {
    case SCOPE_ABSOLUTE:
        return path->path;
    case SCOPE_BELOW:
        return path->path + path->below;
    case SCOPE_NAME:
        break;
    }
    slash = strrchr(path->path + path->below, '/');
    return slash != NULL ? slash + 1 : path->path + path->below;
}

static bool
is_match(const Pattern *pattern, const BkPatternPath *path)
{
    const char *subject = find_subject(pattern, path);
    States states = {.words = {0}};

    if (pattern->is_directory && !path->is_directory)
        return false;
    add_state(pattern, &states, 0);
    take_text(pattern, &states, subject, strlen(subject));
    return has_state(&states, pattern->size);
}

int
bk_patterns_find(const BkPatterns *self, const BkPatternPath *path, int above)
{
    for (int i = (int)self->patterns->len - 1; i > above; i--)
        if (is_match(g_ptr_array_index(self->patterns, (guint)i), path))
            return i;
    return above;
}

bool
bk_patterns_is_left_out(const BkPatterns *self, int index)
{
    const Pattern *pattern;

    if (index == BK_PATTERN_NONE)
        return false;
    pattern = g_ptr_array_index(self->patterns, (guint)index);
    return !pattern->is_include;
}

/* The pattern may go on behind the directory's path. */
static bool
is_open_below(const Pattern *pattern, const BkPatternPath *path)
{
    const char *subject;
    States states = {.words = {0}};

    if (pattern->scope == SCOPE_NAME)
        return true;
    subject = find_subject(pattern, path);
    add_state(pattern, &states, 0);
    take_text(pattern, &states, subject, strlen(subject));
    if (subject[0] != 0)
        take_text(pattern, &states, "/", 1);
    return !is_empty(pattern, &states);
}

bool
bk_patterns_has_include_below(const BkPatterns *self, const BkPatternPath *path, int index)
{
    for (int i = (int)self->patterns->len - 1; i > index; i--) {
        const Pattern *pattern = g_ptr_array_index(self->patterns, (guint)i);

        if (pattern->is_include && is_open_below(pattern, path))
            return true;
    }
    return false;
}

bool
bk_patterns_check_roots(const BkPatterns *self, const GPtrArray *roots, GError **error)
{
    for (guint i = 0; i < self->patterns->len; i++) {
        const Pattern *pattern = g_ptr_array_index(self->patterns, i);
        bool is_open = pattern->scope != SCOPE_ABSOLUTE;

        for (guint j = 0; j < roots->len && !is_open; j++) {
            const BkPatternPath root = {g_ptr_array_index(roots, j), 0, true};

            is_open = is_open_below(pattern, &root);
        }
        if (!is_open)
            return throw_pattern(pattern->text,
                                 "begins with a slash, so it is a full path, and is below none of "
                                 "the roots",
                                 error);
    }
    return true;
}

void
bk_patterns_count(BkPatterns *self, int index)
{
    Pattern *pattern;

    if (index == BK_PATTERN_NONE)
        return;
    pattern = g_ptr_array_index(self->patterns, (guint)index);
    pattern->count++;
}

size_t
bk_patterns_size(const BkPatterns *self)
{
    return self->patterns->len;
}

const char *
bk_patterns_get(const BkPatterns *self, size_t index, uint64_t *count)
{
    const Pattern *pattern = g_ptr_array_index(self->patterns, (guint)index);

    *count = pattern->count;
    return pattern->text;
}
