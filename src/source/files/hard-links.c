/* hard-links.c - a table of inodes with more than one name. */
#include "source/files/hard-links.h"

#include <string.h>

#define COST 128 /* bytes of an entry beside its path, about: entry, table, allocation */

typedef struct Link {
    BkFileIdentity identity;
    uint64_t left; /* names to come */
    char *path;
} Link;

struct BkHardLinks {
    GHashTable *links; /* of Link, by its identity */
    size_t memory;
    size_t used;
};

static guint
hash_link(const void *data)
{
    const Link *link = data;
    uint64_t mixed = link->identity.inode * UINT64_C(0x9e3779b97f4a7c15);

    return (guint)(mixed >> 32) ^ link->identity.device_minor;
}

static gboolean
is_same_link(const void *a, const void *b)
{
    const BkFileIdentity *one = &((const Link *)a)->identity;
    const BkFileIdentity *two = &((const Link *)b)->identity;

    return one->inode == two->inode && one->device_major == two->device_major &&
           one->device_minor == two->device_minor;
}

static void
free_link(void *data)
{
    Link *link = data;

    g_free(link->path);
    g_free(link);
}

BkHardLinks *
bk_hard_links_new(size_t memory)
{
    BkHardLinks *self = g_new0(BkHardLinks, 1);

    self->memory = memory;
    self->links = g_hash_table_new_full(hash_link, is_same_link, free_link, NULL);
    return self;
}

void
bk_hard_links_free(BkHardLinks *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->links);
    g_free(self);
}

bool
bk_hard_links_add(BkHardLinks *self, const BkFileIdentity *identity, uint64_t count,
                  const char *path, char **first)
{
    const Link key = {.identity = *identity};
    Link *link = g_hash_table_lookup(self->links, &key);
    size_t cost = strlen(path) + COST;

    *first = NULL;
    if (link != NULL) {
        *first = g_strdup(link->path);
        if (--link->left == 0) {
            self->used -= strlen(link->path) + COST;
            g_hash_table_remove(self->links, link);
        }
        return true;
    }
    if (count < 2)
        return true;
    if (cost > self->memory - self->used)
        return false;
    link = g_new0(Link, 1);
    *link = (Link){*identity, count - 1, g_strdup(path)};
    g_hash_table_add(self->links, link);
    self->used += cost;
    return true;
}
