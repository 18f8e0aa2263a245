/* libpq.h - PostgreSQL's client library, loaded for the first connection.
 *
 * It brings some twenty libraries (Kerberos, LDAP, TLS) along, whose loading takes several
 * milliseconds. The server starts this program for every WAL segment, where no connection is made;
 * so the library is not linked, and libpq.c defines the functions that are used as calls into it.
 * Threads: bk_libpq_load once, before other threads use the library. */
#pragma once
#include "base/error.h"

#include <libpq-fe.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PGresult, PQclear)

/* Loads the library, if that was not done yet. To be called before any of its functions. Fails with
 * BK_ERROR_SYSTEM. */
bool bk_libpq_load(GError **error) BK_MUST_USE;
