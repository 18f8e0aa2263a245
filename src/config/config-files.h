/* config-files.h - the map `files` of a source: file trees.
 *
 * Patterns are checked by whoever uses them (source/files/pattern.h). Threads: functions have no
 * state. */
#pragma once
#include "config/tree.h"

typedef struct BkConfigFiles {
    GPtrArray *roots;   /* of char *, absolute, without "." and "..", at least one */
    GPtrArray *exclude; /* of char * */
    GPtrArray *include; /* of char * */
    bool one_file_system;
} BkConfigFiles;

/* Takes the map from a tree that bk_check_tree has passed. */
BkConfigFiles *bk_config_files_take(const BkNode *node);
void bk_config_files_free(BkConfigFiles *self); /* NULL is fine */
