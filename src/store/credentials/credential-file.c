/* credential-file.c - credentials in a file: the configured one and ~/.aws/credentials. */
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/credentials/credentials-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_SIZE   BK_MIB
#define DEFAULT_PROFILE "default"

/* Part of the file's text. */
typedef struct Slice {
    const char *data;
    size_t size;
} Slice;

/* A profile under one of the two names it may have. */
typedef struct Section {
    bool is_there;
    BkCredentials values;
} Section;

typedef struct Parser {
    const char *name;
    const char *profile;
    size_t line;
    Section plain;     /* [x] */
    Section prefixed;  /* [profile x], as in a file of settings */
    Section *section;  /* the one whose lines are being read; NULL: another profile's */
    bool has_property; /* in this section, and at this indentation: */
    size_t indent;
    bool is_ours; /* it is one of those that are wanted */
} Parser;

static void
parser_clear(Parser *self)
{
    bk_credentials_clear(&self->plain.values);
    bk_credentials_clear(&self->prefixed.values);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parser, parser_clear)

static bool
complain_of_line(const Parser *parser, const char *what, GError **error)
{
    return bk_throw(error, BK_ERROR_CONFIG, "\"%s\", line %zu: %s", parser->name, parser->line,
                    what);
}

static bool
is_blank_byte(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static Slice
trim_slice(Slice slice)
{
    while (slice.size > 0 && is_blank_byte(slice.data[0])) {
        slice.data++;
        slice.size--;
    }
    while (slice.size > 0 && is_blank_byte(slice.data[slice.size - 1]))
        slice.size--;
    return slice;
}

static bool
is_comment(Slice slice)
{
    return slice.size == 0 || slice.data[0] == '#' || slice.data[0] == ';';
}

static bool
is_slice_equal(Slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

/* Without " # …" at the end. */
static Slice
cut_comment(Slice slice)
{
    for (size_t i = 1; i < slice.size; i++)
        if ((slice.data[i] == '#' || slice.data[i] == ';') && is_blank_byte(slice.data[i - 1]))
            slice.size = i;
    return trim_slice(slice);
}

/* "[x]" or "[profile x]". */
static bool
take_header(Parser *self, Slice line, GError **error)
{
    static const char prefix[] = "profile";
    const size_t prefix_size = sizeof prefix - 1;
    const char *end = memchr(line.data, ']', line.size);
    Slice name;
    Slice rest;

    if (end == NULL)
        return complain_of_line(self, "\"[\" without \"]\"", error);
    name = trim_slice((Slice){line.data + 1, (size_t)(end - line.data) - 1});
    rest = trim_slice((Slice){end + 1, line.size - (size_t)(end - line.data) - 1});
    if (!is_comment(rest))
        return complain_of_line(self, "text other than a comment after \"]\"", error);
    self->section = NULL;
    self->has_property = false;
    if (is_slice_equal(name, self->profile)) {
        self->section = &self->plain;
    } else if (name.size > prefix_size && memcmp(name.data, prefix, prefix_size) == 0 &&
               is_blank_byte(name.data[prefix_size]) &&
               is_slice_equal(trim_slice((Slice){name.data + prefix_size, name.size - prefix_size}),
                              self->profile)) {
        self->section = &self->prefixed;
    }
    if (self->section != NULL)
        self->section->is_there = true;
    return true;
}

/* Where the value of a key belongs, or NULL: other settings of the profile are not ours. */
static char **
find_profile_value(BkCredentials *values, Slice key)
{
    static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key",
                                        "aws_session_token"};
    char **const places[] = {&values->access_key, &values->secret_key, &values->session_token};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (key.size == strlen(names[i]) && g_ascii_strncasecmp(key.data, names[i], key.size) == 0)
            return places[i];
    return NULL;
}

/* "key = value", of the profile that is wanted. */
static bool
take_property(Parser *self, Slice line, GError **error)
{
    const char *equal = memchr(line.data, '=', line.size);
    Slice value;
    char **place;

    if (equal == NULL)
        return complain_of_line(self, "is neither \"[profile]\" nor \"key = value\"", error);
    value.data = equal + 1;
    value.size = line.size - (size_t)(equal - line.data) - 1;
    value = cut_comment(value);
    place = find_profile_value(&self->section->values,
                               trim_slice((Slice){line.data, (size_t)(equal - line.data)}));
    self->is_ours = place != NULL;
    if (place == NULL)
        return true;
    /* Which of the two is meant cannot be known, and half of each would be worst. */
    if (*place != NULL)
        return complain_of_line(self, "is given twice in this profile", error);
    *place = g_strndup(value.data, value.size);
    return true;
}

static bool
take_line(Parser *self, Slice raw, GError **error)
{
    Slice line = trim_slice(raw);
    size_t indent = (size_t)(line.data - raw.data);

    if (is_comment(line))
        return true;
    if (line.data[0] == '[' && indent == 0)
        return take_header(self, line, error);
    if (self->section == NULL)
        return true;
    /* What is indented more than the property before it is a part of that one. */
    if (self->has_property && indent > self->indent)
        return !self->is_ours ||
               complain_of_line(self, "continues a value that must be on one line", error);
    self->has_property = true;
    self->indent = indent;
    return take_property(self, line, error);
}

static bool
take_lines(Parser *self, const BkBuf *text, GError **error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file with it */
    const char *data = (const char *)text->data;
    size_t size = text->size;

    if (size >= 3 && memcmp(data, mark, 3) == 0) {
        data += 3;
        size -= 3;
    }
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;

        self->line++;
        if (memchr(data, 0, length) != NULL)
            return complain_of_line(self, "it contains a zero byte", error);
        if (!take_line(self, (Slice){data, length}, error))
            return false;
        length += end != NULL;
        data += length;
        size -= length;
    }
    return true;
}

