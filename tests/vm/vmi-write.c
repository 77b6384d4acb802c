/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory written from outside: its processes and its kernel see it, code that
 * TCG has translated is followed, nothing is written where it should not be, and
 * whoever dies in the middle leaves a guest that runs and no stub.
 *
 * A writer that is to die is this program itself, started anew with "--write".
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/journal.h"
#include "lib/kernels.h"
#include "lib/litmus.h"
#include "qemu/command.h"
#include "qemu/gdb-link.h"
#include "switch/debug.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vm/debug-guest.h"
#include "vmi/linux/linux.h"
#include "vmi/write.h"

#define PAGE 4096

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
static int
writer_main(char **argv)
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

/* --- the witness, which is written to --- */

static char *witness;

static gboolean
cannot_run(void)
{
    if (debug_cannot_run())
        return TRUE;
    if (!witness)
        witness = kernels_witness(debug_guest, NULL);
    return FALSE;
}

static char *
witness_pid(void)
{
    g_autofree char *line = kernels_line(witness, "self", NULL, NULL);

    return kernels_word(line, "pid");
}

static guint64
mapping(const char *kind)
{
    g_autofree char *line = kernels_line(witness, "mapping", "kind", kind);

    return kernels_number(line, "start");
}

/* What the guest itself reads there. */
static char *
seen_inside(const char *file, guint64 at, gsize len)
{
    g_autofree char *command = g_strdup_printf("dd if=%s bs=1 skip=%" G_GUINT64_FORMAT
                                               " count=%" G_GSIZE_FORMAT " 2>/dev/null",
                                               file, at, len);
    gsize got;
    char *bytes = vm_guest_output(debug_guest, command, &got);

    g_assert_cmpuint(got, ==, len);
    return bytes;
}

/* `mose write` with these words; its exit status, and what it says. */
static int
try_write(const char *option, const char *value, const char *place, const char *hex,
          const char *more, char **ret_err)
{
    return vm_mose(NULL, ret_err, "write", debug_guest->name, option, value, place, hex,
                   more, NULL);
}

static void
assert_refused(const char *place, const char *hex, const char *more, const char *says)
{
    g_autofree char *pid = witness_pid();
    g_autofree char *err = NULL;

    g_assert_cmpint(try_write("--pid", pid, place, hex, more, &err), ==, 1);
    if (!strstr(err, says))
        g_error("mose write %s: %s", place, err);
}

static char *
place_of(guint64 address)
{
    return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", address);
}

static void
test_process(void)
{
    g_autofree char *pid = NULL;
    g_autofree char *memory = NULL;
    g_autofree char *place = NULL;
    g_autofree char *bytes = NULL;
    g_autofree char *err = NULL;
    guint64 at;

    if (cannot_run())
        return;
    pid = witness_pid();
    memory = g_strdup_printf("/proc/%s/mem", pid);
    at = mapping("anonymous") + PAGE - 6;
    place = place_of(at);
    if (try_write("--pid", pid, place, "00112233445566778899aabbccddeeff", NULL,
                  &err) != 0)
        g_error("mose write: %s", err);
    bytes = seen_inside(memory, at, 16);
    g_assert_cmpmem(bytes, 16,
                    "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
                    16);
    debug_assert_healed("running");
}

/* What a process maps of a file, others read. */
static void
test_file(void)
{
    g_autofree char *pid = NULL;
    g_autofree char *place = NULL;
    g_autofree char *bytes = NULL;
    g_autofree char *err = NULL;

    if (cannot_run())
        return;
    pid = witness_pid();
    place = place_of(mapping("file-shared") + 100);
    if (vm_mose(NULL, &err, "write", debug_guest->name, "--pid", pid, place, "--text",
                "written from outside", NULL) != 0)
        g_error("mose write: %s", err);
    bytes = seen_inside("/run/witness/mapped", 100, 20);
    g_assert_cmpmem(bytes, 20, "written from outside", 20);
}

static void
test_refused(void)
{
    g_autofree char *zero = NULL;
    g_autofree char *untouched = NULL;
    g_autofree char *good = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_autofree char *pid = NULL;
    g_autofree char *memory = NULL;
    guint64 at;

    if (cannot_run())
        return;
    pid = witness_pid();
    memory = g_strdup_printf("/proc/%s/mem", pid);
    zero = place_of(mapping("zero"));
    untouched = place_of(mapping("untouched"));
    at = mapping("anonymous") + 256;
    good = place_of(at);
    assert_refused(zero, "00", NULL, "page of zeros");
    assert_refused(zero, "00", "--shared", "page of zeros");
    assert_refused(untouched, "00", NULL, "cannot be read");
    assert_refused("0x1000", "00", NULL, "not mapped");
    assert_refused(good, "0g", NULL, "hexadecimal");
    before = seen_inside(memory, at, 8);
    assert_refused(good, "00", "--expect=ffffffffffffffffff",
                   "is not what is expected");
    after = seen_inside(memory, at, 8);
    g_assert_cmpmem(before, 8, after, 8);
    g_assert_cmpint(vm_mose(NULL, NULL, "write", debug_guest->name, "--physical",
                            "0x7ffffffff000", "00", NULL),
                    ==, 1);
    debug_assert_healed("running");
}

