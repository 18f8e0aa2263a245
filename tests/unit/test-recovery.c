/* test-recovery.c - the files that make a restored directory recover to its target. */
#include "base/fd.h"
#include "source/pg/restore/recovery.h"
#include "temp-dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
put(TempDir *self, const char *name, const char *content)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(
        bk_file_write(self->dir, name, content, strlen(content), 0600, BK_FILE_REPLACE, &error));
    g_assert_no_error(error);
}

static char *
get(TempDir *self, const char *name)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    g_assert_true(bk_file_read(self->dir, name, BK_MIB, &content, NULL));
    return g_strndup((const char *)content.data, content.size);
}

static bool
is_there(TempDir *self, const char *name)
{
    return faccessat(self->dir, name, F_OK, 0) == 0;
}

static char *
write_target(TempDir *self, const BkRecoveryTarget *target, BkRecoveryArchive archive)
{
    BkRecoverySettings settings = {
        .target = target,
        .restore_command = "fetch %f %p",
        .end_command = "end",
        .timeline = "latest",
        .archive = archive,
    };
    g_autoptr(GError) error = NULL;

    (void)mkdirat(self->dir, "pg_wal", 0700);
    g_assert_true(bk_recovery_write(self->dir, &settings, &error));
    g_assert_no_error(error);
    return get(self, "postgresql.auto.conf");
}

static void
test_settings(TempDir *self, const void *data)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    g_autofree char *text = write_target(self, &target, BK_RECOVERY_ARCHIVE_KEEP);
    g_autofree char *signal_file = get(self, "recovery.signal");
    struct stat st;

    (void)data;
    g_assert_cmpstr(signal_file, ==, "");
    g_assert_cmpstr(text, ==,
                    "restore_command = 'fetch %f %p'\n"
                    "archive_cleanup_command = ''\n"
                    "recovery_end_command = 'end'\n"
                    "recovery_min_apply_delay = '0'\n"
                    "recovery_target = ''\n"
                    "recovery_target_time = ''\n"
                    "recovery_target_lsn = ''\n"
                    "recovery_target_xid = ''\n"
                    "recovery_target_name = ''\n"
                    "recovery_target_inclusive = 'on'\n"
                    "recovery_target_timeline = 'latest'\n"
                    "recovery_target_action = 'promote'\n");
    g_assert_cmpint(fstatat(self->dir, "postgresql.auto.conf", &st, 0), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

/* Exactly one target is set, and it is the last: the server takes even an empty one after it for a
 * second. */
static void
test_one_target(TempDir *self, const void *data)
{
    char name[] = "it's \\ here";
    char id[] = "20261121T003905Z-1a2b3c4d";
    const struct {
        BkRecoveryTarget target;
        const char *line;
    } cases[] = {
        {{.kind = BK_RECOVERY_TARGET_IMMEDIATE}, "recovery_target = 'immediate'"},
        {{.kind = BK_RECOVERY_TARGET_SNAPSHOT, .text = id}, "recovery_target = 'immediate'"},
        {{.kind = BK_RECOVERY_TARGET_TIME, .time_us = 1},
         "recovery_target_time = '1970-01-01 00:00:00.000001+00'"},
        {{.kind = BK_RECOVERY_TARGET_LSN, .lsn = 0x3000028}, "recovery_target_lsn = '0/3000028'"},
        {{.kind = BK_RECOVERY_TARGET_XID, .xid = 731}, "recovery_target_xid = '731'"},
        {{.kind = BK_RECOVERY_TARGET_NAME, .text = name},
         "recovery_target_name = 'it''s \\\\ here'"},
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = write_target(self, &cases[i].target, BK_RECOVERY_ARCHIVE_KEEP);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        unsigned empty = 0;
        unsigned set = 0;

        for (char **line = lines; *line != NULL; line++) {
            bool is_target = g_str_has_prefix(*line, "recovery_target") &&
                             !g_str_has_prefix(*line, "recovery_target_inclusive") &&
                             !g_str_has_prefix(*line, "recovery_target_timeline") &&
                             !g_str_has_prefix(*line, "recovery_target_action");

            if (is_target && g_str_has_suffix(*line, "= ''")) {
                g_assert_cmpuint(set, ==, 0);
                empty++;
            } else if (is_target) {
                g_assert_cmpstr(*line, ==, cases[i].line);
                set++;
            }
        }
        g_assert_cmpuint(empty, ==, 4);
        g_assert_cmpuint(set, ==, 1);
    }
}

static void
test_exclusive(TempDir *self, const void *data)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_XID, .xid = 9, .exclusive = true};
    g_autofree char *text = write_target(self, &target, BK_RECOVERY_ARCHIVE_KEEP);

    (void)data;
    g_assert_nonnull(strstr(text, "recovery_target_inclusive = 'off'\n"));
}

