/* keyring.c - the keys of a source, by generation. */
#include "repo/seal.h"

typedef struct Generation {
    uint32_t number;
    BkSecret secret;
} Generation;

struct BkKeyring {
    GPtrArray *generations; /* ascending; each in memory for secrets */
};

static void
free_generation(void *data)
{
    Generation *generation = data;

    bk_secret_free(generation);
}

BkKeyring *
bk_keyring_new(void)
{
    BkKeyring *self = g_new0(BkKeyring, 1);

    self->generations = g_ptr_array_new_with_free_func(free_generation);
    return self;
}

void
bk_keyring_free(BkKeyring *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->generations);
    g_free(self);
}

void
bk_keyring_add(BkKeyring *self, uint32_t number, const BkSecret *secret)
{
    Generation *generation = bk_secret_alloc(sizeof *generation);

    if (self->generations->len > 0) {
        uint32_t newest;

        (void)bk_keyring_newest(self, &newest);
        g_assert(number > newest);
    }
    *generation = (Generation){number, *secret};
    g_ptr_array_add(self->generations, generation);
}

const BkSecret *
bk_keyring_find(const BkKeyring *self, uint32_t number)
{
    for (guint i = 0; i < self->generations->len; i++) {
        const Generation *generation = g_ptr_array_index(self->generations, i);

        if (generation->number == number)
            return &generation->secret;
    }
    return NULL;
}

const BkSecret *
bk_keyring_newest(const BkKeyring *self, uint32_t *number)
{
    const Generation *generation;

    g_assert(self->generations->len > 0);
    generation = g_ptr_array_index(self->generations, self->generations->len - 1);
    *number = generation->number;
    return &generation->secret;
}

bool
bk_keyring_is_empty(const BkKeyring *self)
{
    return self->generations->len == 0;
}
