/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks' files: what was written is read, each piece is there once, and what is damaged
 * is told from what is not. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fork/archive.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define PIECE MOSE_ARCHIVE_PIECE

static char *dir;

static char *
path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static void
fill(guint8 *data, gsize len, guint32 seed)
{
    for (gsize i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (guint8)(seed >> 24);
    }
}

static int
make_fd(gsize size)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    return fd;
}

static void
extract(MoseArchive *archive, const char *name, guint8 *to, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    guint64 told;

    g_assert_true(mose_archive_size(archive, name, &told, &error));
    g_assert_cmpuint(told, ==, size);
    fd = make_fd(size);
    mose_archive_extract(archive, name, fd, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(pread(fd, to, size, 0), ==, (gssize)size);
}

/* Streams "a" (random, twice the same piece, zeros, an odd end) and "b" (the same piece
 * once more). */
static guint8 a[4 * PIECE + 77], b[PIECE];

static guint64
write_one(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseArchiveWriter) writer = mose_archive_create(path, 3, &error);
    guint64 size;

    g_assert_no_error(error);
    fill(b, PIECE, 1);
    memcpy(a, b, PIECE);
    memcpy(a + PIECE, b, PIECE);
    memset(a + 2 * PIECE, 0, PIECE);
    fill(a + 3 * PIECE, PIECE + 77, 2);
    g_assert_true(mose_archive_begin(writer, "a", NULL));
    /* In odd parts. */
    g_assert_true(mose_archive_add(writer, a, 1000, NULL));
    g_assert_true(mose_archive_add(writer, a + 1000, 2 * PIECE - 1000, NULL));
    g_assert_true(mose_archive_add_zeros(writer, PIECE, NULL));
    g_assert_true(mose_archive_add(writer, a + 3 * PIECE, PIECE + 77, NULL));
    g_assert_true(mose_archive_begin(writer, "b", NULL));
    g_assert_true(mose_archive_add(writer, b, PIECE, NULL));
    g_assert_true(mose_archive_finish(
        writer, mose_json_object("kind", "s", "test", NULL), &size, &error));
    return size;
}

/* How many files there are beside @path that belong to it. */
static guint
count_beside(const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    const char *name;
    guint n = 0;

    while ((name = g_dir_read_name(list)))
        n += g_str_has_prefix(name, base);
    return n;
}

