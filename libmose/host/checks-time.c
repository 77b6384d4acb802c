/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probes of time and speed.
 *
 * Speed is counted in processor time of this thread, which includes the
 * guest's, so that a busy host doesn't make KVM look slow.
 */
#include "host/checks-time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "host/checks.h"
#include "host/guest.h"
#include "host/vm.h"

#define MSR_IA32_TSC 0x10
#define NEW_TSC (1ull << 44)
#define NEW_CLOCK 1000000000000000ull /* ns: eleven days */

#define SPEED_ROUNDS 5000
#define PAGING_ROUNDS 256
#define WARM_UP_ROUNDS 70
#define TSC_INTERVAL_NS 3000000

static MoseVm vm;

static int64_t
clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool
start(const void *data, const uint8_t *entry, MoseProbeOutcome *ret)
{
    if (mose_vm_create(&vm, *(const int *)data, false) && mose_vm_start(&vm, entry))
        return true;
    mose_probe_fail(ret, "%s", vm.error);
    return false;
}

/* Run @rounds of the guest's work; its processor time, or -1. */
static int64_t
time_guest(uint64_t rounds, MoseProbeOutcome *ret)
{
    int64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);

    *mose_guest_word(vm.ram, GUEST_ARGUMENT) = rounds;
    if (mose_vm_run(&vm))
        return clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    mose_probe_fail(ret, "%s", vm.error);
    return -1;
}

static int64_t
time_native(uint64_t rounds, uint64_t *ret_result)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < 3; i++) {
        int64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);

        *ret_result = mose_native_work(rounds);
        best = MIN(best, clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin);
    }
    return best;
}

/* The best of three runs of @rounds, fewer if the first is beyond @enough ns
 * (one slow run may be the host's fault, emulation is slow always); -1 failed. */
static int64_t
best_guest_time(uint64_t rounds, int64_t enough, MoseProbeOutcome *ret)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < 3 && (i == 0 || best < enough); i++) {
        int64_t time = time_guest(rounds, ret);

        if (time < 0)
            return -1;
        best = MIN(best, time);
    }
    return best;
}

void
mose_check_speed(const void *data, MoseProbeOutcome *ret)
{
    uint64_t wanted;
    int64_t native = MAX(time_native(SPEED_ROUNDS, &wanted), 1);
    int64_t enough = 10 * MOSE_KVM_MAX_SLOWDOWN * native;
    int64_t entry, guest;
    double slowdown;
    bool right;

    if (!start(data, mose_guest_speed, ret))
        return;
    if (time_guest(WARM_UP_ROUNDS, ret) < 0)
        return;
    guest = best_guest_time(SPEED_ROUNDS, enough, ret);
    if (guest < 0)
        return;
    right = *mose_guest_word(vm.ram, GUEST_VALUES) == wanted;
    /* What it takes to enter and leave the guest is no matter of its code. */
    entry = best_guest_time(1, INT64_MAX, ret);
    if (entry < 0)
        return;
    slowdown = (double)MAX(guest - entry, 0) / (double)native;
    if (!right)
        mose_probe_fail(ret, "the guest's result differs from the host's");
    else if (slowdown >= MOSE_KVM_MAX_SLOWDOWN)
        mose_probe_fail(ret, "ring-0 code is %.0f times slower than native", slowdown);
    else
        snprintf(ret->detail, sizeof ret->detail, "%.2f times native; %.1f us to enter",
                 slowdown, (double)entry / 1000);
}

void
mose_check_paging(const void *data, MoseProbeOutcome *ret)
{
    uint64_t sum = (uint64_t)PAGING_ROUNDS * (PAGING_ROUNDS + 1) / 2;
    int64_t each;

    if (!start(data, mose_guest_paging, ret))
        return;
    if (time_guest(WARM_UP_ROUNDS, ret) < 0)
        return;
    each = time_guest(PAGING_ROUNDS, ret);
    if (each < 0)
        return;
    each /= PAGING_ROUNDS;
    if (*mose_guest_word(vm.ram, GUEST_VALUES) != sum)
        mose_probe_fail(ret, "the pages do not keep what was written");
    else if (each > MOSE_KVM_MAX_PAGING_NS)
        mose_probe_fail(ret, "mapping, touching and unmapping a page takes %d us",
                        (int)(each / 1000));
    else
        snprintf(ret->detail, sizeof ret->detail, "%.1f us a page mapped and unmapped",
                 (double)each / 1000);
}

typedef struct {
    int64_t before; /* ns, CLOCK_MONOTONIC: the guest's TSC lies between */
    int64_t after;
    uint64_t tsc;
} TscSample;

