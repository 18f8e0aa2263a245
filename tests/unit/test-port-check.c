/* test-port-check.c - ports that are taken, and directories for sockets that are not there. */
#include "source/pg/restore/port-check.h"

#include "base/fd.h"
#include "expect.h"
#include "temp-dir.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket that listens on a free port of the loopback; the port goes to `*port`. */
static int
listen_somewhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void
test_addresses(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) of_all = NULL;
    uint16_t port;
    g_auto(BkFd) fd = listen_somewhere(&port);

    g_assert_true(bk_port_check(port, "", "", NULL));
    g_assert_true(bk_port_check(port, "no.such.host.invalid", "", NULL));
    g_assert_false(bk_port_check(port, "no.such.host.invalid , 127.0.0.1", "", &error));
    g_assert_true(bk_error_is(error, BK_ERROR_UNFIT));
    g_assert_nonnull(strstr(error->message, "--pg-port"));
    g_assert_false(bk_port_check(port, "*", "", &of_all));
    bk_fd_clear(&fd);
    g_assert_true(bk_port_check(port, "127.0.0.1", "", NULL));
}

static void
test_directories(void)
{
    char *directory = temp_dir_new();
    g_autofree char *quoted = g_strdup_printf(" \"%s\" ", directory);
    g_autofree char *missing = g_strdup_printf("%s, %s/missing", directory, directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autoptr(GError) taken = NULL;
    g_autoptr(GError) absent = NULL;
    g_auto(BkFd) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_true(bk_port_check(5999, "", quoted, NULL));
    g_assert_false(bk_port_check(5999, "", missing, &absent));
    g_assert_nonnull(strstr(absent->message, "/missing\", which does not exist"));
    g_assert_true(bk_port_check(5999, "", "@abstract", NULL));
    (void)g_snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5999", directory);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    /* What a server that was killed has left is nobody's. */
    g_assert_true(bk_port_check(5999, "", directory, NULL));
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_false(bk_port_check(5999, "", quoted, &taken));
    g_assert_nonnull(strstr(taken->message, "port 5999 is in use"));
    temp_dir_free(directory);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/port-check/addresses", test_addresses);
    g_test_add_func("/port-check/directories", test_directories);
    return g_test_run();
}
