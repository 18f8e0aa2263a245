/* config-s3.h - the bucket of a repository, as the configuration has it.
 *
 * Threads: as config.h. */
#pragma once
#include "config/tree.h"

typedef struct BkConfigS3 {
    char *bucket;
    char *prefix; /* or "" */
    char *region;
    char *endpoint; /* NULL: Amazon's */
    bool is_path_style;
    char *ca_file; /* these may be NULL */
    char *packs_class;
    char *wal_class;
    char *manifests_class;
    int sse; /* index among none, AES256, aws:kms, customer */
    char *kms_key;
    char *customer_key_file;
    char *tags; /* "a=b&c=d", encoded */
    bool requester_pays;
    int lock; /* 0: none, 1: governance, 2: compliance */
    int64_t lock_us;
    bool checksum;
    bool conditions;
    int64_t retry_us; /* 0: the default, as with the following */
    char *proxy;
    int64_t connect_timeout_us;
    int64_t idle_timeout_us;
    unsigned connections;
    uint64_t max_send_rate;
    uint64_t max_receive_rate;
    char *credentials_file;
    char *profile;
} BkConfigS3;

void bk_config_s3_free(BkConfigS3 *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkConfigS3, bk_config_s3_free)

/* Takes what is below "s3" in a tree that bk_check_tree has passed. `file` and `repository` are for
 * messages: BK_ERROR_CONFIG for what is of the right type and wrong all the same. */
BkConfigS3 *bk_config_s3_take(const BkNode *node, const char *file, const char *repository,
                              GError **error) BK_MUST_USE;

/* Where it is, for people, and different for different places: "s3://bucket/prefix at ENDPOINT". */
char *bk_config_s3_describe(const BkConfigS3 *self);
