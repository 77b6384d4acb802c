/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fails around an emulator on overlays: no room for them, no room in the images,
 * `mose` killed at any moment of the way there and back, the emulator killed while its
 * overlays go into the images. Nothing of what the guest has written is lost.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "overlay-guest.h"
#include "switch/recover.h"
#include "switch/switch.h"
#include "util/json.h"

#define RECOVERY_US (30 * G_USEC_PER_SEC)

/* Why no small file system can be mounted; NULL: it can. */
static const char *no_mounts;

static OverlayGuest *
start(const char *name, const char *dir)
{
    g_autofree char *own = vm_path("");

    return overlay_guest_new(name, dir ? dir : own, overlay_plain,
                             G_N_ELEMENTS(overlay_plain));
}

/* A file system of @size ("40m"), seen by this test and its children alone. */
static char *
mount_small(const char *size)
{
    g_autofree char *dir = vm_path("small");
    g_autofree char *options = g_strdup_printf("size=%s,mode=0700", size);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_cmpint(mount("tmpfs", dir, "tmpfs", 0, options), ==, 0);
    return g_steal_pointer(&dir);
}

static void
unmount_small(const char *dir)
{
    g_assert_cmpint(umount2(dir, MNT_DETACH), ==, 0);
}

/* Take all the room that is left in @dir. */
static char *
fill(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "filler", NULL);
    g_autofree char *block = g_malloc0(4096);
    FILE *file = fopen(path, "w");

    g_assert_nonnull(file);
    setvbuf(file, NULL, _IONBF, 0);
    while (fwrite(block, 4096, 1, file) == 1)
        ;
    g_assert_cmpint(errno, ==, ENOSPC);
    fclose(file);
    return g_steal_pointer(&path);
}

static void
refused(const char *reason, const char *const *words)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mosev(NULL, &err, words), ==, 1);
    g_assert_nonnull(strstr(err, reason));
}

static void
emulate(const OverlayGuest *guest, const char *dir)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->vm->name, "--disks",
                            "overlay", dir ? "--overlay-dir" : NULL, dir, NULL),
                    ==, 0);
}

static void
virtualize(const OverlayGuest *guest)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "virtualize", guest->vm->name, NULL), ==, 0);
    g_assert_cmpuint(overlay_count_files(guest), ==, 0);
}

static void
wait_state(const OverlayGuest *guest, const char *wanted)
{
    gint64 deadline = g_get_monotonic_time() + RECOVERY_US;

    for (;;) {
        g_autofree char *state = vm_state(guest->vm);

        if (strcmp(state, wanted) == 0)
            return;
        if (g_get_monotonic_time() > deadline)
            g_error("%s is %s, not %s", guest->vm->name, state, wanted);
        g_usleep(50000);
    }
}

/* --- no room --- */

static void
test_no_room(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    g_autofree char *dir = NULL;

    if (vm_cannot_run())
        return;
    if (no_mounts) {
        g_test_skip(no_mounts);
        return;
    }
    guest = start("noroom", NULL);
    dir = mount_small("8m");
    refused("no room for the overlay",
            (const char *[]){ "emulate", "noroom", "--disks", "overlay",
                              "--overlay-dir", dir, NULL });
    overlay_work(guest);
    /* Nothing is left there. */
    g_assert_cmpint(umount(dir), ==, 0);
    overlay_end(guest);
}

/* The room ends while the guest is in the emulator: it stops; back there it goes on,
 * with the write that had failed. */
static void
test_full(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    g_autofree char *dir = NULL, *filler = NULL;

    if (vm_cannot_run())
        return;
    if (no_mounts) {
        g_test_skip(no_mounts);
        return;
    }
    guest = start("full", NULL);
    dir = mount_small("40m");
    emulate(guest, dir);
    filler = fill(dir);
    wait_state(guest, "io-error");
    virtualize(guest);
    wait_state(guest, "running");
    overlay_work(guest);
    g_assert_cmpint(unlink(filler), ==, 0);
    g_assert_cmpint(umount(dir), ==, 0);
    overlay_end(guest);
}

