/* fuzz-time.c - any text is a time or a usage error; what was understood is understood again. */
#include "source/pg/format/pg-time.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_US INT64_C(1795256100000000)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autofree char *again = NULL;
    g_autoptr(GError) error = NULL;
    char formatted[BK_PG_TIME_TEXT_SIZE];
    int64_t time_us = 0;
    int64_t repeated_us = 0;

    g_setenv("TZ", "Europe/Berlin", TRUE);
    if (!bk_pg_time_parse(text, NOW_US, &time_us, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_USAGE));
        return 0;
    }
    g_assert(error == NULL);
    again = g_strconcat(bk_pg_time_format(time_us, formatted), " UTC", NULL);
    if (time_us < 0) /* "ago" leads further back than a year can be written */
        return 0;
    g_assert(bk_pg_time_parse(again, NOW_US, &repeated_us, NULL));
    g_assert(repeated_us == time_us);
    return 0;
}
