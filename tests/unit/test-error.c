/* test-error.c - the error domain and its table, the names of fault points, secrets. */
#include "base/error.h"
#include "base/fault.h"
#include "base/secret.h"
#include "expect.h"

#include <errno.h>
#include <string.h>

static void
test_throw(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(bk_throw_null(&error, BK_ERROR_BUSY, "held by \"%s\"", "x"));
    g_assert_cmpstr(error->message, ==, "held by \"x\"");
    g_assert_true(bk_error_is(error, BK_ERROR_BUSY));
    g_assert_false(bk_error_is(error, BK_ERROR_STORE));
    g_assert_false(bk_error_is(NULL, BK_ERROR_BUSY));
    g_assert_false(bk_throw(NULL, BK_ERROR_BUSY, "nobody asks"));
}

static void
test_errno(void)
{
    static const struct {
        int number;
        BkErrorCode code;
    } cases[] = {
        {ENOSPC, BK_ERROR_NO_SPACE}, {EDQUOT, BK_ERROR_NO_SPACE}, {ENOENT, BK_ERROR_ABSENT},
        {EEXIST, BK_ERROR_EXISTS},   {EACCES, BK_ERROR_DENIED},   {EPERM, BK_ERROR_DENIED},
        {EROFS, BK_ERROR_DENIED},    {EIO, BK_ERROR_SYSTEM},      {0, BK_ERROR_SYSTEM},
    };
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(bk_error_code_of_errno(cases[i].number), ==, cases[i].code);
        errno = cases[i].number;
        EXPECT_ERROR(bk_throw_errno(&error, "x"), cases[i].code);
    }
    errno = ENOENT;
    bk_throw_errno(&error, "open \"%s\"", "f");
    g_assert_cmpstr(error->message, ==, "open \"f\": No such file or directory");
}

static void
test_prefix_and_propagate(void)
{
    g_autoptr(GError) error = NULL;
    GError *local = NULL;

    g_assert_false(bk_prefix(NULL, "x"));
    g_assert_false(bk_prefix(&error, "x")); /* unset stays so */
    g_assert_null(error);
    g_assert_true(bk_propagate(&error, &local));
    bk_throw(&local, BK_ERROR_STORE, "cause");
    bk_prefix(&local, "object %d", 3);
    g_assert_false(bk_propagate(&error, &local));
    g_assert_null(local);
    g_assert_cmpstr(error->message, ==, "object 3: cause");
    bk_throw(&local, BK_ERROR_STORE, "dropped");
    g_assert_false(bk_propagate(NULL, &local));
    g_assert_null(local);
}

static void
test_exit_statuses(void)
{
    static const struct {
        BkErrorCode code;
        int status;
    } cases[] = {{BK_ERROR_USAGE, 2},     {BK_ERROR_CONFIG, 2}, {BK_ERROR_KEY, 2},
                 {BK_ERROR_NOT_FOUND, 3}, {BK_ERROR_BUSY, 4},   {BK_ERROR_STORE, 1},
                 {BK_ERROR_LEASE_LOST, 1}};
    g_autoptr(GError) other = g_error_new_literal(g_quark_from_string("other"), 3, "other");

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        bk_throw(&error, cases[i].code, "x");
        g_assert_cmpint(bk_error_exit_status(error), ==, cases[i].status);
    }
    g_assert_cmpint(bk_error_exit_status(other), ==, 1);
    g_assert_null(bk_error_hint(other));
}

/* Every code has a status; a hint is one line without a full stop. */
static void
test_table_is_whole(void)
{
    for (int code = BK_ERROR_USAGE; code <= (int)BK_ERROR_LEASE_LOST; code++) {
        g_autoptr(GError) error = g_error_new_literal(BK_ERROR, code, "x");
        const char *hint = bk_error_hint(error);
        int status = bk_error_exit_status(error);

        g_assert_true(status >= 1 && status <= 4);
        g_assert_true(hint == NULL || (strchr(hint, '\n') == NULL && !g_str_has_suffix(hint, ".")));
    }
}

static void
test_fault_names(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (BkFaultPoint point = 0; point < BK_FAULT_COUNT; point++) {
        const char *name = bk_fault_name(point);

        /* Words of a point are split by colons where it is armed. */
        g_assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(name));
        g_assert_true(g_hash_table_add(seen, (void *)(uintptr_t)name));
        g_assert_cmpuint(strlen(bk_fault_where(point)), >, 0);
    }
}

static void
test_fault_not_armed(void)
{
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_fault(BK_FAULT_BACKUP_READ, &error));
}

static void
test_fault_armed(void)
{
#ifdef BK_FAULTS
    g_autoptr(GError) error = NULL;

    g_assert_true(g_setenv("BACKSTAY_FAULT", "backup.read:enospc:2", TRUE));
    EXPECT_DONE(bk_fault(BK_FAULT_BACKUP_READ, &error));
    EXPECT_DONE(bk_fault(BK_FAULT_RESTORE_SYNC, &error)); /* another point does not count */
    EXPECT_ERROR(bk_fault(BK_FAULT_BACKUP_READ, &error), BK_ERROR_NO_SPACE);
    EXPECT_DONE(bk_fault(BK_FAULT_BACKUP_READ, &error));
    g_unsetenv("BACKSTAY_FAULT");
#else
    g_assert_true(g_setenv("BACKSTAY_FAULT", "backup.read:kill", TRUE));
    g_assert_true(bk_fault(BK_FAULT_BACKUP_READ, NULL)); /* compiled away */
    g_unsetenv("BACKSTAY_FAULT");
#endif
}

static void
test_random(void)
{
    uint8_t a[300] = {0};
    uint8_t b[300] = {0};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_random_fill(a, sizeof a, &error));
    EXPECT_DONE(bk_random_fill(b, sizeof b, &error));
    EXPECT_DONE(bk_random_fill(NULL, 0, &error));
    g_assert_cmpint(memcmp(a, b, sizeof a), !=, 0);
    g_assert_cmpint(memcmp(a + 268, b + 268, 32), !=, 0); /* to the last byte */
}

static void
test_secret_is_wiped(void)
{
    static const uint8_t zeros[BK_SECRET_SIZE];
    BkSecret secret;

    memset(&secret, 0xA5, sizeof secret);
    bk_secret_clear(&secret);
    g_assert_cmpint(memcmp(&secret, zeros, sizeof zeros), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/throw", test_throw);
    g_test_add_func("/error/errno", test_errno);
    g_test_add_func("/error/prefix-and-propagate", test_prefix_and_propagate);
    g_test_add_func("/error/exit-statuses", test_exit_statuses);
    g_test_add_func("/error/table-is-whole", test_table_is_whole);
    g_test_add_func("/fault/names", test_fault_names);
    g_test_add_func("/fault/not-armed", test_fault_not_armed);
    g_test_add_func("/fault/armed", test_fault_armed);
    g_test_add_func("/secret/random", test_random);
    g_test_add_func("/secret/is-wiped", test_secret_is_wiped);
    return g_test_run();
}
