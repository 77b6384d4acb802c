/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks behind AHCI under load go there and back. The demo guest's kernel has no
 * driver for it: a boot sector works on them through the firmware's (ahci-boot.S).
 */
#include <string.h>

#include "lib/disk-image.h"
#include "lib/vm.h"
#include "util/json.h"

enum { SECTOR = 512, ROUND = 256, SIZE = 1024 * 1024, LIMIT_SECONDS = 60 };

extern const guint8 ahci_boot[SECTOR];

/* Wait until the guest has printed @more dots beyond *@dots. */
static void
wait_for_work(const VmGuest *guest, gsize *dots, gsize more)
{
    gint64 deadline = g_get_monotonic_time() + LIMIT_SECONDS * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *console = NULL;
        gsize size = 0;

        g_file_get_contents(guest->console, &console, &size, NULL);
        if (console && memchr(console, 'E', size))
            g_error("the guest has read something else than it wrote");
        if (size >= *dots + more) {
            *dots = size;
            return;
        }
        if (g_get_monotonic_time() > deadline)
            g_error("the guest makes no progress on its disks");
        g_usleep(20000);
    }
}

/* Sector 1 + k holds the latest n with n % 256 == k. */
static void
assert_sectors(const char *image, const char *format, guint32 least)
{
    g_autofree char *raw = g_strconcat(image, ".raw", NULL);
    g_autofree char *content = NULL;
    g_autoptr(GError) error = NULL;
    guint32 newest = 0, oldest = G_MAXUINT32;

    if (strcmp(format, "raw") != 0)
        disk_image_tool("qemu-img", "check", "-q", image, NULL);
    disk_image_tool("qemu-img", "convert", "-f", format, "-O", "raw", image, raw, NULL);
    g_file_get_contents(raw, &content, NULL, &error);
    g_assert_no_error(error);
    for (guint32 k = 0; k < ROUND; k++) {
        const guint32 *words = (const guint32 *)(gpointer)(content + (1 + k) * SECTOR);

        for (gsize i = 1; i < SECTOR / sizeof(*words); i++)
            g_assert_cmpuint(words[i], ==, words[0]);
        g_assert_cmpuint(words[0] % ROUND, ==, k);
        newest = MAX(newest, words[0]);
        oldest = MIN(oldest, words[0]);
    }
    g_assert_cmpuint(newest, >=, least);
    g_assert_cmpuint(newest - oldest, <, ROUND);
}

static void
make_images(const char *qcow2, const char *raw)
{
    g_autofree char *content = g_malloc0(SIZE);
    g_autoptr(GError) error = NULL;

    memcpy(content, ahci_boot, SECTOR);
    g_file_set_contents(raw, content, SIZE, &error);
    g_assert_no_error(error);
    disk_image_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2,
                    NULL);
}

static void
run(const VmGuest *guest, const char *qcow2, const char *raw)
{
    g_autofree char *first =
        g_strdup_printf("file=%s,format=qcow2,if=none,id=d0,cache=writeback", qcow2);
    g_autofree char *second = g_strdup_printf(
        "{\"driver\":\"raw\",\"node-name\":\"d1\",\"file\":{\"driver\":\"file\","
        "\"filename\":\"%s\",\"locking\":\"on\"}}",
        raw);
    g_autofree char *serial = g_strdup_printf("file:%s", guest->console);

    g_assert_cmpint(vm_mose(NULL, NULL, "run", guest->name, "--", "-machine", "q35",
                            "-nodefaults", "-m", "32", "-serial", serial, "-drive",
                            first, "-device", "ide-hd,bus=ide.0,drive=d0", "-blockdev",
                            second, "-device", "ide-hd,bus=ide.1,drive=d1", "-device",
                            "ide-cd,bus=ide.2", NULL),
                    ==, 0);
}

static void
test_round_trip(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *qcow2 = NULL, *raw = NULL;
    gsize dots = 0;

    if (vm_why_not()) {
        g_test_skip(vm_why_not());
        return;
    }
    guest = vm_guest_new("ahci");
    qcow2 = vm_path("ahci.qcow2");
    raw = vm_path("ahci.raw");
    make_images(qcow2, raw);
    run(guest, qcow2, raw);
    wait_for_work(guest, &dots, ROUND / 64 + 1);
    for (int i = 0; i < 6; i++) {
        json_object_unref(
            vm_mose_json(i % 2 == 0 ? "emulate" : "virtualize", guest->name, NULL));
        wait_for_work(guest, &dots, 2);
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    assert_sectors(qcow2, "qcow2", dots * 64);
    assert_sectors(raw, "raw", dots * 64);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/ahci/round-trip", test_round_trip);
    return vm_run_tests();
}
