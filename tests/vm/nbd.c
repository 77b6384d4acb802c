/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose disks stay at home: it moves to a QEMU that has them over NBD alone
 * (guest/exports.h), and comes back, with its worker at work on all of them. Nothing is
 * lost, whoever gives up in between. The other host is another directory here.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "lib/vm.h"
#include "guest/exports.h"
#include "guest/launch.h"
#include "qemu/spec-nbd.h"
#include "util/error.h"
#include "util/json.h"
#include "vm/nbd-proxy.h"

#define LIMIT_MS 120000
#define RECONNECT_S 6
#define MODULES "mose.work=1 mose.modules=sd_mod,sr_mod,ata_piix"

typedef struct {
    const char *name; /* in the guest */
    const char *format;
    const char *options; /* @: the image */
    gboolean reads;
} Disk;

/* Each spelling that a description has for an image. */
static const Disk disks[] = {
    { "vda", "qcow2",
      "-drive file=@,format=qcow2,if=none,id=d0,cache=none,discard=unmap "
      "-device virtio-blk-pci,drive=d0" },
    { "vdb", "raw",
      "-blockdev driver=file,filename=@,node-name=f1,locking=on "
      "-blockdev driver=raw,file=f1,node-name=d1,discard=unmap "
      "-device virtio-blk-pci,drive=d1" },
    { "vdc", "qcow2",
      "-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"d2\",\"discard\":\"unmap\","
      "\"file\":{\"driver\":\"file\",\"filename\":\"@\"}}' "
      "-device virtio-blk-pci,drive=d2" },
    { "vdd", "raw",
      "-drive file=@,format=raw,if=none,id=d3,readonly=on "
      "-device virtio-blk-pci,drive=d3",
      TRUE },
    { "vde", "qcow2", "-drive file=@,format=qcow2,if=virtio,cache=writethrough" },
    { "sda", "raw", "-hda @" },
    { "sr0", "raw", "-cdrom @", TRUE },
};

typedef struct {
    VmGuest *vm;
    MoseGuest *guest; /* at home; locked */
    MoseGuest *far;   /* what the other host has of it */
    NbdProxy *proxy;  /* between the two */
    MoseExports *exports;
    MoseProcess *process; /* that the guest is in */
    MoseQmp *qmp;
} World;

static void
must(const char *what, GError *error)
{
    if (error)
        g_error("%s: %s", what, error->message);
}

static char *
image_of(const World *world, const Disk *disk)
{
    g_autofree char *name = g_strdup_printf("%s-%s.img", world->vm->name, disk->name);

    return vm_path(name);
}

/* A qcow2 image has a backing file, which the daemon has to find. */
static void
make_image(const char *path, const Disk *disk)
{
    g_autofree char *base = g_strconcat(path, ".base", NULL);

    if (disk->reads) {
        disk_image_fill(path);
    } else if (strcmp(disk->format, "qcow2") == 0 && strcmp(disk->name, "vdc") == 0) {
        disk_image_make(base, "qcow2");
        disk_image_tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
                        base, path, NULL);
    } else {
        disk_image_make(path, disk->format);
    }
    /* Beyond the worker's ring; discard() looks for it. */
    if (strcmp(disk->name, "vdb") == 0)
        disk_image_tool("qemu-io", "-f", "raw", "-c", "write -q 2M 2M", path, NULL);
}

static MoseGuest *
far_guest(const World *world)
{
    g_autoptr(GError) error = NULL;
    MoseGuest *far = g_new0(MoseGuest, 1);
    MoseSpecNbd how = { nbd_proxy_path(world->proxy), RECONNECT_S, TRUE };
    g_autofree char *name = g_strdup_printf("%s.far", world->vm->name);

    far->name = g_strdup(world->guest->name);
    far->dir = vm_path(name);
    far->lock_fd = -1;
    far->machine_type = g_strdup(world->guest->machine_type);
    far->spec =
        mose_spec_with_nbd(world->guest->spec, world->exports->disks, &how, &error);
    must("description", error);
    g_assert_cmpint(mkdir(far->dir, 0700), ==, 0);
    return far;
}

/* Start the guest at home, and offer its disks. */
static World *
world_new(const char *name)
{
    World *world = g_new0(World, 1);
    g_autoptr(GString) options = g_string_new(NULL);
    g_autofree char *socket = g_strdup_printf("%s.proxy", name);
    g_autofree char *path = vm_path(socket);
    g_autoptr(GError) error = NULL;

    world->vm = vm_guest_new(name);
    for (gsize i = 0; i < G_N_ELEMENTS(disks); i++) {
        g_autofree char *image = image_of(world, &disks[i]);
        g_auto(GStrv) pieces = g_strsplit(disks[i].options, "@", -1);
        g_autofree char *text = g_strjoinv(image, pieces);

        make_image(image, &disks[i]);
        g_string_append_printf(options, " %s", text);
    }
    vm_run(world->vm, "--accel tcg --ram-private", options->str, MODULES);
    vm_wait_console(world->vm, "MOSE-GUEST READY", 120);
    world->guest = mose_guest_open(name, MOSE_GUEST_LOCK, &error);
    must("guest", error);
    world->process = mose_guest_process(world->guest, &error);
    world->qmp = mose_guest_connect(world->guest, MOSE_MONITOR_SWITCH, &error);
    must("monitor", error);
    world->exports =
        mose_exports_start(world->guest, world->qmp, world->process, &error);
    must("exports", error);
    world->proxy = nbd_proxy_new(path, world->exports->socket);
    world->far = far_guest(world);
    return world;
}

