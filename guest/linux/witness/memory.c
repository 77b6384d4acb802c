/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings of each sort, most with contents that a seed tells (witness_word()): of
 * memory and of files, present, never touched, protected, locked, of a huge page.
 */
#include "witness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 16, HUGE_PAGE = 2 << 20 };

void
witness_fill(void *memory, size_t size, uint64_t seed)
{
    uint64_t *words = memory;

    for (size_t i = 0; i < size / sizeof(*words); i++)
        words[i] = witness_word(seed, i);
}

static void
tell(const char *kind, const void *start, size_t size, const char *protection)
{
    printf("mapping kind=%s start=0x%" PRIxPTR " size=%zu protection=%s", kind,
           (uintptr_t)start, size, protection);
}

static void
tell_filled(const char *kind, const void *start, size_t size, const char *protection,
            uint64_t seed)
{
    tell(kind, start, size, protection);
    printf(" seed=0x%" PRIx64 "\n", seed);
}

static void *
map(size_t size, int protection, int flags, int fd)
{
    void *ret = mmap(NULL, size, protection, flags, fd, 0);

    witness_check(ret != MAP_FAILED, "mmap");
    return ret;
}

static void *
map_anonymous(size_t size)
{
    return map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* Present pages that nothing but this program may find by their contents. */
static void
make_filled(void)
{
    const size_t size = (size_t)PAGES * WITNESS_PAGE;
    void *memory = map_anonymous(size);

    witness_fill(memory, size, 0xa11ce);
    tell_filled("anonymous", memory, size, "rw", 0xa11ce);

    memory = map_anonymous(size);
    witness_fill(memory, size, 0x5ea1ed);
    witness_check(mprotect(memory, size, PROT_NONE) == 0, "mprotect");
    tell_filled("protected", memory, size, "none", 0x5ea1ed);

    memory = map_anonymous(WITNESS_PAGE);
    witness_fill(memory, WITNESS_PAGE, 0x10cced);
    witness_check(mlock(memory, WITNESS_PAGE) == 0, "mlock");
    tell_filled("locked", memory, WITNESS_PAGE, "rw", 0x10cced);

    memory = map(size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    witness_fill(memory, size, 0x5a4ed);
    tell_filled("shared", memory, size, "rw", 0x5a4ed);
}

/* No pages, and the page of zeros. */
static void
make_empty(void)
{
    const size_t size = (size_t)PAGES * WITNESS_PAGE;
    volatile char *memory = map_anonymous(size);

    tell("untouched", (void *)memory, size, "rw");
    putchar('\n');
    memory = map(size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    tell("none", (void *)memory, size, "none");
    putchar('\n');
    memory = map_anonymous(size);
    for (size_t at = 0; at < size; at += WITNESS_PAGE)
        (void)memory[at];
    tell("zero", (void *)memory, size, "rw");
    putchar('\n');
}

/* How many bytes of the mapping at @start are in huge pages; /proc/self/smaps tells. */
static size_t
count_huge(uintptr_t start)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    uintptr_t from = 0, to = 0;
    size_t kb = 0;

    witness_check(file != NULL, "/proc/self/smaps");
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            continue;
        if (start >= from && start < to && sscanf(line, "AnonHugePages: %zu", &kb) == 1)
            break;
    }
    fclose(file);
    return kb * 1024;
}

/* Linux leaves it off with less than 512 MB (mm/huge_memory.c: hugepage_init). */
static void
allow_huge(void)
{
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "w");

    if (file) {
        fputs("madvise", file);
        fclose(file);
    }
}

/* A huge page where the kernel has one to give: `huge` is how much of it is one. */
static void
make_huge(void)
{
    char *memory = map_anonymous(2 * (size_t)HUGE_PAGE);
    char *aligned =
        (char *)(((uintptr_t)memory + HUGE_PAGE - 1) & ~((uintptr_t)HUGE_PAGE - 1));

    allow_huge();
    madvise(aligned, HUGE_PAGE, MADV_HUGEPAGE);
    witness_fill(aligned, HUGE_PAGE, 0x4e6e);
    tell("huge", aligned, HUGE_PAGE, "rw");
    printf(" seed=0x4e6e huge=%zu\n", count_huge((uintptr_t)aligned));
}

/* A file mapped twice: shared, and private with its second page written to. */
static void
make_of_file(void)
{
    const size_t size = 4 * (size_t)WITNESS_PAGE;
    const char *path = witness_path("mapped");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char *memory;

    witness_check(fd >= 0 && ftruncate(fd, (off_t)size) == 0, path);
    memory = map(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    witness_fill(memory, size, 0xf11e);
    tell("file-shared", memory, size, "rw");
    printf(" seed=0xf11e path=%s\n", path);

    memory = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    for (size_t at = 0; at < size; at += WITNESS_PAGE)
        (void)*(volatile char *)(memory + at);
    witness_fill(memory + WITNESS_PAGE, WITNESS_PAGE, 0xdd);
    tell("file-private", memory, size, "rw");
    printf(" seed=0xf11e path=%s own_at=%d own_size=%d own_seed=0xdd\n", path,
           WITNESS_PAGE, WITNESS_PAGE);
    close(fd);
}

void
witness_make_memory(void)
{
    make_filled();
    make_empty();
    make_huge();
    make_of_file();
}
