/* options.c - the command line, parsed by the tables generated from meta/options.yaml. */
#include "cli/options.h"

#include "base/escape.h"
#include "config/value.h"

#include <string.h>

typedef enum {
    BK_OPTION_FLAG,
    BK_OPTION_COUNT,
    BK_OPTION_STRING,
    BK_OPTION_PATH,
    BK_OPTION_INT,
    BK_OPTION_SIZE,
    BK_OPTION_CHOICE,
    BK_OPTION_LIST,
} BkOptionType;

typedef struct BkOptionInfo {
    const char *name;
    BkOptionType type;
    char letter; /* 0: none */
    bool is_required;
    int64_t min; /* of BK_OPTION_INT */
    int64_t max;
    const char *const *choices;   /* of BK_OPTION_CHOICE, NULL-terminated */
    const char *const *conflicts; /* names of options that exclude this one; NULL: none */
    const char *fallback;         /* the value when it is not given, or NULL */
} BkOptionInfo;

typedef struct BkArgumentInfo {
    const char *name;
    const char *shown; /* in messages: "SOURCE" */
    bool is_optional;
} BkArgumentInfo;

typedef struct BkCommandInfo {
    const char *name;
    const BkOptionInfo *options;
    size_t n_options;
    const BkArgumentInfo *arguments;
    size_t n_arguments;
    const char *help;
} BkCommandInfo;

#include "option-table.h" /* generated */

typedef struct Value {
    GPtrArray *texts; /* what was given, in that order */
    int64_t number;   /* of an int or a size */
} Value;

struct BkArgs {
    const BkCommandInfo *command; /* NULL: none was named */
    GHashTable *values;           /* name of an option or argument -> Value */
};

/* Where the parser is. */
typedef struct Scan {
    BkArgs *args;
    char **words; /* NULL-terminated */
    size_t next;
    size_t n_arguments;
    bool only_arguments; /* "--" was seen */
} Scan;

static void
value_free(void *data)
{
    Value *self = data;

    g_ptr_array_unref(self->texts);
    g_free(self);
}

void
bk_args_free(BkArgs *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->values);
    g_free(self);
}

static Value *
add_text(BkArgs *self, const char *name, const char *text)
{
    Value *value = g_hash_table_lookup(self->values, name);

    if (value == NULL) {
        value = g_new0(Value, 1);
        value->texts = g_ptr_array_new_null_terminated(1, g_free, true);
        g_hash_table_insert(self->values, g_strdup(name), value);
    }
    g_ptr_array_add(value->texts, g_strdup(text));
    return value;
}

static const BkOptionInfo *
find_option(const BkArgs *self, const char *name, char letter)
{
    size_t n_own = self->command != NULL ? self->command->n_options : 0;

    for (size_t i = 0; i < G_N_ELEMENTS(global_options) + n_own; i++) {
        const BkOptionInfo *info =
            i < n_own ? &self->command->options[i] : &global_options[i - n_own];

        if (name != NULL ? strcmp(info->name, name) == 0 : info->letter == letter)
            return info;
    }
    return NULL;
}

static const BkArgumentInfo *
find_argument(const BkArgs *self, const char *name)
{
    for (size_t i = 0; self->command != NULL && i < self->command->n_arguments; i++)
        if (strcmp(self->command->arguments[i].name, name) == 0)
            return &self->command->arguments[i];
    return NULL;
}

/* "unknown option", with what was probably meant. Only the name is repeated: what follows it may be
 * a secret that was put there by mistake. */
static bool
throw_unknown_option(const BkArgs *self, const char *name, GError **error)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    const char *similar;

    for (size_t i = 0; self->command != NULL && i < self->command->n_options; i++)
        g_ptr_array_add(known, (void *)(uintptr_t)self->command->options[i].name);
    for (size_t i = 0; i < G_N_ELEMENTS(global_options); i++)
        g_ptr_array_add(known, (void *)(uintptr_t)global_options[i].name);
    g_ptr_array_add(known, NULL);
    similar = bk_value_find_similar(name, (const char *const *)known->pdata);
    if (similar != NULL)
        return bk_throw(error, BK_ERROR_USAGE, "unknown option \"--%s\" (did you mean \"--%s\"?)",
                        name, similar);
    return bk_throw(error, BK_ERROR_USAGE, "unknown option \"--%s\"", name);
}