/* --- code --- */

/* Patched after it was translated: getpid() returns 1000, and then what it did. */
static void
test_code(void)
{
    /* mov $1000, %eax; ret */
    static const char patch[] = "b8e8030000c3";
    g_autofree char *before = NULL;
    g_autofree char *err = NULL;
    g_autofree char *old = NULL;
    g_autofree char *patched = NULL;
    g_autofree char *after = NULL;
    g_autoptr(JsonObject) bytes = NULL;

    if (cannot_run())
        return;
    before =
        vm_shell_output(debug_guest, "for i in 1 2 3 4 5; do sh -c 'echo $$'; done");
    g_assert_null(strstr(before, "1000\n"));
    bytes = vm_mose_json("read", debug_guest->name, "__x64_sys_getpid", "6", NULL);
    old = g_strdup(mose_json_string(bytes, "bytes", ""));
    g_assert_cmpuint(strlen(old), ==, 12);
    if (vm_mose(NULL, &err, "write", debug_guest->name, "__x64_sys_getpid", patch,
                "--expect", old, NULL) != 0)
        g_error("mose write: %s", err);
    patched = vm_shell_output(debug_guest, "sh -c 'echo $$'; sh -c 'echo $$'");
    g_assert_cmpint(vm_mose(NULL, NULL, "write", debug_guest->name, "__x64_sys_getpid",
                            old, "--expect", patch, NULL),
                    ==, 0);
    after = vm_shell_output(debug_guest, "sh -c 'echo $$'");
    if (!g_str_has_prefix(patched, "1000\n1000"))
        g_error("patched: %s", patched);
    g_assert_null(strstr(after, "1000"));
    debug_assert_runs_on();
}

/* --- states --- */

static void
tell_qmp(const char *command)
{
    g_autoptr(MoseQmp) qmp = debug_ask();
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, command, NULL, &error);
    g_assert_no_error(error);
}

/* A guest that was paused stays so. */
static void
test_paused(void)
{
    g_autoptr(JsonObject) written = NULL;

    if (cannot_run())
        return;
    tell_qmp("stop");
    written = vm_mose_json("write", debug_guest->name, "linux_banner", "4c", NULL);
    g_assert_true(mose_json_bool(written, "unchanged", FALSE));
    g_assert_cmpint(mose_json_int(written, "stopped-us", -1), ==, 0);
    g_assert_cmpstr(mose_json_string(written, "by", ""), ==, "gdb stub");
    debug_assert_healed("paused");
    tell_qmp("cont");
    debug_assert_runs_on();
}

static void
assert_busy(MoseGuest *guest, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = mose_memory_of_guest(guest, &error);
    MoseWrite write = { .address = 0, .bytes = (const guint8 *)"x", .len = 1 };
    MoseWritten written;
    guint8 before, after;

    g_assert_no_error(error);
    g_assert_true(mose_memory_peek(memory, 0, &before, 1));
    g_assert_false(mose_vmi_write(guest, memory, &write, &written, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_BUSY);
    if (!strstr(error->message, says))
        g_error("%s", error->message);
    g_assert_true(mose_memory_peek(memory, 0, &after, 1));
    g_assert_cmpuint(before, ==, after);
}

/* One under way that is not MOSE's: of a byte a second. */
static void
begin_migration(MoseQmp *qmp)
{
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, "migrate-set-parameters",
                 mose_json_object("max-bandwidth", "i", (gint64)1, NULL), &error);
    g_assert_no_error(error);
    mose_qmp_run(qmp, "migrate",
                 mose_json_object("uri", "s", "exec:cat >/dev/null", NULL), &error);
    g_assert_no_error(error);
}

static void
test_busy(void)
{
    MoseJournalEntry entry = { .phase = MOSE_PHASE_PREPARE };
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(MoseJournal) journal = NULL;
    g_autoptr(GError) error = NULL;
    MoseQmp *qmp;

    if (cannot_run())
        return;
    guest = debug_open(MOSE_GUEST_LOCK);
    journal = mose_journal_begin(guest->dir, &entry, &error);
    g_assert_no_error(error);
    assert_busy(guest, "a switch is under way");
    g_assert_true(mose_journal_end(guest->dir, &error));
    qmp = debug_ask();
    begin_migration(qmp);
    mose_qmp_free(qmp);
    assert_busy(guest, "QEMU is migrating it");
    qmp = debug_ask();
    mose_qmp_run(qmp, "migrate_cancel", NULL, &error);
    g_assert_no_error(error);
    mose_qmp_free(qmp);
    mose_guest_unlock(guest);
    debug_assert_runs_on();
}

