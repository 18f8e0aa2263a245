/* error.h - the one error domain: throwing, prefixing, passing on.
 *
 * An error is set once, where it happens ("object, what failed, cause"), is prefixed at most once a
 * layer with the thing that was worked on, and is reported once, by whoever stops it. Messages are
 * lower case, without a full stop, names in double quotes. The codes, their exit statuses and hints
 * are generated from meta/errors.yaml. Whatever a message quotes, it holds no control characters
 * but line breaks and tabs, and no more than 16 KiB at each step (base/escape.h). Threads: safe
 * everywhere; a GError itself belongs to one thread at a time. */
#pragma once
#include "base/macros.h"

#include "error-codes.h" /* generated: BkErrorCode */

#define BK_ERROR (bk_error_quark())
GQuark bk_error_quark(void);

/* Sets `error` and returns false, so that `return bk_throw(…);` is one statement. */
bool bk_throw(GError **error, BkErrorCode code, const char *format, ...) BK_PRINTF(3, 4);

/* The same for functions that return a pointer: returns NULL. */
void *bk_throw_null(GError **error, BkErrorCode code, const char *format, ...) BK_PRINTF(3, 4);

/* Throws the present errno: its text is appended after ": ", and the code is derived from it
 * (ENOSPC and EDQUOT: NO_SPACE, ENOENT: ABSENT, EEXIST: EXISTS, EACCES, EPERM and EROFS: DENIED,
 * otherwise SYSTEM). Returns false. */
bool bk_throw_errno(GError **error, const char *format, ...) BK_PRINTF(2, 3);

/* The code that bk_throw_errno gives to the errno value `number`. */
BkErrorCode bk_error_code_of_errno(int number);

/* Puts "…: " before the message of `error`, which may be NULL or unset. Returns false. */
bool bk_prefix(GError **error, const char *format, ...) BK_PRINTF(2, 3);

/* Moves `*local` to `error` (dropping it when `error` is NULL). True when there was none. */
static inline bool
bk_propagate(GError **error, GError **local)
{
    if (*local == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(local));
    return false;
}

/* Returns true if `error` is one of ours with that code; false if it is NULL. */
bool bk_error_is(const GError *error, BkErrorCode code);

/* Exit status of the program for `error`: that of its code, 1 for errors of other domains. */
int bk_error_exit_status(const GError *error);

/* What the user can do about `error`, a static string, or NULL if the message needs none. */
const char *bk_error_hint(const GError *error);

/* What these four return is known where they are called, as with bk_propagate, not in error.c only:
 * neither the compiler nor clang-tidy follows a path on which a failed call returned true. */
static inline bool
bk_error_false(bool thrown)
{
    (void)thrown;
    return false;
}

static inline void *
bk_error_null(void *thrown)
{
    (void)thrown;
    return NULL;
}

#define bk_throw(...)       bk_error_false(bk_throw(__VA_ARGS__))
#define bk_throw_null(...)  bk_error_null(bk_throw_null(__VA_ARGS__))
#define bk_throw_errno(...) bk_error_false(bk_throw_errno(__VA_ARGS__))
#define bk_prefix(...)      bk_error_false(bk_prefix(__VA_ARGS__))
