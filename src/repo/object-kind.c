/* object-kind.c - the kind of an object of a repository, by its name. */
#include "repo/object-kind.h"

#include <string.h>

BkObjectKind
bk_object_kind(const char *name)
{
    static const struct {
        const char *directory; /* of a source */
        BkObjectKind kind;
    } kinds[] = {
        {"packs/", BK_OBJECT_PACK},
        {"wal/", BK_OBJECT_WAL},
        {"snapshots/", BK_OBJECT_MANIFEST},
        {"lease/", BK_OBJECT_TRANSIENT},
    };
    const char *rest = strchr(name, '/');

    /* "keys" is no name of a source. */
    for (size_t i = 0; rest != NULL && i < G_N_ELEMENTS(kinds); i++)
        if (g_str_has_prefix(rest + 1, kinds[i].directory))
            return kinds[i].kind;
    return BK_OBJECT_KEY;
}