static gint64
steps_of(JsonObject *page, const char *disk)
{
    JsonObject *all = mose_json_child(mose_json_child(page, "worker"), "disks");

    return mose_json_int(mose_json_child(all, disk), "steps", 0);
}

/* Wait until the worker has done more on each disk; it has found no damage. */
static void
work(const World *world)
{
    g_autoptr(JsonObject) before = vm_assert_healthy(world->vm);

    for (int tries = 0; tries < 600; tries++) {
        g_autoptr(JsonObject) page = vm_assert_healthy(world->vm);
        gsize moved = 0;

        for (gsize i = 0; i < G_N_ELEMENTS(disks); i++)
            moved +=
                steps_of(page, disks[i].name) > steps_of(before, disks[i].name) + 1;
        if (moved == G_N_ELEMENTS(disks))
            return;
        g_usleep(100000);
    }
    g_error("%s: a disk makes no steps", world->vm->name);
}

/* The images are sound and hold what the guest wrote: by the host, after its end. */
static void
world_end(World *world)
{
    g_autoptr(JsonObject) page = vm_assert_healthy(world->vm);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(mose_process_kill(world->process), ==, TRUE);
    mose_exports_end(world->guest, world->exports, &error);
    must("end", error);
    mose_exports_free(world->exports);
    mose_qmp_free(world->qmp);
    mose_process_free(world->process);
    nbd_proxy_free(world->proxy);
    mose_guest_remove(world->guest, &error);
    must("remove", error);
    mose_guest_free(world->guest);
    mose_guest_free(world->far);
    for (gsize i = 0; i < G_N_ELEMENTS(disks); i++) {
        g_autofree char *path = image_of(world, &disks[i]);

        if (!disks[i].reads)
            disk_image_assert_ring(path, disks[i].format,
                                   steps_of(page, disks[i].name));
        unlink(path);
    }
    vm_guest_free(world->vm);
    g_free(world);
}

/* --- moving --- */

static void
run(MoseQmp *qmp, const char *command, JsonObject *arguments)
{
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, command, arguments, &error);
    must(command, error);
}

static void
set_capability(MoseQmp *qmp, const char *name)
{
    JsonArray *list = json_array_new();

    json_array_add_object_element(
        list, mose_json_object("capability", "s", name, "state", "b", TRUE, NULL));
    run(qmp, "migrate-set-capabilities",
        mose_json_object("capabilities", "a", list, NULL));
}

static void
wait_completed(MoseQmp *qmp)
{
    for (gint64 end = g_get_monotonic_time() + LIMIT_MS * (gint64)1000;
         g_get_monotonic_time() < end; g_usleep(20000)) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) answer =
            mose_qmp_query(qmp, "query-migrate", NULL, &error);
        const char *status;

        must("query-migrate", error);
        status = mose_json_string(answer, "status", "");
        if (strcmp(status, "completed") == 0)
            return;
        g_assert_cmpstr(status, !=, "failed");
    }
    g_error("a migration does not come to its end");
}

/* Start the next process, here or there, and migrate to it; it does not run yet. */
static MoseLaunch *
migrate(World *world, MoseGuest *to)
{
    MoseLaunchFor what = { .side = MOSE_SIDE_VIRTUALIZER,
                           .generation = ++world->guest->generations,
                           .ram_fd = -1,
                           .source = world->process };
    g_autofree char *path = vm_path("stream");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    g_autoptr(GError) error = NULL;
    MoseLaunch *launch = mose_launch(to, &what, &error);

    must("launch", error);
    unlink(path);
    set_capability(launch->qmp, "late-block-activate");
    run(launch->qmp, "migrate-incoming", mose_json_object("uri", "s", uri, NULL));
    run(world->qmp, "migrate-set-parameters",
        mose_json_object("max-bandwidth", "i", (gint64)1 << 40, "downtime-limit", "i",
                         (gint64)1000, NULL));
    run(world->qmp, "migrate", mose_json_object("uri", "s", uri, NULL));
    wait_completed(world->qmp);
    wait_completed(launch->qmp);
    unlink(path);
    return launch;
}

