/* system.c - the clusters of a source, and which of them is current. */
#include "source/pg/history/system.h"

#include <string.h>

int
bk_system_compare(const BkSystemEvidence *a, const BkSystemEvidence *b)
{
    const char *left = a->snapshot != NULL ? a->snapshot : "";
    const char *right = b->snapshot != NULL ? b->snapshot : "";
    int order = strcmp(left, right);

    if (a->decision != b->decision)
        return a->decision < b->decision ? -1 : 1;
    if (order != 0)
        return order;
    if (a->archived_us != b->archived_us)
        return a->archived_us < b->archived_us ? -1 : 1;
    return (a->system_id > b->system_id) - (a->system_id < b->system_id);
}
