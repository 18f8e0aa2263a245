/* conninfo.h - finds what is not allowed in a PostgreSQL connection string.
 *
 * Reference: the PostgreSQL manual, "Connection Strings" (libpq). Only the form and passwords are
 * looked at; what each keyword means is libpq's to judge, which is not loaded for this.
 * Threads: safe. */
#pragma once
#include "base/error.h"

/* Fails with BK_ERROR_CONFIG when `text` is neither "keyword=value …" nor a URI, or holds a
 * password. The message repeats nothing of it. */
bool bk_conninfo_check(const char *text, GError **error) BK_MUST_USE;
