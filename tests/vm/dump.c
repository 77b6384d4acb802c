/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Core files of real guests: all memory and registers in them are the guest's, in every
 * format; they tell of the kernel; and a dump that does not come to its end leaves the
 * guest running and nothing else.
 *
 * Environment: that of lib/vm.h, lib/litmus.h and lib/crash.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/crash.h"
#include "lib/litmus.h"
#include "qemu/command.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vmi/linux/linux.h"

#define CHUNK (1u << 16)
#define WAIT_US (20 * G_USEC_PER_SEC)

static VmGuest *
start(const char *name)
{
    VmGuest *guest = vm_guest_new(name);

    /* TCG gives each vCPU the same TSC, whatever Linux thinks when it tries. */
    vm_run(guest, NULL, "-smp 2", "tsc=reliable");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    return guest;
}

static MoseQmp *
connect_to(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, &error);
    MoseQmp *qmp;

    g_assert_no_error(error);
    qmp = mose_guest_connect(guest, MOSE_MONITOR_GUARDIAN, &error);
    g_assert_no_error(error);
    return qmp;
}

static void
tell(const char *name, const char *command)
{
    g_autoptr(MoseQmp) qmp = connect_to(name);
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, command, NULL, &error);
    g_assert_no_error(error);
}

static char *
run_state(MoseQmp *qmp)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, &error);

    g_assert_no_error(error);
    return g_strdup(mose_json_string(status, "status", ""));
}

static void
wait_state(MoseQmp *qmp, const char *wanted)
{
    gint64 deadline = g_get_monotonic_time() + WAIT_US;

    for (;;) {
        g_autofree char *state = run_state(qmp);

        if (strcmp(state, wanted) == 0)
            return;
        if (g_get_monotonic_time() > deadline)
            g_error("the guest is %s, not %s", state, wanted);
        g_usleep(2000);
    }
}

static MoseMemory *
open_core(const char *path)
{
    g_autoptr(GError) error = NULL;
    MoseMemory *core = mose_memory_of_core(path, &error);

    g_assert_no_error(error);
    return core;
}

/* All of the guest's RAM is in the core. */
static void
assert_same_memory(MoseMemory *guest, MoseMemory *core)
{
    const GArray *ranges = mose_memory_ranges(guest);
    g_autofree guint8 *one = g_malloc(CHUNK), *other = g_malloc(CHUNK);
    guint64 compared = 0;

    for (guint i = 0; i < ranges->len; i++) {
        const MoseMemoryRange *range = &g_array_index(ranges, MoseMemoryRange, i);

        for (guint64 at = 0; at < range->size; at += CHUNK) {
            gsize n = MIN(CHUNK, range->size - at);

            g_assert_true(mose_memory_peek(guest, range->address + at, one, n));
            g_assert_true(mose_memory_peek(core, range->address + at, other, n));
            if (memcmp(one, other, n) != 0)
                g_error("not the same at 0x%" G_GINT64_MODIFIER "x",
                        range->address + at);
            compared += n;
        }
    }
    g_assert_cmpuint(compared, ==, mose_memory_size(guest));
    g_assert_cmpuint(mose_memory_size(core), >=, compared);
}

static void
assert_same_registers(MoseMemory *guest, MoseMemory *core)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) one = mose_memory_vcpus(guest, FALSE, &error);
    g_autoptr(GArray) other = mose_memory_vcpus(core, FALSE, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(one->len, ==, other->len);
    for (guint i = 0; i < one->len; i++) {
        const MoseVcpu *a = &g_array_index(one, MoseVcpu, i);
        const MoseVcpu *b = &g_array_index(other, MoseVcpu, i);

        for (guint r = 0; r < MOSE_N_GENERAL; r++)
            g_assert_cmphex(a->general[r], ==, b->general[r]);
        g_assert_cmphex(a->rip, ==, b->rip);
        g_assert_cmphex(a->rflags, ==, b->rflags);
        g_assert_cmphex(a->cs, ==, b->cs);
        g_assert_cmphex(a->gs_base, ==, b->gs_base);
        g_assert_cmphex(a->fs_base, ==, b->fs_base);
        g_assert_cmphex(a->cr2, ==, b->cr2);
        g_assert_cmphex(a->idt_base, ==, b->idt_base);
        g_assert_cmphex(a->gdt_base, ==, b->gdt_base);
        g_assert_cmphex(a->paging.cr0, ==, b->paging.cr0);
        g_assert_cmphex(a->paging.cr3, ==, b->paging.cr3);
        g_assert_cmphex(a->paging.cr4, ==, b->paging.cr4);
        g_assert_cmpint(mose_paging_levels(&a->paging), ==,
                        mose_paging_levels(&b->paging));
    }
}

