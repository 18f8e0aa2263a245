/* test-recovery-end.c - settings of a recovery leave postgresql.auto.conf, and nothing else does.
 */
#include "base/fd.h"
#include "source/pg/restore/recovery-end.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char NOTED[] = "restore_command = 'fetch'\nrecovery_target_xid = '7'\n";

static void
put(TempDir *self, const char *name, const void *content, size_t size)
{
    g_autoptr(GError) error = NULL;

    (void)mkdirat(self->dir, "pg_wal", 0700);
    g_assert_true(bk_file_write(self->dir, name, content, size, 0600, BK_FILE_REPLACE, &error));
    g_assert_no_error(error);
}

static char *
clean(TempDir *self, const char *content)
{
    g_auto(BkBuf) rest = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    put(self, "postgresql.auto.conf", content, strlen(content));
    g_assert_true(bk_recovery_end_note(self->dir, NOTED, &error));
    g_assert_true(bk_recovery_end_clean(self->dir, &error));
    g_assert_no_error(error);
    g_assert_cmpint(faccessat(self->dir, "pg_wal/.backstay-recovery", F_OK, 0), <, 0);
    g_assert_true(bk_file_read(self->dir, "postgresql.auto.conf", BK_MIB, &rest, &error));
    return g_strndup((const char *)rest.data, rest.size);
}

static void
test_only_the_noted_lines_go(TempDir *self, const void *data)
{
    const struct {
        const char *before;
        const char *after;
    } cases[] = {
        {"restore_command = 'fetch'\nrecovery_target_xid = '7'\n", ""},
        {"# a\nwork_mem = '5MB'\nrestore_command = 'fetch'\nrecovery_target_xid = '7'\nb = 1",
         "# a\nwork_mem = '5MB'\nb = 1"},
        /* Changed since, or set by the user as well. */
        {"restore_command = 'mine'\nrecovery_target_xid = '7'\n", "restore_command = 'mine'\n"},
        {"restore_command = 'fetch'\n#\nrestore_command = 'fetch'\nrecovery_target_xid = '7'\n",
         "restore_command = 'fetch'\n#\n"},
        {"recovery_target_xid = '77'\n recovery_target_xid = '7'\n",
         "recovery_target_xid = '77'\n recovery_target_xid = '7'\n"},
        {"", ""},
        {"\n\n", "\n\n"},
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *rest = clean(self, cases[i].before);

        g_assert_cmpstr(rest, ==, cases[i].after);
    }
}

static void
test_without_a_note_nothing_is_touched(TempDir *self, const void *data)
{
    (void)data;
    g_assert_true(bk_recovery_end_clean(self->dir, NULL));
    put(self, "postgresql.auto.conf", NOTED, strlen(NOTED));
    g_assert_true(bk_recovery_end_clean(self->dir, NULL));
}

/* Bytes that no server reads as text are left to it. */
static void
test_a_zero_byte(TempDir *self, const void *data)
{
    static const char content[] = "restore_command = 'fetch'\n\0x\n";
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) rest = BK_BUF_INIT;

    (void)data;
    put(self, "postgresql.auto.conf", content, sizeof content - 1);
    g_assert_true(bk_recovery_end_note(self->dir, NOTED, NULL));
    g_assert_false(bk_recovery_end_clean(self->dir, &error));
    g_assert_true(bk_error_is(error, BK_ERROR_UNSUPPORTED));
    g_assert_true(bk_file_read(self->dir, "postgresql.auto.conf", BK_MIB, &rest, NULL));
    g_assert_cmpuint(rest.size, ==, sizeof content - 1);
    g_assert_cmpint(memcmp(rest.data, content, rest.size), ==, 0);
}

static void
test_late_but_not_in_recovery(TempDir *self, const void *data)
{
    g_autofree char *wal = g_build_filename(self->root, "pg_wal", NULL);

    (void)data;
    put(self, "postgresql.auto.conf", NOTED, strlen(NOTED));
    g_assert_true(bk_recovery_end_note(self->dir, NOTED, NULL));
    put(self, "recovery.signal", "", 0);
    g_assert_true(bk_recovery_end_clean_late(wal, NULL));
    g_assert_cmpint(faccessat(self->dir, "pg_wal/.backstay-recovery", F_OK, 0), ==, 0);
    g_assert_cmpint(unlinkat(self->dir, "recovery.signal", 0), ==, 0);
    g_assert_true(bk_recovery_end_clean_late(wal, NULL));
    g_assert_cmpint(faccessat(self->dir, "pg_wal/.backstay-recovery", F_OK, 0), <, 0);
}

static void
test_the_command(void)
{
    g_autofree char *command = bk_recovery_end_command("/a b/100%/it's", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpstr(command, ==, "'/a b/100%%/it'\\''s' --end-recovery; exit 0");
    g_assert_null(bk_recovery_end_command("backstay", &error));
    g_assert_true(bk_error_is(error, BK_ERROR_USAGE));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEMP_DIR_TEST("/recovery-end/only-the-noted-lines-go", test_only_the_noted_lines_go);
    TEMP_DIR_TEST("/recovery-end/no-note", test_without_a_note_nothing_is_touched);
    TEMP_DIR_TEST("/recovery-end/zero-byte", test_a_zero_byte);
    TEMP_DIR_TEST("/recovery-end/late", test_late_but_not_in_recovery);
    g_test_add_func("/recovery-end/command", test_the_command);
    return g_test_run();
}
