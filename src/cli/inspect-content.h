/* inspect-content.h - what the opened content of an object says, as JSON.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "repo/snapshot/inspect.h"
#include "report/json.h"

/* Adds the object "content", by the kind that the object is sealed as; of keys nothing but what
 * they are of. Tables are counted, and listed with `all`. What cannot be decoded becomes a problem
 * of the inspection. */
void bk_inspect_content_add(BkJson *json, BkInspection *inspection, bool all);

/* As hexadecimal digits. */
void bk_json_add_hex(BkJson *json, const char *key, const uint8_t *data, size_t size);
