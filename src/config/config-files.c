/* config-files.c - takes the roots and patterns of a source of files. */
#include "config/config-files.h"

#include "config/config-take.h"

static GPtrArray *
take_list(const BkNode *mapping, const char *key)
{
    const BkNode *node = bk_node_find(mapping, key);
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; node != NULL && i < node->children->len; i++) {
        const BkNode *child = g_ptr_array_index(node->children, i);

        g_ptr_array_add(texts, g_strdup(child->text));
    }
    return texts;
}

BkConfigFiles *
bk_config_files_take(const BkNode *node)
{
    g_autoptr(GPtrArray) roots = take_list(node, "roots");
    BkConfigFiles *self = g_new0(BkConfigFiles, 1);

    self->roots = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < roots->len; i++)
        g_ptr_array_add(self->roots, g_canonicalize_filename(g_ptr_array_index(roots, i), "/"));
    self->exclude = take_list(node, "exclude");
    self->include = take_list(node, "include");
    self->one_file_system = bk_take_bool(node, "one_file_system", false);
    return self;
}

void
bk_config_files_free(BkConfigFiles *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->roots);
    g_ptr_array_unref(self->exclude);
    g_ptr_array_unref(self->include);
    g_free(self);
}
