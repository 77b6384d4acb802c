/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One fault in one switch; see trial.h. */
#include "faults/trial.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/tally.h"
#include "util/fd.h"
#include "util/json.h"

#define HOLD_SECONDS 60
#define POLL_US 3000
#define TRIES 50
#define HOLD_FD 3 /* of faulty-switch */

/* About how long each phase takes, and what a copy adds, for a moment in it. */
static const struct {
    const char *phase;
    gint64 us, copy_us;
} spans[] = {
    { "prepare", 90000, 0 }, { "check", 8000, 0 },          { "move", 15000, 300000 },
    { "ram", 0, 500000 },    { "stream", 5000, 0 },         { "commit", 6000, 0 },
    { "settle", 6000, 0 },   { TRIAL_ANY, 180000, 500000 },
};

typedef struct TrialRun Run;
struct TrialRun {
    World *world;
    const Trial *trial;
    Trial own; /* of trial_begin() */
    Command command;
    int hold; /* our end of faulty-switch's descriptor, or -1 */
    char *log;
    gint64 delay_us;
    gint64 hit_us;    /* monotonic */
    guint generation; /* of the QEMU that was hit, else 0 */
};

/* --- failing --- */

static void fail(const Run *run, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
append_file(GString *text, const char *dir, const char *name)
{
    g_autofree char *path = dir ? g_build_filename(dir, name, NULL) : g_strdup(name);
    g_autofree char *content = NULL;

    if (g_file_get_contents(path, &content, NULL, NULL))
        g_string_append_printf(text, "%s:\n%s\n", path, content);
}

static void
append_timeline(GString *text, const char *name)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);

    for (guint i = 0; guest && i < json_array_get_length(guest->timeline); i++) {
        g_autofree char *event =
            mose_json_text(mose_json_element(guest->timeline, i), FALSE);

        g_string_append_printf(text, "%s\n", event);
    }
}

static void
fail(const Run *run, const char *format, ...)
{
    g_autoptr(GString) text = g_string_new("");
    va_list args;

    g_string_append_printf(
        text, "%s in phase '%s' (%s, %.1f ms): ", victim_name(run->trial->victim),
        run->trial->phase, run->trial->exact ? "exactly" : "in it",
        run->delay_us / 1e3);
    va_start(args, format);
    g_string_append_vprintf(text, format, args);
    va_end(args);
    g_string_append(text, "\n");
    append_file(text, NULL, run->log);
    append_file(text, run->world->dir, "journal");
    append_file(text, run->world->dir, "guardian.log");
    append_timeline(text, run->world->vm->name);
    g_error("%s", text->str);
}

/* --- the command --- */

static gint64
span_of(const Trial *trial)
{
    for (gsize i = 0; i < G_N_ELEMENTS(spans); i++)
        if (strcmp(spans[i].phase, trial->phase) == 0)
            return spans[i].us + (trial->channels ? spans[i].copy_us : 0);
    g_assert_not_reached();
}

static void
start_command(Run *run)
{
    const Trial *trial = run->trial;
    g_autofree char *channels = g_strdup_printf("%u", trial->channels);
    const char *const faulty[] = { g_getenv("FAULTY_SWITCH"), run->world->vm->name,
                                   trial->phase, channels, NULL };
    g_autoptr(MoseGuest) guest =
        mose_guest_open(run->world->vm->name, MOSE_GUEST_LOOK, NULL);
    const char *const mose[] = { g_getenv("MOSE"),
                                 guest->side == MOSE_SIDE_VIRTUALIZER ? "emulate"
                                                                      : "virtualize",
                                 run->world->vm->name,
                                 trial->channels ? "--copy" : "--in-place",
                                 trial->channels ? "--channels" : NULL,
                                 channels,
                                 NULL };
    gboolean any = *trial->phase == '\0';
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    MoseInheritedFd fd;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    run->hold = pair[0];
    theirs = pair[1];
    fd = (MoseInheritedFd){ theirs, HOLD_FD };
    unlink(run->log);
    run->command.source = guest->generation;
    run->command.process =
        mose_process_spawn(any ? mose : faulty, NULL, run->log, &fd, 1, &error);
    g_assert_no_error(error);
}

