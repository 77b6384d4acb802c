/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loaded into a QEMU (LD_PRELOAD) that is to have the guest's memory for itself, over a
 * file that others read: what is mapped of the file MOSE_RAM_FD is mapped privately,
 * whatever was asked for, no hole is punched into it, and what the guest has written is
 * not dropped.
 *
 * QEMU has an option for the first (memory-backend-file,share=off), but a memory that
 * it knows to be private it does not leave out of a migration (x-ignore-shared, QEMU
 * migration/ram.c:migrate_ram_is_ignored). The others are what a balloon, or free page
 * reporting, does to shared memory (system/physmem.c:ram_block_discard_range): QEMU is
 * told that they are done, or it would write a line to its log for each page. They cost
 * memory, no more.
 *
 * Later commands have to read what it has written, and are not its parents: it allows
 * that (prctl(2), PR_SET_PTRACER; Yama's ptrace_scope 1).
 *
 * System calls are made without the C library: QEMU asks for memory before all of it is
 * set up, and another library may stand between us.
 */
#include <linux/prctl.h>
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

/* Where it is mapped: a few, since QEMU maps it once. */
#define MAX_MAPPED 8
static struct {
    uintptr_t start, end;
} mapped[MAX_MAPPED];
static unsigned n_mapped;

static void
note(const void *start, size_t len)
{
    unsigned i = __atomic_fetch_add(&n_mapped, 1, __ATOMIC_RELAXED);

    if (i >= MAX_MAPPED)
        return;
    mapped[i].end = (uintptr_t)start + len;
    __atomic_store_n(&mapped[i].start, (uintptr_t)start, __ATOMIC_RELEASE);
}

static int
is_mapped(const void *at)
{
    for (unsigned i = 0; i < MAX_MAPPED; i++) {
        uintptr_t start = __atomic_load_n(&mapped[i].start, __ATOMIC_ACQUIRE);

        if (start && (uintptr_t)at >= start && (uintptr_t)at < mapped[i].end)
            return 1;
    }
    return 0;
}

__attribute__((constructor)) static void
allow_reading(void)
{
    syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

__attribute__((visibility("default"))) void *
mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    const int type = flags & (MAP_SHARED | MAP_PRIVATE | MAP_SHARED_VALIDATE);
    const int own =
        !(flags & MAP_ANONYMOUS) && type != MAP_PRIVATE && is_guest_memory(fd);
    void *start;

    /* What it will write is not known: no swap is set aside for all of it. */
    if (own)
        flags = (flags & ~type) | MAP_PRIVATE | MAP_NORESERVE;
    start = (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
    if (own && start != MAP_FAILED)
        note(start, len);
    return start;
}

__attribute__((visibility("default"))) void *
mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return mmap64(at, len, prot, flags, fd, offset);
}

__attribute__((visibility("default"))) int
madvise(void *at, size_t len, int advice)
{
    if ((advice == MADV_DONTNEED || advice == MADV_REMOVE || advice == MADV_FREE) &&
        is_mapped(at))
        return 0;
    return (int)syscall(SYS_madvise, at, len, advice);
}

__attribute__((visibility("default"))) int
fallocate64(int fd, int mode, off_t offset, off_t len)
{
    if (is_guest_memory(fd))
        return 0;
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

__attribute__((visibility("default"))) int
fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fallocate64(fd, mode, offset, len);
}
