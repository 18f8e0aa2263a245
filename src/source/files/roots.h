/* roots.h - the roots of file trees that are backed up together.
 *
 * Each is an absolute path that no symbolic link is in, so that what lies below it can be restored
 * to where it was. The last component may be of any kind but a link. Threads: functions have no
 * state. */
#pragma once
#include "base/error.h"

/* Checks the paths of the configuration. A new array of char *: the same, each once, in byte order,
 * without their leading slashes; "" is the root of the file system. Fails with BK_ERROR_CONFIG when
 * one is not absolute or lies below another one, or there are too many, and with BK_ERROR_UNFIT,
 * naming where it leads, when a link is in one, or when it is on a file system of the kernel's.
 * One that is absent or cannot be read fails as the system says. */
GPtrArray *bk_roots_open(const GPtrArray *paths, GError **error) BK_MUST_USE;

/* Returns true if `path` lies below `above`; both without a leading slash. */
bool bk_roots_is_below(const char *path, const char *above);
