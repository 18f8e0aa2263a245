/* relation-file.c - the names of relation files: "16384", "16384.2", "16384_vm", "16384_init",
 * "t3_16384", and where they are. */
#include "source/pg/format/relation-file.h"

#include <string.h>

/* A decimal number without leading zeros, at most UINT32_MAX. */
static bool
parse_file_number(const char **text, uint32_t *number)
{
    char *end;
    guint64 value;

    if (!g_ascii_isdigit((*text)[0]) || ((*text)[0] == '0' && g_ascii_isdigit((*text)[1])))
        return false;
    value = g_ascii_strtoull(*text, &end, 10);
    if (value > UINT32_MAX)
        return false;
    *number = (uint32_t)value;
    *text = end;
    return true;
}

static bool
parse_fork(const char **text, BkFork *fork)
{
    static const struct {
        const char *suffix;
        BkFork fork;
    } forks[] = {{"_fsm", BK_FORK_FSM}, {"_vm", BK_FORK_VM}, {"_init", BK_FORK_INIT}};

    *fork = BK_FORK_MAIN;
    if (**text != '_')
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(forks); i++) {
        if (g_str_has_prefix(*text, forks[i].suffix)) {
            *fork = forks[i].fork;
            *text += strlen(forks[i].suffix);
            return true;
        }
    }
    return false;
}

bool
bk_relation_file_parse(const char *name, BkRelationFile *parsed)
{
    uint32_t backend;

    *parsed = (BkRelationFile){0};
    if (*name == 't') {
        parsed->is_temporary = true;
        name++;
        if (!parse_file_number(&name, &backend) || *name++ != '_')
            return false;
    }
    if (!parse_file_number(&name, &parsed->file_node) || !parse_fork(&name, &parsed->fork))
        return false;
    if (*name == '.') {
        name++;
        if (!parse_file_number(&name, &parsed->segment) || parsed->segment == 0)
            return false;
    }
    return *name == 0;
}

/* "NUMBER/" at the start of `text`. */
static bool
parse_directory(const char **text, uint32_t *number)
{
    return parse_file_number(text, number) && *(*text)++ == '/';
}

bool
bk_relation_path_parse(const char *path, BkRelationPath *parsed)
{
    *parsed = (BkRelationPath){0};
    if (g_str_has_prefix(path, "global/")) {
        parsed->tablespace = BK_TABLESPACE_GLOBAL;
        path += strlen("global/");
    } else if (g_str_has_prefix(path, "base/")) {
        parsed->tablespace = BK_TABLESPACE_DEFAULT;
        path += strlen("base/");
        if (!parse_directory(&path, &parsed->database))
            return false;
    } else if (g_str_has_prefix(path, "pg_tblspc/")) {
        path += strlen("pg_tblspc/");
        if (!parse_directory(&path, &parsed->tablespace) || !g_str_has_prefix(path, "PG_"))
            return false;
        path = strchr(path, '/');
        if (path == NULL || *++path == 0 || !parse_directory(&path, &parsed->database))
            return false;
    } else {
        return false;
    }
    return bk_relation_file_parse(path, &parsed->name);
}

bool
bk_tablespace_path_parse(const char *path, uint32_t *oid)
{
    if (!g_str_has_prefix(path, "pg_tblspc/"))
        return false;
    path += strlen("pg_tblspc/");
    return parse_file_number(&path, oid) && *path == 0;
}

bool
bk_relation_path_parse_main(const char *path, BkRelationPath *parsed)
{
    return bk_relation_path_parse(path, parsed) && parsed->name.fork == BK_FORK_MAIN &&
           !parsed->name.is_temporary;
}
