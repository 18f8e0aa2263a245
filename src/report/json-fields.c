/* json-fields.c - writes described structs as JSON. */
#include "report/json-fields.h"

#include "report/format.h"

static void
add_list(BkJson *json, const char *key, BkValue value)
{
    bk_json_begin_array(json, key);
    for (size_t i = 0; i < bk_value_length(value); i++) {
        if (value.field->kind == BK_FIELD_TEXTS)
            bk_json_add_string(json, NULL, bk_value_element(value, i));
        else
            bk_json_add_object(json, NULL, value.field->fields, bk_value_element(value, i));
    }
    bk_json_end_array(json);
}

static void
add_text(BkJson *json, const char *key, BkValue value)
{
    g_autofree char *text = value.field->kind == BK_FIELD_TIME
                                ? bk_format_time(bk_value_time(value))
                            : value.field->kind == BK_FIELD_ID
                                ? g_strdup_printf("%" G_GUINT64_FORMAT, bk_value_number(value))
                                : bk_value_text(value);

    bk_json_add_string(json, key, text);
}

static void
add_present(BkJson *json, const char *key, BkValue value)
{
    switch (value.field->kind) {
    case BK_FIELD_FLAG:
        bk_json_add_bool(json, key, bk_value_flag(value));
        return;
    case BK_FIELD_COUNT:
    case BK_FIELD_BYTES:
        bk_json_add_uint(json, key, bk_value_number(value));
        return;
    case BK_FIELD_DURATION:
        bk_json_add_double(json, key, bk_format_seconds(bk_value_time(value)));
        return;
    case BK_FIELD_SHARE:
        bk_json_add_double(json, key, *(const double *)value.member);
        return;
    case BK_FIELD_OBJECT:
    case BK_FIELD_POINTER:
        bk_json_add_object(json, key, value.field->fields, bk_value_object(value));
        return;
    case BK_FIELD_TEXT:
    case BK_FIELD_CHARS:
    case BK_FIELD_CHOICE:
    case BK_FIELD_CUSTOM:
    case BK_FIELD_ID:
    case BK_FIELD_TIME:
        add_text(json, key, value);
        return;
    case BK_FIELD_LIST:
    case BK_FIELD_ARRAY:
    case BK_FIELD_TEXTS:
    case BK_FIELD_NONE:
        break;
    }
    g_assert_not_reached();
}

static bool
is_list(BkFieldKind kind)
{
    return kind == BK_FIELD_LIST || kind == BK_FIELD_ARRAY || kind == BK_FIELD_TEXTS;
}

void
bk_json_add_fields(BkJson *json, const BkField *fields, const void *object)
{
    for (const BkField *field = fields; field->kind != BK_FIELD_NONE; field++) {
        BkValue value = {field, (const char *)object + field->offset};

        if (field->name == NULL) {
            if (bk_value_object(value) != NULL) /* otherwise what it would say is left out */
                bk_json_add_fields(json, field->fields, bk_value_object(value));
        } else if (is_list(field->kind)) {
            add_list(json, field->name, value);
        } else if (bk_value_is_present(value)) {
            add_present(json, field->name, value);
        } else {
            bk_json_add_null(json, field->name);
        }
    }
}

void
bk_json_add_object(BkJson *json, const char *key, const BkField *fields, const void *object)
{
    if (object == NULL) {
        bk_json_add_null(json, key);
        return;
    }
    bk_json_begin_object(json, key);
    bk_json_add_fields(json, fields, object);
    bk_json_end_object(json);
}
