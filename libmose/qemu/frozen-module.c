/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loaded into a QEMU (LD_PRELOAD) that is to have the guest's memory for itself, over a
 * file that others read: what is mapped of the file MOSE_RAM_FD is mapped privately,
 * whatever was asked for, and no hole is punched into it.
 *
 * QEMU has an option for the first (memory-backend-file,share=off), but a memory that
 * it knows to be private it does not leave out of a migration (x-ignore-shared, QEMU
 * migration/ram.c:migrate_ram_is_ignored). The second is what a balloon, or free page
 * reporting, does to shared memory (system/physmem.c:ram_block_discard_range): refused,
 * it costs memory and nothing else.
 *
 * System calls are made without the C library: QEMU asks for memory before all of it is
 * set up, and another library may stand between us.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "qemu/frozen-fd.h"

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03
#endif

/* The program's own names, and those of a program for large files, which on x86-64 are
 * the same functions. */
void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int fallocate(int fd, int mode, off_t offset, off_t len);
int fallocate64(int fd, int mode, off_t offset, off_t len);

static int
is_guest_memory(int fd)
{
    struct stat own, guest;

    return fd >= 0 && fstat(MOSE_RAM_FD, &guest) == 0 && fstat(fd, &own) == 0 &&
           own.st_dev == guest.st_dev && own.st_ino == guest.st_ino;
}

__attribute__((visibility("default"))) void *
mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    const int type = flags & (MAP_SHARED | MAP_PRIVATE | MAP_SHARED_VALIDATE);

    /* What it will write is not known: no swap is set aside for all of it. */
    if (!(flags & MAP_ANONYMOUS) && type != MAP_PRIVATE && is_guest_memory(fd))
        flags = (flags & ~type) | MAP_PRIVATE | MAP_NORESERVE;
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

__attribute__((visibility("default"))) void *
mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return mmap64(at, len, prot, flags, fd, offset);
}

__attribute__((visibility("default"))) int
fallocate64(int fd, int mode, off_t offset, off_t len)
{
    if (is_guest_memory(fd)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

__attribute__((visibility("default"))) int
fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fallocate64(fd, mode, offset, len);
}