/* The guest stands still; it is dumped in one way and compared. */
static void
compare(const char *name, const char *format, gboolean live, gboolean is_linux)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);
    g_autofree char *path = vm_path("core");
    g_autofree char *option = g_strdup_printf("--format=%s", format);
    g_autoptr(JsonObject) said =
        vm_mose_json("dump", name, path, option, live ? "--live" : "--force", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = mose_memory_of_guest(guest, &error), core = NULL;
    struct stat st;

    g_assert_no_error(error);
    g_assert_cmpint(mose_json_int(said, "stood-us", -1), ==, 0);
    g_assert_cmpint(mose_json_bool(said, "vmcoreinfo", !is_linux), ==, is_linux);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    g_assert_cmpint(mose_json_int(said, "file-bytes", 0), ==, st.st_size);
    core = open_core(path);
    assert_same_memory(memory, core);
    assert_same_registers(memory, core);
    if (is_linux)
        g_assert_true(g_str_has_prefix(mose_memory_vmcoreinfo(core), "OSRELEASE="));
    else
        g_assert_null(mose_memory_vmcoreinfo(core));
    unlink(path);
}

/* Those this QEMU has, of the three that pack. */
static void
compare_all(const char *name, gboolean is_linux)
{
    static const char *const packed[] = { "kdump-zlib", "kdump-lzo", "kdump-snappy" };
    g_autoptr(MoseQmp) qmp = connect_to(name);
    g_autoptr(JsonObject) can =
        mose_qmp_query(qmp, "query-dump-guest-memory-capability", NULL, NULL);
    JsonArray *formats = mose_json_array(can, "formats");

    compare(name, "elf", FALSE, is_linux);
    compare(name, "elf", TRUE, is_linux);
    for (guint i = 0; i < G_N_ELEMENTS(packed); i++)
        for (guint n = 0; n < json_array_get_length(formats); n++)
            if (strcmp(json_array_get_string_element(formats, n), packed[i]) == 0)
                compare(name, packed[i], FALSE, is_linux);
}

/* That a paused guest stays so goes with it. */
static void
test_linux(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseQmp) qmp = NULL;

    if (vm_cannot_run())
        return;
    guest = start("linux");
    tell("linux", "stop");
    compare_all("linux", TRUE);
    qmp = connect_to("linux");
    wait_state(qmp, "paused");
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "linux", NULL), ==, 0);
}

/* A guest of ring 0 alone, which no kernel is to be found in. */
static void
test_litmus(const char *accel)
{
    g_autoptr(Litmus) litmus = litmus_start(
        &(LitmusSetup){ .name = "ring0", .accel = accel, .only = "pit-pic" });

    tell(litmus_name(litmus), "stop");
    compare_all(litmus_name(litmus), FALSE);
}

static void
test_tcg(void)
{
    if (!vm_cannot_run())
        test_litmus("tcg");
}

static void
test_kvm(void)
{
    g_auto(MoseFd) kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (vm_cannot_run())
        return;
    if (kvm < 0)
        g_test_skip("/dev/kvm does not open");
    else
        test_litmus("kvm");
}

/* What a core tells of the kernel in it is what its guest does. */
static void
assert_kernel(const char *path, const char *release)
{
    g_autoptr(MoseMemory) core = open_core(path);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseLinux) found = mose_linux_find(core, &error);
    guint64 address;

    g_assert_no_error(error);
    g_assert_cmpstr(found->release, ==, release);
    g_assert_nonnull(strstr(mose_memory_vmcoreinfo(core), release));
    mose_linux_symbol(found, "init_task", &address, &error);
    g_assert_no_error(error);
}

