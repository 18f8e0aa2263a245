/* options.h - the command line, parsed by the tables generated from meta/options.yaml.
 *
 * Global options may stand before or after the command, the options of a command only after it.
 * "--name VALUE", "--name=VALUE", "-c VALUE", "-cVALUE", "-vv" and "--" (no option follows) are
 * understood.
 * Threads: a BkArgs is never changed once it is made, so any thread may read it. */
#pragma once
#include "base/error.h"

typedef struct BkArgs BkArgs;

/* Reads a command line, argv[0] being the program. Unknown, missing, repeated or ill-typed options
 * and arguments fail with BK_ERROR_USAGE; with --help or --version nothing is missing. */
BkArgs *bk_args_parse(int argc, char **argv, GError **error) BK_MUST_USE;
void bk_args_free(BkArgs *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkArgs, bk_args_free)

/* The command, such as "backup" or "wal push": a static string, NULL when none was named. */
const char *bk_args_get_command(const BkArgs *self);

/* The text of --help for the command, or for the program when there is none: a static string. */
const char *bk_args_get_help(const BkArgs *self);

/* Options by their long names, arguments by theirs ("source"). A name that neither the command nor
 * the program has, or one of another type, is a programming mistake. Strings live as long as
 * `self`. */

/* Returns true if it was given on the command line. */
bool bk_args_has(const BkArgs *self, const char *name);

/* Of an argument, or an option of the types string, path and choice; its default, or NULL, when it
 * was not given. */
const char *bk_args_get_string(const BkArgs *self, const char *name);

bool bk_args_get_flag(const BkArgs *self, const char *name);
unsigned bk_args_get_count(const BkArgs *self, const char *name);

/* The number that was given, or `otherwise`. */
int64_t bk_args_get_int(const BkArgs *self, const char *name, int64_t otherwise);
uint64_t bk_args_get_size(const BkArgs *self, const char *name, uint64_t otherwise);

/* The strings of a list, NULL-terminated; never NULL itself. */
const char *const *bk_args_get_list(const BkArgs *self, const char *name);

/* The command line again, quoted for a shell, without the options `without` (NULL-terminated):
 * "backstay -c FILE restore orders --to DIR". A new string. */
char *bk_args_format(const BkArgs *self, const char *const *without);
