/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of a debug session: written, read, damaged, removed. */
#include "switch/debug-record.h"

#include <glib/gstdio.h>
#include <string.h>

#include "util/error.h"

/* All that the record needs of a guest. */
static MoseGuest
guest_new(void)
{
    g_autoptr(GError) error = NULL;
    MoseGuest guest = { .dir = g_dir_make_tmp("mose-record-XXXXXX", &error) };

    g_assert_no_error(error);
    return guest;
}

static void
put(const MoseGuest *guest, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(guest->dir, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
test_round_trip(void)
{
    static const MoseGdbPoint points[] = {
        { MOSE_GDB_HARDWARE, 0xffffffff81000000, 1 },
        { MOSE_GDB_ACCESSES, 0x1000, 8 },
    };
    MoseGuest guest = guest_new();
    g_autoptr(MoseDebugRecord) record = mose_debug_record_new(3, FALSE);
    g_autoptr(MoseDebugRecord) back = NULL;
    g_autoptr(GError) error = NULL;

    g_array_append_vals(record->points, points, 2);
    g_assert_false(mose_debug_record_exists(&guest));
    g_assert_true(mose_debug_record_write(record, &guest, &error));
    g_assert_true(mose_debug_record_exists(&guest));
    back = mose_debug_record_read(&guest, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(back->generation, ==, 3);
    g_assert_false(back->was_running);
    g_assert_cmpuint(back->points->len, ==, G_N_ELEMENTS(points));
    for (gsize i = 0; i < G_N_ELEMENTS(points); i++) {
        const MoseGdbPoint *point = &g_array_index(back->points, MoseGdbPoint, i);

        g_assert_cmpint(point->kind, ==, points[i].kind);
        g_assert_cmphex(point->address, ==, points[i].address);
        g_assert_cmpuint(point->length, ==, points[i].length);
    }
    /* A writer that was killed leaves a part beside it. */
    put(&guest, "debug.12.new", "{\"gen");
    g_assert_true(mose_debug_record_remove(&guest, &error));
    g_assert_true(mose_debug_record_remove(&guest, &error));
    g_assert_no_error(error);
    g_clear_pointer(&back, mose_debug_record_free);
    back = mose_debug_record_read(&guest, &error);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_cmpint(g_rmdir(guest.dir), ==, 0); /* nothing is left in it */
    g_free(guest.dir);
}

static void
test_find(void)
{
    static const MoseGdbPoint points[] = {
        { MOSE_GDB_HARDWARE, 0x1000, 1 },
        { MOSE_GDB_WRITES, 0x2000, 8 },
    };
    static const struct {
        MoseGdbPoint point;
        int number;
    } cases[] = {
        { { MOSE_GDB_SOFTWARE, 0x1000, 1 }, 0 },
        { { MOSE_GDB_HARDWARE, 0x1000, 4 }, 0 },
        { { MOSE_GDB_HARDWARE, 0x1001, 1 }, -1 },
        { { MOSE_GDB_WRITES, 0x1000, 1 }, -1 },
        { { MOSE_GDB_WRITES, 0x2000, 8 }, 1 },
        { { MOSE_GDB_READS, 0x2000, 8 }, -1 },
        { { MOSE_GDB_WRITES, 0x2000, 4 }, -1 },
        { { MOSE_GDB_HARDWARE, 0x2000, 1 }, -1 },
    };
    g_autoptr(MoseDebugRecord) record = mose_debug_record_new(1, TRUE);

    g_array_append_vals(record->points, points, 2);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(mose_debug_record_find(record, &cases[i].point), ==,
                        cases[i].number);
}

static void
test_damaged(void)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"generation\": 1, \"points\": [5]}",
        "{\"generation\": 1, \"points\": [{\"kind\": 5, \"address\": 1, \"length\": "
        "1}]}",
        "{\"generation\": 1, \"points\": [{\"kind\": -1, \"address\": 1, \"length\": "
        "1}]}",
        "{\"generation\": 1, \"points\": [{\"kind\": 1, \"address\": 1}]}",
    };
    MoseGuest guest = guest_new();

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;

        put(&guest, "debug", texts[i]);
        g_assert_null(mose_debug_record_read(&guest, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_assert_nonnull(strstr(error->message, "/debug"));
    }
    g_assert_true(mose_debug_record_remove(&guest, NULL));
    g_assert_cmpint(g_rmdir(guest.dir), ==, 0);
    g_free(guest.dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/debug-record/round-trip", test_round_trip);
    g_test_add_func("/debug-record/find", test_find);
    g_test_add_func("/debug-record/damaged", test_damaged);
    return g_test_run();
}