static void
test_users_lines_stay(TempDir *self, const void *data)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    g_autofree char *text = NULL;
    g_autofree char *again = NULL;

    (void)data;
    put(self, "postgresql.auto.conf",
        "# Do not edit this file manually!\n"
        "work_mem = '64MB'\n"
        "restore_command = 'old'\n"
        "  Recovery_Target_Time='2020-01-01'\n"
        "primary_conninfo 'host=a'\n"
        "recovery_target_xidx = 'no setting of ours'\n"
        "archive_mode = 'on'\n"
        "archive_command = 'push %p'");
    text = write_target(self, &target, BK_RECOVERY_ARCHIVE_KEEP);
    g_assert_true(g_str_has_prefix(text, "# Do not edit this file manually!\n"
                                         "work_mem = '64MB'\n"
                                         "recovery_target_xidx = 'no setting of ours'\n"
                                         "archive_mode = 'on'\n"
                                         "archive_command = 'push %p'\n"
                                         "restore_command = 'fetch %f %p'\n"));
    g_assert_null(strstr(text, "old"));
    g_assert_null(strstr(text, "2020"));
    g_assert_null(strstr(text, "conninfo"));
    again = write_target(self, &target, BK_RECOVERY_ARCHIVE_KEEP);
    g_assert_cmpstr(again, ==, text);
}

static void
test_archive_off(TempDir *self, const void *data)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    g_autofree char *text = NULL;

    (void)data;
    put(self, "postgresql.auto.conf", "archive_mode = 'on'\narchive_command = 'push %p'\n");
    text = write_target(self, &target, BK_RECOVERY_ARCHIVE_OFF);
    g_assert_null(strstr(text, "archive_mode = 'on'"));
    g_assert_nonnull(strstr(text, "archive_command = 'push %p'\n"));
    g_assert_nonnull(strstr(text, "archive_mode = 'off'\n"));
}

static void
test_leftovers(TempDir *self, const void *data)
{
    static const char *const names[] = {
        "standby.signal",     "recovery.conf",  "recovery.done",   "backup_label.old",
        "tablespace_map.old", "postmaster.pid", "postmaster.opts",
    };
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    g_autofree char *text = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        put(self, names[i], "x");
    put(self, "backup_label", "kept");
    put(self, "recovery.signal", "not empty");
    text = write_target(self, &target, BK_RECOVERY_ARCHIVE_KEEP);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_false(is_there(self, names[i]));
    g_assert_true(is_there(self, "backup_label"));
    g_assert_true(is_there(self, "recovery.signal"));
}

/* A value that cannot be written leaves everything as it was. */
static void
test_line_break(TempDir *self, const void *data)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    BkRecoverySettings settings = {
        .target = &target, .restore_command = "a\nb", .timeline = "latest"};
    g_autoptr(GError) error = NULL;

    (void)data;
    put(self, "standby.signal", "");
    g_assert_false(bk_recovery_write(self->dir, &settings, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_USAGE);
    g_assert_true(is_there(self, "standby.signal"));
    g_assert_false(is_there(self, "recovery.signal"));
}

