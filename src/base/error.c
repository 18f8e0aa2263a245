/* error.c - the one error domain: throwing, prefixing, passing on. */
#include "base/error.h"

#include "base/escape.h"

#include "error-table.h" /* generated */

#include <errno.h>
#include <string.h>

/* Defined below: the functions that the macros call. */
#undef bk_throw
#undef bk_throw_null
#undef bk_throw_errno
#undef bk_prefix

#define MESSAGE_MAX ((size_t)16 * 1024)

static GQuark error_quark;

/* Before main and so before any thread: G_DEFINE_QUARK would be the lazy way, and ThreadSanitizer
 * cannot see the lock inside it. */
__attribute__((constructor)) static void
init_quark(void)
{
    error_quark = g_quark_from_static_string("backstay");
}

GQuark
bk_error_quark(void)
{
    return error_quark;
}

static void set_va(GError **error, BkErrorCode code, const char *format, va_list args)
    BK_PRINTF(3, 0);

static void
set_va(GError **error, BkErrorCode code, const char *format, va_list args)
{
    g_autofree char *text = NULL;
    g_autofree char *escaped = NULL;

    if (error == NULL)
        return;
    g_assert(*error == NULL);
    text = g_strdup_vprintf(format, args);
    escaped = bk_escape(text, MESSAGE_MAX, BK_ESCAPE_BUT_LINES);
    *error = g_error_new_literal(BK_ERROR, (int)code, escaped);
}

bool
bk_throw(GError **error, BkErrorCode code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_va(error, code, format, args);
    va_end(args);
    return false;
}

void *
bk_throw_null(GError **error, BkErrorCode code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_va(error, code, format, args);
    va_end(args);
    return NULL;
}

BkErrorCode
bk_error_code_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return BK_ERROR_NO_SPACE;
    case ENOENT:
        return BK_ERROR_ABSENT;
    case EEXIST:
        return BK_ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return BK_ERROR_DENIED;
    default:
        return BK_ERROR_SYSTEM;
    }
}

bool
bk_throw_errno(GError **error, const char *format, ...)
{
    int number = errno;
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    return bk_throw(error, bk_error_code_of_errno(number), "%s: %s", what, g_strerror(number));
}

bool
bk_prefix(GError **error, const char *format, ...)
{
    g_autofree char *prefix = NULL;
    g_autofree char *escaped = NULL;
    va_list args;

    if (error == NULL || *error == NULL)
        return false;
    va_start(args, format);
    prefix = g_strdup_vprintf(format, args);
    va_end(args);
    escaped = bk_escape(prefix, MESSAGE_MAX, BK_ESCAPE_BUT_LINES);
    g_prefix_error(error, "%s: ", escaped);
    return false;
}

bool
bk_error_is(const GError *error, BkErrorCode code)
{
    return g_error_matches(error, BK_ERROR, (int)code);
}

static const BkErrorInfo *
info_of(const GError *error)
{
    if (error->domain != BK_ERROR)
        return NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(bk_error_table); i++)
        if ((int)bk_error_table[i].code == error->code)
            return &bk_error_table[i];
    return NULL;
}

int
bk_error_exit_status(const GError *error)
{
    const BkErrorInfo *info = info_of(error);

    return info != NULL ? info->exit_status : 1;
}

const char *
bk_error_hint(const GError *error)
{
    const BkErrorInfo *info = info_of(error);

    return info != NULL ? info->hint : NULL;
}
