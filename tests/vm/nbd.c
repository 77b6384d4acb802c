/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose disks stay at home: it moves to a QEMU that has them over NBD alone
 * (guest/exports.h), and comes back, with its worker at work on all of them. Nothing is
 * lost, whoever gives up in between.
 */
#include <string.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/json.h"
#include "vm/nbd-world.h"

/* What the guest discards is given back to the file system at home. */
static void
discard(const NbdWorld *world)
{
    g_autofree char *path = nbd_image(world, &nbd_disks[1]);
    g_autofree char *said =
        vm_shell_output(world->vm, "blkdiscard -o 2097152 -l 2097152 /dev/vdb 2>&1");
    struct stat after;

    g_assert_cmpstr(g_strstrip(said), ==, "");
    g_assert_cmpint(stat(path, &after), ==, 0);
    g_assert_cmpint(after.st_size, ==, 4 << 20);
    g_assert_cmpint(after.st_blocks, <, 2 << 20 >> 9);
}

static void
test_round(void)
{
    NbdWorld *world;

    if (vm_cannot_run())
        return;
    world = nbd_world_new("nbd-round");
    nbd_work(world);
    for (int i = 0; i < 2; i++) {
        nbd_go_away(world);
        nbd_work(world);
        if (i == 1)
            discard(world);
        nbd_come_home(world);
        nbd_work(world);
    }
    nbd_world_end(world);
}

/* Whoever has the disks keeps them: QEMU's locks say no to the other. */
static void
assert_locked(GError *error)
{
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
    g_assert_nonnull(strstr(error->message, "\"write\" lock"));
    g_error_free(error);
}

static void
test_undone(void)
{
    NbdWorld *world;
    MoseLaunch *launch;
    g_autoptr(GError) error = NULL;
    guint n = 1;

    if (vm_cannot_run())
        return;
    world = nbd_world_new("nbd-undone");
    g_assert_false(mose_exports_activate(world->exports, &error));
    assert_locked(g_steal_pointer(&error));
    g_assert_true(mose_exports_count_active(world->exports, &n, NULL));
    g_assert_cmpuint(n, ==, 0);
    nbd_work(world);

    launch = nbd_migrate(world, world->far);
    nbd_activate(world);
    g_assert_false(mose_qmp_run(world->qmp, "cont", NULL, &error));
    assert_locked(g_steal_pointer(&error));
    nbd_abandon(launch);
    nbd_deactivate(world);
    nbd_run(world->qmp, "cont", NULL);
    nbd_work(world);

    nbd_go_away(world);
    nbd_work(world);
    launch = nbd_migrate(world, world->guest);
    g_assert_false(mose_qmp_run(launch->qmp, "cont", NULL, &error));
    assert_locked(g_steal_pointer(&error));
    nbd_deactivate(world);
    nbd_abandon(launch);
    nbd_activate(world);
    nbd_run(world->qmp, "cont", NULL);
    nbd_work(world);

    /* A command that comes later finds the daemon. */
    mose_exports_free(g_steal_pointer(&world->exports));
    world->exports = mose_exports_open(world->guest, &error);
    g_assert_nonnull(world->exports);
    nbd_come_home(world);
    nbd_work(world);

    /* One that has died is replaced by another. */
    g_assert_true(mose_process_kill(world->exports->process));
    mose_exports_free(g_steal_pointer(&world->exports));
    g_assert_null(mose_exports_open(world->guest, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_ENDED);
    g_clear_error(&error);
    world->exports =
        mose_exports_start(world->guest, world->qmp, world->process, &error);
    nbd_must("exports", error);
    nbd_go_away(world);
    nbd_work(world);
    nbd_come_home(world);
    nbd_work(world);
    nbd_world_end(world);
}

static void
wait_state(NbdWorld *world, const char *wanted)
{
    for (gint64 end = g_get_monotonic_time() + NBD_LIMIT_MS * (gint64)1000;
         g_get_monotonic_time() < end; g_usleep(100000)) {
        g_autoptr(JsonObject) answer =
            mose_qmp_query(world->qmp, "query-status", NULL, NULL);

        g_assert_nonnull(answer);
        if (strcmp(mose_json_string(answer, "status", ""), wanted) == 0)
            return;
    }
    g_error("the guest does not come to be %s", wanted);
}

/* Each `cont` does the requests again that have failed, and waits no longer than a
 * connection has time to come back; QEMU looks for it every 16 s at the least. */
static void
go_on(NbdWorld *world)
{
    for (int tries = 0; tries < 30; tries++) {
        g_autoptr(JsonObject) answer = NULL;

        nbd_run(world->qmp, "cont", NULL);
        g_usleep(1000000);
        answer = mose_qmp_query(world->qmp, "query-status", NULL, NULL);
        if (mose_json_bool(answer, "running", FALSE) &&
            nbd_proxy_connections(world->proxy) == NBD_DISKS)
            return;
    }
    g_error("the guest does not run again");
}

/* The way to the disks breaks: for less time than a request waits, and for more. */
static void
test_broken(void)
{
    NbdWorld *world;

    if (vm_cannot_run())
        return;
    world = nbd_world_new("nbd-broken");
    nbd_go_away(world);
    mose_qmp_set_timeout(world->qmp, NBD_LIMIT_MS);
    nbd_work(world);
    nbd_proxy_break(world->proxy);
    nbd_proxy_mend(world->proxy);
    nbd_work(world);
    nbd_proxy_break(world->proxy);
    wait_state(world, "io-error");
    nbd_proxy_mend(world->proxy);
    go_on(world);
    nbd_work(world);
    nbd_come_home(world);
    nbd_work(world);
    nbd_world_end(world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/nbd/undone", test_undone);
    if (g_test_slow()) {
        g_test_add_func("/nbd/round", test_round);
        g_test_add_func("/nbd/broken", test_broken);
    }
    return vm_run_tests();
}
