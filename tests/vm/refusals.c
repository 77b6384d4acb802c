/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cannot be is refused in words, before anything moves, and the guest runs
 * on: features and devices of one side alone, no room, bad paths, a machine that
 * does not exist, a QEMU that is none.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "lib/vm.h"
#include "qemu/command.h"
#include "switch/switch.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

static VmGuest *
start(const char *name, const char *options, const char *extra)
{
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, options, extra, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    return guest;
}

/* `emulate` refuses with @why, by @code; the guest is in the virtualizer still. */
static void
assert_refused(const VmGuest *guest, const char *code, const char *why)
{
    g_autofree char *out = NULL;
    g_autoptr(JsonObject) answer = NULL;
    g_autoptr(JsonObject) status = NULL, page = NULL;
    JsonObject *error;

    g_assert_cmpint(vm_mose(&out, NULL, "emulate", guest->name, "--json", NULL), ==, 1);
    answer = mose_json_parse(out, -1, "emulate", NULL);
    error = mose_json_child(answer, "error");
    g_assert_cmpstr(mose_json_string(error, "code", ""), ==, code);
    g_assert_nonnull(strstr(mose_json_string(error, "message", ""), why));
    status = vm_mose_json("status", guest->name, NULL);
    g_assert_cmpstr(mose_json_string(status, "side", ""), ==, "virtualizer");
    g_assert_cmpstr(mose_json_string(status, "state", ""), ==, "running");
    page = vm_assert_healthy(guest);
}

/* A feature that the emulator's CPU lacks; `mose check` says the same. */
static void
test_cpu_features(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *out = NULL;

    if (vm_cannot_run())
        return;
    guest = start("features", "--accel tcg --cpu max --emulator-cpu max,-avx2", NULL);
    g_assert_cmpint(vm_mose(&out, NULL, "check", guest->name, NULL), ==, 1);
    g_assert_nonnull(strstr(out, "cpu-features"));
    g_assert_nonnull(strstr(out, "avx2"));
    assert_refused(guest, "refused", "avx2");
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* A device that was plugged in later is not in the guest's description. */
static void
test_devices(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;

    if (vm_cannot_run())
        return;
    guest = start("devices", NULL, NULL);
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOOK, &error);
        g_autoptr(MoseQmp) qmp = mose_guest_connect(opened, MOSE_MONITOR_QUERY, &error);

        mose_qmp_run(
            qmp, "device_add",
            mose_json_object("driver", "s", "virtio-rng-pci", "id", "s", "late", NULL),
            &error);
        g_assert_no_error(error);
    }
    assert_refused(guest, "refused", "virtio-rng-pci");
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* What QEMU itself does not migrate; `mose check` says the same. */
static void
test_blocked(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *image = vm_path("blocked.vmdk");
    g_autofree char *extra = g_strdup_printf(
        "-drive file=%s,format=vmdk,if=none,id=d -device virtio-blk-pci,drive=d "
        "-device nvme,serial=1",
        image);
    g_autofree char *out = NULL;

    if (vm_cannot_run())
        return;
    disk_image_make(image, "vmdk");
    guest = start("blocked", NULL, extra);
    g_assert_cmpint(vm_mose(&out, NULL, "check", guest->name, NULL), ==, 1);
    g_assert_nonnull(strstr(out, "nvme"));
    assert_refused(guest, "refused", "The vmdk format used by node '");
    assert_refused(guest, "refused", "does not support live migration");
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/*
 * Take, or give up, what a third process holds that does not share an image with
 * writers: a lock that QEMU does not see while it has the image, only when it opens it
 * (QEMU block/file-posix.c:raw_check_lock_bytes, RAW_LOCK_SHARED_BASE +
 * BLK_PERM_WRITE).
 */
static void
hold_image(int fd, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1
    };

    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &lock), ==, 0);
}

typedef struct {
    int fd;
    GThread *thread;
} Third;

