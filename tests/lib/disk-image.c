/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images seen from the host; see disk-image.h. */
#include "lib/disk-image.h"

#include <string.h>
#include <unistd.h>

#include "guest/linux/worker/worker.h"

#define RING_BYTES ((gsize)(1 + DISK_RING) * DISK_BLOCK)
#define NEVER G_MAXUINT64

void
disk_image_tool(const char *word, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *line = NULL, *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;
    va_list args;

    va_start(args, word);
    for (; word; word = va_arg(args, const char *))
        g_ptr_array_add(argv, (gpointer)word);
    va_end(args);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                 &out, &err, &status, &error);
    g_assert_no_error(error);
    line = g_strjoinv(" ", (char **)argv->pdata);
    if (status != 0)
        g_error("%s: status %d: %s%s", line, status, out, err);
}

void
disk_image_make(const char *path, const char *format)
{
    disk_image_tool("qemu-img", "create", "-q", "-f", format, path, "4M", NULL);
}

void
disk_image_fill(const char *path)
{
    g_autofree char *ring = g_malloc0(RING_BYTES);
    g_autoptr(GError) error = NULL;

    memcpy(ring, DISK_MARK, sizeof(DISK_MARK));
    for (guint64 i = 0; i < DISK_RING; i++)
        worker_fill(ring + (1 + i) * DISK_BLOCK, DISK_BLOCK, i);
    g_file_set_contents(path, ring, RING_BYTES, &error);
    g_assert_no_error(error);
}

/* The number of the write that @block, the one at @place, holds. */
static guint64
write_in(const char *block, guint64 place, guint64 limit)
{
    for (guint64 write = place; write < limit; write += DISK_RING)
        if (worker_compare(block, DISK_BLOCK, write) < 0)
            return write;
    return NEVER;
}

static char *
read_ring(const char *path, const char *format)
{
    g_autofree char *raw = g_strconcat(path, ".raw", NULL);
    g_autofree char *content = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;

    disk_image_tool("qemu-img", "convert", "-f", format, "-O", "raw", path, raw, NULL);
    g_file_get_contents(raw, &content, &size, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(size, >=, RING_BYTES);
    unlink(raw);
    return g_steal_pointer(&content);
}

void
disk_image_assert_ring(const char *path, const char *format, guint64 steps)
{
    g_autofree char *ring = NULL;
    guint64 newest = 0, oldest = NEVER;
    /* Writes that followed the last report: an hour of them. */
    guint64 limit = steps + 50 * 3600;

    g_assert_cmpuint(steps, >, 0);
    if (strcmp(format, "raw") != 0)
        disk_image_tool("qemu-img", "check", "-q", "-f", format, path, NULL);
    ring = read_ring(path, format);
    g_assert_cmpmem(ring, sizeof(DISK_MARK), DISK_MARK, sizeof(DISK_MARK));
    for (guint64 i = 0; i < DISK_RING; i++) {
        guint64 write = write_in(ring + (1 + i) * DISK_BLOCK, i, limit);

        if (write == NEVER && i < steps)
            g_error("%s: block %" G_GUINT64_FORMAT " of the ring holds no write", path,
                    i);
        if (write != NEVER) {
            newest = MAX(newest, write);
            oldest = MIN(oldest, write);
        }
    }
    g_test_message("%s: %" G_GUINT64_FORMAT " steps reported, writes %" G_GUINT64_FORMAT
                   " to %" G_GUINT64_FORMAT " on it",
                   path, steps, oldest, newest);
    g_assert_cmpuint(newest + 1, >=, steps);
    g_assert_cmpuint(newest - oldest, <, DISK_RING);
}
