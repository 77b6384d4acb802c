/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose host` on this machine, whatever its KVM: the report is whole and agrees
 * with itself and with /dev/kvm, and its -cpu arguments start real QEMUs without
 * a complaint.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/cpu.h"
#include "util/error.h"
#include "util/json.h"

/* All probes at once; each has its own limits (host/fitness.c). */
#define MAX_PROBES_US (10 * G_USEC_PER_SEC)

static const char *mose;

/* Run @argv; its exit status, with what it wrote. */
static int
run(const char *const *argv, char **ret_out, char **ret_err)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *unused = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, ret_out,
                 ret_err != NULL ? ret_err : &unused, &status, &error);
    g_assert_no_error(error);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static JsonObject *
run_json(const char *const *argv, int wanted_status)
{
    g_autofree char *out = NULL;
    g_autoptr(GError) error = NULL;
    JsonObject *object;

    g_assert_cmpint(run(argv, &out, NULL), ==, wanted_status);
    object = mose_json_parse(out, -1, "mose host", &error);
    g_assert_no_error(error);
    return object;
}

static gboolean
have_qemu(void)
{
    g_autofree char *path = g_find_program_in_path("qemu-system-x86_64");

    if (path == NULL)
        g_test_skip("qemu-system-x86_64 is not installed");
    return path != NULL;
}

/* The number of @status among the probes; each must have a known one. */
static guint
count_probes(JsonObject *kvm, const char *status)
{
    JsonArray *probes = mose_json_array(kvm, "probes");
    guint n = 0;

    for (guint i = 0; i < json_array_get_length(probes); i++) {
        JsonObject *probe = json_array_get_object_element(probes, i);
        const char *got = mose_json_string(probe, "status", "");

        g_assert_true(strcmp(got, "pass") == 0 || strcmp(got, "fail") == 0 ||
                      strcmp(got, "skip") == 0);
        if (strcmp(got, "fail") == 0)
            g_assert_nonnull(strstr(mose_json_string(kvm, "verdict", ""),
                                    mose_json_string(probe, "name", "?")));
        if (strcmp(got, status) == 0)
            n++;
    }
    return n;
}

static void
check_kvm(JsonObject *report)
{
    JsonObject *kvm = mose_json_child(report, "kvm");
    const char *presence = mose_json_string(kvm, "presence", "");
    gboolean fit = mose_json_bool(kvm, "fit", FALSE);
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    g_test_message("%s", mose_json_string(kvm, "verdict", ""));
    g_assert_cmpstr(mose_json_string(report, "accel-auto", ""), ==,
                    fit ? "kvm" : "tcg");
    g_assert_cmpint(fd >= 0, ==, strcmp(presence, "present") == 0);
    if (fd < 0) {
        g_assert_false(fit);
        g_assert_cmpuint(json_array_get_length(mose_json_array(kvm, "probes")), ==, 0);
        return;
    }
    g_assert_cmpint(ioctl(fd, KVM_GET_API_VERSION, 0ul), ==, 12);
    g_assert_cmpint(mose_json_int(kvm, "api-version", 0), ==, 12);
    g_assert_cmpuint(json_array_get_length(mose_json_array(kvm, "probes")), >=, 16);
    g_assert_cmpint(fit, ==, count_probes(kvm, "fail") == 0);
    g_assert_cmpint(mose_json_int(kvm, "time-us", 0), <, MAX_PROBES_US);
    close(fd);
}

static void
test_report(void)
{
    const char *argv[] = { mose, "host", "--json", NULL };
    g_autoptr(JsonObject) report = NULL;

    if (!have_qemu())
        return;
    report = run_json(argv, 0);
    check_kvm(report);
    g_assert_true(mose_json_bool(mose_json_child(report, "qemu"), "usable", FALSE));
    g_assert_cmpint(mose_json_int(mose_json_child(report, "tsc"), "khz", 0), >, 100000);
    g_assert_cmpint(mose_json_int(mose_json_child(report, "memory"), "available", 0), >,
                    0);
}

static void
test_text(void)
{
    const char *argv[] = { mose, "host", NULL };
    g_autofree char *out = NULL;

    if (!have_qemu())
        return;
    g_assert_cmpint(run(argv, &out, NULL), ==, 0);
    g_assert_nonnull(strstr(out, "\nKVM "));
    g_assert_nonnull(strstr(out, "\n--accel auto "));
    g_assert_nonnull(strstr(out, "\nTSC "));
}

static void
test_wrong_use(void)
{
    const char *accel[] = { mose, "host", "--accel", "vax", NULL };
    const char *word[] = { mose, "host", "word", NULL };
    const char *no_qemu[] = { mose, "host", "--json", "--qemu", "/nonexistent", NULL };
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(JsonObject) report = NULL;

    g_assert_cmpint(run(accel, &out, &err), ==, 2);
    g_assert_nonnull(strstr(err, "'vax'"));
    g_clear_pointer(&out, g_free);
    g_assert_cmpint(run(word, &out, NULL), ==, 2);
    report = run_json(no_qemu, 1);
    g_assert_nonnull(
        strstr(mose_json_string(mose_json_child(report, "qemu"), "error", ""),
               "not installed"));
}

/* A QEMU with @cpu whose monitor is the socket @ret_qmp. */
static GSubprocess *
spawn_qemu(const char *accel, const char *cpu, MoseQmp **ret_qmp)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GError) error = NULL;
    GSubprocess *process;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_subprocess_launcher_take_fd(launcher, fds[1], 3);
    process = g_subprocess_launcher_spawn(
        launcher, &error, "qemu-system-x86_64", "-machine", "pc", "-accel", accel,
        "-cpu", cpu, "-m", "32", "-nodefaults", "-no-user-config", "-display", "none",
        "-S", "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
        NULL);
    g_assert_no_error(error);
    g_object_unref(g_steal_pointer(&launcher)); /* closes our copy of fds[1] */
    *ret_qmp = mose_qmp_new(fds[0], cpu, 20000, &error);
    g_assert_no_error(error);
    return process;
}

/* It must run, say nothing, and have dropped no feature. */
static void
start_qemu(const char *accel, const char *cpu)
{
    g_autoptr(MoseQmp) qmp = NULL;
    g_autoptr(GSubprocess) process = spawn_qemu(accel, cpu, &qmp);
    g_autoptr(GPtrArray) dropped = NULL;
    g_autofree char *said = NULL;
    g_autoptr(GError) error = NULL;

    dropped = mose_cpu_unavailable(qmp, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(dropped->len, ==, 0);
    mose_qmp_run(qmp, "quit", NULL, NULL);
    g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, NULL);
    g_assert_cmpstr(said, ==, "");
}

static void
test_portable(const char *accel)
{
    const char *argv[] = { mose, "host", "--cpu", "--json", "--accel", accel, NULL };
    g_autoptr(JsonObject) report = run_json(argv, 0);
    JsonObject *cpu = mose_json_child(report, "cpu");

    start_qemu("tcg", mose_json_string(cpu, "emulator", NULL));
    start_qemu(accel, mose_json_string(cpu, "virtualizer", NULL));
}

static void
test_portable_tcg(void)
{
    if (have_qemu())
        test_portable("tcg");
}

static gboolean
have_kvm(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        g_test_skip("/dev/kvm does not open");
    else
        close(fd);
    return fd >= 0;
}

static void
test_portable_kvm(void)
{
    if (have_qemu() && have_kvm())
        test_portable("kvm");
}

static void
test_losses(void)
{
    const MoseCpuSide side = { "tcg", "Skylake-Client" };
    const MoseCpuSide max = { "tcg", "max" };
    const MoseCpuSide no_avx2 = { "tcg", "max,-avx2" };
    const MoseCpuSide unknown = { "tcg", "no-such-model" };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) losses = NULL;
    gboolean found = FALSE;

    if (!have_qemu())
        return;
    losses = mose_cpu_losses(NULL, &max, &no_avx2, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < losses->len; i++)
        found |= strcmp(((MoseCpuLoss *)losses->pdata[i])->name, "avx2") == 0;
    g_assert_true(found);
    g_clear_pointer(&losses, g_ptr_array_unref);
    losses = mose_cpu_losses(NULL, &side, &side, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(losses->len, ==, 0); /* TCG drops the same on both sides */
    g_clear_pointer(&losses, g_ptr_array_unref);
    g_assert_null(mose_cpu_losses(NULL, &unknown, &max, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
    g_assert_nonnull(strstr(error->message, "no-such-model"));
}

static void
test_losses_kvm(void)
{
    const MoseCpuSide from = { "kvm", "Skylake-Client" };
    const MoseCpuSide to = { "tcg", "Skylake-Client" };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) losses = NULL;
    gboolean found = FALSE;

    if (!have_qemu() || !have_kvm())
        return;
    losses = mose_cpu_losses(NULL, &from, &to, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < losses->len; i++)
        found |= strcmp(((MoseCpuLoss *)losses->pdata[i])->name, "tsc-deadline") == 0;
    g_assert_true(found); /* KVM emulates that timer on every processor */
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    mose = g_getenv("MOSE");
    if (mose == NULL) {
        g_printerr("MOSE must name the program to test\n");
        return 1;
    }
    g_test_add_func("/host/report", test_report);
    g_test_add_func("/host/text", test_text);
    g_test_add_func("/host/wrong-use", test_wrong_use);
    g_test_add_func("/host/portable-cpu/tcg", test_portable_tcg);
    g_test_add_func("/host/portable-cpu/kvm", test_portable_kvm);
    g_test_add_func("/host/losses/tcg", test_losses);
    g_test_add_func("/host/losses/kvm", test_losses_kvm);
    return g_test_run();
}