/* Without the lock nobody writes. */
static void
test_lock(void)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(MoseGuest) other = NULL;
    g_autoptr(MoseMemory) memory = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *err = NULL;
    MoseWrite write = { .address = 0, .bytes = (const guint8 *)"x", .len = 1 };
    MoseWritten written;

    if (cannot_run())
        return;
    guest = debug_open(MOSE_GUEST_LOOK);
    memory = mose_memory_of_guest(guest, &error);
    g_assert_false(mose_vmi_write(guest, memory, &write, &written, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_pointer(&memory, mose_memory_free);
    other = debug_open(MOSE_GUEST_LOCK);
    g_assert_cmpint(try_write("--physical", "0x1000", "00", NULL, NULL, &err), ==, 1);
    g_assert_nonnull(strstr(err, "another command"));
    mose_guest_unlock(other);
}

/* --- deaths --- */

/* Where two pages of the witness's are, one behind the other in its memory. */
static guint64
physical_of(guint64 address)
{
    g_autofree char *pid = witness_pid();
    g_autofree char *place = place_of(address);
    g_autoptr(JsonObject) pages =
        vm_mose_json("read", debug_guest->name, "--pid", pid, "--pages", place, NULL);

    return g_ascii_strtoull(mose_json_string(pages, "physical", "0"), NULL, 16);
}

static void
test_death(void)
{
    static const char *const steps[] = { "recorded", "chardev",  "stub",   "connected",
                                         "written",  "verified", "ending", "closed",
                                         "mode",     NULL };
    guint64 kept;

    if (cannot_run())
        return;
    /* Nobody uses the shared mapping's pages but the witness, which sleeps. */
    kept = physical_of(mapping("huge"));
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
static void
test_mode(void)
{
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    MoseDebug *debug;
    char text[14] = "";

    if (cannot_run())
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

/* --- forks --- */

static char *
banner_of(const char *name)
{
    g_autoptr(JsonObject) object =
        vm_mose_json("read", name, "saved_command_line", "8", NULL);

    return g_strdup(mose_json_string(object, "bytes", ""));
}

/* What is written to one is not seen by the other. */
static void
test_forks(void)
{
    g_autofree char *origin = NULL;
    g_autofree char *fork = NULL;
    g_autofree char *err = NULL;
    g_autoptr(JsonObject) pages = NULL;
    const char *physical;

    if (cannot_run())
        return;
    if (vm_mose(NULL, &err, "fork", debug_guest->name, "copy", NULL) != 0)
        g_error("mose fork: %s", err);
    pages =
        vm_mose_json("read", debug_guest->name, "--pages", "saved_command_line", NULL);
    physical = mose_json_string(pages, "physical", NULL);
    g_assert_nonnull(physical);
    origin = banner_of(debug_guest->name);
    fork = banner_of("copy");
    g_assert_cmpstr(origin, ==, fork);
    g_assert_cmpint(vm_mose(NULL, NULL, "write", debug_guest->name, "--physical",
                            physical, "0102030405060708", NULL),
                    ==, 0);
    g_free(fork);
    fork = banner_of("copy");
    g_assert_cmpstr(origin, ==, fork);
    g_assert_cmpint(vm_mose(NULL, NULL, "write", "copy", "--physical", physical,
                            "1112131415161718", NULL),
                    ==, 0);
    g_free(fork);
    fork = banner_of("copy");
    g_assert_cmpstr(fork, ==, "1112131415161718");
    g_free(fork);
    fork = banner_of(debug_guest->name);
    g_assert_cmpstr(fork, ==, "0102030405060708");
    g_assert_cmpint(vm_mose(NULL, NULL, "write", debug_guest->name, "--physical",
                            physical, origin, NULL),
                    ==, 0);
    g_assert_cmpint(vm_mose(NULL, NULL, "discard", "copy", NULL), ==, 0);
    debug_assert_runs_on();
}

/* --- KVM --- */

static char *
ask_qemu(const char *name, const char *command)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, &error);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, &error);
    char *said = mose_qmp_hmp(qmp, command, &error);

    g_assert_no_error(error);
    return said;
}

/* Bytes that the guest does not use, by QEMU's own word. */
#define SPARE "0x3f00000"

static void
check_kvm(const char *name, const char *hex, const char *by, const char *wanted)
{
    g_autoptr(JsonObject) written =
        vm_mose_json("write", name, "--physical", SPARE, hex, NULL);
    g_autofree char *said = ask_qemu(name, "xp /4xb " SPARE);

    g_assert_cmpstr(mose_json_string(written, "by", ""), ==, by);
    if (!strstr(said, wanted))
        g_error("after %s: %s", hex, said);
}