/* Wait until it holds in the wanted phase; FALSE: it never came there. */
static gboolean
wait_hold(const Run *run)
{
    struct pollfd fds[] = { { run->hold, POLLIN, 0 },
                            { run->command.process->pidfd, POLLIN, 0 } };

    if (*run->trial->phase == '\0')
        return TRUE;
    if (poll(fds, G_N_ELEMENTS(fds), HOLD_SECONDS * 1000) <= 0)
        fail(run, "the command did not come to its phase within %d s", HOLD_SECONDS);
    return fds[0].revents & POLLIN;
}

void
trial_let_go(const TrialRun *run)
{
    char byte = 'g';

    /* It may be dead. */
    if (send(run->hold, &byte, 1, MSG_NOSIGNAL) < 0)
        return;
}

/* A victim that is still to come at the beginning of a phase is hit when it comes. */
static gboolean
hit(Run *run)
{
    const Trial *trial = run->trial;

    run->delay_us = trial->exact ? 0 : world_roll(run->world, span_of(trial));
    run->hit_us = g_get_monotonic_time();
    if (trial->exact &&
        victim_hit(run->world, &run->command, trial->victim, &run->generation))
        return TRUE;
    trial_let_go(run);
    g_usleep(run->delay_us);
    run->hit_us = g_get_monotonic_time();
    return victim_await(run->world, &run->command, trial->victim, &run->generation);
}

/* --- what must be true --- */

/* The one QEMU that is there runs the guest; its generation, or 0. */
static guint
one_that_runs(const Run *run)
{
    g_autoptr(GArray) found = world_processes(run->world, WORLD_QEMU);
    guint running = found->len == 1 ? world_running_generation(run->world) : 0;

    return running == 0 || running != g_array_index(found, WorldProcess, 0).generation
               ? 0
               : running;
}

/* A QEMU that was hit took the guest along, by the record of where the guest was. */
static gboolean
guest_was_in_victim(const Run *run)
{
    return run->generation && world_known_generation(run->world) == run->generation;
}

/*
 * Wait for the guest to run in the one QEMU that is left, or for its end; or, if
 * @others, for it to run whatever else is there. Its generation; 0: it has ended.
 */
static guint
wait_outcome(Run *run, gboolean others, gint64 *ret_us)
{
    guint limit_ms = run->trial->limit_ms ? run->trial->limit_ms : WORLD_RUNS_MS;
    gint64 deadline = run->hit_us + limit_ms * (gint64)1000;

    for (;;) {
        g_autoptr(GArray) left = NULL;
        guint running = 0;

        *ret_us = g_get_monotonic_time() - run->hit_us;
        if (others)
            running = world_running_generation(run->world);
        /* A command that still works has a destination, too. */
        else if (!mose_process_alive(run->command.process))
            running = one_that_runs(run);
        if (running)
            return running;
        left = world_processes(run->world, WORLD_QEMU);
        if (left->len == 0 && guest_was_in_victim(run))
            return 0;
        if (g_get_monotonic_time() > deadline)
            fail(run, "after %u ms %u QEMUs are there; generation %u runs the guest",
                 limit_ms, left->len, world_running_generation(run->world));
        g_usleep(POLL_US);
    }
}

/* All processes of MOSE's have ended, and what they made is gone. */
static void
wait_clean(Run *run, guint generation)
{
    gint64 deadline = g_get_monotonic_time() + WORLD_CLEAN_MS * (gint64)1000;

    for (;;) {
        g_autoptr(GArray) guardians = world_processes(run->world, WORLD_GUARDIAN);
        g_autofree char *litter = world_litter(run->world, generation);
        gboolean alive = mose_process_alive(run->command.process);

        if (!alive && guardians->len == 0 && !litter)
            return;
        if (g_get_monotonic_time() > deadline)
            fail(run, "left after %d s: %s%u guardians; %s", WORLD_CLEAN_MS / 1000,
                 alive ? "the command; " : "", guardians->len,
                 litter ? litter : "no file");
        g_usleep(POLL_US);
    }
}

