/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An emulator that must not write the guest's disks: the images do not change while
 * the guest is in it, what it wrote is in them afterwards, and nothing of it is lost
 * unless somebody says so. What fails in between: overlay-faults.c.
 */
#include <string.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "overlay-guest.h"
#include "util/json.h"

static const OverlayDisk many[] = {
    { "vda", "qcow2",
      "-drive file=@,format=qcow2,if=none,id=d0,discard=unmap,detect-zeroes=unmap "
      "-device virtio-blk-pci,drive=d0" },
    { "vdb", "raw",
      "-blockdev driver=file,filename=@,node-name=f1,locking=on "
      "-blockdev driver=raw,file=f1,node-name=d1 "
      "-object iothread,id=io1 -device virtio-blk-pci,drive=d1,iothread=io1" },
    { "vdc", "raw",
      "-drive file=@,format=raw,if=none,id=d2,readonly=on,file.locking=on "
      "-device virtio-blk-pci,drive=d2",
      TRUE },
    { "sda", "qcow2",
      "-object iothread,id=io2 -device virtio-scsi-pci,id=scsi,iothread=io2 "
      "-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"d3\",\"discard\":\"unmap\","
      "\"file\":{\"driver\":\"file\",\"filename\":\"@\"}}' "
      "-device scsi-hd,bus=scsi.0,drive=d3 -device scsi-cd,bus=scsi.0" },
    { "sdb", "raw", "-drive file=@,format=raw,if=ide,index=0" },
};

static OverlayGuest *
start(const char *name, const OverlayDisk *disks, gsize n)
{
    g_autofree char *dir = vm_path("");

    return overlay_guest_new(name, dir, disks, n);
}

/* @way: "--copy", or NULL. */
static void
emulate(const OverlayGuest *guest, const char *way)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->vm->name, "--disks",
                            "overlay", way, NULL),
                    ==, 0);
}

static void
virtualize(const OverlayGuest *guest, const char *way)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "virtualize", guest->vm->name, way, NULL), ==,
                    0);
}

/* `mose` with these words says no, for this reason. */
static void
refused(const char *reason, const char *const *words)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mosev(NULL, &err, words), ==, 1);
    g_assert_nonnull(strstr(err, reason));
}

static void
test_round_trip(void)
{
    static const char *const ways[] = { "--in-place", "--copy" };
    g_autoptr(OverlayGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("round", many, G_N_ELEMENTS(many));
    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_auto(GStrv) sums = NULL;
        g_autoptr(JsonArray) overlays = NULL, none = NULL;

        emulate(guest, ways[i]);
        sums = overlay_sums(guest);
        overlay_work(guest);
        overlay_assert_sums(guest, sums);
        overlays = overlay_status(guest);
        /* All but the one that is only read. */
        g_assert_cmpuint(json_array_get_length(overlays), ==, guest->n - 1);
        g_assert_cmpuint(overlay_count_files(guest), ==, guest->n - 1);
        for (guint k = 0; k < guest->n - 1; k++)
            g_assert_cmpint(mose_json_int(mose_json_element(overlays, k), "bytes", 0),
                            >, 0);
        virtualize(guest, ways[i]);
        none = overlay_status(guest);
        g_assert_cmpuint(json_array_get_length(none), ==, 0);
        g_assert_cmpuint(overlay_count_files(guest), ==, 0);
        overlay_work(guest);
    }
    /* Without the option, as ever. */
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->vm->name, NULL), ==, 0);
    g_assert_cmpuint(overlay_count_files(guest), ==, 0);
    overlay_work(guest);
    overlay_end(guest);
}

/* Nothing that the guest wrote goes unless somebody says so; then it is as before. */
static void
test_discard(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    g_auto(GStrv) sums = NULL;

    if (vm_cannot_run())
        return;
    guest = start("discard", overlay_plain, G_N_ELEMENTS(overlay_plain));
    emulate(guest, NULL);
    sums = overlay_sums(guest);
    overlay_work(guest);
    refused("--discard", (const char *[]){ "stop", "discard", NULL });
    overlay_work(guest);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "discard", "--discard", NULL), ==, 0);
    overlay_assert_sums(guest, sums);
    g_assert_cmpuint(overlay_count_files(guest), ==, 0);
}

