/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory written from outside: its processes and its kernel see it, code that
 * TCG has translated is followed, and nothing is written where it should not be.
 *
 * A writer that is to die (vmi-write-death.c) is this program itself, started anew with
 * "--write".
 */
#include <string.h>

#include "guest/journal.h"
#include "qemu/command.h"
#include "util/error.h"
#include "util/json.h"
#include "vm/vmi-write.h"
#include "vmi/write.h"

/* --- the witness, which is written to --- */

static char *witness;

gboolean
write_cannot_run(void)
{
    if (debug_cannot_run())
        return TRUE;
    if (!witness)
        witness = kernels_witness(debug_guest, NULL);
    return FALSE;
}

char *
write_pid(void)
{
    g_autofree char *line = kernels_line(witness, "self", NULL, NULL);

    return kernels_word(line, "pid");
}

guint64
write_mapping(const char *kind)
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
    g_autofree char *pid = write_pid();
    g_autofree char *err = NULL;

    g_assert_cmpint(try_write("--pid", pid, place, hex, more, &err), ==, 1);
    if (!strstr(err, says))
        g_error("mose write %s: %s", place, err);
}

char *
write_place(guint64 address)
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

    if (write_cannot_run())
        return;
    pid = write_pid();
    memory = g_strdup_printf("/proc/%s/mem", pid);
    at = write_mapping("anonymous") + PAGE - 6;
    place = write_place(at);
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

    if (write_cannot_run())
        return;
    pid = write_pid();
    place = write_place(write_mapping("file-shared") + 100);
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

    if (write_cannot_run())
        return;
    pid = write_pid();
    memory = g_strdup_printf("/proc/%s/mem", pid);
    zero = write_place(write_mapping("zero"));
    untouched = write_place(write_mapping("untouched"));
    at = write_mapping("anonymous") + 256;
    good = write_place(at);
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

    if (write_cannot_run())
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

    if (write_cannot_run())
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

    if (write_cannot_run())
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

    if (write_cannot_run())
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

    if (write_cannot_run())
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

int
main(int argc, char **argv)
{
    int ret;

    if (argc == 5 && strcmp(argv[1], "--write") == 0)
        return write_die(argv + 2);
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/vmi-write/process", test_process);
    g_test_add_func("/vmi-write/file", test_file);
    g_test_add_func("/vmi-write/refused", test_refused);
    g_test_add_func("/vmi-write/code", test_code);
    g_test_add_func("/vmi-write/paused", test_paused);
    g_test_add_func("/vmi-write/busy", test_busy);
    g_test_add_func("/vmi-write/lock", test_lock);
    g_test_add_func("/vmi-write/mode", test_write_mode);
    g_test_add_func("/vmi-write/death", test_write_death);
    g_test_add_func("/vmi-write/forks", test_forks);
    g_test_add_func("/vmi-write/kvm", test_write_kvm);
    g_test_add_func("/vmi-write/unknown", test_write_unknown);
    ret = vm_run_tests();
    vm_guest_free(debug_guest);
    g_free(witness);
    return ret;
}