static void
test_running(void)
{
    static const char *const formats[] = { "elf", "kdump-zlib" };
    g_autofree char *path = vm_path("core"), *release = NULL;
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("running");
    release = g_strstrip(vm_shell_output(guest, "uname -r"));
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autoptr(JsonObject) said = vm_mose_json("dump", "running", path, "--force",
                                                  "--format", formats[i], NULL);

        g_assert_cmpint(mose_json_int(said, "stood-us", 0), >, 0);
        g_assert_cmpstr(mose_json_string(said, "kernel", NULL), ==, release);
        g_assert_true(mose_json_bool(said, "vmcoreinfo", FALSE));
        assert_kernel(path, release);
        json_object_unref(vm_assert_healthy(guest));
    }
    json_object_unref(vm_mose_json("dump", "running", path, "--force", "--live", NULL));
    assert_kernel(path, release);
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "running", NULL), ==, 0);
}

static void
assert_refused(const char *says, const char *path, const char *option,
               const char *another)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mose(NULL, &err, "dump", "refused", path, option, another, NULL),
                    ==, 1);
    if (!strstr(err, says))
        g_error("%s, not: %s", err, says);
}

static void
test_refused(void)
{
    g_autofree char *there = vm_path("there"), *dir = vm_path("."), *text = NULL;
    g_autofree char *nowhere = vm_path("nowhere/core"), *new = vm_path("new");
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("refused");
    g_assert_true(g_file_set_contents(there, "mine", -1, NULL));
    assert_refused("there already; --force replaces it", there, NULL, NULL);
    assert_refused("no plain file", dir, "--force", NULL);
    assert_refused("No such file", nowhere, NULL, NULL);
    assert_refused("no format 'vmdk'", new, "--format=vmdk", NULL);
    assert_refused("only format elf", new, "--format=kdump-zlib", "--live");
    g_assert_true(g_file_get_contents(there, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "mine");
    g_assert_false(g_file_test(new, G_FILE_TEST_EXISTS));
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "refused", NULL), ==, 0);
}

/* Nothing is in the directory, under whatever name. */
static void
assert_empty(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = g_dir_read_name(dir);

    if (name)
        g_error("%s is left in %s", name, path);
}

/* Begin a dump, and send @number in the middle; the exit status, as wait(2) has it. */
static int
begin_and_signal(const char *name, const char *path, MoseQmp *qmp, int number)
{
    const char *argv[] = { g_getenv("MOSE"),      "dump", name, path,
                           "--format=kdump-zlib", NULL };
    g_autoptr(GError) error = NULL;
    int status;
    GPid pid;

    g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                  &pid, &error);
    g_assert_no_error(error);
    wait_state(qmp, "save-vm");
    g_assert_cmpint(kill(pid, number), ==, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status;
}

static void
test_broken_off(void)
{
    g_autofree char *dir = vm_path("cores"), *path = vm_path("cores/core");
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseQmp) qmp = NULL;
    int status;

    if (vm_cannot_run())
        return;
    guest = start("broken-off");
    qmp = connect_to("broken-off");
    g_assert_cmpint(mkdir(dir, 0700), ==, 0);
    status = begin_and_signal("broken-off", path, qmp, SIGINT);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    /* It did not end before the guest ran again. */
    {
        g_autofree char *state = run_state(qmp);

        g_assert_cmpstr(state, ==, "running");
    }
    assert_empty(dir);
    status = begin_and_signal("broken-off", path, qmp, SIGKILL);
    g_assert_true(WIFSIGNALED(status));
    wait_state(qmp, "running");
    assert_empty(dir);
    json_object_unref(vm_assert_healthy(guest));
    /* QEMU is ready for the next one. */
    json_object_unref(vm_mose_json("dump", "broken-off", path, NULL));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "broken-off", NULL), ==, 0);
}

static void
test_full(void)
{
    static const char *const ways[] = { "--format=elf", "--format=kdump-zlib",
                                        "--live" };
    g_autofree char *dir = vm_path("small"), *path = vm_path("small/core");
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseQmp) qmp = NULL;

    if (vm_cannot_run())
        return;
    g_assert_cmpint(mkdir(dir, 0700), ==, 0);
    if (mount("tmpfs", dir, "tmpfs", 0, "size=8M") < 0) {
        g_test_skip("no small file system can be mounted");
        return;
    }
    guest = start("full");
    qmp = connect_to("full");
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autofree char *out = NULL;

        g_assert_cmpint(
            vm_mose(&out, NULL, "dump", "full", path, "--json", ways[i], NULL), ==, 1);
        g_assert_nonnull(strstr(out, "\"resources\""));
        wait_state(qmp, "running");
        assert_empty(dir);
    }
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(umount(dir), ==, 0);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "full", NULL), ==, 0);
}

