/* port-check.h - checks that a server can listen on the sockets that its configuration names.
 *
 * Threads: safe; nothing here has state. */
#pragma once
#include "base/error.h"

/* Checks `port` on the addresses (as listen_addresses) and in the directories (as
 * unix_socket_directories) that a server will use. Fails with BK_ERROR_UNFIT when another one
 * listens there, or a directory for sockets is missing; an address of another host is the server's
 * matter. */
bool bk_port_check(uint16_t port, const char *addresses, const char *directories,
                   GError **error) BK_MUST_USE;
