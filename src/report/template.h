/* template.h - sentences made of the fields of a described struct.
 *
 * In a template {name} is the value of a field as people read it; {name:pack} a count with its
 * noun, "1 pack" or "3 packs"; {+name} a number that is absent if 0; {name:seconds} a time
 * without its fraction, or a duration in seconds;
 * {name?yes|no} one text or the other for a flag, and for any other field whether it is present;
 * "{name?yes}" without the other text is absent if it is not. What is in square brackets is left
 * out when any field that is directly in it is absent. {} is the object itself, when it is a text.
 * Threads: safe. */
#pragma once
#include "report/field.h"

/* Appends the text. Returns false, having appended nothing, if a field outside of brackets is
 * absent. `fields` is NULL when `object` is a text. */
bool bk_template_append(GString *out, const char *template, const BkField *fields,
                        const void *object);
