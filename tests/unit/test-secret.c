/* test-secret.c - memory for secrets: locked, not dumped, wiped, reused; and no core of a process.
 */
#include "base/secret.h"
#include "expect.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
is_zero(const uint8_t *memory, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (memory[i] != 0)
            return false;
    return true;
}

/* Has the mapping that holds `memory` this flag, as /proc/self/smaps shows it ("dd": not dumped)?
 */
static bool
has_flag(const void *memory, const char *flag)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    bool is_here = false;

    g_assert_true(g_file_get_contents("/proc/self/smaps", &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        unsigned long start, end;

        if (sscanf(lines[i], "%lx-%lx ", &start, &end) == 2)
            is_here = (uintptr_t)memory >= start && (uintptr_t)memory < end;
        if (is_here && g_str_has_prefix(lines[i], "VmFlags:"))
            return strstr(lines[i], flag) != NULL;
    }
    return false;
}

/* The sanitizers put a function that does nothing in the place of mlock. */
static bool
is_mlock_real(void)
{
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool is_locked;

    g_assert_true(page != MAP_FAILED);
    is_locked = mlock(page, size) == 0 && has_flag(page, " lo");
    (void)munmap(page, size);
    return is_locked;
}

static void
test_memory(void)
{
    static const size_t sizes[] = {1, 32, 36, 64, 65, 192, 4000, 16384, 16385, 100000};
    uint8_t *all[G_N_ELEMENTS(sizes)];

    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
            all[i] = bk_secret_alloc(sizes[i]);
            g_assert_true(is_zero(all[i], sizes[i]));
            memset(all[i], (int)i + 1, sizes[i]);
            g_assert_true(has_flag(all[i], " dd"));
        }
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
            for (size_t j = 0; j < sizes[i]; j++)
                g_assert_cmpuint(all[i][j], ==, i + 1);
        for (size_t i = round; i < G_N_ELEMENTS(sizes) + round; i++)
            bk_secret_free(all[i % G_N_ELEMENTS(sizes)]);
    }
    bk_secret_free(NULL);
    g_assert_null(bk_secret_strdup(NULL));
}

/* What is given back is wiped, and its place is taken again, so that small ones share pages. */
static void
test_reuse(void)
{
    uint8_t *many[600];
    uint8_t *hole;
    char *text;

    for (size_t i = 0; i < G_N_ELEMENTS(many); i++)
        many[i] = memset(bk_secret_alloc(36), 0xff, 36);
    g_assert_true(has_flag(many[0], " lo") || geteuid() != 0 || !is_mlock_real());
    hole = many[300];
    bk_secret_free(many[300]);
    g_assert_true(is_zero(hole, 36));
    text = bk_secret_strdup("secret");
    g_assert_cmpstr(text, ==, "secret");
    many[300] = (uint8_t *)text;
    for (size_t i = 0; i < G_N_ELEMENTS(many); i++)
        bk_secret_free(many[i]);
}

/* In a child, since there is no way back. */
static void
test_no_cores(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct rlimit before, now;
        bool ok;

        if (getrlimit(RLIMIT_CORE, &before) != 0)
            _exit(2);
        bk_secret_protect_process();
        ok = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && getrlimit(RLIMIT_CORE, &now) == 0 &&
             now.rlim_cur == 0;
        bk_secret_release_child();
        ok = ok && getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == before.rlim_cur;
        _exit(ok ? 0 : 1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secret/memory", test_memory);
    g_test_add_func("/secret/reuse", test_reuse);
    g_test_add_func("/secret/no-cores", test_no_cores);
    return g_test_run();
}
