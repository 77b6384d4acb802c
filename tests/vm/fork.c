/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forks of real guests: what each writes is its own, memory and disks, and the guest
 * has its memory and images for itself again when the last one has gone.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork/fork.h"
#include "qemu/command.h"
#include "qemu/ram.h"
#include "util/json.h"
#include "vm/fork-guest.h"

#define N_FORKS 3
#define SHORT_FILE_MB 32
#define LONG_FILE_MB 160
#define SHORT_LOOPS 2
#define LONG_LOOPS 50
#define SHORT_KILLS 6
#define LONG_KILLS 60
#define GONE_SECONDS 20

/* Whom a host without memory ends first. */
static int
expendability(const char *name)
{
    g_autoptr(MoseProcess) process = fork_process(name);
    g_autofree char *path =
        g_strdup_printf("/proc/%d/oom_score_adj", (int)process->pid);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return atoi(text);
}

/* The guest and three forks write all they have; none sees another's. */
static void
test_apart(void)
{
    static const char *const names[N_FORKS] = { "apart-1", "apart-2", "apart-3" };
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *image = NULL, *err = NULL;
    const guint megabytes = g_test_slow() ? LONG_FILE_MB : SHORT_FILE_MB;
    VmGuest *forks[N_FORKS];
    ForkSums begin, own[N_FORKS], guests, now;

    if (vm_cannot_run())
        return;
    image = fork_disk("apart.qcow2");
    guest = fork_start("apart", image);
    begin = fork_write(guest, megabytes);
    fork_assert_ok(
        vm_mose(NULL, &err, "fork", guest->name, names[0], names[1], names[2], NULL),
        err);
    g_assert_true(fork_is_frozen(guest->name));
    for (int i = 0; i < N_FORKS; i++) {
        forks[i] = fork_as_guest(names[i]);
        g_assert_cmpint(expendability(names[i]), ==, 1000);
    }
    g_assert_cmpint(expendability(guest->name), <, 1000);
    guests = fork_write(guest, megabytes);
    fork_assert_differ(&guests, &begin);
    for (int i = 0; i < N_FORKS; i++) {
        now = fork_sums(forks[i]);
        fork_assert_same(&now, &begin);
    }
    for (int i = 0; i < N_FORKS; i++) {
        own[i] = fork_write(forks[i], megabytes);
        for (int k = 0; k < i; k++)
            fork_assert_differ(&own[i], &own[k]);
    }
    now = fork_sums(guest);
    fork_assert_same(&now, &guests);
    for (int i = 0; i < N_FORKS; i++) {
        now = fork_sums(forks[i]);
        fork_assert_same(&now, &own[i]);
        vm_guest_free(forks[i]);
    }
    json_object_unref(vm_assert_healthy(guest));
    fork_discard(names[0]);
    fork_discard(names[1]);
    g_assert_true(fork_is_frozen(guest->name));
    fork_discard(names[2]);
    fork_assert_whole(guest, image);
    now = fork_sums(guest);
    fork_assert_same(&now, &guests);
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    fork_assert_image(image, guests.disk);
}

/* There, forked, back in place, and again. */
static void
test_again(void)
{
    const int n = g_test_slow() ? LONG_LOOPS : SHORT_LOOPS;
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *image = NULL;
    ForkSums last;

    if (vm_cannot_run())
        return;
    image = fork_disk("again.qcow2");
    guest = fork_start("again", image);
    last = fork_write(guest, FORK_SMALL_MB);
    for (int i = 0; i < n; i++) {
        g_autofree char *there = NULL, *back = NULL;
        g_autoptr(VmGuest) fork = NULL;
        ForkSums now, forks;

        fork_assert_ok(vm_mose(NULL, &there, "emulate", guest->name, NULL), there);
        fork_make(guest, "again-fork", NULL);
        fork = fork_as_guest("again-fork");
        now = fork_sums(fork);
        fork_assert_same(&now, &last);
        last = fork_write(guest, FORK_SMALL_MB);
        forks = fork_write(fork, FORK_SMALL_MB);
        now = fork_sums(guest);
        fork_assert_same(&now, &last);
        fork_assert_differ(&now, &forks);
        fork_discard("again-fork");
        fork_assert_ok(
            vm_mose(NULL, &back, "virtualize", guest->name, "--in-place", NULL), back);
        now = fork_sums(guest);
        fork_assert_same(&now, &last);
        fork_assert_whole(guest, image);
    }
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    fork_assert_image(image, last.disk);
}

static void
pause_guest(const VmGuest *vm)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, NULL);

    g_assert_true(qmp && mose_qmp_run(qmp, "stop", NULL, NULL));
}

