/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk check: on each disk a ring of blocks, each holding what follows from the
 * number of the write that made it. A step writes one block and reads the one that
 * was written longest ago, past the page cache, so that lost, doubled and reordered
 * writes show. The numbers are remembered in memory: what an earlier run left is
 * overwritten unread. A disk that cannot be written is read, if somebody has put a
 * ring on it: block n then holds what follows from n.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* In the first block: this disk is ours, it may be overwritten. */
static const char mark[] = DISK_MARK;

typedef struct {
    char name[32];
    int fd;
    bool read_only;
    uint64_t next; /* number of the next write, or read */
    Tally tally;
} Disk;

static Disk disks[DISK_MAX];
static size_t n_disks;
static unsigned char *buffer; /* aligned for O_DIRECT */

static off_t
offset_of(uint64_t write)
{
    return DISK_BLOCK + (off_t)(write % DISK_RING) * DISK_BLOCK;
}

/*
 * The ring goes where nothing else is: onto a disk whose first block is empty
 * or carries the mark.
 */
static bool
claim(const Disk *disk)
{
    static const unsigned char zeroes[DISK_BLOCK];
    const ssize_t got = pread(disk->fd, buffer, DISK_BLOCK, 0);
    const bool marked = got == DISK_BLOCK && memcmp(buffer, mark, sizeof(mark)) == 0;

    if (got < 0)
        return false;
    if (!marked && (disk->read_only || memcmp(buffer, zeroes, (size_t)got) != 0)) {
        errno = EEXIST;
        return false;
    }
    if (disk->read_only)
        return true;
    memset(buffer, 0, DISK_BLOCK);
    memcpy(buffer, mark, sizeof(mark));
    return pwrite(disk->fd, buffer, DISK_BLOCK, 0) == DISK_BLOCK;
}

/* A disk that is read-only opens for writing all the same; a CD does not. */
static int
open_disk(const char *path, bool *ret_read_only)
{
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC | O_CLOEXEC, 0600);
    int read_only = 0;

    if (fd < 0 && (errno == EROFS || errno == EACCES)) {
        *ret_read_only = true;
        return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    }
    *ret_read_only = fd >= 0 && ioctl(fd, BLKROGET, &read_only) == 0 && read_only;
    return fd;
}

bool
disk_add(const char *path)
{
    Disk *disk = &disks[n_disks];
    const char *slash = strrchr(path, '/');

    if (n_disks == DISK_MAX) {
        errno = EMFILE;
        return false;
    }
    if (!buffer && posix_memalign((void **)&buffer, DISK_BLOCK, DISK_BLOCK) != 0)
        return false;
    snprintf(disk->name, sizeof(disk->name), "%s", slash ? slash + 1 : path);
    disk->fd = open_disk(path, &disk->read_only);
    if (disk->fd < 0 || !claim(disk))
        return false;
    n_disks++;
    return true;
}

static void
write_block(Disk *disk)
{
    worker_fill(buffer, DISK_BLOCK, disk->next);
    if (pwrite(disk->fd, buffer, DISK_BLOCK, offset_of(disk->next)) != DISK_BLOCK)
        worker_error(&disk->tally, "disk %s: write %llu failed: %s", disk->name,
                     (unsigned long long)disk->next, strerror(errno));
}

static void
verify_block(Disk *disk, uint64_t write)
{
    long at;

    if (pread(disk->fd, buffer, DISK_BLOCK, offset_of(write)) != DISK_BLOCK) {
        worker_error(&disk->tally, "disk %s: reading write %llu failed: %s", disk->name,
                     (unsigned long long)write, strerror(errno));
        return;
    }
    at = worker_compare(buffer, DISK_BLOCK, write);
    if (at >= 0)
        worker_error(&disk->tally,
                     "disk %s: write %llu is wrong at byte %ld of its block",
                     disk->name, (unsigned long long)write, at);
}

static void
step_one(Disk *disk)
{
    if (disk->read_only) {
        verify_block(disk, disk->next % DISK_RING);
        disk->next++;
    } else {
        write_block(disk);
        disk->next++;
        /* The oldest; in the first round, which has none, one after the other. */
        verify_block(disk, disk->next < DISK_RING ? disk->next * 7 / 10
                                                  : disk->next - DISK_RING);
    }
    disk->tally.steps++;
}

void
disk_step(void)
{
    for (size_t i = 0; i < n_disks; i++)
        step_one(&disks[i]);
}

size_t
disk_count(void)
{
    return n_disks;
}

const char *
disk_tally(size_t i, Tally *ret)
{
    *ret = disks[i].tally;
    return disks[i].name;
}