/* A killed process may take a moment to be gone. */
static char *
wait_ended(const Run *run)
{
    gint64 deadline = g_get_monotonic_time() + WORLD_RUNS_MS * (gint64)1000;

    for (;;) {
        g_autofree char *state = vm_state(run->world->vm);

        if (strcmp(state, "ended") == 0 || g_get_monotonic_time() > deadline)
            return g_steal_pointer(&state);
    }
}

/* The guest has ended: `mose` says so, and all of it can be taken away. */
static void
bury(const Run *run)
{
    const char *name = run->world->vm->name;
    g_autofree char *state = wait_ended(run);

    if (strcmp(state, "ended") != 0)
        fail(run, "the guest is gone, and `mose status` says '%s'", state);
    if (vm_mose(NULL, NULL, "stop", name, NULL) != 0 ||
        g_file_test(run->world->dir, G_FILE_TEST_EXISTS))
        fail(run, "the guest is gone, and `mose stop` does not clear it away");
}

/* It says why it is not moved any more. */
static void
bury_hanging(const Run *run)
{
    const char *name = run->world->vm->name;
    g_autofree char *said = NULL;

    if (vm_mose(&said, NULL, "check", name, NULL) == 0 ||
        !strstr(said, "migration thread hangs"))
        fail(run, "QEMU can't migrate any more, and `mose check` says: %s", said);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", name, NULL), ==, 0);
}

/* A kill before or at a phase's exact beginning leaves no doubt who had the guest. */
static void
check_owner(const Run *run, guint generation)
{
    const Trial *trial = run->trial;
    gboolean before =
        strcmp(trial->phase, "settle") != 0 && strcmp(trial->phase, TRIAL_ANY) != 0;

    if (!trial->exact)
        return;
    if (generation == 0 && trial->victim == VICTIM_DESTINATION && before)
        fail(run, "the destination's death ended the guest before the commit");
    if (generation == 0 && trial->victim != VICTIM_SOURCE &&
        trial->victim != VICTIM_DESTINATION)
        fail(run, "the guest has ended");
    if (generation == 0 && trial->victim == VICTIM_SOURCE &&
        strcmp(trial->phase, "commit") == 0)
        fail(run, "the destination had all of the guest");
    if (generation != 0 && before && trial->victim < N_KILLED &&
        trial->victim != VICTIM_GUARDIAN && trial->victim != VICTIM_SOURCE &&
        generation != run->command.source)
        fail(run, "it was committed all the same");
}

static void
check_words(const Run *run)
{
    g_autofree char *said = mose_log_said(run->log);

    if (run->trial->says && !strstr(said, run->trial->says))
        fail(run, "the command does not say '%s'", run->trial->says);
}

/* The switch may last long, but the guest does not stand still so long. Its
 * generation in the end; 0: it has ended. */
static guint
wait_lasting(Run *run, gint64 *ret_us)
{
    guint generation = wait_outcome(run, TRUE, ret_us);
    gint64 rest_us;

    if (generation == 0)
        return 0;
    if (run->trial->victim == VICTIM_STOPPED_COMMAND)
        pidfd_send_signal(run->command.process->pidfd, SIGCONT, NULL, 0);
    if (!mose_process_wait(run->command.process, HOLD_SECONDS * 1000))
        fail(run, "the command does not end");
    run->hit_us = g_get_monotonic_time();
    return wait_outcome(run, FALSE, &rest_us);
}