static void
let_run(const VmGuest *vm)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, NULL);

    g_assert_true(qmp && mose_qmp_run(qmp, "cont", NULL, NULL));
}

static void
assert_state(const char *name, const char *wanted)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", name, NULL);

    g_assert_cmpstr(mose_json_string(status, "state", ""), ==, wanted);
}

/* A guest that stands still has forks that run, one after the other of that moment, and
 * then goes on as if nothing had been. */
static void
test_stopped(void)
{
    g_autoptr(VmGuest) guest = NULL, fork = NULL;
    g_autofree char *said = NULL;

    if (vm_cannot_run())
        return;
    guest = fork_start("stopped", NULL);
    pause_guest(guest);
    fork_make(guest, "stopped-1", NULL);
    fork_make(guest, "stopped-2", "--same-moment");
    fork_make(guest, "stopped-3", "--same-moment");
    assert_state(guest->name, "paused");
    assert_state("stopped-1", "running");
    fork = fork_as_guest("stopped-2");
    said = vm_shell_output(fork, "echo so-$((40+2))");
    g_assert_nonnull(strstr(said, "so-42"));
    fork_discard("stopped-2");
    fork_discard("stopped-1");
    assert_state("stopped-3", "running");
    fork_discard("stopped-3");
    g_assert_false(fork_is_frozen(guest->name));
    assert_state(guest->name, "paused");
    let_run(guest);
    json_object_unref(vm_assert_healthy(guest));
    fork_make(guest, "stopped-1", "--paused");
    assert_state("stopped-1", "paused");
    assert_state(guest->name, "running");
    fork_discard("stopped-1");
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* QEMU's own memory is copied for it, and is QEMU's own again in the end. */
static void
test_private(void)
{
    g_autoptr(VmGuest) guest = vm_guest_new("own"), fork = NULL;
    g_autofree char *image = NULL, *disk = NULL;
    ForkSums begin, now, forks;

    if (vm_cannot_run())
        return;
    image = fork_disk("own.qcow2");
    disk = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    vm_run(guest, "--ram-private", disk, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    begin = fork_write(guest, FORK_SMALL_MB);
    g_assert_false(fork_is_shared(guest->name));
    fork_make(guest, "own-1", NULL);
    g_assert_true(fork_is_frozen(guest->name));
    fork = fork_as_guest("own-1");
    now = fork_sums(fork);
    fork_assert_same(&now, &begin);
    forks = fork_write(fork, FORK_SMALL_MB);
    now = fork_sums(guest);
    fork_assert_same(&now, &begin);
    begin = fork_write(guest, FORK_SMALL_MB);
    now = fork_sums(fork);
    fork_assert_same(&now, &forks);
    fork_discard("own-1");
    g_assert_false(fork_is_shared(guest->name));
    now = fork_sums(guest);
    fork_assert_same(&now, &begin);
    fork_assert_whole(guest, image);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    fork_assert_image(image, begin.disk);
}

/* So many forks that no host has the memory for what they may write. */
static void
assert_no_room(const VmGuest *guest)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *said = NULL;
    int status;

    g_ptr_array_add(words, g_strdup("fork"));
    g_ptr_array_add(words, g_strdup(guest->name));
    for (guint64 i = 0; i <= mose_ram_available() / MOSE_FORK_COST; i++)
        g_ptr_array_add(words, g_strdup_printf("f%" G_GUINT64_FORMAT, i));
    g_ptr_array_add(words, NULL);
    status = vm_mosev(NULL, &said, (const char *const *)words->pdata);
    fork_assert_no(status, said, "no room for ");
    g_assert_false(fork_is_there("f0"));
}

/* What cannot be while there are forks, and what forks cannot do. */
static void
test_refused(void)
{
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = fork_start("refused", NULL);
    FORK_REFUSED("leave --same-moment out", "fork", guest->name, "f", "--same-moment");
    assert_no_room(guest);
    FORK_REFUSED("a name of its own", "fork", guest->name, "refused");
    FORK_REFUSED("a name of its own", "fork", guest->name, "f", "f");
    FORK_REFUSED("is no fork", "discard", guest->name);
    g_assert_false(fork_is_there("f"));
    g_assert_false(fork_is_frozen(guest->name));
    fork_make(guest, "f", NULL);
    FORK_REFUSED("has forks", "emulate", guest->name);
    FORK_REFUSED("has forks", "stop", guest->name);
    FORK_REFUSED("has forks", "plug", guest->name, "--", "-device",
                 "virtio-rng-pci,id=r");
    FORK_REFUSED("--same-moment", "fork", guest->name, "g");
    FORK_REFUSED("is a fork of guest refused", "virtualize", "f");
    FORK_REFUSED("is a fork of guest refused", "fork", "f", "g");
    g_assert_false(fork_is_there("g"));
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "f", NULL), ==, 0);
    g_assert_false(fork_is_there("f"));
    g_assert_false(fork_is_frozen(guest->name));
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* --- who ends --- */