static bool
check_value(const BkOptionInfo *info, Value *value, const char *text, GError **error)
{
    g_autofree char *all = NULL;
    uint64_t size;

    if (text[0] == 0)
        return bk_throw(error, BK_ERROR_USAGE, "the value is empty");
    if (info->type == BK_OPTION_INT)
        return bk_value_parse_int(text, info->min, info->max, &value->number, error);
    if (info->type == BK_OPTION_SIZE) {
        if (!bk_value_parse_size(text, &size, error))
            return false;
        value->number = (int64_t)size; /* at most INT64_MAX */
        return true;
    }
    if (info->type != BK_OPTION_CHOICE || g_strv_contains(info->choices, text))
        return true;
    all = g_strjoinv(", ", (char **)(uintptr_t)info->choices);
    return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is not one of %s", text, all);
}

static bool
takes_value(const BkOptionInfo *info)
{
    return info->type != BK_OPTION_FLAG && info->type != BK_OPTION_COUNT;
}

/* Takes an option; `text` is its value, NULL when that is the next word. */
static bool
take_option(Scan *scan, const BkOptionInfo *info, const char *text, GError **error)
{
    bool repeats = info->type == BK_OPTION_LIST || info->type == BK_OPTION_COUNT;
    Value *value;

    if (!repeats && bk_args_has(scan->args, info->name))
        return bk_throw(error, BK_ERROR_USAGE, "\"--%s\" is given twice", info->name);
    if (!takes_value(info) && text != NULL)
        return bk_throw(error, BK_ERROR_USAGE, "\"--%s\" takes no value", info->name);
    if (takes_value(info) && text == NULL) {
        text = scan->words[scan->next];
        if (text == NULL)
            return bk_throw(error, BK_ERROR_USAGE, "\"--%s\" needs a value", info->name);
        scan->next++;
    }
    value = add_text(scan->args, info->name, text != NULL ? text : "");
    if (takes_value(info) && !check_value(info, value, text, error))
        return bk_prefix(error, "--%s", info->name);
    return true;
}

static bool
take_long_option(Scan *scan, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *name =
        equals != NULL ? g_strndup(word, (size_t)(equals - word)) : g_strdup(word);
    const BkOptionInfo *info = find_option(scan->args, name, 0);

    if (info == NULL)
        return throw_unknown_option(scan->args, name, error);
    return take_option(scan, info, equals != NULL ? equals + 1 : NULL, error);
}

/* The letters after one dash: flags, and at the end perhaps one with a value. */
static bool
take_letters(Scan *scan, const char *letters, GError **error)
{
    for (; *letters != 0; letters++) {
        const BkOptionInfo *info = find_option(scan->args, NULL, *letters);

        if (info == NULL)
            return bk_throw(error, BK_ERROR_USAGE, "unknown option \"-%c\"",
                            g_ascii_isprint(*letters) ? *letters : '?');
        if (takes_value(info))
            return take_option(scan, info, letters[1] != 0 ? letters + 1 : NULL, error);
        if (!take_option(scan, info, NULL, error))
            return false;
    }
    return true;
}

static bool
throw_unknown_command(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(commands) + 1];
    const char *similar;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        names[i] = commands[i].name;
    names[G_N_ELEMENTS(commands)] = NULL;
    similar = bk_value_find_similar(name, names);
    if (similar != NULL)
        return bk_throw(error, BK_ERROR_USAGE, "unknown command \"%s\" (did you mean \"%s\"?)",
                        name, similar);
    return bk_throw(error, BK_ERROR_USAGE, "unknown command \"%s\"", name);
}

