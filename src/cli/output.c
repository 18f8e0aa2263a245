/* output.c - what a command writes to standard output, and whether it could be written. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void
bk_output_secure_descriptors(void)
{
    /* Writing to one that is open for reading fails, and so a lost report is noticed. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd)
            abort();
}

void
bk_output_keep(BkOutput *self)
{
    self->kept = open_memstream(&self->text, &self->size);
    if (self->kept == NULL)
        return; /* then it is printed */
    self->own = stdout;
    stdout = self->kept;
}

static void
release(BkOutput *self, bool drops)
{
    if (self->kept == NULL)
        return;
    stdout = self->own;
    (void)fclose(self->kept);
    if (!drops)
        (void)fwrite(self->text, 1, self->size, stdout);
    free(self->text); /* of the C library */
    *self = (BkOutput){.text = NULL};
}

bool
bk_output_end(BkOutput *self, bool drops, GError **error)
{
    release(self, drops);
    if (ferror(stdout) != 0) {
        /* The errno of that time is gone: what is wrong is wrong still. */
        clearerr(stdout);
        (void)fputc('\n', stdout);
        if (fflush(stdout) == 0)
            errno = EIO;
        return bk_throw_errno(error, "the report could not be written to standard output");
    }
    return fflush(stdout) == 0 ||
           bk_throw_errno(error, "the report could not be written to standard output");
}
