/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory read by the host; see guest-ram.h. */
#include "lib/guest-ram.h"

#include "guest/linux/worker/worker.h"
#include "qemu/ram.h"

#define PAGE 4096

static GBytes *
map(pid_t qemu)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)qemu, MOSE_RAM_FD);
    g_autoptr(GError) error = NULL;
    GMappedFile *file = g_mapped_file_new(path, FALSE, &error);
    GBytes *bytes;

    g_assert_no_error(error);
    bytes = g_mapped_file_get_bytes(file);
    g_mapped_file_unref(file);
    return bytes;
}

char *
guest_ram_checksum(pid_t qemu)
{
    g_autoptr(GBytes) ram = map(qemu);

    return g_compute_checksum_for_bytes(G_CHECKSUM_SHA1, ram);
}

/* The first word of each page that the worker may have written, and its seed. */
static GHashTable *
first_words(guint64 seeds)
{
    GHashTable *table =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    for (guint64 seed = 0; seed < seeds; seed++) {
        guint64 *word = g_new(guint64, 1);

        worker_fill(word, sizeof(*word), seed);
        g_hash_table_insert(table, word, GSIZE_TO_POINTER(seed));
    }
    return table;
}

void
guest_ram_worker_pages(pid_t qemu, guint64 seeds, guint *ret_whole, guint *ret_broken)
{
    g_autoptr(GBytes) ram = map(qemu);
    g_autoptr(GHashTable) table = first_words(seeds);
    gsize size;
    const guint8 *data = g_bytes_get_data(ram, &size);

    *ret_whole = *ret_broken = 0;
    for (gsize at = 0; at + PAGE <= size; at += PAGE) {
        gpointer seed;

        if (!g_hash_table_lookup_extended(table, data + at, NULL, &seed))
            continue;
        if (worker_compare(data + at, PAGE, GPOINTER_TO_SIZE(seed)) < 0)
            (*ret_whole)++;
        else
            (*ret_broken)++;
    }
}
