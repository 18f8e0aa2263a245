/* field.h - describes the members of a struct once, so that text and JSON are made from one table.
 *
 * A table of BkField ends with BK_FIELD_END. Each macro names the struct, its member and the name
 * of the field, which is its key in JSON and what templates (template.h) call it; a member of
 * another type than the macro is for does not compile. A field is absent when it is NULL, "", or
 * the time, the id or the optional number 0: then it is null in JSON, and text leaves out what
 * mentions it. Threads: tables are constant, and may be used by any thread. */
#pragma once
#include "base/macros.h"

typedef enum BkFieldKind {
    BK_FIELD_NONE,     /* the end of a table */
    BK_FIELD_TEXT,     /* char * */
    BK_FIELD_CHARS,    /* char[] */
    BK_FIELD_FLAG,     /* bool */
    BK_FIELD_COUNT,    /* unsigned, of 4 or 8 bytes */
    BK_FIELD_ID,       /* the same, as text in JSON: JavaScript's numbers are too short for it */
    BK_FIELD_BYTES,    /* uint64_t */
    BK_FIELD_TIME,     /* int64_t: microseconds since 1970, UTC */
    BK_FIELD_DURATION, /* int64_t: microseconds; seconds in JSON */
    BK_FIELD_SHARE,    /* double, from 0 to 1 */
    BK_FIELD_CHOICE,   /* an enum of 4 bytes, by `names` */
    BK_FIELD_CUSTOM,   /* text, by `format` */
    BK_FIELD_OBJECT,   /* a struct, by `fields` */
    BK_FIELD_POINTER,  /* a pointer to one */
    BK_FIELD_LIST,     /* GPtrArray * of pointers to structs */
    BK_FIELD_ARRAY,    /* GArray * of structs */
    BK_FIELD_TEXTS,    /* GPtrArray * of char * */
} BkFieldKind;

typedef struct BkField BkField;
struct BkField {
    const char *name; /* NULL: the members of that struct are fields of the outer one */
    BkFieldKind kind;
    bool is_optional; /* a number: absent if 0 */
    size_t offset, size;
    const BkField *fields;
    const char *const *names;
    char *(*format)(const void *member); /* a new string, or NULL for absent */
};

#define BK_FIELD_END                                                                               \
    {                                                                                              \
        .kind = BK_FIELD_NONE                                                                      \
    }

/* The size of a member, which must be of one of the types in `...`. */
#define BK_MEMBER(T, m)              (((T *)NULL)->m)
#define BK_MEMBER_SIZE(T, m, checks) (sizeof BK_MEMBER(T, m) + 0 * sizeof(char[checks]))

#define BK_IS_TEXT(x) _Generic(&(x), char ** : 1, const char ** : 1)
#define BK_IS_COUNT(x)                                                                             \
    _Generic((x), uint32_t : 1, uint64_t : 1, unsigned long long : 1, uint16_t : 1, uint8_t : 1)
#define BK_IS_SIGNED(x) _Generic((x), int64_t : 1)

#define BK_FIELD_OF(T, m, key, k, checks)                                                          \
    .name = key, .kind = k, .offset = offsetof(T, m), .size = BK_MEMBER_SIZE(T, m, checks)

#define BK_TEXT(T, m, key)                                                                         \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_TEXT, BK_IS_TEXT(BK_MEMBER(T, m)))                         \
    }
#define BK_CHARS(T, m, key)                                                                        \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_CHARS, sizeof(BK_MEMBER(T, m)[0]))                         \
    }
#define BK_FLAG(T, m, key)                                                                         \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_FLAG, _Generic(BK_MEMBER(T, m), bool : 1))                 \
    }
#define BK_COUNT(T, m, key)                                                                        \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_COUNT, BK_IS_COUNT(BK_MEMBER(T, m)))                       \
    }
#define BK_COUNT_OR_NULL(T, m, key)                                                                \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_COUNT, BK_IS_COUNT(BK_MEMBER(T, m))), .is_optional = true  \
    }
#define BK_ID(T, m, key)                                                                           \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_ID, BK_IS_COUNT(BK_MEMBER(T, m))), .is_optional = true     \
    }
#define BK_BYTES(T, m, key)                                                                        \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_BYTES, BK_IS_COUNT(BK_MEMBER(T, m)))                       \
    }
#define BK_TIME(T, m, key)                                                                         \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_TIME, BK_IS_SIGNED(BK_MEMBER(T, m)))                       \
    }
#define BK_DURATION(T, m, key)                                                                     \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_DURATION, BK_IS_SIGNED(BK_MEMBER(T, m)))                   \
    }
#define BK_DURATION_OR_NULL(T, m, key)                                                             \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_DURATION, BK_IS_SIGNED(BK_MEMBER(T, m))),                  \
            .is_optional = true                                                                    \
    }
#define BK_SHARE(T, m, key)                                                                        \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_SHARE, _Generic(BK_MEMBER(T, m), double : 1))              \
    }
#define BK_CHOICE(T, m, key, texts)                                                                \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_CHOICE, sizeof BK_MEMBER(T, m) == sizeof(int) ? 1 : -1),   \
            .names = texts                                                                         \
    }
#define BK_CUSTOM(T, m, key, function)                                                             \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_CUSTOM, 1), .format = function                             \
    }
#define BK_OBJECT(T, m, key, table)                                                                \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_OBJECT, 1), .fields = table                                \
    }
#define BK_POINTER(T, m, key, table)                                                               \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_POINTER, 1), .fields = table                               \
    }
#define BK_LIST(T, m, key, table)                                                                  \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_LIST,                                                      \
                    _Generic(BK_MEMBER(T, m), GPtrArray * : 1, const GPtrArray * : 1)),            \
            .fields = table                                                                        \
    }
#define BK_ARRAY(T, m, key, table)                                                                 \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_ARRAY,                                                     \
                    _Generic(BK_MEMBER(T, m), GArray * : 1, const GArray * : 1)),                  \
            .fields = table                                                                        \
    }
#define BK_TEXTS(T, m, key)                                                                        \
    {                                                                                              \
        BK_FIELD_OF(T, m, key, BK_FIELD_TEXTS,                                                     \
                    _Generic(BK_MEMBER(T, m), GPtrArray * : 1, const GPtrArray * : 1))             \
    }

/* A field of one struct. */
typedef struct BkValue {
    const BkField *field;
    const void *member; /* NULL: a struct on the way to it is absent */
} BkValue;

/* Finds the field of `object` that `name` (of that length) names, such as "from.time". It must be
 * in the table. */
BkValue bk_field_find(const BkField *fields, const void *object, const char *name, size_t length);

/* Returns true if there is something to show: for lists, an element. */
bool bk_value_is_present(BkValue value);

/* The struct that an OBJECT or POINTER is; NULL if absent. */
const void *bk_value_object(BkValue value);

/* Elements of a LIST, ARRAY or TEXTS. An element of TEXTS is a char *. */
size_t bk_value_length(BkValue value);
const void *bk_value_element(BkValue value, size_t index);

/* A COUNT, ID or BYTES, which is present. */
uint64_t bk_value_number(BkValue value);

/* A TIME or DURATION, which is present. */
int64_t bk_value_time(BkValue value);

/* A FLAG; false if absent. */
bool bk_value_flag(BkValue value);

/* TEXT, CHARS, CHOICE or CUSTOM: a new string; NULL if absent. */
char *bk_value_text(BkValue value);