/* The guest runs in @launch from now on, and its old process ends. */
static void
settle(World *world, MoseLaunch *launch)
{
    g_autoptr(GError) error = NULL;

    run(launch->qmp, "cont", NULL);
    g_assert_true(mose_process_kill(world->process));
    mose_process_free(world->process);
    mose_qmp_free(world->qmp);
    world->process = g_steal_pointer(&launch->process);
    world->qmp = g_steal_pointer(&launch->qmp);
    mose_launch_settle(world->qmp, launch->line, &error);
    must("settle", error);
    mose_launch_free(launch);
}

static void
activate(World *world)
{
    g_autoptr(GError) error = NULL;
    guint n = 0;

    mose_exports_activate(world->exports, &error);
    must("activate", error);
    mose_exports_count_active(world->exports, &n, &error);
    must("count", error);
    g_assert_cmpuint(n, ==, 5);
}

static void
deactivate(World *world)
{
    g_autoptr(GError) error = NULL;

    mose_exports_deactivate(world->exports, &error);
    must("deactivate", error);
}

static void
go_away(World *world)
{
    MoseLaunch *launch = migrate(world, world->far);

    activate(world);
    settle(world, launch);
}

static void
come_home(World *world)
{
    MoseLaunch *launch = migrate(world, world->guest);

    deactivate(world);
    settle(world, launch);
}

static void
abandon(MoseLaunch *launch)
{
    g_assert_true(mose_process_kill(launch->process));
    mose_launch_free(launch);
}

/* --- the tests --- */

/* What the guest discards is given back to the file system at home. */
static void
discard(const World *world)
{
    g_autofree char *path = image_of(world, &disks[1]);
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
    World *world;

    if (vm_cannot_run())
        return;
    world = world_new("nbd-round");
    work(world);
    for (int i = 0; i < 2; i++) {
        go_away(world);
        work(world);
        if (i == 1)
            discard(world);
        come_home(world);
        work(world);
    }
    world_end(world);
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
    World *world;
    MoseLaunch *launch;
    g_autoptr(GError) error = NULL;
    guint n = 1;

    if (vm_cannot_run())
        return;
    world = world_new("nbd-undone");
    g_assert_false(mose_exports_activate(world->exports, &error));
    assert_locked(g_steal_pointer(&error));
    g_assert_true(mose_exports_count_active(world->exports, &n, NULL));
    g_assert_cmpuint(n, ==, 0);
    work(world);

    launch = migrate(world, world->far);
    activate(world);
    g_assert_false(mose_qmp_run(world->qmp, "cont", NULL, &error));
    assert_locked(g_steal_pointer(&error));
    abandon(launch);
    deactivate(world);
    run(world->qmp, "cont", NULL);
    work(world);

    go_away(world);
    work(world);
    launch = migrate(world, world->guest);
    g_assert_false(mose_qmp_run(launch->qmp, "cont", NULL, &error));
    assert_locked(g_steal_pointer(&error));
    deactivate(world);
    abandon(launch);
    activate(world);
    run(world->qmp, "cont", NULL);
    work(world);

    /* A command that comes later finds the daemon. */
    mose_exports_free(g_steal_pointer(&world->exports));
    world->exports = mose_exports_open(world->guest, &error);
    g_assert_nonnull(world->exports);
    come_home(world);
    work(world);

    /* One that has died is replaced by another. */
    g_assert_true(mose_process_kill(world->exports->process));
    mose_exports_free(g_steal_pointer(&world->exports));
    g_assert_null(mose_exports_open(world->guest, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_ENDED);
    g_clear_error(&error);
    world->exports =
        mose_exports_start(world->guest, world->qmp, world->process, &error);
    must("exports", error);
    go_away(world);
    work(world);
    come_home(world);
    work(world);
    world_end(world);
}

static void
wait_state(World *world, const char *wanted)
{
    for (gint64 end = g_get_monotonic_time() + LIMIT_MS * (gint64)1000;
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
go_on(World *world)
{
    for (int tries = 0; tries < 30; tries++) {
        g_autoptr(JsonObject) answer = NULL;

        run(world->qmp, "cont", NULL);
        g_usleep(1000000);
        answer = mose_qmp_query(world->qmp, "query-status", NULL, NULL);
        if (mose_json_bool(answer, "running", FALSE) &&
            nbd_proxy_connections(world->proxy) == G_N_ELEMENTS(disks))
            return;
    }
    g_error("the guest does not run again");
}

/* The way to the disks breaks: for less time than a request waits, and for more. */
static void
test_broken(void)
{
    World *world;

    if (vm_cannot_run())
        return;
    world = world_new("nbd-broken");
    go_away(world);
    mose_qmp_set_timeout(world->qmp, LIMIT_MS);
    work(world);
    nbd_proxy_break(world->proxy);
    nbd_proxy_mend(world->proxy);
    work(world);
    nbd_proxy_break(world->proxy);
    wait_state(world, "io-error");
    nbd_proxy_mend(world->proxy);
    go_on(world);
    work(world);
    come_home(world);
    work(world);
    world_end(world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/nbd/round", test_round);
    g_test_add_func("/nbd/undone", test_undone);
    g_test_add_func("/nbd/broken", test_broken);
    return vm_run_tests();
}
