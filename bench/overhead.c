/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a guest that MOSE has started runs slower than one it has not: the same
 * machine started by `mose run`, and plainly with private memory and no monitor, in
 * turn. What counts is the processor time of QEMU, which other programs on the
 * machine disturb less than the time of day.
 */
#include <fcntl.h>
#include <unistd.h>

#include "bench/plain.h"
#include "bench/result.h"
#include "lib/vm.h"
#include "util/fd.h"
#include "util/json.h"

#define PAIRS 6
#define KVM_PAIRS 2
#define KVM_BOOT_SECONDS 240

/* Writes and reads memory, computes: some seconds under emulation. */
#define WORK                                                                           \
    "mkdir -p /tmp/w; mount -t tmpfs -o size=100% w /tmp/w; "                          \
    "for i in 1 2 3; do dd if=/dev/zero of=/tmp/w/x bs=64k count=1024; "               \
    "sha256sum /tmp/w/x; gzip -c /tmp/w/x | md5sum; done >/dev/null 2>&1"
#define REQUESTS_SECONDS "4"

enum { BOOT, COMPUTE, REQUESTS, N_MEASURES };

static const struct {
    const char *figure, *noise, *what;
} measures[N_MEASURES] = {
    { "overhead/boot", "overhead/boot-noise", "a boot" },
    { "overhead/compute", "overhead/compute-noise", "dd, sha256sum, gzip" },
    { "overhead/requests", "overhead/requests-noise", "a request over HTTP" },
};

/* What the measures cost in one guest, in CPU seconds of its QEMU. */
typedef struct {
    double cost[N_MEASURES];
} Costs;

/* Replies that a busy web server gave. */
static double
requests(const VmGuest *guest)
{
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", guest->port);
    const char *argv[] = { g_getenv("HTTPLOAD"), "-c",    "4", "-d",
                           REQUESTS_SECONDS,     address, NULL };
    g_autofree char *out = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) said = NULL;
    double count;

    g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, NULL, NULL, &error);
    g_assert_no_error(error);
    said = mose_json_parse(out, -1, "httpload", &error);
    g_assert_no_error(error);
    count = (double)mose_json_int(said, "requests", 0);
    g_assert_cmpfloat(count, >, 0);
    return count;
}

static Costs
measure(const VmGuest *guest, pid_t pid)
{
    Costs costs;
    double before;

    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    costs.cost[BOOT] = cpu_seconds(pid);
    before = cpu_seconds(pid);
    vm_shell(guest, WORK);
    costs.cost[COMPUTE] = cpu_seconds(pid) - before;
    before = cpu_seconds(pid);
    costs.cost[REQUESTS] = requests(guest);
    costs.cost[REQUESTS] = (cpu_seconds(pid) - before) / costs.cost[REQUESTS];
    return costs;
}

/* With MOSE; @ret_argv is how the same is started without. */
static Costs
with_mose(VmGuest *guest, GPtrArray **ret_argv)
{
    Costs costs;
    pid_t pid;

    vm_run(guest, NULL, NULL, NULL);
    pid = guest_pid(guest->name);
    *ret_argv = plain_argv(pid, PLAIN_ALONE, ".mose-1", "");
    costs = measure(guest, pid);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    return costs;
}

static Costs
without_mose(const VmGuest *guest, const GPtrArray *argv)
{
    g_autoptr(Plain) plain = NULL;

    unlink(guest->console);
    plain = plain_start(argv, PLAIN_ALONE, -1);
    return measure(guest, plain->process->pid);
}

static void
tell(const char *figure, const char *what, GArray *ratios)
{
    bench_result(&(BenchResult){ figure, what, "", 0, ratios });
}

static void
measure_tcg(void)
{
    GArray *ratios[N_MEASURES], *noise[N_MEASURES];
    Costs last;

    for (int m = 0; m < N_MEASURES; m++) {
        ratios[m] = bench_values_new();
        noise[m] = bench_values_new();
    }
    for (int i = 0; i < PAIRS; i++) {
        g_autoptr(VmGuest) guest = vm_guest_new("overhead");
        g_autoptr(GPtrArray) argv = NULL;
        Costs with = with_mose(guest, &argv);
        Costs without = without_mose(guest, argv);

        for (int m = 0; m < N_MEASURES; m++) {
            bench_add(ratios[m], with.cost[m] / without.cost[m]);
            if (i > 0)
                bench_add(noise[m], without.cost[m] / last.cost[m]);
        }
        last = without;
    }
    for (int m = 0; m < N_MEASURES; m++) {
        g_autofree char *what =
            g_strdup_printf("CPU time of %s, with MOSE / without", measures[m].what);
        g_autofree char *none = g_strdup_printf("the same without / without: noise");

        tell(measures[m].figure, what, ratios[m]);
        tell(measures[m].noise, none, noise[m]);
        g_array_unref(ratios[m]);
        g_array_unref(noise[m]);
    }
}

static double
kvm_boot(const VmGuest *guest, pid_t pid)
{
    vm_wait_console(guest, "Memory: ", KVM_BOOT_SECONDS);
    return cpu_seconds(pid);
}

/* To the line that a KVM in software reaches as well (tests/vm/kvm-boot.c). */
static void
measure_kvm(void)
{
    static const char figure[] = "overhead/kvm-boot",
                      what[] = "CPU time of a kernel's first part under KVM, with MOSE "
                               "/ without";
    g_auto(MoseFd) kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_autoptr(GArray) ratios = bench_values_new();
    g_autofree char *kernel = vm_image("vmlinux");
    g_autofree char *extra =
        g_strdup_printf("-cpu qemu64,-cx16,-svm,-kvm-asyncpf -kernel %s", kernel);

    if (kvm < 0) {
        bench_skipped(figure, what, "/dev/kvm does not open");
        return;
    }
    for (int i = 0; i < KVM_PAIRS; i++) {
        g_autoptr(VmGuest) guest = vm_guest_new("overhead-kvm");
        g_autoptr(GPtrArray) argv = NULL;
        g_autoptr(Plain) plain = NULL;
        double with;
        pid_t pid;

        vm_run(guest, "--accel kvm --emulator-cpu max", extra,
               "earlyprintk=serial panic=-1 nokaslr lpj=1000000 mitigations=off "
               "noxsave clearcpuid=cx16");
        pid = guest_pid(guest->name);
        argv = plain_argv(pid, PLAIN_ALONE, ".mose-1", "");
        with = kvm_boot(guest, pid);
        g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
        unlink(guest->console);
        plain = plain_start(argv, PLAIN_ALONE, -1);
        bench_add(ratios, with / kvm_boot(guest, plain->process->pid));
    }
    tell(figure, what, ratios);
}

int
main(int argc, char **argv)
{
    bench_begin(&argc, &argv);
    measure_tcg();
    measure_kvm();
    bench_end();
    return 0;
}