/* The emulator dies: image and overlay are there, and together they are the disk. */
static void
test_emulator_killed(void)
{
    g_autoptr(OverlayGuest) guest = NULL;
    g_autoptr(JsonArray) overlays = NULL;
    g_auto(GStrv) sums = NULL;

    if (vm_cannot_run())
        return;
    guest = start("killed", overlay_plain, G_N_ELEMENTS(overlay_plain));
    emulate(guest, NULL);
    sums = overlay_sums(guest);
    overlay_work(guest);
    overlay_kill_qemu(guest);
    refused("--keep", (const char *[]){ "stop", "killed", NULL });
    /* A new guest of the name would take the record away. */
    refused("--keep", (const char *[]){ "run", "killed", "--", "-nodefaults", NULL });
    overlays = overlay_status(guest);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "killed", "--keep", NULL), ==, 0);
    overlay_assert_sums(guest, sums);
    for (guint i = 0; i < json_array_get_length(overlays); i++) {
        JsonObject *overlay = mose_json_element(overlays, i);
        const char *file = mose_json_string(overlay, "file", NULL);

        disk_image_tool("qemu-img", "commit", "-q", file, NULL);
        disk_image_assert_ring(mose_json_string(overlay, "image", NULL),
                               guest->disks[i].format, 1);
        g_assert_cmpint(unlink(file), ==, 0);
    }
}

/* Its disks have never been opened for writing in the emulator. */
static void
test_paused(void)
{
    g_autofree char *image = vm_path("paused-vda.img");
    g_autofree char *drive = g_strdup_printf("file=%s,format=qcow2,if=virtio", image);
    g_autofree char *extra = g_strdup_printf("-S -drive %s", drive);
    g_autoptr(VmGuest) vm = NULL;

    if (vm_cannot_run())
        return;
    vm = vm_guest_new("paused");
    disk_image_make(image, "qcow2");
    vm_run(vm, NULL, extra, NULL);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(
            vm_mose(NULL, NULL, "emulate", "paused", "--disks", "overlay", NULL), ==,
            0);
        g_assert_cmpint(vm_mose(NULL, NULL, "virtualize", "paused", NULL), ==, 0);
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "paused", NULL), ==, 0);
    disk_image_tool("qemu-img", "check", "-q", image, NULL);
}

static void
test_refusals(void)
{
    g_autofree char *lazy = vm_path("lazy.img");
    g_autofree char *plain = vm_path("plain.img");
    g_autofree char *extra = g_strdup_printf(
        "-drive file=%s,format=qcow2,if=virtio -drive file=%s,format=raw,if=virtio",
        lazy, plain);
    g_autoptr(VmGuest) vm = NULL;

    if (vm_cannot_run())
        return;
    vm = vm_guest_new("refuse");
    disk_image_tool("qemu-img", "create", "-q", "-f", "qcow2", "-o",
                    "lazy_refcounts=on", lazy, "4M", NULL);
    disk_image_make(plain, "raw");
    vm_run(vm, NULL, extra, NULL);
    refused("lazy refcounts",
            (const char *[]){ "emulate", "refuse", "--disks", "overlay", NULL });
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "refuse", NULL), ==, 0);
    disk_image_make(lazy, "qcow2");
    vm_run(vm, NULL, extra, NULL);
    refused("No such file or directory",
            (const char *[]){ "emulate", "refuse", "--disks", "overlay",
                              "--overlay-dir", "/nowhere", NULL });
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", "refuse", "--disks", "none", NULL),
                    ==, 2);
    g_assert_cmpint(
        vm_mose(NULL, NULL, "virtualize", "refuse", "--disks", "overlay", NULL), ==, 2);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "refuse", "--keep", "--discard", NULL),
                    ==, 2);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "refuse", NULL), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/overlay/round-trip", test_round_trip);
    g_test_add_func("/overlay/discard", test_discard);
    g_test_add_func("/overlay/emulator-killed", test_emulator_killed);
    g_test_add_func("/overlay/paused", test_paused);
    g_test_add_func("/overlay/refusals", test_refusals);
    return vm_run_tests();
}
