/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest of the overlay tests; see overlay-guest.h. */
#include "overlay-guest.h"

#include <string.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "guest/guest.h"
#include "util/json.h"

#define MODULES "mose.work=1 mose.modules=virtio_scsi,sd_mod,ata_piix"

/* The raw one does not end with a cluster of its overlay. */
#define RAW_SIZE "4194816"

const OverlayDisk overlay_plain[2] = {
    { "vda", "qcow2",
      "-drive file=@,format=qcow2,if=none,id=d0 -device virtio-blk-pci,drive=d0" },
    { "vdb", "raw",
      "-blockdev driver=raw,node-name=d1,file.driver=file,file.filename=@ "
      "-device virtio-blk-pci,drive=d1" },
};

char *
overlay_image(const OverlayGuest *guest, gsize disk)
{
    return g_strdup_printf("%s/%s-%s.img", guest->dir, guest->vm->name,
                           guest->disks[disk].name);
}

static void
make_image(const OverlayGuest *guest, gsize disk)
{
    const OverlayDisk *what = &guest->disks[disk];
    g_autofree char *path = overlay_image(guest, disk);

    if (what->reads)
        disk_image_fill(path);
    else
        disk_image_make(path, what->format);
    if (!what->reads && strcmp(what->format, "raw") == 0)
        disk_image_tool("qemu-img", "resize", "-q", "-f", "raw", path, RAW_SIZE, NULL);
}

OverlayGuest *
overlay_guest_new(const char *name, const char *dir, const OverlayDisk *disks, gsize n)
{
    OverlayGuest *guest = g_new0(OverlayGuest, 1);
    g_autoptr(GString) options = g_string_new("-nodefaults");

    *guest = (OverlayGuest){ vm_guest_new(name), disks, n, g_strdup(dir) };
    for (gsize i = 0; i < n; i++) {
        g_autofree char *path = overlay_image(guest, i);
        g_auto(GStrv) pieces = g_strsplit(disks[i].options, "@", -1);
        g_autofree char *text = g_strjoinv(path, pieces);

        make_image(guest, i);
        g_string_append_printf(options, " %s", text);
    }
    vm_run(guest->vm, NULL, options->str, MODULES);
    vm_wait_console(guest->vm, "MOSE-GUEST READY", 90);
    overlay_work(guest);
    return guest;
}

void
overlay_guest_free(OverlayGuest *guest)
{
    if (!guest)
        return;
    vm_guest_free(guest->vm);
    g_free(guest->dir);
    g_free(guest);
}

char **
overlay_sums(const OverlayGuest *guest)
{
    g_autoptr(GPtrArray) sums = g_ptr_array_new();

    for (gsize i = 0; i < guest->n; i++) {
        g_autofree char *path = overlay_image(guest, i);
        g_autofree char *data = NULL;
        g_autoptr(GError) error = NULL;
        gsize len;

        g_file_get_contents(path, &data, &len, &error);
        g_assert_no_error(error);
        g_ptr_array_add(sums, g_compute_checksum_for_data(G_CHECKSUM_SHA256,
                                                          (const guchar *)data, len));
    }
    g_ptr_array_add(sums, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&sums), FALSE);
}

void
overlay_assert_sums(const OverlayGuest *guest, char *const *sums)
{
    g_auto(GStrv) now = overlay_sums(guest);

    for (gsize i = 0; i < guest->n; i++)
        g_assert_cmpstr(now[i], ==, sums[i]);
}

static gint64
steps_of(JsonObject *page, const char *disk)
{
    JsonObject *disks = mose_json_child(mose_json_child(page, "worker"), "disks");

    return mose_json_int(mose_json_child(disks, disk), "steps", 0);
}

void
overlay_work(const OverlayGuest *guest)
{
    g_autoptr(JsonObject) before = vm_assert_healthy(guest->vm);

    for (int tries = 0; tries < 300; tries++) {
        g_autoptr(JsonObject) page = vm_assert_healthy(guest->vm);
        gsize moved = 0;

        for (gsize i = 0; i < guest->n; i++)
            moved += steps_of(page, guest->disks[i].name) >
                     steps_of(before, guest->disks[i].name) + 1;
        if (moved == guest->n)
            return;
        g_usleep(100000);
    }
    g_error("%s: a disk makes no steps", guest->vm->name);
}

guint
overlay_count_files(const OverlayGuest *guest)
{
    g_autofree char *stem = g_strdup_printf("%s-", guest->vm->name);
    g_autoptr(GDir) dir = g_dir_open(guest->dir, 0, NULL);
    const char *name;
    guint n = 0;

    while ((name = g_dir_read_name(dir)))
        n += g_str_has_prefix(name, stem) && !g_str_has_suffix(name, ".img");
    return n;
}

JsonArray *
overlay_status(const OverlayGuest *guest)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", guest->vm->name, NULL);

    return json_array_ref(mose_json_array(status, "overlays"));
}

void
overlay_end(OverlayGuest *guest)
{
    g_autoptr(JsonObject) page = vm_assert_healthy(guest->vm);

    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->vm->name, NULL), ==, 0);
    for (gsize i = 0; i < guest->n; i++) {
        g_autofree char *path = overlay_image(guest, i);

        if (!guest->disks[i].reads)
            disk_image_assert_ring(path, guest->disks[i].format,
                                   steps_of(page, guest->disks[i].name));
        unlink(path);
    }
    g_assert_cmpuint(overlay_count_files(guest), ==, 0);
}

void
overlay_kill_qemu(const OverlayGuest *guest)
{
    g_autoptr(MoseGuest) opened =
        mose_guest_open(guest->vm->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseProcess) process = mose_guest_process(opened, NULL);

    g_assert_nonnull(process);
    g_assert_true(mose_process_kill(process));
}
