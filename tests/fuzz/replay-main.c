/* replay-main.c - runs every file of a directory, and the empty input, through a fuzzer: the corpus
 * is a test of every build, with any compiler. */
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT (16 * BK_MIB)

static bool
replay(const char *directory, unsigned *count, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, error);
    g_auto(BkBuf) content = BK_BUF_INIT;
    const char *name;

    if (dir == NULL)
        return false;
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autofree uint8_t *exact = NULL;

        if (!bk_file_read(AT_FDCWD, path, LIMIT, &content, error))
            return false;
        /* A copy of just that size, so that a read past the end is one past an allocation. */
        exact = g_memdup2(content.data, content.size);
        (void)LLVMFuzzerTestOneInput(exact, content.size);
        (*count)++;
    }
    return true;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    unsigned count = 0;

    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        if (!replay(argv[i], &count, &error)) {
            (void)printf("%s\n", error->message);
            return 1;
        }
    (void)printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