/* The command that `word` names, with the word after it where the name has two. */
static bool
take_command(Scan *scan, const char *word, GError **error)
{
    size_t size = strlen(word);
    const char *second = scan->words[scan->next];
    g_autofree char *pair = g_strconcat(word, " ", second != NULL ? second : "", NULL);
    bool is_half = false;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        bool is_pair = strcmp(commands[i].name, pair) == 0;

        if (is_pair || strcmp(commands[i].name, word) == 0) {
            scan->args->command = &commands[i];
            scan->next += is_pair ? 1 : 0;
            return true;
        }
        is_half = is_half ||
                  (strncmp(commands[i].name, word, size) == 0 && commands[i].name[size] == ' ');
    }
    if (is_half && (second == NULL || second[0] == '-')) {
        if (bk_args_has(scan->args, "help") || g_strcmp0(second, "--help") == 0 ||
            g_strcmp0(second, "-h") == 0)
            return true; /* the help of the program tells what may follow */
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" needs another word after it", word);
    }
    return throw_unknown_command(is_half ? pair : word, error);
}

static bool
take_argument(Scan *scan, const char *word, GError **error)
{
    const BkCommandInfo *command = scan->args->command;

    if (command == NULL)
        return take_command(scan, word, error);
    if (scan->n_arguments == command->n_arguments)
        return bk_throw(error, BK_ERROR_USAGE, "unexpected argument \"%s\" for \"%s\"", word,
                        command->name);
    if (word[0] == 0)
        return bk_throw(error, BK_ERROR_USAGE, "%s is empty",
                        command->arguments[scan->n_arguments].shown);
    (void)add_text(scan->args, command->arguments[scan->n_arguments++].name, word);
    return true;
}

static bool
take_word(Scan *scan, GError **error)
{
    const char *word = scan->words[scan->next++];

    if (scan->only_arguments || word[0] != '-' || word[1] == 0)
        return take_argument(scan, word, error);
    if (word[1] != '-')
        return take_letters(scan, word + 1, error);
    if (word[2] != 0)
        return take_long_option(scan, word + 2, error);
    scan->only_arguments = true;
    return true;
}

static bool
check_complete(const BkArgs *self, size_t n_arguments, GError **error)
{
    const BkCommandInfo *command = self->command;

    if (command == NULL)
        return bk_throw(error, BK_ERROR_USAGE, "no command given");
    if (n_arguments < command->n_arguments && !command->arguments[n_arguments].is_optional)
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" needs %s", command->name,
                        command->arguments[n_arguments].shown);
    for (size_t i = 0; i < command->n_options; i++) {
        const BkOptionInfo *info = &command->options[i];
        const char *const *other = info->conflicts;

        if (info->is_required && !bk_args_has(self, info->name))
            return bk_throw(error, BK_ERROR_USAGE, "\"%s\" needs \"--%s\"", command->name,
                            info->name);
        for (; other != NULL && *other != NULL && bk_args_has(self, info->name); other++)
            if (bk_args_has(self, *other))
                return bk_throw(error, BK_ERROR_USAGE,
                                "\"--%s\" and \"--%s\" cannot be used together", info->name,
                                *other);
    }
    return true;
}

BkArgs *
bk_args_parse(int argc, char **argv, GError **error)
{
    g_autoptr(BkArgs) args = g_new0(BkArgs, 1);
    g_autofree char **words = g_new0(char *, (size_t)argc + 1);
    Scan scan = {.args = args, .words = words};

    for (int i = 1; i < argc; i++)
        words[i - 1] = argv[i];
    args->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, value_free);
    while (words[scan.next] != NULL)
        if (!take_word(&scan, error))
            return NULL;
    if (!bk_args_get_flag(args, "help") && !bk_args_get_flag(args, "version") &&
        !bk_args_get_flag(args, "list-faults") && !bk_args_get_flag(args, "end-recovery") &&
        !check_complete(args, scan.n_arguments, error))
        return NULL;
    return g_steal_pointer(&args);
}

const char *
bk_args_get_command(const BkArgs *self)
{
    return self->command != NULL ? self->command->name : NULL;
}

