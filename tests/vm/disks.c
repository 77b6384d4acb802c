/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests with every kind of disk under load go there and back: what the guest's
 * worker wrote is there, for the guest and for the host, and the images are sound.
 * Image locking is on throughout (QEMU's default, said where there is a place).
 *
 * Debian's cloud kernel has no driver for AHCI: a boot sector works on that disk,
 * through the firmware's driver (ahci.c).
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/linux/worker/worker.h"
#include "lib/disk-image.h"
#include "lib/vm.h"
#include "util/json.h"

/* What the guest is to do with it. */
typedef enum {
    WORK,  /* write and read */
    READ,  /* a ring is on it already */
    EMPTY, /* a drive without a medium, or a disk that the guest has no driver for */
} Use;

typedef struct {
    const char *name;    /* in the guest: "vda" */
    const char *format;  /* of the image */
    const char *options; /* of QEMU; @ stands for the image */
    Use use;
} Disk;

#define MODULES "mose.work=1 mose.modules=virtio_scsi,sd_mod,sr_mod,ata_piix"
#define SWITCHES 4

static const Disk pc_disks[] = {
    { "vda", "qcow2",
      "-drive file=@,format=qcow2,if=none,id=d0,cache=none,aio=native "
      "-device virtio-blk-pci,drive=d0" },
    { "vdb", "raw",
      "-blockdev driver=file,filename=@,node-name=f1,locking=on,cache.direct=off "
      "-blockdev driver=raw,file=f1,node-name=d1 "
      "-object iothread,id=io1 -device virtio-blk-pci,drive=d1,iothread=io1" },
    { "vdc", "raw",
      "-drive file=@,format=raw,if=none,id=d2,readonly=on,file.locking=on "
      "-device virtio-blk-pci,drive=d2",
      READ },
    { "vdd", "raw",
      "-drive file=@,format=raw,if=none,id=d3,cache=unsafe,aio=io_uring "
      "-device virtio-blk-pci,drive=d3" },
    { "vde", "qcow2", "-drive file=@,format=qcow2,if=virtio,cache=directsync" },
    { "sda", "qcow2",
      "-object iothread,id=io2 -device virtio-scsi-pci,id=scsi,iothread=io2 "
      "-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"d5\",\"discard\":\"unmap\","
      "\"file\":{\"driver\":\"file\",\"filename\":\"@\",\"locking\":\"on\"}}' "
      "-device scsi-hd,bus=scsi.0,scsi-id=1,drive=d5" },
    { "sdb", "raw",
      "-drive file=@,format=raw,if=none,id=d6,cache=writethrough,aio=threads "
      "-device scsi-hd,bus=scsi.0,scsi-id=2,drive=d6" },
    { "sdc", "qcow2", "-drive file=@,format=qcow2,if=ide,index=0,cache=writeback" },
    { "sr0", "raw", "-device scsi-cd,bus=scsi.0,scsi-id=3", EMPTY },
    { "sr1", "raw",
      "-drive file=@,format=raw,if=none,id=cd,media=cdrom "
      "-device ide-cd,bus=ide.1,unit=0,drive=cd",
      READ },
};

static const Disk q35_disks[] = {
    { "vda", "qcow2",
      "-device pcie-root-port,id=port1,chassis=1 "
      "-drive file=@,format=qcow2,if=none,id=d0,cache=none,aio=io_uring "
      "-device virtio-blk-pci,drive=d0,bus=port1" },
    { "vdb", "raw",
      "-drive file=@,format=raw,if=none,id=d1,cache=directsync,aio=native "
      "-device virtio-blk-pci,drive=d1,num-queues=2" },
    { "sda", "raw",
      "-device pcie-root-port,id=port2,chassis=2 "
      "-device virtio-scsi-pci,id=scsi,bus=port2 "
      "-blockdev '{\"driver\":\"raw\",\"node-name\":\"d2\",\"cache\":"
      "{\"direct\":true},\"file\":{\"driver\":\"file\",\"filename\":\"@\","
      "\"aio\":\"native\",\"cache\":{\"direct\":true},\"locking\":\"on\"}}' "
      "-device scsi-hd,bus=scsi.0,drive=d2" },
    { "sdb", "qcow2",
      "-drive file=@,format=qcow2,if=none,id=d3,cache=writeback "
      "-device scsi-hd,bus=scsi.0,drive=d3" },
    { "ahci", "qcow2",
      "-drive file=@,format=qcow2,if=none,id=d4 -device ide-hd,bus=ide.0,drive=d4",
      EMPTY },
    { "ahci-cd", "raw", "-device ide-cd,bus=ide.1", EMPTY },
};

static char *
image_of(const char *guest, const char *disk)
{
    g_autofree char *name = g_strdup_printf("%s-%s.img", guest, disk);

    return vm_path(name);
}

/* Make the image, and add what puts it into the guest. */
static void
add_disk(const char *guest, const Disk *disk, GString *options)
{
    g_autofree char *path = image_of(guest, disk->name);
    g_auto(GStrv) pieces = g_strsplit(disk->options, "@", -1);
    g_autofree char *text = g_strjoinv(path, pieces);

    if (disk->use == READ)
        disk_image_fill(path);
    else
        disk_image_make(path, disk->format);
    g_string_append_printf(options, " %s", text);
}

static JsonObject *
tally_of(JsonObject *page, const char *disk)
{
    JsonObject *disks = mose_json_child(mose_json_child(page, "worker"), "disks");

    return mose_json_child(disks, disk);
}

/* Wait until the worker has made steps on each disk beyond those of @before (may be
 * NULL); it reports once a second. */
static JsonObject *
wait_for_work(const VmGuest *guest, const Disk *disks, gsize n, JsonObject *before)
{
    for (int i = 0; i < 300; i++) {
        g_autoptr(JsonObject) page = vm_assert_healthy(guest);
        gsize moved = 0;

        for (gsize d = 0; d < n; d++) {
            gint64 steps = mose_json_int(tally_of(page, disks[d].name), "steps", 0);
            gint64 old =
                before ? mose_json_int(tally_of(before, disks[d].name), "steps", 0) : 0;

            moved += disks[d].use == EMPTY || steps > old + 1;
        }
        if (moved == n)
            return g_steal_pointer(&page);
        g_usleep(100000);
    }
    g_error("%s: a disk makes no steps", guest->name);
}

/* There and back, at work on all disks between any two switches. */
static JsonObject *
go_round(const VmGuest *guest, const Disk *disks, gsize n)
{
    JsonObject *page = wait_for_work(guest, disks, n, NULL);

    for (int i = 0; i < SWITCHES; i++) {
        g_autoptr(JsonObject) before = page;

        json_object_unref(
            vm_mose_json(i % 2 == 0 ? "emulate" : "virtualize", guest->name, NULL));
        page = wait_for_work(guest, disks, n, before);
    }
    return page;
}

static void
round_trip(const char *name, const char *machine, const Disk *disks, gsize n)
{
    g_autoptr(VmGuest) guest = vm_guest_new(name);
    g_autoptr(GString) options = g_string_new("-machine ");
    g_autoptr(JsonObject) page = NULL;

    g_string_append(options, machine);
    for (gsize i = 0; i < n; i++)
        add_disk(name, &disks[i], options);
    vm_run(guest, NULL, options->str, MODULES);
    vm_wait_console(guest, "MOSE-GUEST READY", 90);
    page = go_round(guest, disks, n);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    for (gsize i = 0; i < n; i++) {
        g_autofree char *path = image_of(name, disks[i].name);

        if (disks[i].use == WORK)
            disk_image_assert_ring(
                path, disks[i].format,
                mose_json_int(tally_of(page, disks[i].name), "steps", 0));
        unlink(path);
    }
}

/* Caches that go past the host's page cache need a file system that can. */
static gboolean
cannot_run(void)
{
    g_autofree char *path = vm_path("direct");
    int fd;

    if (vm_why_not()) {
        g_test_skip(vm_why_not());
        return TRUE;
    }
    fd = open(path, O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        g_test_skip("the temporary directory's file system has no O_DIRECT");
        return TRUE;
    }
    close(fd);
    return FALSE;
}

static void
test_pc(void)
{
    if (!cannot_run())
        round_trip("disks-pc", "pc", pc_disks, G_N_ELEMENTS(pc_disks));
}

static void
test_q35(void)
{
    if (!cannot_run())
        round_trip("disks-q35", "q35", q35_disks, G_N_ELEMENTS(q35_disks));
}

/* ---- the rest of the product (suite full) ---------------------------------- */

static const char *const caches[] = { "none", "writeback", "writethrough", "directsync",
                                      "unsafe" };
static const char *const aios[] = { "threads", "native", "io_uring" };

/* QEMU block/file-posix.c:raw_open_common: native needs cache.direct. */
static gboolean
is_possible(const char *cache, const char *aio)
{
    return strcmp(aio, "native") != 0 || strcmp(cache, "none") == 0 ||
           strcmp(cache, "directsync") == 0;
}

/* Every cache with every aio, on @device ("virtio-blk-pci", "scsi-hd"). */
static void
product(const char *machine, const char *device, const char *prefix, const char *format)
{
    g_autofree char *name = g_strdup_printf("all-%s-%s-%s", machine, prefix, format);
    g_autoptr(GArray) disks = g_array_new(FALSE, FALSE, sizeof(Disk));
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    char letter = 'a';

    for (gsize c = 0; c < G_N_ELEMENTS(caches); c++) {
        for (gsize a = 0; a < G_N_ELEMENTS(aios); a++) {
            Disk disk = { .format = format };

            if (!is_possible(caches[c], aios[a]))
                continue;
            disk.name = g_strdup_printf("%s%c", prefix, letter);
            disk.options = g_strdup_printf(
                "%s -drive file=@,format=%s,if=none,id=d%c,cache=%s,aio=%s "
                "-device %s,drive=d%c",
                letter == 'a' && strcmp(device, "scsi-hd") == 0
                    ? "-device virtio-scsi-pci"
                    : "",
                format, letter, caches[c], aios[a], device, letter);
            g_ptr_array_add(strings, (gpointer)disk.name);
            g_ptr_array_add(strings, (gpointer)disk.options);
            g_array_append_val(disks, disk);
            letter++;
        }
    }
    round_trip(name, machine, (const Disk *)(gpointer)disks->data, disks->len);
}

/* IDE has four places: each takes three turns. */
static void
product_ide(const char *format)
{
    for (gsize first = 0; first < G_N_ELEMENTS(caches); first += 4) {
        gsize n = MIN(G_N_ELEMENTS(caches) - first, 4);
        g_autofree char *name = g_strdup_printf("all-ide-%s-%zu", format, first);
        Disk disks[4] = { { 0 } };
        g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);

        for (gsize i = 0; i < n; i++) {
            disks[i].format = format;
            disks[i].name = g_strdup_printf("sd%c", (char)('a' + i));
            disks[i].options =
                g_strdup_printf("-drive file=@,format=%s,if=ide,index=%zu,cache=%s",
                                format, i, caches[first + i]);
            g_ptr_array_add(strings, (gpointer)disks[i].name);
            g_ptr_array_add(strings, (gpointer)disks[i].options);
        }
        round_trip(name, "pc", disks, n);
    }
}

static void
test_product(gconstpointer machine)
{
    static const char *const formats[] = { "qcow2", "raw" };

    if (cannot_run())
        return;
    for (gsize f = 0; f < G_N_ELEMENTS(formats); f++) {
        product(machine, "virtio-blk-pci", "vd", formats[f]);
        product(machine, "scsi-hd", "sd", formats[f]);
        if (strcmp(machine, "pc") == 0)
            product_ide(formats[f]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/disks/pc", test_pc);
    g_test_add_func("/disks/q35", test_q35);
    if (g_test_slow()) {
        g_test_add_data_func("/disks/product/pc", "pc", test_product);
        g_test_add_data_func("/disks/product/q35", "q35", test_product);
    }
    return vm_run_tests();
}
