/* report-line.h - lines of a source's history in reports, as text and as JSON.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "cli/json.h"
#include "engine/lines.h"

/* Prints a row for each line. */
void bk_cli_print_lines(const BkLines *lines);

/* Adds the array "lines". */
void bk_json_add_lines(BkJson *json, const BkLines *lines);
