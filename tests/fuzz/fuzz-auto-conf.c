/* fuzz-auto-conf.c - postgresql.auto.conf of a data directory, and the note of what a recovery
 * wrote into it: settings are put in and taken out, or it fails; what is done twice changes nothing
 * more. The file stands before the first zero byte, the note behind it. */
#include "../temp-dir.h"
#include "source/pg/restore/recovery-end.h"
#include "source/pg/restore/recovery.h"

#include <string.h>

#define AUTO_CONF "postgresql.auto.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put_file(const TempDir *dir, const char *name, const uint8_t *data, size_t size)
{
    g_autofree char *path = g_build_filename(dir->root, name, NULL);

    g_assert(g_file_set_contents_full(path, (const char *)data, (gssize)size,
                                      G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static bool
write_settings(const TempDir *dir, BkBuf *content)
{
    const BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    const BkRecoverySettings settings = {
        .target = &target,
        .restore_command = "false",
        .end_command = "true",
        .timeline = "latest",
    };
    g_autoptr(GError) error = NULL;
    bool ok = bk_recovery_write(dir->dir, &settings, &error);

    g_assert(ok == (error == NULL));
    return ok && bk_file_read(dir->dir, AUTO_CONF, BK_MIB, content, NULL);
}

static bool
take_out(const TempDir *dir, BkBuf *content)
{
    g_autoptr(GError) error = NULL;
    bool ok = bk_recovery_end_clean(dir->dir, &error);

    g_assert(ok == (error == NULL));
    return ok && bk_file_read(dir->dir, AUTO_CONF, BK_MIB, content, NULL);
}

static bool
is_same(const BkBuf *left, const BkBuf *right)
{
    return left->size == right->size && memcmp(left->data, right->data, left->size) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t conf_size = zero != NULL ? (size_t)(zero - data) : size;
    g_auto(BkBuf) once = BK_BUF_INIT;
    g_auto(BkBuf) twice = BK_BUF_INIT;
    TempDir dir;

    temp_dir_set_up(&dir, NULL);
    g_assert(mkdirat(dir.dir, "pg_wal", 0700) == 0);
    put_file(&dir, AUTO_CONF, data, conf_size);
    if (zero != NULL)
        put_file(&dir, "pg_wal/.backstay-recovery", zero + 1, size - conf_size - 1);
    (void)take_out(&dir, &once);
    if (write_settings(&dir, &once))
        g_assert(write_settings(&dir, &twice) && is_same(&once, &twice));
    if (take_out(&dir, &once))
        g_assert(take_out(&dir, &twice) && is_same(&once, &twice));
    temp_dir_tear_down(&dir, NULL);
    return 0;
}
