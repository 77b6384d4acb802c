/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can happen to a host in the middle of a switch, and to what MOSE has left on
 * its disk: many commands at once, an image that a third process holds, a state that
 * does not load, a full disk, too little memory, a reboot. The guest runs on.
 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/trial.h"
#include "guest/journal.h"
#include "util/fd.h"
#include "util/json.h"

#define AT_ONCE 10

static World *world;
static char *why_no_tmpfs;

/* --- many commands --- */

static GSubprocess *
start_mose(const char *word)
{
    g_autoptr(GError) error = NULL;
    GSubprocess *mose = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error,
        g_getenv("MOSE"), word, world->vm->name, NULL);

    g_assert_no_error(error);
    return mose;
}

/* Its exit status; what it said. */
static int
end_mose(GSubprocess *mose, char **ret_said)
{
    g_assert_true(
        g_subprocess_communicate_utf8(mose, NULL, NULL, ret_said, NULL, NULL));
    return g_subprocess_get_exit_status(mose);
}

static const char *
other_side(void)
{
    g_autoptr(MoseGuest) guest =
        mose_guest_open(world->vm->name, MOSE_GUEST_LOOK, NULL);

    return guest->side == MOSE_SIDE_VIRTUALIZER ? "emulate" : "virtualize";
}

/* All but the one that works are told that, and whose pid it has. */
static void
test_many(void)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_object_unref);
    g_autofree char *said = NULL, *busy = NULL;
    TrialRun *run;
    guint before;
    int status;

    if (!world_begin(world))
        return;
    before = world_known_generation(world);
    run = trial_begin(world, "check");
    busy = g_strdup_printf("%d", (int)trial_pid(run));
    for (int i = 1; i < AT_ONCE; i++)
        g_ptr_array_add(all, start_mose(other_side()));
    for (guint i = 0; i < all->len; i++) {
        g_autofree char *text = NULL;

        g_assert_cmpint(end_mose(all->pdata[i], &text), ==, 1);
        if (!strstr(text, busy))
            g_error("'%s' does not name pid %s", text, busy);
    }
    g_assert_cmpuint(trial_end(run, &status, &said), !=, before);
    g_assert_cmpint(status, ==, 0);
}

/* Whichever comes first works; each of the others says why not. */
static void
test_race(void)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_object_unref);
    const char *word;
    guint done = 0;

    if (!world_begin(world))
        return;
    word = other_side();
    for (int i = 0; i < AT_ONCE; i++)
        g_ptr_array_add(all, start_mose(word));
    for (guint i = 0; i < all->len; i++) {
        g_autofree char *text = NULL;
        int status = end_mose(all->pdata[i], &text);

        done += status == 0;
        if (status != 0 && !strstr(text, "pid") && !strstr(text, "already"))
            g_error("%s", text);
    }
    g_assert_cmpuint(done, ==, 1);
    json_object_unref(vm_assert_healthy(world->vm));
}

/* --- the image --- */

/* As a QEMU that writes it: the locks on the bytes of the permissions that it has, and
 * of those that it does not share (QEMU block/file-posix.c:raw_apply_lock_bytes). */
static int
lock_image(void)
{
    g_autofree char *name = g_strdup_printf("%s.qcow2", world->vm->name);
    g_autofree char *path = vm_path(name);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    for (int base = 100; base <= 200; base += 100) {
        struct flock lock = { .l_type = F_RDLCK, .l_start = base + 1, .l_len = 1 };

        g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &lock), ==, 0);
    }
    return fd;
}

/* Neither side can have the disk for a while; then the source has it again. */
static void
test_locked(void)
{
    g_autofree char *said = NULL;
    TrialRun *run;
    guint before;
    int status, fd;

    if (!world_begin(world))
        return;
    before = world_known_generation(world);
    run = trial_begin(world, "commit");
    fd = lock_image();
    trial_let_go(run);
    g_usleep(G_USEC_PER_SEC / 2);
    g_assert_cmpuint(world_running_generation(world), ==, 0);
    close(fd);
    g_assert_cmpuint(trial_end(run, &status, &said), ==, before);
    g_assert_cmpint(status, ==, 1);
    g_test_message("%s", said);
    g_assert_nonnull(strstr(said, "lock"));
}

/* --- the state --- */

static void
test_damaged(void)
{
    g_autofree char *said = NULL;
    TrialRun *run;
    guint before;
    int status;

    if (!world_begin(world))
        return;
    before = world_known_generation(world);
    run = trial_begin(world, "damage");
    g_assert_cmpuint(trial_end(run, &status, &said), ==, before);
    g_assert_cmpint(status, ==, 1);
    g_test_message("%s", said);
    g_assert_nonnull(strstr(said, "the destination did not load the guest"));
}

/* --- the disk that the runtime directory is on --- */

/* A small tmpfs of our own for it. */
static void
mount_tmpfs(void)
{
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("mose-test", g_getenv("MOSE_RUNTIME_DIR"), "tmpfs", 0,
              "size=1m,mode=700") < 0)
        why_no_tmpfs = g_strdup_printf("no tmpfs can be mounted: %s", strerror(errno));
}

static char *
filler(void)
{
    return g_build_filename(g_getenv("MOSE_RUNTIME_DIR"), ".filler", NULL);
}

static void
fill(void)
{
    static const char zeroes[4096];
    g_autofree char *path = filler();
    g_auto(MoseFd) fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    while (write(fd, zeroes, sizeof(zeroes)) > 0)
        ;
    g_assert_cmpint(errno, ==, ENOSPC);
}

static void
clear(void)
{
    g_autofree char *path = filler();

    unlink(path);
}

