/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frozen memory: what a process has written over it is told, read and merged; and a
 * program that asks for a shared mapping gets a private one with the module, and a
 * shared one without. The process is this program, told what to do by its arguments.
 */
#include "qemu/frozen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/ram.h"
#include "util/error.h"
#include "util/fd.h"

#define PAGE 4096
#define N_PAGES 1024
#define SIZE ((gsize)N_PAGES * PAGE)
#define READY_TRIES 1000

static char *self, *dir, *log_path, *ready;

/* --- the other process --- */

/* Map what is descriptor 3 as shared, as QEMU does (opened anew), and write some pages.
 */
static int
other_main(const char *ready_path)
{
    int fd = open("/proc/self/fd/3", O_RDWR | O_CLOEXEC);
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd < 0 || memory == MAP_FAILED)
        return 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int page = 1; page < N_PAGES; page += 100)
        memset(memory + page * PAGE, 'n', PAGE);
    /* As a balloon does it to two pages: one of everybody's, one of its own. */
    for (int page = 0; page < 2; page++)
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE,
                      PAGE) < 0 ||
            madvise(memory + page * PAGE, PAGE, MADV_DONTNEED) < 0)
            return 1;
    if (!g_file_set_contents(ready_path, "", -1, NULL))
        return 1;
    pause();
    return 0;
}

static MoseProcess *
start_other(int memory, const char *module)
{
    const char *const argv[] = { self, "--other", ready, NULL };
    const MoseInheritedFd fds[] = { { memory, MOSE_RAM_FD } };
    g_autoptr(MoseSurroundings) surroundings = mose_surroundings_of(getpid());
    g_autoptr(GError) error = NULL;
    MoseProcess *process;

    unlink(ready);
    mose_surroundings_preload(surroundings, MOSE_FROZEN_NAME, module);
    process = mose_process_spawn_in(surroundings, argv, dir, log_path, fds, 1, &error);
    g_assert_no_error(error);
    for (int i = 0; i < READY_TRIES && !g_file_test(ready, G_FILE_TEST_EXISTS); i++)
        g_usleep(5000);
    g_assert_true(g_file_test(ready, G_FILE_TEST_EXISTS));
    return process;
}

/* A guest's memory of which the first and some other pages have been written. */
static int
make_memory(void)
{
    g_autoptr(GError) error = NULL;
    int fd = mose_ram_create("frozen", SIZE, TRUE, &error);
    g_autofree char *page = g_strnfill(PAGE, 'o');

    g_assert_no_error(error);
    for (int i = 0; i < 300; i += 100)
        g_assert_cmpint(pwrite(fd, page, PAGE, i * PAGE), ==, PAGE);
    /* One of those that will be written over. */
    g_assert_cmpint(pwrite(fd, page, PAGE, 101 * PAGE), ==, PAGE);
    return fd;
}

static char
expected(int page, gboolean other)
{
    if (other && page % 100 == 1)
        return 'n';
    return (page % 100 == 0 && page < 300) || page == 101 ? 'o' : 0;
}

static void
assert_memory(const char *data, gboolean other)
{
    for (int page = 0; page < N_PAGES; page++)
        for (int i = 0; i < PAGE; i += PAGE - 1)
            g_assert_cmpint(data[page * PAGE + i], ==, expected(page, other));
}

static gint64
blocks_of(int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    return st.st_blocks;
}

/* --- tests --- */

static gboolean
add_piece(const void *data, guint64 len, gpointer user, GError **error)
{
    GByteArray *all = user;
    guint at = all->len;

    g_byte_array_set_size(all, at + (guint)len);
    if (data)
        memcpy(all->data + at, data, len);
    else
        memset(all->data + at, 0, len);
    return TRUE;
}

static void
test_module(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *module = mose_frozen_module(&error);
    g_auto(MoseFd) memory = make_memory();
    g_autofree char *data = g_malloc(SIZE);
    g_autoptr(GByteArray) read = g_byte_array_new();
    g_autoptr(MoseProcess) process = NULL;
    gint64 before;
    guint64 merged;
    MoseFrozen state;

    g_assert_no_error(error);
    process = start_other(memory, module);
    /* Who writes where nothing is yet makes a page there, of zeros, as well (Linux
     * mm/memory.c:do_cow_fault). */
    before = blocks_of(memory);
    g_assert_true(mose_frozen_look(process, TRUE, &state, &error));
    g_assert_true(state.shared);
    g_assert_true(state.frozen);
    g_assert_cmpuint(state.own_bytes, ==, 11 * PAGE);
    g_assert_cmpint(pread(memory, data, SIZE, 0), ==, (gssize)SIZE);
    assert_memory(data, FALSE);
    g_assert_true(mose_frozen_read(process, add_piece, read, &error));
    g_assert_cmpuint(read->len, ==, SIZE);
    assert_memory((char *)read->data, TRUE);
    g_assert_cmpint(blocks_of(memory), ==, before);
    g_assert_true(mose_frozen_merge(process, memory, &merged, &error));
    g_assert_cmpuint(merged, ==, 11 * PAGE);
    g_assert_cmpint(pread(memory, data, SIZE, 0), ==, (gssize)SIZE);
    assert_memory(data, TRUE);
    g_assert_true(mose_process_kill(process));
}

static void
test_without(void)
{
    g_auto(MoseFd) memory = make_memory();
    g_autofree char *data = g_malloc(SIZE);
    g_autoptr(MoseProcess) process = start_other(memory, NULL);
    MoseFrozen state;

    g_assert_true(mose_frozen_look(process, TRUE, &state, NULL));
    g_assert_true(state.shared);
    g_assert_false(state.frozen);
    g_assert_cmpint(pread(memory, data, SIZE, 0), ==, (gssize)SIZE);
    g_assert_cmpint(data[PAGE], ==, 0);
    g_assert_cmpint(data[0], ==, 0);
    g_assert_cmpint(data[101 * PAGE], ==, 'n');
    g_assert_true(mose_process_kill(process));
}

/* A process that has none of MOSE's memory. */
static void
test_none(void)
{
    g_autoptr(MoseProcess) process =
        mose_process_open(getpid(), mose_process_start_time(getpid()), NULL);
    MoseFrozen state;

    g_assert_true(mose_frozen_look(process, TRUE, &state, NULL));
    g_assert_false(state.shared);
    g_assert_false(state.frozen);
}

int
main(int argc, char **argv)
{
    int ret;

    if (argc == 3 && strcmp(argv[1], "--other") == 0)
        return other_main(argv[2]);
    g_test_init(&argc, &argv, NULL);
    self = g_file_read_link("/proc/self/exe", NULL);
    dir = g_dir_make_tmp("mose-frozen-XXXXXX", NULL);
    log_path = g_build_filename(dir, "log", NULL);
    ready = g_build_filename(dir, "ready", NULL);
    g_test_add_func("/frozen/module", test_module);
    g_test_add_func("/frozen/without", test_without);
    g_test_add_func("/frozen/none", test_none);
    ret = g_test_run();
    unlink(log_path);
    unlink(ready);
    rmdir(dir);
    return ret;
}
