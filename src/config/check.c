/* check.c - checks a tree against the keys, types and values of meta/options.yaml. */
#include "config/check.h"
#include "config/conninfo.h"
#include "config/value.h"

#include "key-table.h" /* generated */

#include <string.h>

typedef struct Place {
    const char *name;    /* of the file */
    const char *path;    /* of the key, as the user wrote it */
    const char *pattern; /* of the key, as the table has it */
} Place;

static bool
complain_of_value(const Place *place, size_t line, const char *what, GError **error)
{
    const char *gap = place->path[0] != 0 ? ": " : "";

    return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: %s%s%s", place->name, line, place->path, gap,
                    what);
}

static char *
join_keys(const char *prefix, const char *key)
{
    return prefix[0] != 0 ? g_strconcat(prefix, ".", key, NULL) : g_strdup(key);
}

static const BkKeyInfo *
find_info(const char *pattern)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bk_key_table); i++)
        if (strcmp(bk_key_table[i].path, pattern) == 0)
            return &bk_key_table[i];
    return NULL;
}

/* The last component of a row that lies directly below `pattern`, or NULL. */
static const char *
key_below(const BkKeyInfo *info, const char *pattern)
{
    size_t size = strlen(pattern);
    const char *rest = info->path;

    if (size > 0) {
        if (strncmp(info->path, pattern, size) != 0 || info->path[size] != '.')
            return NULL;
        rest = info->path + size + 1;
    }
    return strchr(rest, '.') == NULL ? rest : NULL;
}

static bool
complain_unknown(const Place *place, const Place *parent, const BkNode *node, GError **error)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    g_autofree char *what = NULL;
    const char *similar;

    for (size_t i = 0; i < G_N_ELEMENTS(bk_key_table); i++) {
        const char *key = key_below(&bk_key_table[i], parent->pattern);

        if (key != NULL)
            g_ptr_array_add(known, (void *)(uintptr_t)key);
    }
    g_ptr_array_add(known, NULL);
    similar = bk_value_find_similar(node->key, (const char *const *)known->pdata);
    what = similar != NULL ? g_strdup_printf("unknown key (did you mean \"%s\"?)", similar)
                           : g_strdup("unknown key");
    return complain_of_value(place, node->key_line, what, error);
}

static bool
check_choice(const BkKeyInfo *info, const char *text, GError **error)
{
    g_autofree char *all = NULL;

    if (g_strv_contains(info->choices, text))
        return true;
    all = g_strjoinv(", ", (char **)(uintptr_t)info->choices);
    return bk_throw(error, BK_ERROR_CONFIG, "\"%s\" is not one of %s", text, all);
}

static bool
check_text(const BkKeyInfo *info, const BkNode *node, GError **error)
{
    const char *text = node->text;
    int64_t number;
    uint64_t size;
    bool yes;

    if (text[0] == 0)
        return bk_throw(error, BK_ERROR_CONFIG, "is empty");
    switch (info->type) {
    case BK_KEY_PATH:
        return g_path_is_absolute(text) ||
               bk_throw(error, BK_ERROR_CONFIG, "\"%s\" is not an absolute path", text);
    case BK_KEY_INT:
        if (node->is_quoted)
            return bk_throw(error, BK_ERROR_CONFIG, "must be a number without quotes");
        return bk_value_parse_int(text, info->min, info->max, &number, error);
    case BK_KEY_DURATION:
        return bk_value_parse_duration_us(text, &number, error);
    case BK_KEY_SIZE:
        return bk_value_parse_size(text, &size, error);
    case BK_KEY_CHOICE:
        return check_choice(info, text, error);
    case BK_KEY_CRON:
        return bk_value_check_cron(text, error);
    case BK_KEY_CONNECTION:
        return bk_conninfo_check(text, error);
    case BK_KEY_BOOL:
        return bk_value_parse_bool(text, &yes, error);
    case BK_KEY_STRING:
    case BK_KEY_MAP:
    case BK_KEY_NAME_LIST:
    case BK_KEY_PATH_LIST:
    case BK_KEY_TEXT_LIST:
    case BK_KEY_TEXTS:
    case BK_KEY_UNAVAILABLE:
        break;
    }
    return true;
}

static bool
check_scalar(const BkKeyInfo *info, const Place *place, const BkNode *node, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (node->kind != BK_NODE_SCALAR)
        return complain_of_value(place, node->key_line,
                                 node->kind == BK_NODE_MAPPING
                                     ? "must be a single value and not a mapping"
                                     : "must be a single value and not a list",
                                 error);
    return check_text(info, node, &cause) ||
           complain_of_value(place, node->line, cause->message, error);
}