/* The images have no room for what is in the overlays. */
static void
test_commit_fails(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    g_autoptr(JsonArray) overlays = NULL;
    g_autofree char *dir = NULL, *filler = NULL, *overlay_dir = NULL;

    if (vm_cannot_run())
        return;
    if (no_mounts) {
        g_test_skip(no_mounts);
        return;
    }
    dir = mount_small("40m");
    overlay_dir = vm_path("");
    guest = start("commit", dir);
    emulate(guest, overlay_dir);
    overlay_work(guest);
    overlay_work(guest);
    filler = fill(dir);
    for (int i = 0; i < 2; i++)
        refused("No space left on device",
                (const char *[]){ "virtualize", "commit", NULL });
    overlay_work(guest);
    overlays = overlay_status(guest);
    g_assert_cmpuint(json_array_get_length(overlays), ==, guest->n);
    /* A part may be in the image: that alone is no disk any more. */
    refused("holds a part of its overlay",
            (const char *[]){ "stop", "commit", "--discard", NULL });
    overlay_work(guest);
    g_assert_cmpint(unlink(filler), ==, 0);
    virtualize(guest);
    overlay_work(guest);
    overlay_end(guest);
    unmount_small(dir);
}

/* --- deaths --- */

typedef struct {
    const char *phase;
    guint times;    /* that the phase must have been told of, from 1 */
    gboolean other; /* kill the emulator, not the command */
    int interrupt;  /* not 0: an eventfd, by which the user says no */
    const OverlayGuest *guest;
} Death;

static void
die(const MoseSwitchProgress *progress, gpointer data)
{
    Death *death = data;

    if (strcmp(progress->phase, death->phase) != 0 || death->times == 0 ||
        --death->times > 0)
        return;
    if (death->interrupt)
        g_assert_cmpint(eventfd_write(death->interrupt, 1), ==, 0);
    else if (death->other)
        overlay_kill_qemu(death->guest);
    else
        raise(SIGKILL);
}

/* The switch to the other side, with overlays, in a process of its own; whether it was
 * killed. *@ret_done whether it succeeded. */
static gboolean
switch_and_die(const OverlayGuest *guest, Death death, gboolean *ret_done)
{
    pid_t pid = fork();
    int status;

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        MoseGuest *opened = mose_guest_open(guest->vm->name, MOSE_GUEST_LOCK, NULL);
        MoseSwitchOptions options = { .disks = MOSE_DISKS_OVERLAY,
                                      .progress = die,
                                      .interrupt_fd = death.interrupt,
                                      .data = &death };
        MoseSwitchReport report = { 0 };

        if (!opened)
            _exit(2);
        death.guest = guest;
        options.side = opened->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                             : MOSE_SIDE_VIRTUALIZER;
        _exit(mose_switch(opened, &options, &report, NULL) ? 0 : 1);
    }
    while (waitpid(pid, &status, 0) < 0)
        ;
    *ret_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return WIFSIGNALED(status);
}

static void
wait_recovered(const OverlayGuest *guest)
{
    g_autofree char *journal = g_build_filename(g_getenv("MOSE_RUNTIME_DIR"),
                                                guest->vm->name, "journal", NULL);
    gint64 deadline = g_get_monotonic_time() + RECOVERY_US;

    while (g_file_test(journal, G_FILE_TEST_EXISTS) &&
           g_get_monotonic_time() < deadline)
        g_usleep(10000);
    g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
    wait_state(guest, "running");
}

static gboolean
in_emulator(const OverlayGuest *guest)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", guest->vm->name, NULL);

    return strcmp(mose_json_string(status, "side", ""), "emulator") == 0;
}

/* Files and record agree with each other, and with where the guest is. */
static void
assert_consistent(const OverlayGuest *guest)
{
    g_autoptr(JsonArray) overlays = overlay_status(guest);
    guint n = json_array_get_length(overlays);

    g_assert_cmpuint(overlay_count_files(guest), ==, n);
    if (!in_emulator(guest))
        g_assert_cmpuint(n, ==, 0);
    for (guint i = 0; i < n; i++)
        g_assert_true(
            g_file_test(mose_json_string(mose_json_element(overlays, i), "file", ""),
                        G_FILE_TEST_EXISTS));
}

