/* format.c - times, durations, sizes and counts as text. */
#include "report/format.h"

#include <string.h>
#include <time.h>

char *
bk_format_time(int64_t time_us)
{
    time_t seconds = (time_t)(time_us / BK_USEC_PER_SEC);
    int64_t fraction = time_us % BK_USEC_PER_SEC;
    struct tm utc;
    char text[32];

    if (time_us == 0 || gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return NULL;
    if (fraction == 0)
        return g_strdup_printf("%sZ", text);
    return g_strdup_printf("%s.%06dZ", text, (int)fraction);
}

char *
bk_format_age(int64_t age_us)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "h"}, {60, "min"}};
    int64_t seconds = MAX(age_us, 0) / BK_USEC_PER_SEC;

    for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
        if (seconds >= 2 * units[i].seconds)
            return g_strdup_printf("%" G_GINT64_FORMAT " %s", seconds / units[i].seconds,
                                   units[i].name);
    return g_strdup_printf("%" G_GINT64_FORMAT " s", seconds);
}

char *
bk_format_size(uint64_t bytes)
{
    return g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
}

char *
bk_format_count(uint64_t count, const char *what)
{
    size_t length = strlen(what);
    bool ends_in_y = length > 0 && what[length - 1] == 'y';

    if (count == 1)
        return g_strdup_printf("1 %s", what);
    return g_strdup_printf("%" G_GUINT64_FORMAT " %.*s%s", count,
                           (int)(ends_in_y ? length - 1 : length), what, ends_in_y ? "ies" : "s");
}

char *
bk_format_per_cent(double share)
{
    return g_strdup_printf("%.1f %%", (double)(uint64_t)(share * 1000.0) / 10.0);
}

double
bk_format_seconds(int64_t duration_us)
{
    int64_t milliseconds = duration_us / 1000;

    return (double)milliseconds / 1000.0;
}
