/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest looked into wherever it is: on either side, while it is switched, paused, a
 * fork, with memory of QEMU's own, with memory that may not be read but by QEMU; and
 * where there is no Linux, or not yet. What is seen is what its own /proc says.
 */
#include <gio/gio.h>
#include <signal.h>
#include <string.h>

#include "guest/guest.h"
#include "lib/vm.h"
#include "qemu/command.h"
#include "util/json.h"
#include "vm/fork-guest.h"

#define SWITCHES 6
#define BOOT_SECONDS 120

/* --- two counts --- */

/* The processes that the guest's own /proc has. No process is made to look. */
static GHashTable *
pids_inside(const VmGuest *guest)
{
    GHashTable *pids = g_hash_table_new(NULL, NULL);
    g_autofree char *text = vm_shell_output(guest, "cd /proc; echo [0-9]*; cd /");
    g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);

    for (char **word = words; *word; word++)
        if (**word)
            g_hash_table_add(pids, GINT_TO_POINTER(atoi(*word)));
    return pids;
}

static GHashTable *
pids_of(JsonObject *object)
{
    GHashTable *pids = g_hash_table_new(NULL, NULL);
    JsonArray *tasks = mose_json_array(object, "tasks");

    for (guint i = 0; i < json_array_get_length(tasks); i++) {
        int pid = mose_json_int(mose_json_element(tasks, i), "pid", -1);

        g_assert_cmpint(pid, >, 0);
        g_assert_true(g_hash_table_add(pids, GINT_TO_POINTER(pid)));
    }
    return pids;
}

static GHashTable *
pids_outside(const char *name)
{
    g_autofree char *out = NULL;
    g_autoptr(JsonObject) object = NULL;

    if (vm_mose(&out, NULL, "ps", name, "--json", NULL) != 0)
        g_error("mose ps %s: %s", name, out);
    object = mose_json_parse(out, -1, "mose ps", NULL);
    return pids_of(object);
}

static void
assert_within(GHashTable *pids, GHashTable *one, GHashTable *other)
{
    GHashTableIter iter;
    gpointer pid;

    g_hash_table_iter_init(&iter, pids);
    while (g_hash_table_iter_next(&iter, &pid, NULL))
        if (!g_hash_table_contains(one, pid) && !g_hash_table_contains(other, pid))
            g_error("process %d is seen on one side alone", GPOINTER_TO_INT(pid));
}

/* What was there before and after has to be seen; nothing else may be. */
static void
assert_sees(const VmGuest *guest)
{
    g_autoptr(GHashTable) before = pids_inside(guest);
    g_autoptr(GHashTable) seen = pids_outside(guest->name);
    g_autoptr(GHashTable) after = pids_inside(guest);
    g_autoptr(GHashTable) none = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    gpointer pid;

    g_assert_cmpuint(g_hash_table_size(before), >, 20);
    assert_within(seen, before, after);
    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, &pid, NULL))
        if (!g_hash_table_contains(after, pid))
            g_hash_table_iter_remove(&iter);
    assert_within(before, seen, none);
}

static VmGuest *
boot(const char *name, const char *options)
{
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, options, NULL, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", BOOT_SECONDS);
    return guest;
}

static void
mose(const char *word, const char *name)
{
    g_autofree char *err = NULL;

    if (vm_mose(NULL, &err, word, name, NULL) != 0)
        g_error("mose %s: %s", word, err);
}

static void
tell_qemu(const VmGuest *vm, const char *command)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, NULL);

    g_assert_true(qmp && mose_qmp_run(qmp, command, NULL, NULL));
}

/* --- wherever it is --- */

static void
test_sides(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GHashTable) running = NULL, paused = NULL, none = NULL;

    if (vm_cannot_run())
        return;
    guest = boot("sides", NULL);
    assert_sees(guest);
    mose("emulate", guest->name);
    assert_sees(guest);
    mose("virtualize", guest->name);
    assert_sees(guest);

    none = g_hash_table_new(NULL, NULL);
    running = pids_inside(guest);
    tell_qemu(guest, "stop");
    paused = pids_outside(guest->name);
    assert_within(paused, running, none);
    tell_qemu(guest, "cont");
    mose("stop", guest->name);
}

