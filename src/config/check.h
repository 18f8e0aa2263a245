/* check.h - checks a tree against the keys, types and values of meta/options.yaml.
 *
 * Threads: nothing here has state. */
#pragma once
#include "config/tree.h"

typedef enum {
    BK_KEY_MAP,
    BK_KEY_NAME_LIST, /* a list of names of other things */
    BK_KEY_PATH_LIST, /* of absolute paths */
    BK_KEY_TEXT_LIST,
    BK_KEY_PATH, /* absolute */
    BK_KEY_STRING,
    BK_KEY_INT,
    BK_KEY_DURATION,
    BK_KEY_SIZE,
    BK_KEY_CHOICE,
    BK_KEY_CRON,
    BK_KEY_CONNECTION, /* to PostgreSQL, without a password */
    BK_KEY_BOOL,
    BK_KEY_TEXTS,       /* a mapping of any names to texts */
    BK_KEY_UNAVAILABLE, /* of a later version */
} BkKeyType;

/* A row of the table that is generated from meta/options.yaml. */
typedef struct BkKeyInfo {
    const char *path; /* components joined by dots; "*" stands for any name */
    BkKeyType type;
    bool is_required;           /* where the mapping that it belongs to is there */
    int64_t min;                /* of BK_KEY_INT */
    int64_t max;                /* of BK_KEY_INT */
    const char *const *choices; /* of BK_KEY_CHOICE, NULL-terminated */
} BkKeyInfo;

/* Fails with BK_ERROR_CONFIG, "NAME:LINE: path.of.the.key: what is wrong with it". */
bool bk_check_tree(const BkNode *root, const char *name, GError **error) BK_MUST_USE;