/* The group may read what is added where it may read the directory. */
static void
test_group_mode(TempDir *self, const void *data)
{
    BkRecoveryTarget target = {.kind = BK_RECOVERY_TARGET_LATEST};
    g_autofree char *text = NULL;
    struct stat st;

    (void)data;
    g_assert_cmpint(fchmod(self->dir, 0750), ==, 0);
    text = write_target(self, &target, BK_RECOVERY_ARCHIVE_KEEP);
    g_assert_cmpint(fstatat(self->dir, "recovery.signal", &st, 0), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0640);
}

static void
test_restore_command(TempDir *self, const void *data)
{
    g_autofree char *command = NULL;
    g_autoptr(GError) error = NULL;

    (void)self;
    (void)data;
    command = bk_recovery_restore_command(&(BkRecoveryFetch){.exe = "/opt/it's 100%/backstay",
                                                             .config = "/etc/b.yaml",
                                                             .source = "orders"},
                                          &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(command, "'/opt/it'\\''s 100%%/backstay' -c '/etc/b.yaml' wal "
                                            "fetch orders %f %p; "));
    g_free(command);
    command = bk_recovery_restore_command(&(BkRecoveryFetch){.exe = "/b",
                                                             .config = "/c",
                                                             .source = "orders",
                                                             .repository = "off site",
                                                             .until = "000000010000000000000007",
                                                             .reach = "000000020000000000000009"},
                                          NULL);
    g_assert_nonnull(strstr(command, " orders --repository 'off site' --until "
                                     "000000010000000000000007 --reach 000000020000000000000009 "
                                     "%f %p; "));
    g_assert_null(bk_recovery_restore_command(
        &(BkRecoveryFetch){.exe = "backstay", .config = "/etc/b.yaml", .source = "orders"},
        &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(bk_recovery_restore_command(
        &(BkRecoveryFetch){.exe = "/b", .config = "/etc/a\nb", .source = "orders"}, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_USAGE);
}

/* The server goes on after 0, takes up to 125 for "not there", and gives up after more. */
static void
test_restore_command_status(TempDir *self, const void *data)
{
    static const int cases[][2] = {{0, 0}, {3, 3}, {1, 129}, {2, 130}, {127, 255}, {143, 143}};
    g_autofree char *exe = g_build_filename(self->root, "it's", NULL);

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *script = g_strdup_printf("#!/bin/sh\nexit %d\n", cases[i][0]);
        g_autofree char *command = NULL;
        const char *argv[] = {"/bin/sh", "-c", NULL, NULL};
        int status = 0;

        put(self, "it's", script);
        g_assert_cmpint(fchmodat(self->dir, "it's", 0700, 0), ==, 0);
        command = bk_recovery_restore_command(
            &(BkRecoveryFetch){.exe = exe, .config = "/c", .source = "orders"}, NULL);
        argv[2] = command;
        g_assert_true(g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_DEFAULT, NULL,
                                   NULL, NULL, NULL, &status, NULL));
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, cases[i][1]);
    }
}

static void
test_actions(TempDir *self, const void *data)
{
    BkRecoveryAction action;

    (void)self;
    (void)data;
    for (int i = BK_RECOVERY_PROMOTE; i <= BK_RECOVERY_SHUTDOWN; i++) {
        g_assert_true(
            bk_recovery_action_parse(bk_recovery_action_name((BkRecoveryAction)i), &action));
        g_assert_cmpint(action, ==, i);
    }
    g_assert_false(bk_recovery_action_parse("stop", &action));
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(TempDir *, const void *);
    } tests[] = {
        {"/recovery/settings", test_settings},
        {"/recovery/one-target", test_one_target},
        {"/recovery/exclusive", test_exclusive},
        {"/recovery/users-lines-stay", test_users_lines_stay},
        {"/recovery/archive-off", test_archive_off},
        {"/recovery/leftovers", test_leftovers},
        {"/recovery/line-break", test_line_break},
        {"/recovery/group-mode", test_group_mode},
        {"/recovery/restore-command", test_restore_command},
        {"/recovery/restore-command-status", test_restore_command_status},
        {"/recovery/actions", test_actions},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        TEMP_DIR_TEST(tests[i].name, tests[i].test);
    return g_test_run();
}
