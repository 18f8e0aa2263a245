/* tree.h - a YAML file as a tree that knows its line numbers.
 *
 * Only what a configuration needs is accepted: one document of mappings, sequences and scalars. No
 * anchors, aliases or tags (a few bytes of them unfold to gigabytes), no key twice in a mapping,
 * nesting and number of nodes bounded.
 * Threads: a tree belongs to one thread at a time. */
#pragma once
#include "base/buf.h"

typedef enum {
    BK_NODE_SCALAR,
    BK_NODE_SEQUENCE,
    BK_NODE_MAPPING,
} BkNodeKind;

typedef struct BkNode {
    BkNodeKind kind;
    size_t line;         /* from 1 */
    char *key;           /* in a mapping: the key of this value; otherwise NULL */
    size_t key_line;     /* the line of the key; otherwise `line` */
    char *text;          /* of a scalar */
    bool is_quoted;      /* a scalar in quotes or a block: text, whatever it looks like */
    GPtrArray *children; /* of BkNode, in the order of the file; NULL for a scalar */
} BkNode;

/* `name` is the file's, for messages: BK_ERROR_CONFIG "NAME:LINE: what". An empty document is an
 * empty mapping. */
BkNode *bk_node_parse(const BkBuf *content, const char *name, GError **error) BK_MUST_USE;
void bk_node_free(BkNode *self); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BkNode, bk_node_free)

/* The value of `key` in a mapping; NULL when it is not there or `self` is NULL or no mapping. */
const BkNode *bk_node_find(const BkNode *self, const char *key);
