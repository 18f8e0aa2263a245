/* output.h - what a command writes to standard output, and whether it could be written.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "base/error.h"

#include <stdio.h>

typedef struct BkOutput {
    FILE *own; /* standard output, while `kept` takes its place; NULL otherwise */
    FILE *kept;
    char *text; /* of `kept` */
    size_t size;
} BkOutput;

/* Sees to it that the first three descriptors are in use, so that no file that is opened later gets
 * what is meant for the terminal. To be called before anything is opened. */
void bk_output_secure_descriptors(void);

/* From now on what is printed is kept until bk_output_end. */
void bk_output_keep(BkOutput *self);

/* Writes what was kept, unless `drops`, and all else that is still buffered. False with the cause
 * when any of the output was lost. */
bool bk_output_end(BkOutput *self, bool drops, GError **error) BK_MUST_USE;