/* Looked at all the while: each answer is whole, whichever process has the guest. */
static void
test_switching(void)
{
    g_autoptr(VmGuest) guest = NULL;
    guint looks = 0;

    if (vm_cannot_run())
        return;
    guest = boot("switching", NULL);
    for (guint i = 0; i < SWITCHES; i++) {
        const char *const words[] = { g_getenv("MOSE"),
                                      i % 2 ? "virtualize" : "emulate", guest->name,
                                      NULL };
        g_autoptr(GSubprocess) command = g_subprocess_newv(
            words,
            G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
            NULL);

        while (g_subprocess_get_identifier(command)) {
            g_autoptr(GHashTable) seen = pids_outside(guest->name);

            looks++;
            g_assert_true(g_hash_table_contains(seen, GINT_TO_POINTER(1)));
            g_assert_cmpuint(g_hash_table_size(seen), >, 20);
            g_main_context_iteration(NULL, FALSE);
        }
        g_assert_true(g_subprocess_wait(command, NULL, NULL));
        g_assert_cmpint(g_subprocess_get_exit_status(command), ==, 0);
    }
    g_test_message("%u looks in %u switches", looks, SWITCHES);
    g_assert_cmpuint(looks, >, SWITCHES);
    assert_sees(guest);
    mose("stop", guest->name);
}

static void
test_forks(void)
{
    g_autoptr(VmGuest) guest = NULL, fork = NULL;

    if (vm_cannot_run())
        return;
    guest = boot("whole", NULL);
    g_assert_cmpint(vm_mose(NULL, NULL, "fork", guest->name, "part", NULL), ==, 0);
    fork = fork_as_guest("part");
    assert_sees(guest);
    assert_sees(fork);
    /* They are apart: what the fork starts is not the guest's. */
    vm_shell(fork, "sleep 1000 & sleep 1000 & sleep 1000 &");
    assert_sees(fork);
    assert_sees(guest);
    mose("discard", "part");
    assert_sees(guest);
    mose("stop", guest->name);
}

/* Whoever looks for long leaves the guest's monitor to others. */
static void
test_followed(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) follower = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *state = NULL;
    GInputStream *said;
    char byte;

    if (vm_cannot_run())
        return;
    guest = boot("followed", NULL);
    follower = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error,
                                g_getenv("MOSE"), "dmesg", "-w", guest->name, NULL);
    g_assert_no_error(error);
    said = g_subprocess_get_stdout_pipe(follower);
    g_assert_cmpint(g_input_stream_read(said, &byte, 1, NULL, &error), ==, 1);
    state = vm_state(guest);
    g_assert_cmpstr(state, ==, "running");
    assert_sees(guest);
    mose("emulate", guest->name);
    assert_sees(guest);
    g_subprocess_send_signal(follower, SIGINT);
    g_assert_true(g_subprocess_wait(follower, NULL, NULL));
    g_assert_cmpint(g_subprocess_get_exit_status(follower), ==, 0);
    mose("stop", guest->name);
}

/* --- a core file --- */

static char *
shown(const char *command, const char *of)
{
    g_auto(GStrv) words = g_strsplit(command, " ", -1);
    g_autofree char *err = NULL;
    char *out;

    for (char **word = words; *word; word++)
        if (strcmp(*word, "@") == 0) {
            g_free(*word);
            *word = g_strdup(of);
        }
    if (vm_mosev(&out, &err, (const char *const *)words) != 0)
        g_error("mose %s of %s: %s", command, of, err);
    g_assert_cmpuint(strlen(out), >, 0);
    return out;
}

/* Each command says the same of a guest that stands still and of its dump. */
static void
compare_core(const char *name, const char *core)
{
    static const char *const commands[] = {
        "ps @ --full --threads",
        "cpus @",
        "bt @ --all",
        "modules @",
        "dmesg @",
        "irq @",
        "net @",
        "mounts @",
        "files @",
        "maps @ 1 --pages",
        "objects @ 1",
        "cat @ /etc/passwd",
        "sym @ --all",
        "type @ task_struct@init_task.comm",
        "type @ list(task_struct@init_task.tasks,task_struct,tasks).pid",
        "read @ schedule 64 --disassemble",
        "read @ linux_banner 64",
        "read @ 0x1000 64 --physical",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *of_guest = shown(commands[i], name);
        g_autofree char *of_core = shown(commands[i], core);

        if (strcmp(of_guest, of_core) != 0)
            g_error("mose %s: of the guest\n%s\nof its core\n%s", commands[i], of_guest,
                    of_core);
    }
}

static void
test_core(void)
{
    static const char *const formats[] = { "elf", "kdump-zlib" };
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = boot("dumped", NULL);
    tell_qemu(guest, "stop");
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *core = vm_path(formats[i]);

        g_assert_cmpint(vm_mose(NULL, NULL, "dump", guest->name, core, "--format",
                                formats[i], NULL),
                        ==, 0);
        compare_core(guest->name, core);
    }
    mose("stop", guest->name);
}

/* --- memory that is QEMU's own --- */

static void
test_private(void)
{
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = boot("private", "--ram-private");
    assert_sees(guest);
    mose("stop", guest->name);
}

