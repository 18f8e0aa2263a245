/* config-s3.h - the bucket of a repository in the configuration.
 *
 * Threads: as config.h. */
#pragma once
#include "config/tree.h"
#include "store/s3/s3.h"

/* The driver's options, whose strings live as long as this. */
typedef struct BkConfigS3 {
    BkS3Options options;
    GPtrArray *strings; /* of char * */
} BkConfigS3;

void bk_config_s3_free(BkConfigS3 *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkConfigS3, bk_config_s3_free)

/* Takes what is below "s3" in a tree that bk_check_tree has passed. `file` and `repository` are for
 * messages: BK_ERROR_CONFIG for what is of the right type and wrong all the same. */
BkConfigS3 *bk_config_s3_take(const BkNode *node, const char *file, const char *repository,
                              GError **error) BK_MUST_USE;

/* Where it is, for people, and different for different places: "s3://bucket/prefix at ENDPOINT". */
char *bk_config_s3_describe(const BkS3Options *options);