BkPlaceState
bk_credential_file_parse(const BkBuf *text, const char *name, const char *profile,
                         BkCredentials *credentials, char **note, GError **error)
{
    g_auto(Parser) parser = {.name = name, .profile = profile};
    Section *section;
    const char *fault;

    if (!take_lines(&parser, text, error))
        return BK_PLACE_BROKEN;
    section = parser.plain.is_there ? &parser.plain : &parser.prefixed;
    if (!section->is_there) {
        *note = g_strdup_printf("\"%s\" has no profile \"%s\"", name, profile);
        return BK_PLACE_EMPTY;
    }
    if (section->values.access_key == NULL && section->values.secret_key == NULL) {
        *note = g_strdup_printf("profile \"%s\" of \"%s\" has no aws_access_key_id", profile, name);
        return BK_PLACE_EMPTY;
    }
    /* An empty one is as none: some tools write it so. */
    if (section->values.session_token != NULL && section->values.session_token[0] == 0)
        g_clear_pointer(&section->values.session_token, g_free);
    fault = bk_credentials_find_fault(&section->values);
    if (fault != NULL) {
        bk_throw(error, BK_ERROR_CONFIG, "profile \"%s\" of \"%s\": %s", profile, name, fault);
        return BK_PLACE_BROKEN;
    }
    *credentials = section->values;
    section->values = (BkCredentials){0};
    return BK_PLACE_FULL;
}

/* Keys that others can read are no secret any more, and those that another user wrote are none of
 * ours: of a file that the configuration names this is refused, so that it is noticed. */
static bool
check_private_file(const struct stat *st, const char *path, GError **error)
{
    g_autofree char *quoted = bk_escape_argument(path);

    if (st->st_uid != geteuid() && st->st_uid != 0)
        return bk_throw(error, BK_ERROR_CONFIG,
                        "credentials file \"%s\" belongs neither to this user nor to root", path);
    if ((st->st_mode & 077) != 0)
        return bk_throw(error, BK_ERROR_CONFIG,
                        "credentials file \"%s\" can be read by others: chmod 600 %s", path,
                        quoted);
    return true;
}

