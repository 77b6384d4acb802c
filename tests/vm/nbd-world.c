/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest of the NBD tests; see nbd-world.h. */
#include "vm/nbd-world.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "qemu/spec-nbd.h"
#include "util/json.h"

#define RECONNECT_S 6
#define MODULES "mose.work=1 mose.modules=sd_mod,sr_mod,ata_piix"

const NbdDisk nbd_disks[NBD_DISKS] = {
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

void
nbd_must(const char *what, GError *error)
{
    if (error)
        g_error("%s: %s", what, error->message);
}

char *
nbd_image(const NbdWorld *world, const NbdDisk *disk)
{
    g_autofree char *name = g_strdup_printf("%s-%s.img", world->vm->name, disk->name);

    return vm_path(name);
}

/* A qcow2 image has a backing file, which the daemon has to find. */
static void
make_image(const char *path, const NbdDisk *disk)
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
far_guest(const NbdWorld *world)
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
    nbd_must("description", error);
    g_assert_cmpint(mkdir(far->dir, 0700), ==, 0);
    return far;
}

NbdWorld *
nbd_world_new(const char *name)
{
    NbdWorld *world = g_new0(NbdWorld, 1);
    g_autoptr(GString) options = g_string_new(NULL);
    g_autofree char *socket = g_strdup_printf("%s.proxy", name);
    g_autofree char *path = vm_path(socket);
    g_autoptr(GError) error = NULL;

    world->vm = vm_guest_new(name);
    for (gsize i = 0; i < G_N_ELEMENTS(nbd_disks); i++) {
        g_autofree char *image = nbd_image(world, &nbd_disks[i]);
        g_auto(GStrv) pieces = g_strsplit(nbd_disks[i].options, "@", -1);
        g_autofree char *text = g_strjoinv(image, pieces);

        make_image(image, &nbd_disks[i]);
        g_string_append_printf(options, " %s", text);
    }
    vm_run(world->vm, "--accel tcg --ram-private", options->str, MODULES);
    vm_wait_console(world->vm, "MOSE-GUEST READY", 120);
    world->guest = mose_guest_open(name, MOSE_GUEST_LOCK, &error);
    nbd_must("guest", error);
    world->process = mose_guest_process(world->guest, &error);
    world->qmp = mose_guest_connect(world->guest, MOSE_MONITOR_SWITCH, &error);
    nbd_must("monitor", error);
    world->exports =
        mose_exports_start(world->guest, world->qmp, world->process, &error);
    nbd_must("exports", error);
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

void
nbd_work(const NbdWorld *world)
{
    g_autoptr(JsonObject) before = vm_assert_healthy(world->vm);

    for (int tries = 0; tries < 600; tries++) {
        g_autoptr(JsonObject) page = vm_assert_healthy(world->vm);
        gsize moved = 0;

        for (gsize i = 0; i < G_N_ELEMENTS(nbd_disks); i++)
            moved += steps_of(page, nbd_disks[i].name) >
                     steps_of(before, nbd_disks[i].name) + 1;
        if (moved == G_N_ELEMENTS(nbd_disks))
            return;
        g_usleep(100000);
    }
    g_error("%s: a disk makes no steps", world->vm->name);
}

void
nbd_world_end(NbdWorld *world)
{
    g_autoptr(JsonObject) page = vm_assert_healthy(world->vm);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(mose_process_kill(world->process), ==, TRUE);
    mose_exports_end(world->guest, world->exports, &error);
    nbd_must("end", error);
    mose_exports_free(world->exports);
    mose_qmp_free(world->qmp);
    mose_process_free(world->process);
    nbd_proxy_free(world->proxy);
    mose_guest_remove(world->guest, &error);
    nbd_must("remove", error);
    mose_guest_free(world->guest);
    mose_guest_free(world->far);
    for (gsize i = 0; i < G_N_ELEMENTS(nbd_disks); i++) {
        g_autofree char *path = nbd_image(world, &nbd_disks[i]);

        if (!nbd_disks[i].reads)
            disk_image_assert_ring(path, nbd_disks[i].format,
                                   steps_of(page, nbd_disks[i].name));
        unlink(path);
    }
    vm_guest_free(world->vm);
    g_free(world);
}

/* --- moving --- */

void
nbd_run(MoseQmp *qmp, const char *command, JsonObject *arguments)
{
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, command, arguments, &error);
    nbd_must(command, error);
}

