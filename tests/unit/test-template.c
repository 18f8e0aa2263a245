/* test-template.c - described structs as text and JSON. */
#include "report/json-fields.h"
#include "report/template.h"
#include "report/text.h"

typedef enum { PLAIN, ODD } Sort;

typedef struct Inner {
    const char *name;
    int64_t time_us;
} Inner;

typedef struct Outer {
    char id[8];
    const char *label;
    bool is_dead;
    uint32_t packs;
    uint64_t system_id;
    uint64_t bytes;
    int64_t age_us;
    Sort sort;
    double share;
    Inner inner;
    const Inner *maybe;
    const Inner *more; /* whose members are the outer one's */
    GPtrArray *list;
    GArray *array;
    GPtrArray *texts;
} Outer;

static const char *const sort_names[] = {[PLAIN] = "plain", [ODD] = "odd"};

static const BkField inner_fields[] = {
    BK_TEXT(Inner, name, "name"),
    BK_TIME(Inner, time_us, "time"),
    BK_FIELD_END,
};

static const BkField more_fields[] = {
    BK_TEXT(Inner, name, "more_name"),
    BK_FIELD_END,
};

static const BkField fields[] = {
    BK_CHARS(Outer, id, "id"),
    BK_TEXT(Outer, label, "label"),
    BK_FLAG(Outer, is_dead, "dead"),
    BK_COUNT(Outer, packs, "packs"),
    BK_ID(Outer, system_id, "system"),
    BK_BYTES(Outer, bytes, "bytes"),
    BK_DURATION(Outer, age_us, "age_seconds"),
    BK_CHOICE(Outer, sort, "sort", sort_names),
    BK_SHARE(Outer, share, "share"),
    BK_OBJECT(Outer, inner, "inner", inner_fields),
    BK_POINTER(Outer, maybe, "maybe", inner_fields),
    BK_POINTER(Outer, more, NULL, more_fields),
    BK_LIST(Outer, list, "list", inner_fields),
    BK_ARRAY(Outer, array, "array", inner_fields),
    BK_TEXTS(Outer, texts, "texts"),
    BK_FIELD_END,
};

static void
expect_text(const Outer *outer, const char *template, const char *expected)
{
    g_autoptr(GString) out = g_string_new("> ");
    bool ok = bk_template_append(out, template, fields, outer);

    g_assert_cmpstr(out->str + 2, ==, expected != NULL ? expected : "");
    g_assert_true(ok == (expected != NULL));
}

static void
test_values(void)
{
    const Inner inner = {.name = "within", .time_us = 1500000};
    const Outer outer = {.id = "abc",
                         .packs = 3,
                         .system_id = UINT64_MAX,
                         .bytes = 1536,
                         .age_us = 180 * BK_USEC_PER_SEC,
                         .sort = ODD,
                         .share = 0.9999,
                         .inner = {.name = "in"},
                         .more = &inner};

    expect_text(&outer, "{id}: {packs} and {packs:pack}, {packs:repository}",
                "abc: 3 and 3 packs, 3 repositories");
    expect_text(&outer, "{system} {bytes} {age_seconds} {sort} {share}",
                "18446744073709551615 1.5\302\240KiB 3 min odd 99.9 %");
    expect_text(&outer, "{inner.name} {more_name}", "in within");
    expect_text(&outer, "{dead?yes|no}, {label?some|none}", "no, none");
    expect_text(&(Outer){.packs = 1}, "{packs:pack}[, {+bytes}][, {+packs}]", "1 pack, 1");
    expect_text(&outer, "{age_seconds:seconds}", "180.0 s");
}

static void
test_absent(void)
{
    const Outer outer = {.id = "abc", .inner = {.name = "a\nb"}};

    expect_text(&outer, "{id} {label}", NULL);
    expect_text(&outer, "{id}[ labelled {label}][, {dead?dead}], {packs:pack}", "abc, 0 packs");
    expect_text(&outer, "[{id} [{label}]]", "abc ");
    expect_text(&outer, "{maybe.name}", NULL);
    expect_text(&outer, "{inner.time}", NULL);
    expect_text(&outer, "[{more_name}]x", "x");
    expect_text(&outer, "{inner.name}", "a b"); /* one line */
}

static void
test_json(void)
{
    g_autoptr(BkJson) json = bk_json_new();
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(Inner));
    Inner inner = {.name = "x", .time_us = BK_USEC_PER_SEC};
    const Outer outer = {.id = "abc",
                         .system_id = 7,
                         .age_us = 1500000,
                         .list = list,
                         .array = array,
                         .texts = texts};

    g_ptr_array_add(list, &inner);
    g_ptr_array_add(texts, (void *)(uintptr_t) "t");
    g_array_append_val(array, inner);
    inner.name = NULL;
    g_array_append_val(array, inner);
    bk_json_add_object(json, NULL, fields, &outer);
    g_assert_cmpstr(bk_json_text(json), ==,
                    "{\n  \"id\": \"abc\",\n  \"label\": null,\n  \"dead\": false,\n"
                    "  \"packs\": 0,\n  \"system\": \"7\",\n  \"bytes\": 0,\n"
                    "  \"age_seconds\": 1.5,\n  \"sort\": \"plain\",\n  \"share\": 0,\n"
                    "  \"inner\": {\n    \"name\": null,\n    \"time\": null\n  },\n"
                    "  \"maybe\": null,\n"
                    "  \"list\": [\n    {\n      \"name\": null,\n"
                    "      \"time\": \"1970-01-01T00:00:01Z\"\n    }\n  ],\n"
                    "  \"array\": [\n    {\n      \"name\": \"x\",\n"
                    "      \"time\": \"1970-01-01T00:00:01Z\"\n    },\n"
                    "    {\n      \"name\": null,\n"
                    "      \"time\": \"1970-01-01T00:00:01Z\"\n    }\n  ],\n"
                    "  \"texts\": [\n    \"t\"\n  ]\n}\n");
}

static void
test_rows(void)
{
    static const BkTextColumn columns[] = {
        {"name", "{name}", false}, {"time", "{time}", true}, {NULL, NULL, false}};
    static const BkTextRow below[] = {
        {.label = "longer label", .text = "{packs:pack}"},
        {.label = "absent", .text = "{label}"},
        {.label = "list", .field = "list", .text = "{name}"},
        {.label = "texts", .field = "texts", .text = "is {}"},
        {.label = "maybe", .field = "maybe", .text = "{name}"},
        {.field = "array", .columns = columns},
        BK_TEXT_END,
    };
    static const BkTextRow rows[] = {{.text = "{id}:", .rows = below}, BK_TEXT_END};
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(Inner));
    Inner inner = {.name = "x", .time_us = BK_USEC_PER_SEC};
    const Outer outer = {.id = "abc", .list = list, .array = array, .texts = texts};

    g_ptr_array_add(list, &inner);
    g_ptr_array_add(texts, (void *)(uintptr_t) "one");
    g_array_append_val(array, inner);
    g_array_append_val(array, ((Inner){.name = "long name"}));
    bk_text_append(out, rows, fields, &outer);
    g_assert_cmpstr(out->str, ==,
                    "abc:\n"
                    "  longer label  0 packs\n"
                    "  list          x\n"
                    "  texts         is one\n"
                    "  name                       time\n"
                    "  x          1970-01-01T00:00:01Z\n"
                    "  long name\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/template/values", test_values);
    g_test_add_func("/template/absent", test_absent);
    g_test_add_func("/template/json", test_json);
    g_test_add_func("/template/rows", test_rows);
    return g_test_run();
}
