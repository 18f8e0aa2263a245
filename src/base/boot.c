/* boot.c - identifies the current boot of this host. */
#include "base/boot.h"

#include "base/fd.h"

#include <fcntl.h>

char *
bk_boot_id(void)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    if (!bk_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BK_KIB, &content, NULL))
        return g_strdup("");
    return g_strdup(g_strstrip((char *)content.data));
}