/* Refused before it begins; with room, it goes. */
static void
test_full(void)
{
    g_autofree char *out = NULL;

    if (why_no_tmpfs) {
        g_test_skip(why_no_tmpfs);
        return;
    }
    if (!world_begin(world))
        return;
    fill();
    g_assert_cmpint(vm_mose(NULL, &out, other_side(), world->vm->name, NULL), ==, 1);
    g_assert_nonnull(strstr(out, "No space left on device"));
    json_object_unref(vm_assert_healthy(world->vm));
    clear();
    g_assert_cmpint(vm_mose(NULL, NULL, other_side(), world->vm->name, NULL), ==, 0);
    json_object_unref(vm_assert_healthy(world->vm));
}

/* It fills up in the middle: the switch happens, what could not be written is told,
 * and written later. */
static void
test_fills(void)
{
    g_autofree char *said = NULL;
    TrialRun *run;
    guint before, after;
    int status;

    if (why_no_tmpfs) {
        g_test_skip(why_no_tmpfs);
        return;
    }
    if (!world_begin(world))
        return;
    before = world_known_generation(world);
    run = trial_begin(world, "commit");
    fill();
    trial_let_go(run);
    trial_wait(run);
    json_object_unref(vm_assert_healthy(world->vm));
    clear();
    g_assert_cmpint(vm_mose(NULL, NULL, "status", world->vm->name, NULL), ==, 0);
    after = trial_end(run, &status, &said);
    g_test_message("%s", said);
    g_assert_cmpuint(after, !=, before);
    g_assert_cmpuint(world_known_generation(world), ==, after);
    g_assert_cmpint(status, ==, 1);
    g_assert_nonnull(strstr(said, "No space left on device"));
}

/* --- memory --- */

/* A copy that the control group has no room for is refused; the guest runs on. */
static void
test_budget(void)
{
    g_autofree char *group =
        g_strdup_printf("/sys/fs/cgroup/memory/mose-test-%d", (int)getpid());
    g_autofree char *limit = g_build_filename(group, "memory.limit_in_bytes", NULL);
    g_autofree char *line = g_strdup_printf(
        "echo $$ >%s/cgroup.procs && exec \"$MOSE\" \"$0\" --copy \"$1\"", group);
    const char *argv[] = { "sh", "-c", line, NULL, world->vm->name, NULL };
    g_autofree char *err = NULL;
    int status = 0;

    if (!world_begin(world))
        return;
    if (mkdir(group, 0755) < 0 ||
        !g_file_set_contents_full(limit, "67108864", -1, G_FILE_SET_CONTENTS_NONE, 0600,
                                  NULL)) {
        rmdir(group);
        g_test_skip("no control group for memory (version 1) can be made");
        return;
    }
    argv[3] = other_side();
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &err,
                 &status, NULL);
    rmdir(group);
    g_test_message("%s", err);
    g_assert_cmpint(status, !=, 0);
    g_assert_nonnull(strstr(err, "no room"));
    json_object_unref(vm_assert_healthy(world->vm));
}

/* --- a reboot --- */

/* guest.json as an earlier boot has left it. */
static void
age(void)
{
    g_autoptr(MoseGuest) guest =
        mose_guest_open(world->vm->name, MOSE_GUEST_LOCK, NULL);
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);
    g_autofree char *journal = g_build_filename(guest->dir, "journal", NULL);
    MoseJournalEntry entry = { .phase = MOSE_PHASE_MOVE,
                               .generation = guest->generation + 1,
                               .source = guest->generation,
                               .side = !guest->side,
                               .was_running = TRUE };
    g_autoptr(GError) error = NULL;

    if (process)
        g_assert_true(mose_process_kill(process));
    unlink(journal);
    g_free(guest->boot_id);
    guest->boot_id = g_strdup("00000000-0000-0000-0000-000000000000");
    /* A process of this boot that has nothing to do with it has the pid now. */
    guest->pid = getpid();
    guest->start_time = mose_process_start_time(getpid());
    mose_guest_save(guest, &error);
    g_assert_no_error(error);
    mose_journal_free(mose_journal_begin(guest->dir, &entry, &error));
    g_assert_no_error(error);
}

/* What an earlier boot has left, sockets and a journal among it, is told as ended, and
 * is in nobody's way. */
static void
test_reboot(void)
{
    const char *name = world->vm->name;
    g_autofree char *list = NULL, *state = NULL, *said = NULL;

    if (!world_begin(world))
        return;
    age();
    g_assert_cmpint(vm_mose(&list, NULL, "list", NULL), ==, 0);
    g_assert_nonnull(strstr(list, name));
    g_assert_nonnull(strstr(list, "ended"));
    state = vm_state(world->vm);
    g_assert_cmpstr(state, ==, "ended");
    g_assert_cmpint(vm_mose(NULL, &said, "emulate", name, NULL), ==, 1);
    g_assert_nonnull(strstr(said, "ended with an earlier boot of this host"));
    /* The next one takes its name, even where nobody has looked before. */
    age();
    g_assert_true(world_begin(world));
    json_object_unref(vm_assert_healthy(world->vm));
    g_assert_cmpuint(world_known_generation(world), ==, 1);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    mount_tmpfs();
    world = world_new("accidents");
    g_test_add_func("/faults/many/one-works", test_many);
    g_test_add_func("/faults/many/at-once", test_race);
    g_test_add_func("/faults/locked-image", test_locked);
    g_test_add_func("/faults/damaged-state", test_damaged);
    g_test_add_func("/faults/full/before", test_full);
    g_test_add_func("/faults/full/meanwhile", test_fills);
    g_test_add_func("/faults/memory-budget", test_budget);
    g_test_add_func("/faults/reboot", test_reboot);
    ret = vm_run_tests();
    world_free(world);
    g_free(why_no_tmpfs);
    return ret;
}