static bool
is_list_value(BkKeyType type)
{
    return type == BK_KEY_NAME_LIST || type == BK_KEY_PATH_LIST || type == BK_KEY_TEXT_LIST;
}

/* What a value of a list must be, or NULL when it is. A new string. */
static char *
find_list_fault(BkKeyType type, const BkNode *child, GHashTable *seen)
{
    if (child->kind != BK_NODE_SCALAR)
        return g_strdup(type == BK_KEY_NAME_LIST ? "must be a list of names"
                                                 : "must be a list of texts");
    if (type != BK_KEY_NAME_LIST && child->text[0] == 0)
        return g_strdup("has an empty text");
    if (type == BK_KEY_PATH_LIST && !g_path_is_absolute(child->text))
        return g_strdup_printf("\"%s\" is not an absolute path", child->text);
    if (!g_hash_table_add(seen, child->text))
        return g_strdup_printf("\"%s\" is given twice", child->text);
    return NULL;
}

static bool
check_list(BkKeyType type, const Place *place, const BkNode *node, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    if (node->kind != BK_NODE_SEQUENCE)
        return complain_of_value(place, node->line,
                                 type == BK_KEY_NAME_LIST   ? "must be a list, such as [local]"
                                 : type == BK_KEY_PATH_LIST ? "must be a list, such as [/etc]"
                                                            : "must be a list, such as [\"*.tmp\"]",
                                 error);
    if (node->children->len == 0)
        return complain_of_value(place, node->line, "is empty", error);
    for (unsigned i = 0; i < node->children->len; i++) {
        const BkNode *child = g_ptr_array_index(node->children, i);
        g_autofree char *what = find_list_fault(type, child, seen);

        if (what != NULL)
            return complain_of_value(place, child->line, what, error);
    }
    return true;
}

static bool
check_texts(const Place *place, const BkNode *node, GError **error)
{
    if (node->kind != BK_NODE_MAPPING)
        return complain_of_value(place, node->key_line, "must be a mapping of names to texts",
                                 error);
    for (unsigned i = 0; i < node->children->len; i++) {
        const BkNode *child = g_ptr_array_index(node->children, i);

        if (child->kind != BK_NODE_SCALAR)
            return complain_of_value(place, child->line, "must be a mapping of names to texts",
                                     error);
    }
    return true;
}

static bool check_mapping(const Place *place, const BkNode *node, GError **error);

/* One value of a mapping that stands at `parent`. */
static bool
check_child(const Place *parent, const BkNode *node, GError **error)
{
    g_autofree char *path = join_keys(parent->path, node->key);
    g_autofree char *pattern = join_keys(parent->pattern, node->key);
    g_autofree char *any = join_keys(parent->pattern, "*");
    Place place = {parent->name, path, pattern};
    const BkKeyInfo *info = find_info(pattern);
    g_autoptr(GError) cause = NULL;

    if (info == NULL) {
        info = find_info(any);
        place.pattern = any;
        if (info == NULL)
            return complain_unknown(&place, parent, node, error);
        if (!bk_value_check_name(node->key, &cause))
            return complain_of_value(&place, node->key_line, cause->message, error);
    }
    if (info->type == BK_KEY_UNAVAILABLE)
        return complain_of_value(&place, node->key_line, "not available in this version", error);
    if (is_list_value(info->type))
        return check_list(info->type, &place, node, error);
    if (info->type == BK_KEY_TEXTS)
        return check_texts(&place, node, error);
    if (info->type == BK_KEY_MAP)
        return check_mapping(&place, node, error);
    return check_scalar(info, &place, node, error);
}

static bool
check_mapping(const Place *place, const BkNode *node, GError **error)
{
    if (node->kind != BK_NODE_MAPPING)
        return complain_of_value(place, node->key_line, "must be a mapping of keys to values",
                                 error);
    for (unsigned i = 0; i < node->children->len; i++)
        if (!check_child(place, g_ptr_array_index(node->children, i), error))
            return false;
    for (size_t i = 0; i < G_N_ELEMENTS(bk_key_table); i++) {
        const char *key = key_below(&bk_key_table[i], place->pattern);
        g_autofree char *what = NULL;

        if (key == NULL || !bk_key_table[i].is_required || bk_node_find(node, key) != NULL)
            continue;
        what = g_strdup_printf("\"%s\" is missing", key);
        return complain_of_value(place, node->key_line, what, error);
    }
    return true;
}

bool
bk_check_tree(const BkNode *root, const char *name, GError **error)
{
    Place place = {name, "", ""};

    return check_mapping(&place, root, error);
}