static void
set_capability(MoseQmp *qmp, const char *name)
{
    JsonArray *list = json_array_new();

    json_array_add_object_element(
        list, mose_json_object("capability", "s", name, "state", "b", TRUE, NULL));
    nbd_run(qmp, "migrate-set-capabilities",
            mose_json_object("capabilities", "a", list, NULL));
}

static void
wait_completed(MoseQmp *qmp)
{
    for (gint64 end = g_get_monotonic_time() + NBD_LIMIT_MS * (gint64)1000;
         g_get_monotonic_time() < end; g_usleep(20000)) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) answer =
            mose_qmp_query(qmp, "query-migrate", NULL, &error);
        const char *status;

        nbd_must("query-migrate", error);
        status = mose_json_string(answer, "status", "");
        if (strcmp(status, "completed") == 0)
            return;
        g_assert_cmpstr(status, !=, "failed");
    }
    g_error("a migration does not come to its end");
}

MoseLaunch *
nbd_migrate(NbdWorld *world, MoseGuest *to)
{
    MoseLaunchFor what = { .side = MOSE_SIDE_VIRTUALIZER,
                           .generation = ++world->guest->generations,
                           .ram_fd = -1,
                           .source = world->process };
    g_autofree char *path = vm_path("stream");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    g_autoptr(GError) error = NULL;
    MoseLaunch *launch = mose_launch(to, &what, &error);

    nbd_must("launch", error);
    unlink(path);
    set_capability(launch->qmp, "late-block-activate");
    nbd_run(launch->qmp, "migrate-incoming", mose_json_object("uri", "s", uri, NULL));
    nbd_run(world->qmp, "migrate-set-parameters",
            mose_json_object("max-bandwidth", "i", (gint64)1 << 40, "downtime-limit",
                             "i", (gint64)1000, NULL));
    nbd_run(world->qmp, "migrate", mose_json_object("uri", "s", uri, NULL));
    wait_completed(world->qmp);
    wait_completed(launch->qmp);
    unlink(path);
    return launch;
}

void
nbd_settle(NbdWorld *world, MoseLaunch *launch)
{
    g_autoptr(GError) error = NULL;

    nbd_run(launch->qmp, "cont", NULL);
    g_assert_true(mose_process_kill(world->process));
    mose_process_free(world->process);
    mose_qmp_free(world->qmp);
    world->process = g_steal_pointer(&launch->process);
    world->qmp = g_steal_pointer(&launch->qmp);
    mose_launch_settle(world->qmp, launch->line, &error);
    nbd_must("settle", error);
    mose_launch_free(launch);
}

void
nbd_activate(NbdWorld *world)
{
    g_autoptr(GError) error = NULL;
    guint n = 0;

    mose_exports_activate(world->exports, &error);
    nbd_must("activate", error);
    mose_exports_count_active(world->exports, &n, &error);
    nbd_must("count", error);
    g_assert_cmpuint(n, ==, 5);
}

void
nbd_deactivate(NbdWorld *world)
{
    g_autoptr(GError) error = NULL;

    mose_exports_deactivate(world->exports, &error);
    nbd_must("deactivate", error);
}

void
nbd_go_away(NbdWorld *world)
{
    MoseLaunch *launch = nbd_migrate(world, world->far);

    nbd_activate(world);
    nbd_settle(world, launch);
}

void
nbd_come_home(NbdWorld *world)
{
    MoseLaunch *launch = nbd_migrate(world, world->guest);

    nbd_deactivate(world);
    nbd_settle(world, launch);
}

void
nbd_abandon(MoseLaunch *launch)
{
    g_assert_true(mose_process_kill(launch->process));
    mose_launch_free(launch);
}
