/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever dies in a debug session, no breakpoint and no stub is left, and the guest
 * runs on.
 *
 * A session that is to die is this program itself, started anew with "--session": one
 * process with one thread, as a command is.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "switch/debug.h"
#include "switch/recover.h"
#include "util/error.h"
#include "vm/debug-guest.h"

#define LONG_MS 20000
/* Kills at random moments. */
#define KILLS 20
/* Breakpoints hit in a session: the second is stepped over. */
#define ROUNDS 3

/* --- a session that dies: another process --- */

typedef struct {
    const char *step; /* die, or hold, at this step; "": never */
    int nth;          /* when it comes for the nth time */
    gboolean hold;
} Fate;

static void
meet_fate(const char *step, gpointer data)
{
    Fate *fate = data;

    if (strcmp(step, fate->step) != 0 || --fate->nth > 0)
        return;
    if (!fate->hold)
        kill(getpid(), SIGKILL);
    if (write(STDOUT_FILENO, "!", 1) != 1)
        exit(3);
    pause();
}

static void
must(gboolean done, GError **error)
{
    if (done)
        return;
    fprintf(stderr, "session: %s\n", (*error)->message);
    exit(2);
}

static void
one_session(const char *name, char **addresses, Fate *fate)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) opened = mose_guest_open(name, MOSE_GUEST_LOCK, &error);
    MoseRecovered recovered;
    MoseGdbStop stop;
    MoseDebug *debug;

    must(opened && mose_recover(opened, &recovered, &error), &error);
    debug = mose_debug_begin(opened, meet_fate, fate, &error);
    must(debug != NULL, &error);
    for (int i = 0; addresses[i]; i++) {
        MoseGdbPoint point = { addresses[i + 1] ? MOSE_GDB_HARDWARE : MOSE_GDB_WRITES,
                               g_ascii_strtoull(addresses[i], NULL, 16),
                               addresses[i + 1] ? 1 : 8 };

        must(mose_debug_arm(debug, &point, &error), &error);
    }
    for (int hits = 0; hits < ROUNDS; hits += !stop.watched) {
        must(mose_debug_continue(debug, &error), &error);
        must(mose_debug_wait(debug, LONG_MS, -1, &stop, &error), &error);
    }
    must(mose_debug_end(debug, &error), &error);
}

/* --session NAME STEP NTH hold|die ADDRESS..., of which the last is data's. */
static int
session_main(char **argv)
{
    Fate fate = { argv[1], atoi(argv[2]), strcmp(argv[3], "hold") == 0 };

    do
        one_session(argv[0], argv + 4, &fate);
    while (*fate.step == '\0');
    return 0;
}

/* @ret_out: where it says that it holds; NULL: it dies. */
static pid_t
start_session(const char *step, int nth, int *ret_out)
{
    g_autofree char *count = g_strdup_printf("%d", nth);
    g_autofree char *words[DEBUG_N_FUNCTIONS + 1] = { 0 };
    const char *argv[] = { "/proc/self/exe",
                           "--session",
                           debug_guest->name,
                           step,
                           count,
                           ret_out ? "hold" : "die",
                           NULL,
                           NULL,
                           NULL,
                           NULL };
    g_autoptr(GError) error = NULL;
    GPid pid;

    for (int i = 0; i <= DEBUG_N_FUNCTIONS; i++)
        argv[6 + i] = words[i] =
            g_strdup_printf("%" G_GINT64_MODIFIER "x",
                            i < DEBUG_N_FUNCTIONS ? debug_functions[i] : debug_jiffies);
    g_spawn_async_with_pipes(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                             NULL, &pid, NULL, ret_out, NULL, &error);
    g_assert_no_error(error);
    return pid;
}

/* It ends by SIGKILL, not by itself. */
static void
assert_killed(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        g_assert_cmpint(errno, ==, EINTR);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        g_error("the session ended by itself (status 0x%x)", status);
}

/* --- deaths --- */

typedef struct {
    const char *step;
    int nth;
} Death;

static const Death deaths[] = {
    { "recorded", 1 }, { "chardev", 1 },  { "stub", 1 },    { "connected", 1 },
    { "point", 1 },    { "armed", 1 },    { "point", 2 },   { "armed", 2 },
    { "point", 3 },    { "armed", 3 },    { "running", 1 }, { "hit", 1 },
    { "over", 1 },     { "running", 2 },  { "hit", 3 },     { "ending", 1 },
    { "removed", 1 },  { "detached", 1 }, { "closed", 1 },
};

static void
test_command(void)
{
    if (debug_cannot_run())
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(deaths); i++) {
        gint64 took;

        assert_killed(start_session(deaths[i].step, deaths[i].nth, NULL));
        took = debug_assert_healed("running");
        g_test_message("%s %d: healed after %.0f ms", deaths[i].step, deaths[i].nth,
                       took / 1e3);
        debug_assert_runs_on();
    }
}

/* At any moment of sessions one after the other. */
static void
test_random(void)
{
    gint64 longest = 0;
    int amid = 0;

    if (debug_cannot_run())
        return;
    for (int i = 0; i < KILLS; i++) {
        gint64 deadline = g_get_monotonic_time() + LONG_MS * 1000;
        pid_t pid = start_session("", 1, NULL);

        while (!debug_has_file() && g_get_monotonic_time() < deadline)
            g_usleep(1000);
        g_usleep(g_test_rand_int_range(0, 200000));
        kill(pid, SIGKILL);
        assert_killed(pid);
        amid += debug_has_file();
        longest = MAX(longest, debug_assert_healed("running"));
        debug_assert_runs_on();
    }
    g_test_message("%d of %d amid a session, healed after at most %.0f ms", amid, KILLS,
                   longest / 1e3);
    g_assert_cmpint(amid, >, 0);
}

