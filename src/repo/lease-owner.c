/* lease-owner.c - identifies the process that has a lease, so that another one on the same host
 * can see that it died. */
#include "repo/lease-owner.h"

#include "base/boot.h"
#include "base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Start time of a process in clock ticks since boot, 0 when there is no such process
 * (proc(5), /proc/PID/stat, field 22). */
static uint64_t
start_of(int64_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%" G_GINT64_FORMAT "/stat", pid);
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_auto(GStrv) fields = NULL;
    const char *after_name;

    if (!bk_file_read(AT_FDCWD, path, 64 * BK_KIB, &content, NULL))
        return 0;
    after_name = strrchr((const char *)content.data, ')'); /* the name may hold anything */
    if (after_name == NULL)
        return 0;
    fields = g_strsplit(after_name, " ", 64);
    /* after_name is the end of field 2, so that fields[1] is field 3. A zombie is dead. */
    if (g_strv_length(fields) <= 20 || fields[1][0] == 'Z')
        return 0;
    return g_ascii_strtoull(fields[20], NULL, 10);
}

static char *
boot_of_this_host(void)
{
    g_autofree char *boot = bk_boot_id();
    char space[64] = "";

    if (boot[0] == 0 || readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0)
        return g_strdup("");
    return g_strconcat(boot, " ", space, NULL);
}

void
bk_lease_owner_init_self(BkLeaseOwner *self)
{
    self->host = g_strdup(g_get_host_name());
    self->boot = boot_of_this_host();
    self->pid = getpid();
    self->start = start_of(self->pid);
}

void
bk_lease_owner_clear(BkLeaseOwner *self)
{
    g_free(self->host);
    g_free(self->boot);
    *self = (BkLeaseOwner){0};
}

void
bk_lease_owner_encode(const BkLeaseOwner *self, BkBuf *out)
{
    bk_wire_put_string(out, self->host);
    bk_wire_put_string(out, self->boot);
    bk_wire_put_zigzag(out, self->pid);
    bk_wire_put_varint(out, self->start);
}

void
bk_lease_owner_decode(BkLeaseOwner *self, BkWireReader *reader)
{
    self->host = bk_wire_get_string(reader, 1024);
    self->boot = bk_wire_get_string(reader, 1024);
    self->pid = bk_wire_get_zigzag(reader);
    self->start = bk_wire_get_varint(reader);
}

bool
bk_lease_owner_is_dead(const BkLeaseOwner *self)
{
    g_autofree char *boot = boot_of_this_host();

    if (boot[0] == 0 || strcmp(boot, self->boot) != 0)
        return false;
    return start_of(self->pid) != self->start;
}
