/* boot.h - identifies the current boot of this host.
 *
 * Threads: safe. */
#pragma once
#include "base/macros.h"

/* An id that is new with each boot: a new string, "" if the kernel provides none. */
char *bk_boot_id(void);
