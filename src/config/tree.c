/* tree.c - a YAML file as a tree that knows its line numbers. */
#include "config/tree.h"

#include <string.h>
#include <yaml.h>

#define MAX_DEPTH 10
#define MAX_NODES 200000

typedef struct Reader {
    yaml_parser_t parser;
    const char *name;
    size_t count;
} Reader;

static void
reader_clear(Reader *self)
{
    yaml_parser_delete(&self->parser);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_clear)

typedef yaml_event_t Event;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Event, yaml_event_delete)

void
bk_node_free(BkNode *self)
{
    if (self == NULL)
        return;
    g_free(self->key);
    g_free(self->text);
    if (self->children != NULL)
        g_ptr_array_unref(self->children);
    g_free(self);
}

static void
free_child(void *node)
{
    bk_node_free(node);
}

const BkNode *
bk_node_find(const BkNode *self, const char *key)
{
    if (self == NULL || self->kind != BK_NODE_MAPPING)
        return NULL;
    for (unsigned i = 0; i < self->children->len; i++) {
        const BkNode *child = g_ptr_array_index(self->children, i);

        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

static bool
complain_of_yaml(const Reader *reader, size_t line, const char *what, GError **error)
{
    return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: %s", reader->name, line, what);
}

static bool
next_event(Reader *reader, Event *event, GError **error)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem;

    yaml_event_delete(event);
    if (yaml_parser_parse(&reader->parser, event) != 0)
        return true;
    memset(event, 0, sizeof *event);
    problem = parser->problem != NULL ? parser->problem : "not YAML";
    return complain_of_yaml(reader, parser->problem_mark.line + 1, problem, error);
}

static BkNode *
node_new(BkNodeKind kind, const Event *event)
{
    BkNode *self = g_new0(BkNode, 1);

    self->kind = kind;
    self->line = event->start_mark.line + 1;
    self->key_line = self->line;
    if (kind != BK_NODE_SCALAR)
        self->children = g_ptr_array_new_with_free_func(free_child);
    return self;
}

static bool
check_plain(const Reader *reader, const Event *event, const yaml_char_t *anchor,
            const yaml_char_t *tag, GError **error)
{
    if (anchor == NULL && tag == NULL)
        return true;
    return complain_of_yaml(reader, event->start_mark.line + 1, "anchors and tags are not accepted",
                            error);
}

/* The text of a scalar; NULL with an error when a zero byte would cut it short. */
static char *
take_scalar_text(const Reader *reader, const Event *event, GError **error)
{
    const char *text = (const char *)event->data.scalar.value;

    if (!check_plain(reader, event, event->data.scalar.anchor, event->data.scalar.tag, error))
        return NULL;
    if (strlen(text) == event->data.scalar.length)
        return g_strdup(text);
    complain_of_yaml(reader, event->start_mark.line + 1, "a text contains a zero byte", error);
    return NULL;
}

static BkNode *
take_scalar(const Reader *reader, const Event *event, GError **error)
{
    g_autoptr(BkNode) node = node_new(BK_NODE_SCALAR, event);

    node->text = take_scalar_text(reader, event, error);
    if (node->text == NULL)
        return NULL;
    node->is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return g_steal_pointer(&node);
}

static BkNode *take_node(Reader *reader, const Event *event, unsigned depth, GError **error);

static bool
take_sequence(Reader *reader, BkNode *node, unsigned depth, GError **error)
{
    g_auto(Event) event = {0};

    while (next_event(reader, &event, error)) {
        BkNode *child;

        if (event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        child = take_node(reader, &event, depth, error);
        if (child == NULL)
            return false;
        g_ptr_array_add(node->children, child);
    }
    return false;
}

static bool
take_mapping(Reader *reader, BkNode *node, unsigned depth, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(Event) event = {0};

    while (next_event(reader, &event, error)) {
        g_autofree char *key = NULL;
        size_t key_line = event.start_mark.line + 1;
        BkNode *child;

        if (event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (event.type != YAML_SCALAR_EVENT)
            return complain_of_yaml(reader, key_line, "a key must be a word", error);
        key = take_scalar_text(reader, &event, error);
        if (key == NULL)
            return false;
        if (!g_hash_table_add(seen, g_strdup(key)))
            return bk_throw(error, BK_ERROR_CONFIG, "%s:%zu: \"%s\" is given twice", reader->name,
                            key_line, key);
        if (!next_event(reader, &event, error))
            return false;
        child = take_node(reader, &event, depth, error);
        if (child == NULL)
            return false;
        child->key = g_steal_pointer(&key);
        child->key_line = key_line;
        g_ptr_array_add(node->children, child);
    }
    return false;
}

/* The node that begins with `event`. */
static BkNode *
take_node(Reader *reader, const Event *event, unsigned depth, GError **error)
{
    g_autoptr(BkNode) node = NULL;
    size_t line = event->start_mark.line + 1;
    bool taken;

    if (depth > MAX_DEPTH || ++reader->count > MAX_NODES) {
        complain_of_yaml(reader, line, depth > MAX_DEPTH ? "nested too deeply" : "too long", error);
        return NULL;
    }
    if (event->type == YAML_SCALAR_EVENT)
        return take_scalar(reader, event, error);
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        node = node_new(BK_NODE_SEQUENCE, event);
        taken = check_plain(reader, event, event->data.sequence_start.anchor,
                            event->data.sequence_start.tag, error) &&
                take_sequence(reader, node, depth + 1, error);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        node = node_new(BK_NODE_MAPPING, event);
        taken = check_plain(reader, event, event->data.mapping_start.anchor,
                            event->data.mapping_start.tag, error) &&
                take_mapping(reader, node, depth + 1, error);
    } else {
        taken = complain_of_yaml(reader, line, "aliases are not accepted", error);
    }
    return taken ? g_steal_pointer(&node) : NULL;
}

BkNode *
bk_node_parse(const BkBuf *content, const char *name, GError **error)
{
    g_auto(Reader) reader = {.name = name};
    g_auto(Event) event = {0};
    g_autoptr(BkNode) root = NULL;

    if (yaml_parser_initialize(&reader.parser) == 0)
        return bk_throw_null(error, BK_ERROR_MEMORY, "read \"%s\"", name);
    yaml_parser_set_input_string(
        &reader.parser, content->size > 0 ? content->data : (const uint8_t *)"", content->size);
    do {
        if (!next_event(&reader, &event, error))
            return NULL;
        if (event.type == YAML_STREAM_END_EVENT)
            return node_new(BK_NODE_MAPPING, &event);
    } while (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT);
    root = take_node(&reader, &event, 0, error);
    if (root == NULL || !next_event(&reader, &event, error) || /* the end of the document */
        !next_event(&reader, &event, error))
        return NULL;
    if (event.type != YAML_STREAM_END_EVENT)
        return bk_throw_null(error, BK_ERROR_CONFIG, "%s:%zu: a second document begins", name,
                             event.start_mark.line + 1);
    return g_steal_pointer(&root);
}
