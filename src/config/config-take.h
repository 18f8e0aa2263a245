/* config-take.h - reads values of a tree that bk_check_tree has accepted.
 *
 * A mapping that is NULL or lacks the key gives NULL, 0, false or `otherwise`. Threads: functions
 * have no state. */
#pragma once
#include "config/tree.h"

char *bk_take_text(const BkNode *mapping, const char *key); /* a new string */
char *bk_take_path(const BkNode *mapping, const char *key); /* without "." and ".."; likewise */
int64_t bk_take_int(const BkNode *mapping, const char *key, int64_t otherwise);
int64_t bk_take_duration(const BkNode *mapping, const char *key);
uint64_t bk_take_size(const BkNode *mapping, const char *key);
bool bk_take_bool(const BkNode *mapping, const char *key, bool otherwise);
