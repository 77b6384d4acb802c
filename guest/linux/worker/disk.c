/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk check: a ring of blocks, each holding what follows from the number of
 * the write that made it. A step writes one block and reads the one that was
 * written longest ago, past the page cache, so that lost, doubled and reordered
 * writes show. The numbers are remembered in memory: what an earlier run left is
 * overwritten unread.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_SIZE = 4096,
    RING_BLOCKS = 256,
    RING_START = BLOCK_SIZE, /* the first block carries the mark */
};

/* In the first block: this disk is ours, it may be overwritten. */
static const char mark[] = "MOSE worker ring\n";

static struct {
    int fd;
    unsigned char *buffer; /* aligned for O_DIRECT */
    uint64_t writes;
} disk = { .fd = -1 };

static off_t
offset_of(uint64_t write)
{
    return RING_START + (off_t)(write % RING_BLOCKS) * BLOCK_SIZE;
}

/*
 * The ring goes where nothing else is: onto a disk whose first block is empty
 * or carries the mark.
 */
static bool
claim(void)
{
    static const unsigned char zeroes[BLOCK_SIZE];
    const ssize_t got = pread(disk.fd, disk.buffer, BLOCK_SIZE, 0);

    if (got < 0)
        return false;
    if (got > 0 && memcmp(disk.buffer, mark, sizeof(mark)) != 0 &&
        memcmp(disk.buffer, zeroes, (size_t)got) != 0) {
        errno = EEXIST;
        return false;
    }
    memset(disk.buffer, 0, BLOCK_SIZE);
    memcpy(disk.buffer, mark, sizeof(mark));
    return pwrite(disk.fd, disk.buffer, BLOCK_SIZE, 0) == BLOCK_SIZE;
}

bool
disk_init(const char *path)
{
    if (posix_memalign((void **)&disk.buffer, BLOCK_SIZE, BLOCK_SIZE) != 0)
        return false;
    disk.fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC | O_CLOEXEC, 0600);
    return disk.fd >= 0 && claim();
}

static void
write_block(Tally *tally)
{
    worker_fill(disk.buffer, BLOCK_SIZE, disk.writes);
    if (pwrite(disk.fd, disk.buffer, BLOCK_SIZE, offset_of(disk.writes)) != BLOCK_SIZE)
        worker_error(tally, "disk: write %llu failed: %s",
                     (unsigned long long)disk.writes, strerror(errno));
    disk.writes++;
}

static void
verify_block(Tally *tally, uint64_t write)
{
    long at;

    if (pread(disk.fd, disk.buffer, BLOCK_SIZE, offset_of(write)) != BLOCK_SIZE) {
        worker_error(tally, "disk: reading write %llu failed: %s",
                     (unsigned long long)write, strerror(errno));
        return;
    }
    at = worker_compare(disk.buffer, BLOCK_SIZE, write);
    if (at >= 0)
        worker_error(tally, "disk: write %llu is wrong at byte %ld of its block",
                     (unsigned long long)write, at);
}

void
disk_step(Tally *tally)
{
    write_block(tally);
    verify_block(tally, disk.writes < RING_BLOCKS ? 0 : disk.writes - RING_BLOCKS);
    tally->steps++;
}
