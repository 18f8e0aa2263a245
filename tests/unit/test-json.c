#include "report/json.h"

#include <math.h>

static void
test_document(void)
{
    g_autoptr(BkJson) json = bk_json_new();

    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "text", "a \"b\" \\ \n\t\x01 \xc3\xbc");
    bk_json_add_string(json, "none", NULL);
    bk_json_add_int(json, "least", INT64_MIN);
    bk_json_add_uint(json, "most", UINT64_MAX);
    bk_json_add_double(json, "half", 0.5);
    bk_json_add_double(json, "nan", NAN);
    bk_json_add_bool(json, "yes", true);
    bk_json_add_format(json, "format", "%s/%d", "x", 7);
    bk_json_begin_array(json, "empty");
    bk_json_end_array(json);
    bk_json_begin_array(json, "list");
    bk_json_add_int(json, NULL, 1);
    bk_json_begin_object(json, NULL);
    bk_json_end_object(json);
    bk_json_end_array(json);
    bk_json_end_object(json);
    g_assert_cmpstr(
        bk_json_text(json), ==,
        "{\n  \"text\": \"a \\\"b\\\" \\\\ \\n\\t\\u0001 \xc3\xbc\",\n  \"none\": null,\n"
        "  \"least\": -9223372036854775808,\n  \"most\": 18446744073709551615,\n"
        "  \"half\": 0.5,\n  \"nan\": null,\n  \"yes\": true,\n  \"format\": \"x/7\",\n"
        "  \"empty\": [],\n  \"list\": [\n    1,\n    {}\n  ]\n}\n");
}

/* A file name may be any bytes; JSON must be UTF-8. */
static void
test_invalid_text(void)
{
    static const char bytes[] = "a\xff\xc3(\xed\xa0\x80\xe2\x82";
    g_autoptr(BkJson) json = bk_json_new();
    g_autoptr(BkJson) zero = bk_json_new();

    bk_json_add_string(json, NULL, bytes);
    g_assert_true(g_utf8_validate(bk_json_text(json), -1, NULL));
    g_assert_true(g_str_has_prefix(bk_json_text(json), "\"a\xef\xbf\xbd\xef\xbf\xbd("));
    bk_json_add_bytes(zero, NULL, "a\0b", 3);
    g_assert_cmpstr(bk_json_text(zero), ==, "\"a\\u0000b\"\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/document", test_document);
    g_test_add_func("/json/invalid-text", test_invalid_text);
    return g_test_run();
}