/* Who may not trace QEMU has to ask it (a user's MOSE under Yama, say). */
static void
test_untraceable(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GHashTable) inside = NULL, seen = NULL, none = NULL;
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *out = NULL, *setpriv = g_find_program_in_path("setpriv");
    g_autoptr(GError) error = NULL;
    const char *words[] = { setpriv,
                            "--bounding-set=-sys_ptrace",
                            g_getenv("MOSE"),
                            "ps",
                            "untraceable",
                            "--json",
                            NULL };
    int status;

    if (vm_cannot_run())
        return;
    if (!setpriv) {
        g_test_skip("there is no setpriv");
        return;
    }
    guest = boot("untraceable", "--ram-private");
    inside = pids_inside(guest);
    g_assert_true(g_spawn_sync(NULL, (char **)words, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                               &out, NULL, &status, &error));
    g_assert_no_error(error);
    if (status != 0)
        g_error("%s", out);
    object = mose_json_parse(out, -1, "mose", &error);
    g_assert_no_error(error);
    seen = pids_of(object);
    none = g_hash_table_new(NULL, NULL);
    g_assert_cmpuint(g_hash_table_size(seen), >, 20);
    assert_within(seen, inside, none);
    mose("stop", guest->name);
}

/* --- no Linux --- */

static void
assert_no_linux(const char *name)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mose(NULL, &err, "ps", name, NULL), ==, 1);
    if (!strstr(err, "no Linux kernel was found"))
        g_error("it says: %s", err);
}

/* A kernel whose BTF is none: what needs types is refused in words, and the rest goes
 * on. */
static void
test_no_types(void)
{
    static const char *const need[] = { "ps", "mounts", "net", "irq" };
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *symbol = NULL;

    if (vm_cannot_run())
        return;
    guest = boot("typeless", NULL);
    /* BTF_MAGIC, Linux include/uapi/linux/btf.h */
    g_assert_cmpint(vm_mose(NULL, NULL, "write", guest->name, "--expect", "9feb",
                            "__start_BTF", "0000", NULL),
                    ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(need); i++) {
        g_autofree char *err = NULL;

        g_assert_cmpint(vm_mose(NULL, &err, need[i], guest->name, NULL), ==, 1);
        g_assert_nonnull(strstr(err, "has no BTF that can be used"));
        g_assert_nonnull(strstr(err, "symbols, memory and registers can be read"));
    }
    g_assert_cmpint(vm_mose(&symbol, NULL, "sym", guest->name, "schedule", NULL), ==,
                    0);
    g_assert_nonnull(strstr(symbol, " T schedule\n"));
    g_assert_cmpint(vm_mose(NULL, NULL, "read", guest->name, "_text", NULL), ==, 0);
    g_assert_cmpint(vm_mose(NULL, NULL, "write", guest->name, "--expect", "0000",
                            "__start_BTF", "9feb", NULL),
                    ==, 0);
    assert_sees(guest);
    mose("stop", guest->name);
}

static void
test_no_linux(void)
{
    if (vm_cannot_run())
        return;
    g_assert_cmpint(vm_mose(NULL, NULL, "run", "empty", "--accel", "tcg", "--", "-m",
                            "64", "-nodefaults", NULL),
                    ==, 0);
    assert_no_linux("empty");
    mose("stop", "empty");
}

/* From its first instruction on: nothing until there is a kernel, and then what is
 * right.
 */
static void
test_booting(void)
{
    g_autoptr(VmGuest) guest = NULL;
    guint refused = 0, seen = 0;
    gint64 end = g_get_monotonic_time() + BOOT_SECONDS * G_USEC_PER_SEC;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new("booting");
    vm_run(guest, NULL, NULL, NULL);
    while (!vm_console_has(guest, "MOSE-GUEST READY")) {
        g_autofree char *out = NULL, *err = NULL;
        int status = vm_mose(&out, &err, "ps", guest->name, NULL);

        g_assert_cmpint(g_get_monotonic_time(), <, end);
        if (status == 0) {
            g_assert_nonnull(strstr(out, "PID"));
            seen++;
        } else {
            g_assert_cmpint(status, ==, 1);
            g_assert_cmpuint(strlen(err), >, 0);
            refused++;
        }
    }
    g_test_message("%u times refused, %u times seen", refused, seen);
    g_assert_cmpuint(seen, >, 0);
    assert_sees(guest);
    mose("stop", guest->name);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/look/sides", test_sides);
    g_test_add_func("/look/switching", test_switching);
    g_test_add_func("/look/forks", test_forks);
    g_test_add_func("/look/followed", test_followed);
    g_test_add_func("/look/core", test_core);
    g_test_add_func("/look/private", test_private);
    g_test_add_func("/look/untraceable", test_untraceable);
    g_test_add_func("/look/no-types", test_no_types);
    g_test_add_func("/look/no-linux", test_no_linux);
    g_test_add_func("/look/booting", test_booting);
    return vm_run_tests();
}