static TrialEnd
judge(Run *run)
{
    /* The command goes on with its switch, or waits. */
    gboolean lasts = run->trial->victim == VICTIM_STOPPED_COMMAND ||
                     run->trial->victim == VICTIM_STOPPED_DESTINATION ||
                     run->trial->victim == VICTIM_GUARDIAN;
    gint64 took_us;
    guint generation =
        lasts ? wait_lasting(run, &took_us) : wait_outcome(run, FALSE, &took_us);

    wait_clean(run, generation ? generation : world_known_generation(run->world));
    if (generation && one_that_runs(run) != generation)
        fail(run, "generation %u ran, and then did not", generation);
    check_owner(run, generation);
    check_words(run);
    if (generation == 0)
        bury(run);
    else
        json_object_unref(vm_assert_healthy(run->world->vm));
    tally_add(run->trial, generation == 0, took_us);
    if (generation && run->trial->channels && world_hangs(run->world, generation)) {
        g_test_message("QEMU's own fault: its migration thread hangs after this; the "
                       "guest runs on, and is started anew here");
        bury_hanging(run);
    }
    return generation ? TRIAL_RUNS : TRIAL_GONE;
}

TrialEnd
trial_run(World *world, const Trial *trial)
{
    g_autofree char *log = vm_path("command.log");
    Run run = { .world = world, .trial = trial, .log = log };
    TrialEnd end = TRIAL_MISSED;
    gboolean hurt;

    start_command(&run);
    hurt = wait_hold(&run) && hit(&run);
    trial_let_go(&run);
    if (hurt)
        end = judge(&run);
    else if (!mose_process_wait(run.command.process, HOLD_SECONDS * 1000))
        fail(&run, "the command does not end");
    mose_fd_close(run.hold);
    mose_process_free(run.command.process);
    return end;
}

gboolean
trial_until_hit(World *world, const Trial *trial)
{
    g_autofree char *log = vm_path("command.log");
    g_autoptr(GString) text = g_string_new("");

    for (int i = 0; i < TRIES; i++) {
        if (!world_begin(world))
            return FALSE;
        if (trial_run(world, trial) != TRIAL_MISSED)
            return TRUE;
    }
    append_file(text, NULL, log);
    append_timeline(text, world->vm->name);
    g_error("phase '%s': %s was never hit\n%s", trial->phase,
            victim_name(trial->victim), text->str);
}

TrialRun *
trial_begin(World *world, const char *phase)
{
    Run *run = g_new0(Run, 1);

    run->own = (Trial){ .phase = phase, .victim = VICTIM_GUARDIAN, .exact = TRUE };
    run->world = world;
    run->trial = &run->own;
    run->log = vm_path("command.log");
    start_command(run);
    if (!wait_hold(run))
        fail(run, "the command ended before its phase");
    return run;
}

pid_t
trial_pid(const TrialRun *run)
{
    return run->command.process->pid;
}

void
trial_wait(const TrialRun *run)
{
    struct pollfd fd = { run->command.process->pidfd, POLLIN, 0 };

    /* It is not reaped: its exit status is still wanted. */
    if (poll(&fd, 1, HOLD_SECONDS * 1000) != 1)
        fail(run, "the command does not end");
}

guint
trial_end(TrialRun *run, int *ret_status, char **ret_said)
{
    siginfo_t info = { 0 };
    gint64 took_us;
    guint generation;

    trial_let_go(run);
    g_assert_cmpint(waitid(P_PIDFD, run->command.process->pidfd, &info, WEXITED), ==,
                    0);
    *ret_status = info.si_code == CLD_EXITED ? info.si_status : -1;
    *ret_said = mose_log_said(run->log);
    run->hit_us = g_get_monotonic_time();
    generation = wait_outcome(run, FALSE, &took_us);
    wait_clean(run, generation);
    json_object_unref(vm_assert_healthy(run->world->vm));
    mose_fd_close(run->hold);
    mose_process_free(run->command.process);
    g_free(run->log);
    g_free(run);
    return generation;
}
