/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands say when something is out of the ordinary: a guest that has
 * ended, a switch that is interrupted or looked at, one that happened but for a socket,
 * a QEMU that does not start. The guests here have nothing to boot.
 */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"
#include "qemu/command.h"
#include "guest/guest.h"
#include "guest/journal.h"
#include "util/json.h"

#define WAIT_MS 20000
/* For the command to have stopped, and for it to go on while it is waited for. */
#define STOP_WAIT_US 20000
#define GO_ON_US 300000
#define BETWEEN_TRIES 40

/* Start guest @name with @options of QEMU's more. */
static void
run(const char *name, const char *qemu, const char *options)
{
    g_auto(GStrv) more = g_strsplit(options, " ", -1);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    const char *const first[] = { "run", name, "--accel", "tcg", "--qemu",
                                  qemu,  "--", "-m",      "16",  "-nodefaults" };

    for (gsize i = 0; i < G_N_ELEMENTS(first); i++)
        g_ptr_array_add(words, (gpointer)first[i]);
    for (char **word = more; *word; word++)
        if (**word)
            g_ptr_array_add(words, *word);
    g_ptr_array_add(words, NULL);
    g_assert_cmpint(vm_mosev(NULL, NULL, (const char *const *)words->pdata), ==, 0);
}

static void
stop(const char *name)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", name, NULL), ==, 0);
}

static void
assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        g_error("\"%s\" does not say \"%s\"", text, part);
}

static MoseGuest *
look(const char *name)
{
    g_autoptr(GError) error = NULL;
    MoseGuest *guest = mose_guest_open(name, MOSE_GUEST_LOOK, &error);

    g_assert_no_error(error);
    return guest;
}

static void
kill_qemu(const char *name)
{
    g_autoptr(MoseGuest) guest = look(name);
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);

    g_assert_nonnull(process);
    g_assert_true(mose_process_kill(process));
}

/* Every command names the guest, says that it has ended, and what to do. */
static void
test_ended(void)
{
    static const char *const commands[] = { "check", "emulate", "virtualize" };
    g_autofree char *list = NULL, *status = NULL, *left = NULL;
    g_autoptr(JsonObject) json = NULL;

    if (vm_cannot_run())
        return;
    run("gone", "qemu-system-x86_64", "");
    kill_qemu("gone");
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *err = NULL;
        g_autofree char *wanted =
            g_strdup_printf("mose %s: guest gone has ended\n"
                            "`mose stop gone` clears away what is left of it.\n",
                            commands[i]);

        g_assert_cmpint(vm_mose(NULL, &err, commands[i], "gone", NULL), ==, 1);
        g_assert_cmpstr(err, ==, wanted);
    }
    g_assert_cmpint(vm_mose(&list, NULL, "list", NULL), ==, 0);
    assert_has(list, "ended          -\n");
    g_assert_cmpint(vm_mose(&status, NULL, "status", "gone", NULL), ==, 0);
    assert_has(status, "guest gone has ended\n");
    assert_has(status, "  ended      its QEMU said nothing\n");
    json = vm_mose_json("status", "gone", NULL);
    g_assert_cmpstr(mose_json_string(json, "state", ""), ==, "ended");
    g_assert_false(json_object_has_member(json, "pid"));
    stop("gone");
    g_assert_cmpint(vm_mose(NULL, &left, "check", "gone", NULL), ==, 1);
    assert_has(left, "no guest gone");
    assert_has(left, "`mose list` shows the guests there are.");
}

/* A QEMU that never comes up when it is to take a guest over. */
static char *
make_hanging_qemu(void)
{
    g_autoptr(GError) error = NULL;
    char *path = vm_path("hanging-qemu");

    g_file_set_contents(path,
                        "#!/bin/sh\n"
                        "case \"$*\" in *-incoming*) exec sleep 60 ;; esac\n"
                        "exec qemu-system-x86_64 \"$@\"\n",
                        -1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(path, 0700), ==, 0);
    return path;
}

