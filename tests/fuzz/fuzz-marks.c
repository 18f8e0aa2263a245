/* fuzz-marks.c - what a host remembers of a source: marks that are written back as they were, or an
 * error. */
#include "repo/targets/marks.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
are_same_marks(const BkMarks *a, const BkMarks *b)
{
    return strcmp(a->repository, b->repository) == 0 && a->generation == b->generation &&
           strcmp(a->snapshot, b->snapshot) == 0 && a->system_id == b->system_id &&
           strcmp(a->segment, b->segment) == 0 && strcmp(a->lost, b->lost) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) text = BK_BUF_INIT;
    BkMarks marks;
    BkMarks again;
    bool ok = bk_marks_parse(data, size, &marks, &error);

    g_assert(ok == (error == NULL));
    if (!ok) {
        g_assert(marks.repository[0] == 0);
        return 0;
    }
    bk_marks_format(&marks, &text);
    g_assert(bk_marks_parse(text.data, text.size, &again, NULL));
    g_assert(are_same_marks(&marks, &again));
    return 0;
}
