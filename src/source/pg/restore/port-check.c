/* port-check.c - checks that a server can listen on the sockets that its configuration names. */
#include "source/pg/restore/port-check.h"

#include "base/fd.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_TEXT_SIZE 8

static bool
throw_in_use(uint16_t port, const char *where, GError **error)
{
    return bk_throw(error, BK_ERROR_UNFIT,
                    "port %u is in use (%s): choose another one with --pg-port, or stop the server "
                    "that has it",
                    port, where);
}

/* Returns true if somebody listens at the socket of that name. */
static bool
is_socket_served(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_auto(BkFd) fd = -1;

    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
        return false; /* the server will complain of the name */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* One whose queue is full answers EAGAIN, one that we may not ask EACCES. */
    return fd >= 0 && (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
                       errno == EAGAIN || errno == EACCES);
}

static bool
check_socket_directory(uint16_t port, const char *directory, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/.s.PGSQL.%u", directory, port);

    if (directory[0] == '@') /* in the abstract name space, which has no directories */
        return true;
    if (!g_file_test(directory, G_FILE_TEST_IS_DIR))
        return bk_throw(error, BK_ERROR_UNFIT,
                        "unix_socket_directories names \"%s\", which does not exist: create it, or "
                        "use another configuration (--pg-config)",
                        directory);
    return !is_socket_served(path) || throw_in_use(port, path, error);
}

/* Returns true if the address can be taken as the server takes it, or is none of this host's. */
static bool
is_free(const struct addrinfo *address)
{
    g_auto(BkFd) fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0)
        return true;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return bind(fd, address->ai_addr, address->ai_addrlen) == 0 || errno != EADDRINUSE;
}

static bool
check_address(uint16_t port, const char *name, GError **error)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char text[PORT_TEXT_SIZE];
    bool ok = true;

    (void)g_snprintf(text, sizeof text, "%u", port);
    if (getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, text, &hints, &found) != 0)
        return true;
    for (const struct addrinfo *one = found; one != NULL && ok; one = one->ai_next)
        ok = is_free(one);
    freeaddrinfo(found);
    return ok || throw_in_use(port, name, error);
}

/* The words of a list with commas, with blanks and double quotes around them removed. */
static char **
split_list(const char *list)
{
    char **words = g_strsplit(list, ",", -1);

    for (char **word = words; *word != NULL; word++) {
        size_t size;

        g_strstrip(*word);
        size = strlen(*word);
        if (size >= 2 && (*word)[0] == '"' && (*word)[size - 1] == '"') {
            memmove(*word, *word + 1, size - 2);
            (*word)[size - 2] = 0;
        }
    }
    return words;
}

bool
bk_port_check(uint16_t port, const char *addresses, const char *directories, GError **error)
{
    g_auto(GStrv) names = split_list(addresses);
    g_auto(GStrv) places = split_list(directories);

    for (char **place = places; *place != NULL; place++)
        if ((*place)[0] != 0 && !check_socket_directory(port, *place, error))
            return false;
    for (char **name = names; *name != NULL; name++)
        if ((*name)[0] != 0 && !check_address(port, *name, error))
            return false;
    return true;
}