/* `wish` NULL: the file must be private; else a warning is enough. */
static BkPlaceState
read_credential_file(const char *path, BkCredentialWish *wish, BkBuf *content, char **note,
                     GError **error)
{
    g_autoptr(GError) cause = NULL;
    /* Not blocking: opening a pipe must not wait for its writer. */
    g_auto(BkFd) fd = bk_fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, &cause);
    struct stat st;
    bool ok = fd >= 0;

    if (bk_error_is(cause, BK_ERROR_ABSENT)) {
        *note = g_strdup_printf("there is no \"%s\"", path);
        return BK_PLACE_EMPTY;
    }
    if (ok && fstat(fd, &st) < 0)
        ok = bk_throw_errno(&cause, "stat \"%s\"", path);
    else if (ok && !S_ISREG(st.st_mode))
        ok = bk_throw(&cause, BK_ERROR_CONFIG, "\"%s\" is not a regular file", path);
    if (!ok) {
        bk_throw(error, BK_ERROR_CONFIG, "credentials file: %s", cause->message);
        return BK_PLACE_BROKEN;
    }
    if (wish == NULL && !check_private_file(&st, path, error))
        return BK_PLACE_BROKEN;
    if (wish != NULL && (st.st_mode & 077) != 0 && !wish->has_warned) {
        g_autofree char *quoted = bk_escape_argument(path);

        bk_log(BK_LOG_WARNING, "credentials file \"%s\" can be read by others: chmod 600 %s", path,
               quoted);
        wish->has_warned = true;
    }
    if (!bk_buf_reserve(content, MAX_FILE_SIZE + 1, error))
        return BK_PLACE_BROKEN;
    if (!bk_fd_pread(fd, content->data, MAX_FILE_SIZE + 1, 0, &content->size, &cause)) {
        bk_throw(error, BK_ERROR_CONFIG, "credentials file \"%s\": %s", path, cause->message);
        return BK_PLACE_BROKEN;
    }
    if (content->size > MAX_FILE_SIZE) {
        bk_throw(error, BK_ERROR_CONFIG, "credentials file \"%s\" is larger than %zu bytes", path,
                 MAX_FILE_SIZE);
        return BK_PLACE_BROKEN;
    }
    return BK_PLACE_FULL;
}

static BkPlaceState
ask_file(const char *path, const char *profile, BkCredentialWish *wish, BkCredentials *credentials,
         char **note, GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    BkPlaceState state = read_credential_file(path, wish, &content, note, error);

    if (state == BK_PLACE_FULL)
        state = bk_credential_file_parse(&content, path, profile, credentials, note, error);
    if (content.data != NULL)
        bk_wipe(content.data, content.capacity);
    return state;
}

/* The profile that was asked for by name, or NULL. */
static const char *
named_profile(const BkCredentialWish *wish)
{
    const char *set = g_getenv("AWS_PROFILE");

    if (wish->profile != NULL)
        return wish->profile;
    return set != NULL && set[0] != 0 ? set : NULL;
}

BkPlaceState
bk_credential_file_ask(BkCredentialWish *wish, BkCredentials *credentials, char **note, BkOp *op,
                       GError **error)
{
    const char *profile = named_profile(wish);

    (void)op;
    return ask_file(wish->file, profile != NULL ? profile : DEFAULT_PROFILE, NULL, credentials,
                    note, error);
}

/* Where the shared file is: a new string. */
static char *
find_shared(void)
{
    const char *set = g_getenv("AWS_SHARED_CREDENTIALS_FILE");
    const char *home = g_getenv("HOME");

    if (home == NULL || home[0] == 0)
        home = g_get_home_dir();
    if (set == NULL || set[0] == 0)
        return g_build_filename(home, ".aws", "credentials", NULL);
    if (g_str_has_prefix(set, "~/"))
        return g_build_filename(home, set + 2, NULL);
    return g_strdup(set);
}

BkPlaceState
bk_credential_file_ask_shared(BkCredentialWish *wish, BkCredentials *credentials, char **note,
                              BkOp *op, GError **error)
{
    g_autofree char *path = find_shared();
    const char *profile = named_profile(wish);
    BkPlaceState state =
        ask_file(path, profile != NULL ? profile : DEFAULT_PROFILE, wish, credentials, note, error);

    (void)op;
    if (state != BK_PLACE_EMPTY || profile == NULL)
        return state;
    bk_throw(error, BK_ERROR_DENIED, "%s", *note);
    g_clear_pointer(note, g_free);
    return BK_PLACE_BROKEN;
}
