/* escape.h - makes text from outside safe for a terminal and a log.
 *
 * A server's answer may hold anything: escape sequences that a terminal obeys, line breaks that
 * look like lines of ours, megabytes. Threads: functions have no state. */
#pragma once
#include "base/macros.h"

/* Whether line breaks stay, as in a message of several lines, or are escaped, too. */
typedef enum { BK_ESCAPE_ALL, BK_ESCAPE_BUT_LINES } BkEscape;

/* A new string: `text` with control and formatting characters, and bytes that are no UTF-8, as
 * "\x1b". What is longer than `max` bytes is cut, and ends with "…". */
char *bk_escape(const char *text, size_t max, BkEscape escape);

/* A new string: `word` as an argument of a command that is printed, quoted for the shell. One that
 * needs no quotes stays readable. */
char *bk_escape_argument(const char *word);