const char *
bk_args_get_help(const BkArgs *self)
{
    return self->command != NULL ? self->command->help : program_help;
}

bool
bk_args_has(const BkArgs *self, const char *name)
{
    return g_hash_table_contains(self->values, name);
}

static const Value *
find_value(const BkArgs *self, const char *name, BkOptionType type)
{
    const BkOptionInfo *info = find_option(self, name, 0);

    g_assert(info != NULL && info->type == type);
    return g_hash_table_lookup(self->values, name);
}

const char *
bk_args_get_string(const BkArgs *self, const char *name)
{
    const BkOptionInfo *info = find_option(self, name, 0);
    const Value *value = g_hash_table_lookup(self->values, name);

    g_assert(info != NULL ? info->type == BK_OPTION_STRING || info->type == BK_OPTION_PATH ||
                                info->type == BK_OPTION_CHOICE
                          : find_argument(self, name) != NULL);
    if (value != NULL)
        return g_ptr_array_index(value->texts, 0);
    return info != NULL ? info->fallback : NULL;
}

bool
bk_args_get_flag(const BkArgs *self, const char *name)
{
    return find_value(self, name, BK_OPTION_FLAG) != NULL;
}

unsigned
bk_args_get_count(const BkArgs *self, const char *name)
{
    const Value *value = find_value(self, name, BK_OPTION_COUNT);

    return value != NULL ? value->texts->len : 0;
}

int64_t
bk_args_get_int(const BkArgs *self, const char *name, int64_t otherwise)
{
    const Value *value = find_value(self, name, BK_OPTION_INT);

    return value != NULL ? value->number : otherwise;
}

uint64_t
bk_args_get_size(const BkArgs *self, const char *name, uint64_t otherwise)
{
    const Value *value = find_value(self, name, BK_OPTION_SIZE);

    return value != NULL ? (uint64_t)value->number : otherwise;
}

const char *const *
bk_args_get_list(const BkArgs *self, const char *name)
{
    static const char *const none[] = {NULL};
    const Value *value = find_value(self, name, BK_OPTION_LIST);

    return value != NULL ? (const char *const *)value->texts->pdata : none;
}

static void
append_word(GString *line, const char *word)
{
    g_autofree char *quoted = bk_escape_argument(word);

    g_string_append_printf(line, " %s", quoted);
}

static void
append_option(GString *line, const BkArgs *args, const BkOptionInfo *option)
{
    const Value *value = g_hash_table_lookup(args->values, option->name);

    if (value == NULL)
        return;
    if (option->type == BK_OPTION_FLAG || option->type == BK_OPTION_COUNT) {
        g_string_append_printf(line, " --%s", option->name);
        return;
    }
    for (guint i = 0; i < value->texts->len; i++) {
        const char *text = g_ptr_array_index(value->texts, i);

        if (text == NULL)
            continue; /* the end of a list */
        g_string_append_printf(line, " --%s", option->name);
        append_word(line, text);
    }
}

char *
bk_args_format(const BkArgs *self, const char *const *without)
{
    g_autoptr(GString) line = g_string_new("backstay");
    const Value *config = g_hash_table_lookup(self->values, "config");

    if (config != NULL) {
        g_string_append(line, " -c");
        append_word(line, g_ptr_array_index(config->texts, 0));
    }
    if (self->command == NULL)
        return g_string_free(g_steal_pointer(&line), FALSE);
    g_string_append_printf(line, " %s", self->command->name);
    for (size_t i = 0; i < self->command->n_arguments; i++) {
        const Value *value = g_hash_table_lookup(self->values, self->command->arguments[i].name);

        if (value != NULL)
            append_word(line, g_ptr_array_index(value->texts, 0));
    }
    for (size_t i = 0; i < self->command->n_options; i++)
        if (!g_strv_contains(without, self->command->options[i].name))
            append_option(line, self, &self->command->options[i]);
    return g_string_free(g_steal_pointer(&line), FALSE);
}
