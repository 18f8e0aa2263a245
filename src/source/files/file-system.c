/* file-system.c - kinds of file systems by their magic numbers. */
#include "source/files/file-system.h"

#include <sys/vfs.h>

/* Those without a content that one could restore, and autofs, which mounts what is looked at. */
static const struct {
    uint32_t magic;
    const char *name;
} specials[] = {
    {0x9fa0, "proc"},           {0x62656572, "sysfs"},      {0x27e0eb, "cgroup"},
    {0x63677270, "cgroup2"},    {0x1cd1, "devpts"},         {0x64626720, "debugfs"},
    {0x74726163, "tracefs"},    {0x73636673, "securityfs"}, {0xcafe4a11, "bpf"},
    {0x6165676c, "pstore"},     {0xde5e81e4, "efivarfs"},   {0x42494e4d, "binfmt_misc"},
    {0x62656570, "configfs"},   {0x65735543, "fusectl"},    {0x19800202, "mqueue"},
    {0x67596969, "rpc_pipefs"}, {0x6e736673, "nsfs"},       {0xf97cff8c, "selinuxfs"},
    {0x958458f6, "hugetlbfs"},  {0x187, "autofs"},
};

/* Those of a network or of a program, and FAT, which has no inodes. */
static const uint32_t unstable[] = {
    0x6969,     /* NFS */
    0x517b,     /* SMB */
    0xfe534d42, /* SMB 2 */
    0xff534d42, /* CIFS */
    0x65735546, /* FUSE, virtiofs */
    0x00c36400, /* Ceph */
    0x01021997, /* 9P */
    0x5346414f, /* AFS */
    0x73757245, /* Coda */
    0x0bd00bd0, /* Lustre */
    0x786f4256, /* vboxsf */
    0x4d44,     /* FAT */
    0x2011bab0, /* exFAT */
};

bool
bk_file_system_find(int fd, BkFileSystem *system)
{
    struct statfs st;
    uint32_t magic;

    *system = (BkFileSystem){.is_local = true};
    if (fstatfs(fd, &st) < 0)
        return false;
    magic = (uint32_t)st.f_type;
    for (size_t i = 0; i < G_N_ELEMENTS(specials); i++)
        if (specials[i].magic == magic)
            system->special = specials[i].name;
    for (size_t i = 0; i < G_N_ELEMENTS(unstable); i++)
        if (unstable[i] == magic)
            system->is_local = false;
    return true;
}