/* Let it come to @step, then call @then, then kill it. */
static void
kill_at(const char *step, void (*then)(void))
{
    char byte;
    int out;
    pid_t pid = start_session(step, 1, &out);

    g_assert_cmpint(read(out, &byte, 1), ==, 1);
    close(out);
    if (then)
        then();
    kill(pid, SIGKILL);
    assert_killed(pid);
}

/* Both guardians, which may be on their way still: a name is the first thing that they
 * give themselves. */
static void
wait_for_guardians(void)
{
    gint64 deadline = g_get_monotonic_time() + LONG_MS * 1000;

    for (;;) {
        g_autoptr(GArray) pids = debug_guardians();

        if (pids->len == 2)
            return;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(1000);
    }
}

/* All of them, before one can have another made in a dead one's place. */
static void
kill_guardians(void)
{
    wait_for_guardians();
    for (;;) {
        g_autoptr(GArray) pids = debug_guardians();

        if (pids->len == 0)
            return;
        for (guint i = 0; i < pids->len; i++)
            kill(g_array_index(pids, pid_t, i), SIGKILL);
    }
}

/* Any one of them; the other replaces it. */
static void
kill_guardian(void)
{
    g_autoptr(GArray) pids = NULL;

    wait_for_guardians();
    pids = debug_guardians();
    kill(g_array_index(pids, pid_t, 0), SIGKILL);
}

/* One of the guardians dies first. */
static void
test_guardian(void)
{
    static const char *const steps[] = { "recorded", "armed", "running",
                                         "hit",      "over",  "removed" };

    if (debug_cannot_run())
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
        gint64 took;

        kill_at(steps[i], kill_guardian);
        took = debug_assert_healed("running");
        g_test_message("%s: healed after %.0f ms", steps[i], took / 1e3);
        debug_assert_runs_on();
    }
}

/* With nobody left to see to it, the next command does. */
static void
test_all(void)
{
    static const char *const steps[] = { "stub", "armed", "running", "hit", "removed" };

    if (debug_cannot_run())
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
        kill_at(steps[i], kill_guardians);
        g_assert_true(debug_has_file());
        json_object_unref(vm_mose_json("status", debug_guest->name, NULL));
        debug_assert_healed("running");
        debug_assert_runs_on();
    }
}

/* A switch finds the guest free of what was left. */
static void
test_switch(void)
{
    g_autoptr(JsonObject) there = NULL, back = NULL;

    if (debug_cannot_run())
        return;
    kill_at("hit", kill_guardians);
    there = vm_mose_json("emulate", debug_guest->name, NULL);
    back = vm_mose_json("virtualize", debug_guest->name, NULL);
    debug_assert_healed("running");
    debug_assert_runs_on();
}

/* Session and switch shut each other out. */
static void
switch_is_refused(void)
{
    g_autofree char *said = NULL;

    g_assert_cmpint(vm_mose(NULL, &said, "emulate", debug_guest->name, NULL), ==, 1);
    g_assert_nonnull(strstr(said, "another command"));
}

static void
test_lock(void)
{
    if (debug_cannot_run())
        return;
    kill_at("hit", switch_is_refused);
    debug_assert_healed("running");
    debug_assert_runs_on();
}

/* A guest that its user has paused stays paused. */
static void
test_paused(void)
{
    static const char *const steps[] = { "stub", "armed", "closed" };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseQmp) qmp = NULL;

    if (debug_cannot_run())
        return;
    qmp = debug_ask();
    g_assert_true(mose_qmp_run(qmp, "stop", NULL, &error));
    g_clear_pointer(&qmp, mose_qmp_free);
    for (gsize i = 0; i < 2; i++) {
        kill_at(steps[i], NULL);
        debug_assert_healed("paused");
    }
    {
        g_autoptr(MoseGuest) opened = debug_open(MOSE_GUEST_LOCK);
        g_autoptr(MoseDebug) debug = mose_debug_begin(opened, NULL, NULL, &error);

        g_assert_no_error(error);
        g_assert_false(mose_debug_continue(debug, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_clear_error(&error);
    }
    debug_assert_healed("paused");
    qmp = debug_ask();
    g_assert_true(mose_qmp_run(qmp, "cont", NULL, &error));
    g_clear_pointer(&qmp, mose_qmp_free);
    debug_assert_runs_on();
}

int
main(int argc, char **argv)
{
    int ret;

    if (argc > 6 && strcmp(argv[1], "--session") == 0)
        return session_main(argv + 2);
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/debug/death/command", test_command);
    g_test_add_func("/debug/death/random", test_random);
    g_test_add_func("/debug/death/guardian", test_guardian);
    g_test_add_func("/debug/death/all", test_all);
    g_test_add_func("/debug/death/switch", test_switch);
    g_test_add_func("/debug/death/lock", test_lock);
    g_test_add_func("/debug/death/paused", test_paused);
    ret = vm_run_tests();
    vm_guest_free(debug_guest);
    return ret;
}
