/* field.c - finds and reads the members of described structs. */
#include "report/field.h"

#include <string.h>

static bool find_in(const BkField *fields, const void *object, const char *name, size_t length,
                    BkValue *value);

/* The struct that contains the members: the member itself, or where it points to. */
static const void *
follow(const BkField *field, const void *object)
{
    const void *pointer;

    if (object == NULL)
        return NULL;
    object = (const char *)object + field->offset;
    if (field->kind != BK_FIELD_POINTER)
        return object;
    memcpy(&pointer, object, sizeof pointer);
    return pointer;
}

static bool
find_in_field(const BkField *field, const void *object, const char *name, size_t length,
              BkValue *value)
{
    const char *dot = memchr(name, '.', length);
    size_t first = dot != NULL ? (size_t)(dot - name) : length;

    if (field->name == NULL)
        return find_in(field->fields, follow(field, object), name, length, value);
    if (strlen(field->name) != first || strncmp(field->name, name, first) != 0)
        return false;
    if (dot != NULL)
        return find_in(field->fields, follow(field, object), dot + 1, length - first - 1, value);
    *value = (BkValue){field, object != NULL ? (const char *)object + field->offset : NULL};
    return true;
}

static bool
find_in(const BkField *fields, const void *object, const char *name, size_t length, BkValue *value)
{
    for (; fields->kind != BK_FIELD_NONE; fields++)
        if (find_in_field(fields, object, name, length, value))
            return true;
    return false;
}

BkValue
bk_field_find(const BkField *fields, const void *object, const char *name, size_t length)
{
    BkValue value;

    if (!find_in(fields, object, name, length, &value))
        g_error("no field is named \"%.*s\"", (int)length, name);
    return value;
}

const void *
bk_value_object(BkValue value)
{
    const void *pointer;

    if (value.member == NULL || value.field->kind == BK_FIELD_OBJECT)
        return value.member;
    memcpy(&pointer, value.member, sizeof pointer);
    return pointer;
}

size_t
bk_value_length(BkValue value)
{
    const void *array = bk_value_object(value);

    if (array == NULL)
        return 0;
    return value.field->kind == BK_FIELD_ARRAY ? ((const GArray *)array)->len
                                               : ((const GPtrArray *)array)->len;
}

const void *
bk_value_element(BkValue value, size_t index)
{
    const void *array = bk_value_object(value);
    const GArray *structs = array;

    if (value.field->kind == BK_FIELD_ARRAY)
        return structs->data + index * g_array_get_element_size((GArray *)(uintptr_t)array);
    return g_ptr_array_index((const GPtrArray *)array, index);
}

uint64_t
bk_value_number(BkValue value)
{
    uint64_t number = 0;

    /* Little-endian or not, a width of its own for each. */
    if (value.field->size == sizeof(uint64_t)) {
        memcpy(&number, value.member, sizeof number);
    } else if (value.field->size == sizeof(uint32_t)) {
        uint32_t narrow;

        memcpy(&narrow, value.member, sizeof narrow);
        number = narrow;
    } else if (value.field->size == sizeof(uint16_t)) {
        uint16_t narrow;

        memcpy(&narrow, value.member, sizeof narrow);
        number = narrow;
    } else {
        number = *(const uint8_t *)value.member;
    }
    return number;
}

int64_t
bk_value_time(BkValue value)
{
    return *(const int64_t *)value.member;
}

bool
bk_value_flag(BkValue value)
{
    return value.member != NULL && *(const bool *)value.member;
}

static char *
copy_text(const char *text)
{
    return text != NULL && text[0] != 0 ? g_strdup(text) : NULL;
}

char *
bk_value_text(BkValue value)
{
    if (value.member == NULL)
        return NULL;
    if (value.field->kind == BK_FIELD_TEXT)
        return copy_text(*(const char *const *)value.member);
    if (value.field->kind == BK_FIELD_CHARS)
        return copy_text(value.member);
    if (value.field->kind == BK_FIELD_CUSTOM)
        return value.field->format(value.member);
    g_assert(value.field->kind == BK_FIELD_CHOICE);
    return copy_text(value.field->names[*(const int *)value.member]);
}

static bool
has_text(BkValue value)
{
    g_autofree char *text = bk_value_text(value);

    return text != NULL;
}

bool
bk_value_is_present(BkValue value)
{
    if (value.member == NULL)
        return false;
    switch (value.field->kind) {
    case BK_FIELD_NONE:
        return false;
    case BK_FIELD_FLAG:
    case BK_FIELD_SHARE:
        return true;
    case BK_FIELD_COUNT:
    case BK_FIELD_ID:
    case BK_FIELD_BYTES:
        return !value.field->is_optional || bk_value_number(value) != 0;
    case BK_FIELD_TIME:
        return bk_value_time(value) != 0;
    case BK_FIELD_DURATION:
        return !value.field->is_optional || bk_value_time(value) != 0;
    case BK_FIELD_TEXT:
    case BK_FIELD_CHARS:
    case BK_FIELD_CHOICE:
    case BK_FIELD_CUSTOM:
        return has_text(value);
    case BK_FIELD_OBJECT:
    case BK_FIELD_POINTER:
        return bk_value_object(value) != NULL;
    case BK_FIELD_LIST:
    case BK_FIELD_ARRAY:
    case BK_FIELD_TEXTS:
        break;
    }
    return bk_value_length(value) > 0;
}