static void
wait_for_file(const char *path)
{
    for (int i = 0; i < WAIT_MS && !g_file_test(path, G_FILE_TEST_EXISTS); i++)
        g_usleep(1000);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* Ctrl-C before the commit: the guest stays, nothing is left, and the user is told.
 * Meanwhile nobody else may touch it. */
static void
test_interrupted(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) command = NULL;
    g_autoptr(MoseGuest) guest = NULL;
    g_autofree char *qemu = NULL, *journal = NULL, *log = NULL, *err = NULL;
    g_autofree char *busy = NULL, *holder = NULL, *state = NULL;
    VmGuest vm = { .name = (char *)"kept" };

    if (vm_cannot_run())
        return;
    qemu = make_hanging_qemu();
    run("kept", qemu, "");
    guest = look("kept");
    journal = g_build_filename(guest->dir, "journal", NULL);
    log = mose_guest_log(guest, 2);
    command = g_subprocess_new(G_SUBPROCESS_FLAGS_STDERR_PIPE, &error, g_getenv("MOSE"),
                               "emulate", "kept", NULL);
    g_assert_no_error(error);
    wait_for_file(log);
    g_assert_cmpint(vm_mose(NULL, &busy, "virtualize", "kept", NULL), ==, 1);
    holder = g_strdup_printf("another command (pid %s) is at work on this guest",
                             g_subprocess_get_identifier(command));
    assert_has(busy, holder);
    g_subprocess_send_signal(command, SIGINT);
    g_subprocess_communicate_utf8(command, NULL, NULL, NULL, &err, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(command));
    g_assert_cmpint(g_subprocess_get_exit_status(command), ==, 1);
    g_assert_cmpstr(err, ==,
                    "mose emulate: interrupted; the guest stays where it is\n");
    g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test(log, G_FILE_TEST_EXISTS));
    state = vm_state(&vm);
    g_assert_cmpstr(state, ==, "running");
    stop("kept");
}

/* The guest is on the other side, its socket's path is not: both are said. */
static void
test_trouble(void)
{
    g_autofree char *path = NULL, *inside = NULL, *serial = NULL;
    g_autofree char *out = NULL, *err = NULL, *text = NULL, *timeline = NULL;
    g_autoptr(JsonObject) json = NULL;

    if (vm_cannot_run())
        return;
    path = vm_path("console");
    inside = g_build_filename(path, "inside", NULL);
    serial = g_strdup_printf("-serial unix:%s,server=on,wait=off", path);
    run("half", "qemu-system-x86_64", serial);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_mkdir_with_parents(inside, 0700), ==, 0);

    g_assert_cmpint(vm_mose(&out, &err, "emulate", "half", "--json", NULL), ==, 1);
    json = mose_json_parse(out, -1, "emulate", NULL);
    g_assert_nonnull(json);
    g_assert_cmpstr(mose_json_string(json, "side", ""), ==, "emulator");
    assert_has(mose_json_string(json, "trouble", ""),
               "the guest is in the emulator, but: cannot rename socket");
    g_clear_pointer(&err, g_free);
    g_assert_cmpint(vm_mose(&text, &err, "virtualize", "half", NULL), ==, 1);
    assert_has(text, "guest half is in the virtualizer now");
    assert_has(err, "mose virtualize: the guest is in the virtualizer, but: cannot");
    g_assert_cmpint(vm_mose(&timeline, NULL, "status", "half", NULL), ==, 0);
    assert_has(timeline, "trouble    virtualize: the guest is in the virtualizer, but");
    stop("half");
}

/* A guest that has shut down arrives so, and the report says what that means. */
static void
test_shut_down(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = NULL;
    g_autofree char *out = NULL, *state = NULL;
    VmGuest vm = { .name = (char *)"down" };

    if (vm_cannot_run())
        return;
    run("down", "qemu-system-x86_64", "-action reboot=shutdown,shutdown=pause");
    guest = look("down");
    {
        g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, &error);

        g_assert_no_error(error);
        mose_qmp_run(qmp, "system_reset", NULL, &error);
        g_assert_no_error(error);
        mose_qmp_wait_event(qmp, "STOP", WAIT_MS, -1, NULL, &error);
        g_assert_no_error(error);
    }
    g_assert_cmpint(vm_mose(&out, NULL, "emulate", "down", NULL), ==, 0);
    assert_has(out, "it did not run and does not: shutdown, it has shut itself down");
    state = vm_state(&vm);
    g_assert_cmpstr(state, ==, "shutdown");
    stop("down");
}

/*
 * Begin a switch and stop its command where the old process has ended and nothing says
 * yet where the guest is now. NULL: it was faster.
 */
