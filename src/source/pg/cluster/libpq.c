/* libpq.c - PostgreSQL's client library, loaded for the first connection. */
#include "source/pg/cluster/libpq.h"

#include <dlfcn.h>

/* FUNCTION(type, name, parameters, arguments): of those, the ones that return something, and the
 * ones that do not. */
#define FUNCTIONS                                                                                  \
    FUNCTION(int, PQcancel, (PGcancel * cancel, char *text, int size), (cancel, text, size))       \
    FUNCTION(PostgresPollingStatusType, PQconnectPoll, (PGconn * c), (c))                          \
    FUNCTION(PGconn *, PQconnectStartParams,                                                       \
             (const char *const *keywords, const char *const *values, int expand),                 \
             (keywords, values, expand))                                                           \
    FUNCTION(PGconn *, PQconnectdbParams,                                                          \
             (const char *const *keywords, const char *const *values, int expand),                 \
             (keywords, values, expand))                                                           \
    FUNCTION(PQconninfoOption *, PQconninfoParse, (const char *text, char **message),              \
             (text, message))                                                                      \
    FUNCTION(int, PQconsumeInput, (PGconn * c), (c))                                               \
    FUNCTION(char *, PQerrorMessage, (const PGconn *c), (c))                                       \
    FUNCTION(PGresult *, PQexec, (PGconn * c, const char *sql), (c, sql))                          \
    FUNCTION(PGcancel *, PQgetCancel, (PGconn * c), (c))                                           \
    FUNCTION(PGresult *, PQgetResult, (PGconn * c), (c))                                           \
    FUNCTION(int, PQgetisnull, (const PGresult *r, int row, int column), (r, row, column))         \
    FUNCTION(char *, PQgetvalue, (const PGresult *r, int row, int column), (r, row, column))       \
    FUNCTION(int, PQisBusy, (PGconn * c), (c))                                                     \
    FUNCTION(int, PQntuples, (const PGresult *r), (r))                                             \
    FUNCTION(ExecStatusType, PQresultStatus, (const PGresult *r), (r))                             \
    FUNCTION(int, PQsendQueryParams,                                                               \
             (PGconn * c, const char *sql, int count, const Oid *types, const char *const *values, \
              const int *lengths, const int *formats, int result_format),                          \
             (c, sql, count, types, values, lengths, formats, result_format))                      \
    FUNCTION(int, PQserverVersion, (const PGconn *c), (c))                                         \
    FUNCTION(PQnoticeProcessor, PQsetNoticeProcessor,                                              \
             (PGconn * c, PQnoticeProcessor processor, void *data), (c, processor, data))          \
    FUNCTION(int, PQsocket, (const PGconn *c), (c))                                                \
    FUNCTION(ConnStatusType, PQstatus, (const PGconn *c), (c))

#define PROCEDURES                                                                                 \
    PROCEDURE(PQclear, (PGresult * r), (r))                                                        \
    PROCEDURE(PQconninfoFree, (PQconninfoOption * options), (options))                             \
    PROCEDURE(PQfinish, (PGconn * c), (c))                                                         \
    PROCEDURE(PQfreeCancel, (PGcancel * cancel), (cancel))

/* The parameters are libpq's, under shorter names, and lists that stand for themselves. */
/* NOLINTBEGIN(bugprone-macro-parentheses, readability-*) */
static struct {
#define FUNCTION(type, name, parameters, arguments) type(*name) parameters;
#define PROCEDURE(name, parameters, arguments)      void(*name) parameters;
    FUNCTIONS PROCEDURES
#undef FUNCTION
#undef PROCEDURE
} loaded; /* set once, by bk_libpq_load */

#define FUNCTION(type, name, parameters, arguments)                                                \
    type name parameters                                                                           \
    {                                                                                              \
        return loaded.name arguments;                                                              \
    }
#define PROCEDURE(name, parameters, arguments)                                                     \
    void name parameters                                                                           \
    {                                                                                              \
        loaded.name arguments;                                                                     \
    }
FUNCTIONS
PROCEDURES
#undef FUNCTION
#undef PROCEDURE
/* NOLINTEND(bugprone-macro-parentheses, readability-*) */

/* dlsym gives a pointer to data, which ISO C does not convert to one to a function. */
static bool
find_libpq_symbol(void *library, const char *name, void *pointer, GError **error)
{
    void *found = dlsym(library, name);

    if (found == NULL)
        return bk_throw(error, BK_ERROR_SYSTEM, "libpq has no function \"%s\"", name);
    *(void **)pointer = found;
    return true;
}

bool
bk_libpq_load(GError **error)
{
    void *library;

    if (loaded.PQfreeCancel != NULL)
        return true;
    library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return bk_throw(error, BK_ERROR_SYSTEM, "load PostgreSQL's client library: %s", dlerror());
#define FUNCTION(type, name, parameters, arguments)                                                \
    if (!find_libpq_symbol(library, #name, &loaded.name, error))                                   \
        return false;
#define PROCEDURE(name, parameters, arguments) FUNCTION(void, name, parameters, arguments)
    FUNCTIONS
    PROCEDURES
#undef FUNCTION
#undef PROCEDURE
    return true;
}
