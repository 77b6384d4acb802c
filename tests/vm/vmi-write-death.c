/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever dies while he writes into a guest's memory, the guest runs on, and no stub is
 * left, nor a mode of it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/gdb-link.h"
#include "switch/debug.h"
#include "switch/recover.h"
#include "util/json.h"
#include "vm/vmi-write.h"
#include "vmi/write.h"

/* --- the writer that dies --- */

static void
must(gboolean done, GError *error)
{
    if (done)
        return;
    fprintf(stderr, "writer: %s\n", error ? error->message : "?");
    exit(2);
}

static void
meet_fate(const char *step, gpointer data)
{
    if (strcmp(step, data) == 0)
        kill(getpid(), SIGKILL);
}

/* Its QEMU is left with physical addresses in the stub. */
static void
die_in_mode(MoseGuest *guest)
{
    g_autoptr(GError) error = NULL;
    MoseDebug *debug = mose_debug_begin(guest, NULL, NULL, &error);

    must(debug != NULL, error);
    must(mose_gdb_ask(mose_debug_gdb(debug), "Qqemu.PhyMemMode:1", &error) != NULL,
         error);
    kill(getpid(), SIGKILL);
}

/* --write NAME PHYSICAL STEP: two pages full of 0x5a. */
int
write_die(char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(argv[0], MOSE_GUEST_LOCK, &error);
    g_autoptr(MoseMemory) memory = NULL;
    g_autofree guint8 *bytes = g_malloc(2 * PAGE);
    MoseRecovered recovered;
    MoseWritten written;
    MoseWrite write = { .address = g_ascii_strtoull(argv[1], NULL, 16),
                        .bytes = bytes,
                        .len = 2 * PAGE };

    must(guest && mose_recover(guest, &recovered, &error), error);
    if (strcmp(argv[2], "mode") == 0)
        die_in_mode(guest);
    memory = mose_memory_of_guest(guest, &error);
    must(memory != NULL, error);
    memset(bytes, 0x5a, 2 * PAGE);
    must(mose_vmi_write_told(guest, memory, &write, meet_fate, argv[2], &written,
                             &error),
         error);
    return 0;
}

static void
run_writer(guint64 physical, const char *step)
{
    g_autofree char *address = g_strdup_printf("%" G_GINT64_MODIFIER "x", physical);
    const char *argv[] = { "/proc/self/exe", "--write", debug_guest->name,
                           address,          step,      NULL };
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        g_error("the writer did not die at '%s' (status 0x%x)", step, status);
}

/* --- deaths --- */

/* Where two pages of the witness's are, one behind the other in its memory. */
static guint64
physical_of(guint64 address)
{
    g_autofree char *pid = write_pid();
    g_autofree char *place = write_place(address);
    g_autoptr(JsonObject) pages =
        vm_mose_json("read", debug_guest->name, "--pid", pid, "--pages", place, NULL);

    return g_ascii_strtoull(mose_json_string(pages, "physical", "0"), NULL, 16);
}

void
test_write_death(void)
{
    static const char *const steps[] = { "recorded", "chardev",  "stub",   "connected",
                                         "written",  "verified", "ending", "closed",
                                         "mode",     NULL };
    guint64 kept;

    if (write_cannot_run())
        return;
    /* Nobody uses the shared mapping's pages but the witness, which sleeps. */
    kept = physical_of(write_mapping("huge"));
    for (const char *const *step = steps; *step; step++) {
        g_autofree char *banner = NULL;
        gint64 took;

        run_writer(kept, *step);
        took = debug_assert_healed("running");
        g_test_message("died at '%s': healed after %d ms", *step, (int)(took / 1000));
        debug_assert_runs_on();
        g_assert_cmpint(vm_mose(&banner, NULL, "read", debug_guest->name,
                                "linux_banner", "16", NULL),
                        ==, 0);
    }
}

/* The mode that a dead client left is the QEMU's: virtual addresses are meant again. */
void
test_write_mode(void)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    MoseDebug *debug;
    char text[14] = "";

    if (write_cannot_run())
        return;
    run_writer(0, "mode");
    debug_assert_healed("running");
    guest = debug_open(MOSE_GUEST_LOCK);
    debug = mose_debug_begin(guest, NULL, NULL, &error);
    g_assert_no_error(error);
    mose_gdb_read_memory(mose_debug_gdb(debug), debug_functions[DEBUG_SCHEDULE], text,
                         4, &error);
    g_assert_no_error(error);
    mose_debug_end(debug, &error);
    g_assert_no_error(error);
    mose_guest_unlock(guest);
    /* endbr64, or the nop of a call to ftrace: in physical memory that is nowhere. */
    g_assert_cmpint(text[0], !=, 0);
}