static bool
sample_tsc(TscSample *ret_sample, MoseProbeOutcome *ret)
{
    ret_sample->before = clock_ns(CLOCK_MONOTONIC);
    if (!mose_vm_run(&vm)) {
        mose_probe_fail(ret, "%s", vm.error);
        return false;
    }
    ret_sample->after = clock_ns(CLOCK_MONOTONIC);
    ret_sample->tsc = *mose_guest_word(vm.ram, GUEST_VALUES);
    return true;
}

gboolean
mose_tsc_rate_is(guint64 ticks, gint64 min_ns, gint64 max_ns, guint64 khz)
{
    double ticks_a_ns = (double)khz / 1e6;

    return (double)ticks >= 0.99 * ticks_a_ns * (double)min_ns &&
           (double)ticks <= 1.01 * ticks_a_ns * (double)max_ns;
}

/* The guest's TSC at two times, against this host's clock and KVM's own word. */
static void
judge_tsc(const TscSample *first, const TscSample *last, int khz, MoseProbeOutcome *ret)
{
    uint64_t ticks = last->tsc - first->tsc;
    int64_t min = last->before - first->after;
    int64_t max = last->after - first->before;

    if (*mose_guest_word(vm.ram, GUEST_VALUES + 8) != 0 || last->tsc < first->tsc)
        mose_probe_fail(ret, "the guest's TSC goes back");
    else if (!mose_tsc_rate_is(ticks, min, max, (uint64_t)khz))
        mose_probe_fail(ret,
                        "%llu ticks in %lld to %lld us are not the %d kHz of "
                        "KVM_GET_TSC_KHZ",
                        (unsigned long long)ticks, (long long)min / 1000,
                        (long long)max / 1000, khz);
    else
        snprintf(ret->detail, sizeof ret->detail, "%d kHz", khz);
}

/* The TSC must stand near what was set: not below, not a minute ahead. */
static bool
was_set(uint64_t tsc, int khz)
{
    return tsc >= NEW_TSC && tsc - NEW_TSC < (uint64_t)khz * 1000 * 60;
}

void
mose_check_tsc(const void *data, MoseProbeOutcome *ret)
{
    TscSample first, last;
    uint64_t read_back;
    int khz;

    if (!start(data, mose_guest_tsc, ret))
        return;
    khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0ul);
    if (khz <= 0) {
        mose_probe_fail(ret, "KVM_GET_TSC_KHZ: %s", khz < 0 ? strerror(errno) : "0");
        return;
    }
    if (!mose_vm_set_msr(&vm, MSR_IA32_TSC, NEW_TSC) ||
        !mose_vm_get_msr(&vm, MSR_IA32_TSC, &read_back)) {
        mose_probe_fail(ret, "%s", vm.error);
        return;
    }
    if (!sample_tsc(&first, ret))
        return;
    if (!was_set(read_back, khz) || !was_set(first.tsc, khz)) {
        mose_probe_fail(
            ret, "the TSC was set to 0x%llx; KVM reads 0x%llx, the guest 0x%llx",
            NEW_TSC, (unsigned long long)read_back, (unsigned long long)first.tsc);
        return;
    }
    do {
        if (!sample_tsc(&last, ret))
            return;
    } while (last.before - first.after < TSC_INTERVAL_NS);
    judge_tsc(&first, &last, khz, ret);
}

void
mose_check_clock(const void *data, MoseProbeOutcome *ret)
{
    struct kvm_clock_data set = { .clock = NEW_CLOCK };
    struct kvm_clock_data get = { 0 };
    int64_t before;
    int64_t passed;

    if (!start(data, mose_guest_start, ret))
        return;
    before = clock_ns(CLOCK_MONOTONIC);
    if (ioctl(vm.fd, KVM_SET_CLOCK, &set) < 0 ||
        ioctl(vm.fd, KVM_GET_CLOCK, &get) < 0) {
        mose_probe_fail(ret, "KVM_SET_CLOCK, KVM_GET_CLOCK: %s", strerror(errno));
        return;
    }
    passed = clock_ns(CLOCK_MONOTONIC) - before;
    /* A millisecond of slack: KVM and the kernel scale the TSC separately. */
    if (get.clock + 1000000 < NEW_CLOCK ||
        get.clock > NEW_CLOCK + (uint64_t)passed + 1000000)
        mose_probe_fail(ret, "set to %llu ns, read as %llu ns",
                        (unsigned long long)NEW_CLOCK, (unsigned long long)get.clock);
}