static GSubprocess *
switch_halfway(const char *way, const char *name)
{
    g_autoptr(MoseGuest) guest = look(name);
    g_autoptr(MoseProcess) source = mose_guest_process(guest, NULL);
    g_autoptr(GSubprocess) mose = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL,
        g_getenv("MOSE"), way, name, NULL);
    g_autoptr(MoseGuest) now = NULL;
    MoseJournalEntry entry;

    g_assert_true(mose_process_wait(source, WAIT_MS));
    g_subprocess_send_signal(mose, SIGSTOP);
    g_usleep(STOP_WAIT_US);
    now = look(name);
    if (now->generation == guest->generation &&
        mose_journal_read(guest->dir, &entry, NULL) && entry.phase == MOSE_PHASE_COMMIT)
        return g_steal_pointer(&mose);
    g_subprocess_send_signal(mose, SIGCONT);
    g_assert_true(g_subprocess_wait_check(mose, NULL, NULL));
    return NULL;
}

static char *
state_of(const char *name)
{
    g_autoptr(JsonObject) json = vm_mose_json("status", name, NULL);

    return g_strdup(mose_json_string(json, "state", ""));
}

static gpointer
go_on_soon(gpointer mose)
{
    g_usleep(GO_ON_US);
    g_subprocess_send_signal(mose, SIGCONT);
    return NULL;
}

/* Who looks at a guest in that moment hears where it is, and that it is lost never. */
static void
test_between(void)
{
    static const char *const ways[] = { "emulate", "virtualize" };
    guint n = 0;

    if (vm_cannot_run())
        return;
    run("between", "qemu-system-x86_64", "");
    for (int i = 0; i < BETWEEN_TRIES && n < 2; i++) {
        g_autoptr(GSubprocess) mose = switch_halfway(ways[i % 2], "between");
        g_autoptr(GThread) thread = NULL;
        g_autofree char *state = NULL;

        if (!mose)
            continue;
        if (n == 0) {
            thread = g_thread_new("go-on", go_on_soon, mose);
            state = state_of("between");
            g_thread_join(g_steal_pointer(&thread));
            g_assert_cmpstr(state, ==, "running");
        } else {
            state = state_of("between");
            g_subprocess_send_signal(mose, SIGCONT);
            g_assert_cmpstr(state, ==, "switching");
        }
        g_assert_true(g_subprocess_wait_check(mose, NULL, NULL));
        n++;
    }
    g_assert_cmpuint(n, ==, 2);
    stop("between");
}

/* What QEMU has against its options, and nothing around it. */
static void
test_not_started(void)
{
    static const struct {
        const char *option, *value, *said;
    } cases[] = {
        { "-device", "nix", "-device nix: 'nix' is not a valid device model name" },
        { "-kernel", "/nix", "could not open kernel file '/nix'" },
        { "-drive", "file=/nix,format=raw",
          "-drive file=/nix,format=raw: Could not open '/nix': No such file" },
    };

    if (vm_cannot_run())
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *err = NULL;
        g_autofree char *wanted = g_strdup_printf(
            "mose run: QEMU (virtualizer) did not start: %s", cases[i].said);

        g_assert_cmpint(vm_mose(NULL, &err, "run", "not", "--accel", "tcg", "--",
                                "-nodefaults", cases[i].option, cases[i].value, NULL),
                        ==, 1);
        if (!g_str_has_prefix(err, wanted))
            g_error("\"%s\" does not begin with \"%s\"", err, wanted);
    }
}

/* The long arguments are for --json; --cpu and -cpu don't fight in silence. */
static void
test_cpu(void)
{
    g_autofree char *status = NULL, *err = NULL;
    g_autoptr(JsonObject) json = NULL;
    JsonObject *side;

    if (vm_cannot_run())
        return;
    run("cpu", "qemu-system-x86_64", "");
    g_assert_cmpint(vm_mose(&status, NULL, "status", "cpu", NULL), ==, 0);
    assert_has(status, "  emulator    tcg, -cpu portable\n");
    json = vm_mose_json("status", "cpu", NULL);
    side = mose_json_child(mose_json_child(json, "description"), "emulator");
    g_assert_true(g_str_has_prefix(mose_json_string(side, "cpu", ""), "qemu64,"));
    stop("cpu");
    g_assert_cmpint(
        vm_mose(NULL, &err, "run", "cpu", "--cpu", "max", "--", "-cpu", "qemu64", NULL),
        ==, 1);
    g_assert_cmpstr(err, ==,
                    "mose run: --cpu max and QEMU's -cpu qemu64: give one of them\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/words/ended", test_ended);
    g_test_add_func("/words/interrupted", test_interrupted);
    g_test_add_func("/words/trouble", test_trouble);
    g_test_add_func("/words/shut-down", test_shut_down);
    g_test_add_func("/words/between", test_between);
    g_test_add_func("/words/not-started", test_not_started);
    g_test_add_func("/words/cpu", test_cpu);
    return vm_run_tests();
}
