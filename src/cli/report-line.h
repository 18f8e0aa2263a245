/* report-line.h - lines of a source's history in reports, as text and as JSON.
 *
 * Threads: belongs to the main thread. */
#pragma once
#include "report/json.h"
#include "source/pg/history/systems.h"

/* Prints a row for each line. */
void bk_cli_print_lines(const BkLines *lines);

/* Adds the array "lines". */
void bk_json_add_lines(BkJson *json, const BkLines *lines);

/* The clusters of a source: one line for each, and the array "clusters". */
void bk_cli_print_systems(const BkSystems *systems);
void bk_json_add_systems(BkJson *json, const BkSystems *systems);
