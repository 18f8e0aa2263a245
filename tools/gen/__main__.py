"""gen - makes C, help, manual pages, completion and the reference from the facts in meta/.

usage: gen WHAT INPUT... OUTPUT...
  errors meta/errors.yaml CODES.h TABLE.h      the error codes
  problems meta/problems.yaml CODES.h TABLE.h  the problems
  keys meta/options.yaml OUT.h                 the table of configuration keys
  options meta/options.yaml OUT.h              the tables of commands and options
  commands meta/options.yaml OUT.h FILE...     the functions of the commands with a file cmd-NAME.c
  man-pages meta/options.yaml                  lists the manual pages
  man meta/options.yaml VERSION DIRECTORY         the manual pages
  completion meta/options.yaml OUT             completion for bash
  reference OPTIONS.yaml ERRORS.yaml DIRECTORY    docs/reference; problems.yaml is beside ERRORS.yaml
  check OPTIONS.yaml ERRORS.yaml DIRECTORY        is docs/reference what reference would make?
"""

import sys

import errors
import pages
import problems
import tables

MAKERS = {
    "errors": errors.make,
    "problems": problems.make,
    "keys": tables.make_keys,
    "options": tables.make_options,
    "commands": tables.make_commands,
    "man-pages": pages.list_man,
    "man": pages.make_man,
    "completion": pages.make_completion,
    "reference": pages.make_reference,
    "check": pages.check_reference,
}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in MAKERS:
        sys.exit(__doc__)
    MAKERS[sys.argv[1]](*sys.argv[2:])


main()
