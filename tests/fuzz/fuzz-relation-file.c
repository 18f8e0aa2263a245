/* fuzz-relation-file.c - any name: what parses is written back the same. */
#include "source/pg/format/relation-file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path is that of a relation when its last part is the name of one. */
static void
check_paths(const char *path)
{
    const char *slash = strrchr(path, '/');
    BkRelationPath parsed;
    BkRelationFile name;
    uint32_t oid;

    if (bk_relation_path_parse(path, &parsed)) {
        g_assert(slash != NULL && bk_relation_file_parse(slash + 1, &name));
        g_assert(name.file_node == parsed.name.file_node);
    }
    if (bk_tablespace_path_parse(path, &oid)) {
        g_autofree char *again = g_strdup_printf("pg_tblspc/%u", oid);

        g_assert_cmpstr(path, ==, again);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const forks[] = {"", "_fsm", "_vm", "_init"};
    g_autofree char *name = g_strndup((const char *)data, size);
    g_autofree char *again = NULL;
    g_autofree char *segment = NULL;
    BkRelationFile parsed;

    check_paths(name);
    if (!bk_relation_file_parse(name, &parsed))
        return 0;
    segment = parsed.segment > 0 ? g_strdup_printf(".%u", parsed.segment) : g_strdup("");
    again = g_strdup_printf("%u%s%s", parsed.file_node, forks[parsed.fork], segment);
    if (parsed.is_temporary)
        g_assert(name[0] == 't' && strcmp(strchr(name, '_') + 1, again) == 0);
    else
        g_assert(strcmp(name, again) == 0);
    return 0;
}
