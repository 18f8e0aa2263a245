/* fuzz-files-meta.c - what a snapshot says of its file trees: decoded or an error, and what was
 * decoded encodes and decodes to itself. */
#include "source/files/files-meta.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *copy = g_memdup2(data, size);
    BkBuf input = {copy, size, size};
    g_auto(BkFilesMeta) meta = {0};
    g_auto(BkFilesMeta) again = {0};
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    if (!bk_files_meta_decode(&meta, &input, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        g_assert(meta.roots->len == 0 && meta.errors.first->len == 0);
        return 0;
    }
    g_assert(meta.errors.first->len <= meta.errors.count);
    g_assert(meta.errors.bytes <= BK_FILES_TEXTS_MAX);
    bk_files_meta_encode(&meta, &once);
    g_assert(bk_files_meta_decode(&again, &once, &error));
    bk_files_meta_encode(&again, &twice);
    g_assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    return 0;
}