static void
test_kvm(void)
{
    g_auto(MoseFd) kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_autoptr(Litmus) litmus = NULL;
    g_autofree char *said = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    const char *name;

    if (vm_cannot_run())
        return;
    if (kvm < 0) {
        g_test_skip("/dev/kvm does not open");
        return;
    }
    litmus = litmus_start(
        &(LitmusSetup){ .name = "ring0", .accel = "kvm", .only = "pit-pic" });
    name = litmus_name(litmus);
    /* It runs: by the stub, and it runs on. */
    check_kvm(name, "c0ffee01", "gdb stub", "0xc0 0xff 0xee 0x01");
    said = ask_qemu(name, "info status");
    g_assert_nonnull(strstr(said, "running"));
    /* It stands still, its memory in place. */
    first = ask_qemu(name, "stop");
    check_kvm(name, "c0ffee02", "memory", "0xc0 0xff 0xee 0x02");
    second = ask_qemu(name, "info status");
    g_assert_nonnull(strstr(second, "paused"));
    g_free(second);
    second = ask_qemu(name, "cont");
    litmus_arm(litmus);
}

/* --- no Linux --- */

static void
assert_unknown(const char *name, const char *option, const char *value,
               const char *place)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mose(NULL, &err, "read", name, option, value, place, NULL), ==,
                    1);
    if (!strstr(err, "no Linux kernel"))
        g_error("%s: %s", place, err);
}

/* What is generic works on a system that nobody knows, and says so. */
static void
test_unknown(void)
{
    g_autoptr(Litmus) litmus = NULL;
    g_autoptr(JsonObject) plain = NULL;
    g_autoptr(JsonObject) cpu = NULL;
    g_autoptr(JsonObject) pages = NULL;
    g_autoptr(JsonObject) code = NULL;
    g_autofree char *said = NULL;
    g_autofree char *expected = NULL;
    JsonArray *list;
    const char *name, *bytes;

    if (vm_cannot_run())
        return;
    litmus = litmus_start(
        &(LitmusSetup){ .name = "unknown", .accel = "tcg", .only = "pit-pic" });
    name = litmus_name(litmus);
    /* It is mapped as it is: QEMU tells of the same by both. */
    said = ask_qemu(name, "x /4xb 0x100000");
    plain = vm_mose_json("read", name, "0x100000", "64", NULL);
    g_assert_nonnull(
        strstr(mose_json_string(plain, "no-linux", ""), "no Linux kernel"));
    bytes = mose_json_string(plain, "bytes", "");
    g_assert_cmpuint(strlen(bytes), ==, 128);
    expected = g_strdup_printf("0x%.2s 0x%.2s 0x%.2s 0x%.2s", bytes, bytes + 2,
                               bytes + 4, bytes + 6);
    if (!strstr(said, expected))
        g_error("%s, and not %s", said, expected);
    cpu = vm_mose_json("read", name, "--cpu", "0", "0x100000", "64", NULL);
    g_assert_cmpstr(mose_json_string(cpu, "bytes", ""), ==, bytes);
    pages = vm_mose_json("read", name, "--cpu", "0", "--pages", "0x100000", NULL);
    g_assert_cmpstr(mose_json_string(pages, "physical", ""), ==, "0x100000");
    code =
        vm_mose_json("read", name, "--cpu", "0", "--disassemble", "%rip", "16", NULL);
    list = mose_json_array(code, "instructions");
    g_assert_cmpint(mose_json_int(code, "bits", 0), ==, 64);
    g_assert_cmpuint(json_array_get_length(list), >, 0);
    assert_unknown(name, "--cpu", "0", "schedule");
    assert_unknown(name, "--pid", "1", "0x1000");
}

int
main(int argc, char **argv)
{
    int ret;

    if (argc == 5 && strcmp(argv[1], "--write") == 0)
        return writer_main(argv + 2);
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/vmi-write/process", test_process);
    g_test_add_func("/vmi-write/file", test_file);
    g_test_add_func("/vmi-write/refused", test_refused);
    g_test_add_func("/vmi-write/code", test_code);
    g_test_add_func("/vmi-write/paused", test_paused);
    g_test_add_func("/vmi-write/busy", test_busy);
    g_test_add_func("/vmi-write/lock", test_lock);
    g_test_add_func("/vmi-write/mode", test_mode);
    g_test_add_func("/vmi-write/death", test_death);
    g_test_add_func("/vmi-write/forks", test_forks);
    g_test_add_func("/vmi-write/kvm", test_kvm);
    g_test_add_func("/vmi-write/unknown", test_unknown);
    ret = vm_run_tests();
    vm_guest_free(debug_guest);
    g_free(witness);
    return ret;
}