static void
test_whole(void)
{
    g_autofree char *path = path_of("whole");
    g_autofree guint8 *read = g_malloc(sizeof(a));
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseArchive) archive = NULL;
    guint64 size = write_one(path), none;

    g_assert_cmpuint(count_beside(path), ==, 1);
    /* Random bytes are as long as they are; three pieces of them, and what tells. */
    g_assert_cmpuint(size, >, 2 * PIECE + 77);
    g_assert_cmpuint(size, <, 2 * PIECE + 77 + 1000);
    archive = mose_archive_open(path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(mose_json_string(mose_archive_description(archive), "kind", ""), ==,
                    "test");
    extract(archive, "a", read, sizeof(a));
    g_assert_cmpmem(read, sizeof(a), a, sizeof(a));
    extract(archive, "b", read, PIECE);
    g_assert_cmpmem(read, PIECE, b, PIECE);
    g_assert_false(mose_archive_size(archive, "c", &none, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

/* Holes of a file are not read, and cost nothing. */
static void
test_holes(void)
{
    const gsize size = (gsize)8 << 30;
    g_autofree char *path = path_of("holes");
    g_auto(MoseFd) from = make_fd(size);
    g_auto(MoseFd) to = make_fd(size);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseArchiveWriter) writer = mose_archive_create(path, 3, &error);
    g_autoptr(MoseArchive) archive = NULL;
    struct stat st;
    guint64 bytes;
    char word[8];

    g_assert_cmpint(pwrite(from, "deep", 4, (off_t)(size - PIECE - 3)), ==, 4);
    g_assert_true(mose_archive_add_file(writer, "disk", from, &error));
    g_assert_true(mose_archive_finish(writer, json_object_new(), &bytes, &error));
    g_assert_cmpuint(bytes, <, 20000);
    archive = mose_archive_open(path, &error);
    g_assert_no_error(error);
    g_assert_true(mose_archive_extract(archive, "disk", to, NULL, NULL, &error));
    g_assert_cmpint(pread(to, word, 4, (off_t)(size - PIECE - 3)), ==, 4);
    g_assert_cmpmem(word, 4, "deep", 4);
    g_assert_cmpint(fstat(to, &st), ==, 0);
    g_assert_cmpint(st.st_blocks * 512, <, 1 << 20);
}

/* A file that is there is not written over, nor one that comes meanwhile; one that was
 * begun is not left. */
static void
test_taken(void)
{
    g_autofree char *path = path_of("taken"), *other = path_of("other");
    g_autoptr(GError) error = NULL, late = NULL;
    MoseArchiveWriter *writer;
    guint64 size;

    write_one(path);
    g_assert_null(mose_archive_create(path, 3, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    writer = mose_archive_create(other, 3, NULL);
    g_assert_cmpuint(count_beside(other), ==, 1);
    mose_archive_writer_free(writer);
    g_assert_cmpuint(count_beside(other), ==, 0);
    writer = mose_archive_create(other, 3, NULL);
    g_assert_true(g_file_set_contents(other, "somebody's", -1, NULL));
    g_assert_false(mose_archive_finish(writer, json_object_new(), &size, &late));
    mose_archive_writer_free(writer);
    g_assert_cmpuint(count_beside(other), ==, 1);
}

/* Whether the bytes @data of a file are taken for a sound archive, with all streams; if
 * so, those have to be what was written. */
static gboolean
is_sound(const char *data, gsize len, GError **error)
{
    g_autofree char *path = path_of("try");
    g_autoptr(MoseArchive) archive = NULL;

    g_assert_true(g_file_set_contents(path, data, (gssize)len, NULL));
    archive = mose_archive_open(path, error);
    if (!archive)
        return FALSE;
    for (int i = 0; i < 2; i++) {
        g_auto(MoseFd) fd = make_fd(sizeof(a));
        gsize size = i ? sizeof(b) : sizeof(a);
        g_autofree guint8 *got = g_malloc(size);

        if (!mose_archive_extract(archive, i ? "b" : "a", fd, NULL, NULL, error))
            return FALSE;
        g_assert_cmpint(pread(fd, got, size, 0), ==, (gssize)size);
        g_assert_cmpmem(got, size, i ? b : a, size);
    }
    return TRUE;
}

/* Any one byte changed, any length but the right one: refused. Only the few bits that
 * mean nothing (zstd's frames have one that is unused, and sizes that can be said in
 * several ways) change nothing. */
static void
test_damaged(void)
{
    g_autofree char *path = path_of("damaged"), *data = NULL;
    gsize len;
    int refused = 0;

    write_one(path);
    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    g_assert_true(is_sound(data, len, NULL));
    for (int i = 0; i < 300; i++) {
        /* The header is for file(1): nothing depends on it. */
        gsize at = 12 + (gsize)g_test_rand_int_range(0, (gint32)len - 12);
        g_autoptr(GError) error = NULL;
        char was;

        /* The ends, where the structure is, more often. */
        if (i % 2)
            at = len - 1 - at % 600;
        was = data[at];
        data[at] ^= (char)g_test_rand_int_range(1, 256);
        refused += !is_sound(data, len, &error);
        data[at] = was;
    }
    g_assert_cmpint(refused, >=, 285);
    for (int i = 0; i < 100; i++) {
        g_autoptr(GError) error = NULL;
        gsize n = (gsize)g_test_rand_int_range(0, (gint32)len);

        g_assert_false(is_sound(data, n, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    }
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-archive-XXXXXX", NULL);
    g_test_add_func("/archive/whole", test_whole);
    g_test_add_func("/archive/holes", test_holes);
    g_test_add_func("/archive/taken", test_taken);
    g_test_add_func("/archive/damaged", test_damaged);
    ret = g_test_run();
    for (const char *const *name =
             (const char *const[]){ "whole", "holes", "taken", "other", "try",
                                    "damaged", NULL };
         *name; name++) {
        g_autofree char *path = path_of(*name);

        unlink(path);
    }
    g_rmdir(dir);
    return ret;
}
