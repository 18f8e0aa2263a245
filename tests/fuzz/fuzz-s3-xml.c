/* fuzz-s3-xml.c - answers of S3: an answer or an error, within bounds. The first byte selects which
 * kind is expected. */
#include "store/s3/s3-xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_page(const BkBuf *body)
{
    g_auto(BkS3Page) page = {0};
    g_autoptr(GError) error = NULL;

    if (!bk_s3_xml_page(body, &page, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_STORE));
        return;
    }
    for (guint i = 0; i < page.entries->len; i++)
        g_assert(((const BkS3Entry *)g_ptr_array_index(page.entries, i))->key != NULL);
    g_assert(!page.is_truncated || page.next_token != NULL || page.next_key_marker != NULL);
}

static void
check_others(const BkBuf *body)
{
    g_auto(BkS3Fault) fault = {0};
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    (void)bk_s3_xml_is_fault(body, &fault);
    g_assert(fault.code != NULL && fault.message != NULL);
    if (!bk_s3_xml_text(body, "A/B", &text, &error))
        g_assert(text == NULL && bk_error_is(error, BK_ERROR_STORE));
    g_clear_error(&error);
    if (!bk_s3_xml_delete_errors(body, errors, &error))
        g_assert(bk_error_is(error, BK_ERROR_STORE));
    g_assert(errors->len <= 1000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(BkBuf) body = BK_BUF_INIT;

    if (size == 0)
        return 0;
    bk_buf_append(&body, data + 1, size - 1);
    if (data[0] % 2 == 0)
        check_page(&body);
    else
        check_others(&body);
    return 0;
}
