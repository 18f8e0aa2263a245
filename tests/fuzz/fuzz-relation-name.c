/* fuzz-relation-name.c - any name: what parses is written back the same. */
#include "source/pg/relation-name.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const forks[] = {"", "_fsm", "_vm", "_init"};
    g_autofree char *name = g_strndup((const char *)data, size);
    g_autofree char *again = NULL;
    g_autofree char *segment = NULL;
    BkRelationName parsed;

    if (!bk_relation_name_parse(name, &parsed))
        return 0;
    segment = parsed.segment > 0 ? g_strdup_printf(".%u", parsed.segment) : g_strdup("");
    again = g_strdup_printf("%u%s%s", parsed.file_node, forks[parsed.fork], segment);
    if (parsed.is_temporary)
        g_assert(name[0] == 't' && strcmp(strchr(name, '_') + 1, again) == 0);
    else
        g_assert(strcmp(name, again) == 0);
    return 0;
}
