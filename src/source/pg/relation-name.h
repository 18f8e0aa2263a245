/* relation-name.h - the names of relation files: "16384", "16384.2", "16384_vm", "16384_init",
 * "t3_16384".
 *
 * Threads: safe. */
#pragma once
#include "base/macros.h"

typedef enum {
    BK_FORK_MAIN,
    BK_FORK_FSM,
    BK_FORK_VM,
    BK_FORK_INIT,
} BkFork;

typedef struct BkRelationName {
    uint32_t file_node;
    BkFork fork;
    uint32_t segment;  /* of 1 GiB */
    bool is_temporary; /* belongs to one session */
} BkRelationName;

/* False when `name` is not that of a relation file. */
bool bk_relation_name_parse(const char *name, BkRelationName *parsed) BK_MUST_USE;