static gpointer
let_go(gpointer data)
{
    g_usleep(G_USEC_PER_SEC / 2);
    hold_image(((Third *)data)->fd, F_UNLCK);
    return NULL;
}

/* It comes when the source has given the image up, and goes half a second later. */
static void
come_between(const MoseSwitchProgress *progress, gpointer data)
{
    Third *third = data;

    if (strcmp(progress->phase, "commit") != 0 || third->thread)
        return;
    hold_image(third->fd, F_RDLCK);
    third->thread = g_thread_new("third", let_go, third);
}

static void
switch_and_be_disturbed(const VmGuest *guest, int fd)
{
    Third third = { fd, NULL };
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                  .progress = come_between,
                                  .data = &third };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);
    MoseSwitchReport report = { 0 };

    g_assert_no_error(error);
    g_assert_false(mose_switch(opened, &options, &report, &error));
    g_test_message("%s", error->message);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
    g_assert_nonnull(strstr(error->message, "lock"));
    g_assert_null(strstr(error->message, "the way back failed"));
    g_assert_nonnull(third.thread);
    g_thread_join(third.thread);
}

static void
test_locked_image(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(JsonObject) report = NULL, page = NULL, status = NULL;
    g_autofree char *image = vm_path("locked.img");
    g_autofree char *extra = g_strdup_printf("-drive file=%s,format=raw,if=none,id=d "
                                             "-device virtio-blk-pci,drive=d",
                                             image);
    g_auto(MoseFd) fd = MOSE_FD_NONE;

    if (vm_cannot_run())
        return;
    disk_image_make(image, "raw");
    guest = start("locked", NULL, extra);
    fd = open(image, O_RDONLY | O_CLOEXEC);
    hold_image(fd, F_RDLCK);
    assert_refused(guest, "refused", "another process has locked");
    hold_image(fd, F_UNLCK);
    switch_and_be_disturbed(guest, fd);
    g_clear_pointer(&page, json_object_unref);
    page = vm_assert_healthy(guest);
    status = vm_mose_json("status", guest->name, NULL);
    g_assert_cmpstr(mose_json_string(status, "side", ""), ==, "virtualizer");
    report = vm_mose_json("emulate", guest->name, NULL);
    g_clear_pointer(&page, json_object_unref);
    page = vm_assert_healthy(guest);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* The type the guest was started with is gone from the QEMU of today. */
static void
test_machine_type(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;

    if (vm_cannot_run())
        return;
    guest = start("machine", NULL, NULL);
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);

        g_assert_no_error(error);
        g_free(opened->machine_type);
        opened->machine_type = g_strdup("pc-i440fx-99.0");
        g_assert_true(mose_guest_save(opened, &error));
    }
    assert_refused(guest, "closed", "pc-i440fx-99.0");
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* `mose run` with @words fails with exit status 1 and @why, and leaves nothing. */
static void
assert_no_start(const char *const *words, const char *why)
{
    g_autofree char *err = NULL;
    g_autoptr(JsonObject) list = NULL;

    g_assert_cmpint(vm_mosev(NULL, &err, words), ==, 1);
    if (!strstr(err, why))
        g_error("'%s' is not in: %s", why, err);
    list = vm_mose_json("list", NULL);
    g_assert_cmpint(json_array_get_length(mose_json_array(list, "guests")), ==, 0);
}

static void
test_no_room(void)
{
    const char *words[] = { "run", "big", "--", "-nodefaults", "-m", "900T", NULL };

    if (!vm_cannot_run())
        assert_no_start(words, "no room for 943718400 MB of guest RAM");
}

static void
test_long_socket(void)
{
    g_autofree char *name = g_strnfill(100, 'x');
    g_autofree char *serial = g_strdup_printf("unix:/tmp/%s,server=on,wait=off", name);
    const char *words[] = {
        "run", "long", "--", "-nodefaults", "-serial", serial, NULL
    };

    if (!vm_cannot_run())
        assert_no_start(words, "socket path too long");
}