static void
wait_gone(const VmGuest *guest, const char *name)
{
    gint64 deadline = g_get_monotonic_time() + GONE_SECONDS * G_USEC_PER_SEC;
    g_autofree char *state =
        g_build_filename(g_getenv("MOSE_RUNTIME_DIR"), guest->name, "fork-state", NULL);

    while (fork_is_there(name) || fork_is_frozen(guest->name) ||
           g_file_test(state, G_FILE_TEST_EXISTS)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50000);
    }
}

/* Those of this test's guests. */
static void
kill_keepers(void)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *runtime_dir = g_getenv("MOSE_RUNTIME_DIR");
    const char *name;
    guint n = 0;

    while ((name = g_dir_read_name(proc))) {
        g_autofree char *comm = g_build_filename("/proc", name, "comm", NULL);
        g_autofree char *environment = g_build_filename("/proc", name, "environ", NULL);
        g_autofree char *text = NULL, *words = NULL;
        gsize len;

        if (!g_ascii_isdigit(*name) || !g_file_get_contents(comm, &text, NULL, NULL) ||
            strcmp(text, "mose-keeper\n") != 0 ||
            !g_file_get_contents(environment, &words, &len, NULL) ||
            !memmem(words, len, runtime_dir, strlen(runtime_dir)))
            continue;
        g_assert_cmpint(kill(atoi(name), SIGKILL), ==, 0);
        n++;
    }
    g_assert_cmpuint(n, >, 0);
}

/* They end with their owner, with or without a word of it; without MOSE's own keeper,
 * with the next `mose list`. */
static void
test_owner(void)
{
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = fork_start("owned", NULL);
    for (int keeperless = 0; keeperless < 2; keeperless++) {
        g_autofree char *number = NULL, *err = NULL;
        pid_t owner = fork();

        if (owner == 0) {
            pause();
            _exit(0);
        }
        number = g_strdup_printf("%d", (int)owner);
        fork_assert_ok(vm_mose(NULL, &err, "fork", guest->name, "owned-1", "owned-2",
                               "--owner", number, NULL),
                       err);
        if (keeperless)
            kill_keepers();
        kill(owner, SIGKILL);
        waitpid(owner, NULL, 0);
        if (keeperless)
            g_assert_cmpint(vm_mose(NULL, NULL, "list", NULL), ==, 0);
        wait_gone(guest, "owned-1");
        wait_gone(guest, "owned-2");
        json_object_unref(vm_assert_healthy(guest));
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* `mose fork` is killed, early and late: there is a fork or there is none, and the
 * guest runs on. */
static void
test_killed(void)
{
    const int n = g_test_slow() ? LONG_KILLS : SHORT_KILLS;
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *image = NULL;

    if (vm_cannot_run())
        return;
    image = fork_disk("killed.qcow2");
    guest = fork_start("killed", image);
    for (int i = 0; i < n; i++) {
        g_autoptr(GSubprocess) mose = g_subprocess_new(
            G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL,
            g_getenv("MOSE"), "fork", guest->name, "killed-1", NULL);

        g_usleep(g_test_rand_int_range(1, 300) * 1000);
        g_subprocess_force_exit(mose);
        g_subprocess_wait(mose, NULL, NULL);
        json_object_unref(vm_assert_healthy(guest));
        if (g_subprocess_get_if_exited(mose))
            fork_discard("killed-1");
        else
            g_test_message("killed");
        /* The next command finds it whole, or waits for who is at it. */
        for (int k = 0; fork_is_there("killed-1") && k < 100; k++) {
            vm_mose(NULL, NULL, "discard", "killed-1", NULL);
            g_usleep(50000);
        }
        wait_gone(guest, "killed-1");
        fork_assert_whole(guest, image);
    }
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/fork/apart", test_apart);
    g_test_add_func("/fork/again", test_again);
    g_test_add_func("/fork/stopped", test_stopped);
    g_test_add_func("/fork/private", test_private);
    g_test_add_func("/fork/refused", test_refused);
    g_test_add_func("/fork/owner", test_owner);
    g_test_add_func("/fork/killed", test_killed);
    return vm_run_tests();
}