/* What a program prints about a core; NULL where it is not there. */
static char *
run_tool(const char *program, const char *const *words)
{
    g_autofree char *path = g_find_program_in_path(program);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    char *out = NULL;

    if (!path)
        return NULL;
    g_ptr_array_add(argv, path);
    for (; *words; words++)
        g_ptr_array_add(argv, (gpointer)*words);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                 NULL, &out, NULL, NULL, &error);
    g_assert_no_error(error);
    g_test_message("%s:\n%s", path, out);
    return out;
}

static void
test_readelf(void)
{
    g_autofree char *path = vm_path("readelf-core"), *out = NULL;
    const char *words[] = { "-nlW", path, NULL };
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = start("readelf");
    json_object_unref(vm_mose_json("dump", "readelf", path, NULL));
    out = run_tool("readelf", words);
    if (out) {
        g_assert_nonnull(strstr(out, "VMCOREINFO"));
        g_assert_nonnull(strstr(out, "NT_PRSTATUS"));
        g_assert_nonnull(strstr(out, "CORE (Core file)"));
        /* The kernel's image, and the direct map. */
        g_assert_nonnull(strstr(out, "0xffffffff"));
    } else {
        g_test_skip("no readelf");
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "readelf", NULL), ==, 0);
}

/* What crash says of @core, or NULL. */
static char *
ask_crash(const char *core, const char *vmlinux)
{
    static const char *const commands[] = {
        "sys", "list task_struct.tasks -s task_struct.comm -h init_task", NULL
    };
    g_autoptr(GHashTable) answers = crash_ask(core, vmlinux, commands);
    const char *sys = g_hash_table_lookup(answers, commands[0]);
    const char *tasks = g_hash_table_lookup(answers, commands[1]);

    return sys && tasks ? g_strconcat(sys, tasks, NULL) : NULL;
}

/* Whether crash reads what QEMU writes without us: an old one knows no new kernel. */
static gboolean
crash_knows(const char *name, const char *vmlinux)
{
    g_autofree char *path = vm_path("plain-core"), *out = NULL;
    g_autofree char *protocol = g_strdup_printf("file:%s", path);
    g_autoptr(MoseQmp) qmp = connect_to(name);
    g_autoptr(GError) error = NULL;

    mose_qmp_run(
        qmp, "dump-guest-memory",
        mose_json_object("paging", "b", FALSE, "protocol", "s", protocol, NULL),
        &error);
    g_assert_no_error(error);
    out = ask_crash(path, vmlinux);
    return out != NULL;
}

static void
assert_crash_reads(const char *name, const char *vmlinux, const char *release)
{
    static const char *const formats[] = { "elf", "kdump-zlib" };
    g_autofree char *path = vm_path("crash-core");

    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *out = NULL;

        json_object_unref(
            vm_mose_json("dump", name, path, "--force", "--format", formats[i], NULL));
        out = ask_crash(path, vmlinux);
        if (!out && !crash_knows(name, vmlinux)) {
            g_test_skip("this crash does not know that kernel");
            return;
        }
        g_assert_nonnull(out);
        g_assert_nonnull(strstr(out, release));
        g_assert_nonnull(strstr(out, "apache2"));
        g_assert_nonnull(strstr(out, "CPUS: 2"));
    }
}

static void
test_crash(void)
{
    g_autofree char *release = NULL, *vmlinux = NULL;
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run() || crash_cannot_run())
        return;
    guest = start("crash");
    release = g_strstrip(vm_shell_output(guest, "uname -r"));
    vmlinux = crash_vmlinux(release);
    if (vmlinux)
        assert_crash_reads("crash", vmlinux, release);
    else
        g_test_skip("no vmlinux with debug information");
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "crash", NULL), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/dump/linux", test_linux);
    g_test_add_func("/dump/tcg", test_tcg);
    g_test_add_func("/dump/kvm", test_kvm);
    g_test_add_func("/dump/running", test_running);
    g_test_add_func("/dump/refused", test_refused);
    g_test_add_func("/dump/broken-off", test_broken_off);
    g_test_add_func("/dump/full", test_full);
    g_test_add_func("/dump/readelf", test_readelf);
    g_test_add_func("/dump/crash", test_crash);
    return vm_run_tests();
}