static void
test_bad_machine(void)
{
    const char *words[] = { "run", "bad", "--", "-machine", "no-such-machine", NULL };

    if (!vm_cannot_run())
        assert_no_start(words, "no-such-machine");
}

static void
test_host_cpu(void)
{
    const char *words[] = { "run",  "host", "--accel",     "kvm", "--",
                            "-cpu", "host", "-nodefaults", NULL };

    if (vm_cannot_run())
        return;
    if (access("/dev/kvm", R_OK | W_OK) < 0)
        g_test_skip("/dev/kvm does not open");
    else
        assert_no_start(words, "no emulator has the host's CPU");
}

/* A runtime directory far longer than a socket's path may be: it just works. */
static void
test_long_runtime_dir(void)
{
    g_autofree char *before = g_strdup(g_getenv("MOSE_RUNTIME_DIR"));
    g_autofree char *name = g_strnfill(200, 'd');
    g_autofree char *dir = g_build_filename(before, name, NULL);
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(JsonObject) report = NULL, page = NULL;

    if (vm_cannot_run())
        return;
    g_assert_cmpint(mkdir(dir, 0700), ==, 0);
    g_setenv("MOSE_RUNTIME_DIR", dir, TRUE);
    guest = start("far", NULL, NULL);
    report = vm_mose_json("emulate", guest->name, NULL);
    page = vm_assert_healthy(guest);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
    g_setenv("MOSE_RUNTIME_DIR", before, TRUE);
}

/* What a KVM with VT-x sends of a guest that counts events. */
static gboolean
count_events(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *pmu = mose_section_add_subsection(mose_doc_find(doc, "cpu", 0),
                                                   "cpu/msr_architectural_pmu", 1);

    mose_section_append(pmu, "env.msr_fixed_ctr_ctrl", "uint64", 8, 0xb);
    mose_section_append(pmu, "env.msr_global_ctrl", "uint64", 8, 1ull << 32);
    return TRUE;
}

/* Found while the guest stands still: it runs on where it is. */
static void
test_pmu(void)
{
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR, .tamper = count_events };
    MoseSwitchReport report = { 0 };
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;

    if (vm_cannot_run())
        return;
    guest = start("pmu", "--accel tcg", NULL);
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);

        g_assert_no_error(error);
        g_assert_false(mose_switch(opened, &options, &report, &error));
    }
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
    g_assert_nonnull(strstr(error->message, "nmi_watchdog"));
    json_object_unref(vm_assert_healthy(guest));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* A KVM guest with more physical address bits than TCG has. */
static void
test_phys_bits(void)
{
    g_autoptr(VmGuest) guest = vm_guest_new("phys");
    g_autofree char *said = NULL;

    if (vm_cannot_run())
        return;
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        g_test_skip("/dev/kvm does not open");
        return;
    }
    vm_run(guest, "--accel kvm --emulator-cpu max",
           "-cpu qemu64,-cx16,-svm,-kvm-asyncpf,phys-bits=46", NULL);
    g_assert_cmpint(vm_mose(&said, NULL, "check", guest->name, NULL), ==, 1);
    g_assert_nonnull(strstr(said, "physical addresses have 46 bits, and 40"));
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->name, NULL), ==, 1);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/refusals/cpu-features", test_cpu_features);
    g_test_add_func("/refusals/devices", test_devices);
    g_test_add_func("/refusals/blocked", test_blocked);
    g_test_add_func("/refusals/locked-image", test_locked_image);
    g_test_add_func("/refusals/machine-type", test_machine_type);
    g_test_add_func("/refusals/no-room", test_no_room);
    g_test_add_func("/refusals/long-socket", test_long_socket);
    g_test_add_func("/refusals/bad-machine", test_bad_machine);
    g_test_add_func("/refusals/host-cpu", test_host_cpu);
    g_test_add_func("/refusals/long-runtime-dir", test_long_runtime_dir);
    g_test_add_func("/refusals/pmu", test_pmu);
    g_test_add_func("/refusals/phys-bits", test_phys_bits);
    return vm_run_tests();
}
