/* json-fields.h - described structs as JSON.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "report/field.h"
#include "report/json.h"

/* Adds the fields of a struct to the object that was begun. */
void bk_json_add_fields(BkJson *json, const BkField *fields, const void *object);

/* Adds the struct as an object; NULL as null. */
void bk_json_add_object(BkJson *json, const char *key, const BkField *fields, const void *object);
