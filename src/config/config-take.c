/* config-take.c - reads values of a tree that bk_check_tree has accepted. */
#include "config/config-take.h"

#include "config/value.h"

char *
bk_take_text(const BkNode *mapping, const char *key)
{
    const BkNode *node = bk_node_find(mapping, key);

    return node != NULL ? g_strdup(node->text) : NULL;
}

char *
bk_take_path(const BkNode *mapping, const char *key)
{
    const BkNode *node = bk_node_find(mapping, key);

    return node != NULL ? g_canonicalize_filename(node->text, "/") : NULL;
}

int64_t
bk_take_int(const BkNode *mapping, const char *key, int64_t otherwise)
{
    const BkNode *node = bk_node_find(mapping, key);
    int64_t value = otherwise;
    bool ok = node == NULL || bk_value_parse_int(node->text, INT64_MIN, INT64_MAX, &value, NULL);

    g_assert(ok);
    return value;
}

int64_t
bk_take_duration(const BkNode *mapping, const char *key)
{
    const BkNode *node = bk_node_find(mapping, key);
    int64_t value = 0;
    bool ok = node == NULL || bk_value_parse_duration_us(node->text, &value, NULL);

    g_assert(ok);
    return value;
}

uint64_t
bk_take_size(const BkNode *mapping, const char *key)
{
    const BkNode *node = bk_node_find(mapping, key);
    uint64_t value = 0;
    bool ok = node == NULL || bk_value_parse_size(node->text, &value, NULL);

    g_assert(ok);
    return value;
}

bool
bk_take_bool(const BkNode *mapping, const char *key, bool otherwise)
{
    const BkNode *node = bk_node_find(mapping, key);
    bool value = otherwise;
    bool ok = node == NULL || bk_value_parse_bool(node->text, &value, NULL);

    g_assert(ok);
    return value;
}