/* On the way there: an overlay is there if, and only if, the guest works on it. */
static void
test_command_there(void)
{
    static const char *const phases[] = { "prepare", "check", "move", "commit",
                                          "settle" };
    g_autoptr(OverlayGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("there", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
        Death death = { .phase = phases[i], .times = 1 };
        g_auto(GStrv) sums = NULL;
        gboolean done;

        g_assert_true(switch_and_die(guest, death, &done));
        wait_recovered(guest);
        assert_consistent(guest);
        if (in_emulator(guest)) {
            g_assert_cmpuint(overlay_count_files(guest), ==, guest->n);
            sums = overlay_sums(guest);
            overlay_work(guest);
            overlay_assert_sums(guest, sums);
            virtualize(guest);
        }
        overlay_work(guest);
    }
    overlay_end(guest);
}

/* On the way back: each time it tells of the commit, from before the first job has
 * caught up until after the last disk has its image again. */
static void
test_command_back(void)
{
    static const char *const phases[] = { "check", "disks", "move", "commit",
                                          "settle" };
    g_autoptr(OverlayGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("back", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
        for (guint times = 1;; times++) {
            Death death = { .phase = phases[i], .times = times };
            gboolean done, killed;

            if (!in_emulator(guest))
                emulate(guest, NULL);
            overlay_work(guest);
            killed = switch_and_die(guest, death, &done);
            g_assert_true(killed || done);
            g_assert_true(killed || times > 1);
            wait_recovered(guest);
            assert_consistent(guest);
            overlay_work(guest);
            if (!killed)
                break;
        }
    }
    if (in_emulator(guest))
        virtualize(guest);
    overlay_end(guest);
}

/* Ctrl-C while the overlays go into the images: the guest works on with them. */
static void
test_interrupted(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    Death death = { .phase = "disks", .times = 1 };
    gboolean done;

    if (vm_cannot_run())
        return;
    guest = start("stopped", NULL);
    emulate(guest, NULL);
    death.interrupt = eventfd(0, EFD_CLOEXEC);
    g_assert_cmpint(death.interrupt, >, 0);
    g_assert_false(switch_and_die(guest, death, &done));
    g_assert_false(done);
    close(death.interrupt);
    g_assert_true(in_emulator(guest));
    g_assert_cmpuint(overlay_count_files(guest), ==, guest->n);
    assert_consistent(guest);
    overlay_work(guest);
    virtualize(guest);
    overlay_end(guest);
}

/* Image and overlay, one of which is not whole alone, are the disk together. */
static void
test_emulator(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    g_autoptr(JsonArray) overlays = NULL;
    Death death = { .phase = "disks", .times = 1, .other = TRUE };
    gboolean done;

    if (vm_cannot_run())
        return;
    guest = start("emulator", NULL);
    emulate(guest, NULL);
    overlay_work(guest);
    g_assert_false(switch_and_die(guest, death, &done));
    g_assert_false(done);
    wait_state(guest, "ended");
    overlays = overlay_status(guest);
    g_assert_cmpuint(json_array_get_length(overlays), ==, guest->n);
    refused("holds a part of its overlay",
            (const char *[]){ "stop", "emulator", "--discard", NULL });
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "emulator", "--keep", NULL), ==, 0);
    for (guint i = 0; i < guest->n; i++) {
        JsonObject *overlay = mose_json_element(overlays, i);
        const char *file = mose_json_string(overlay, "file", NULL);

        disk_image_tool("qemu-img", "commit", "-q", file, NULL);
        disk_image_assert_ring(mose_json_string(overlay, "image", NULL),
                               guest->disks[i].format, 1);
        g_assert_cmpint(unlink(file), ==, 0);
    }
}

/* Before anything is started: all of it sees the small file systems. */
static void
leave_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        no_mounts = "no file system can be mounted here (it needs root)";
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    leave_mounts();
    vm_setup();
    g_test_add_func("/overlay-faults/no-room", test_no_room);
    g_test_add_func("/overlay-faults/full", test_full);
    g_test_add_func("/overlay-faults/commit-fails", test_commit_fails);
    g_test_add_func("/overlay-faults/command/there", test_command_there);
    g_test_add_func("/overlay-faults/command/back", test_command_back);
    g_test_add_func("/overlay-faults/interrupted", test_interrupted);
    g_test_add_func("/overlay-faults/emulator", test_emulator);
    return vm_run_tests();
}
