/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TSCs and the line between them; see clock.h. */
#include "guest/clock.h"

#include <time.h>
#include <x86intrin.h>

/* A guest that is farther off its line than this, and nobody knows why, has been
 * stopped on purpose. */
#define MAX_OFF_NS 200000000

/* A try is as wrong as it took long: interrupts, other threads and the hypervisor
 * come in between. The shortest one counts. */
#define TRIES 16

MoseTscSample
mose_tsc_sample(void)
{
    MoseTscSample sample = { 0 };
    guint64 narrowest = G_MAXUINT64;

    for (int i = 0; i < TRIES; i++) {
        struct timespec ts;
        guint64 before = __rdtsc(), width;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        width = __rdtsc() - before;
        if (width >= narrowest)
            continue;
        narrowest = width;
        sample.tsc = before + width / 2;
        sample.ns = ts.tv_sec * G_GINT64_CONSTANT(1000000000) + ts.tv_nsec;
    }
    return sample;
}

guint64
mose_tsc_khz(const MoseTscSample *from, const MoseTscSample *to)
{
    gint64 ns = to->ns - from->ns;

    if (ns <= 0)
        return 0;
    return (guint64)((unsigned __int128)(to->tsc - from->tsc) * 1000000 / ns);
}

/* QEMU reads the TSC of a vCPU that it has paused, and tells of the stop when it has
 * stopped the devices as well (system/cpus.c:do_vm_stop): so much later on a busy host.
 */
#define STOP_LATE_MS 50

/*
 * Whether the guest's TSC is the host's own: it lies between the host's at the stop and
 * at @due_tsc. So it is with a KVM that does not let its guests' TSC be set. What was
 * measured would then count twice what passed between the stop and the reading.
 */
static gboolean
is_the_hosts(guint64 guest_tsc, guint64 due_tsc, guint64 khz, gint64 measured_ns)
{
    guint64 since = (guint64)((__int128)measured_ns * khz / 1000000);

    return due_tsc - guest_tsc <= since + STOP_LATE_MS * khz;
}

gint64
mose_clock_advance(MoseClockLine *line, guint64 guest_tsc, guint64 due_tsc, guint64 khz,
                   gint64 measured_ns)
{
    gint64 ticks = (gint64)(due_tsc + line->offset - guest_tsc);
    __int128 ns = khz ? (__int128)ticks * 1000000 / (gint64)khz : 0;
    __int128 off = ns - measured_ns - line->late_ns;

    line->late_ns = 0;
    if (line->known && khz && off < MAX_OFF_NS && -off < MAX_OFF_NS)
        return (gint64)ns;
    line->known = khz != 0;
    if (khz && measured_ns >= 0 && is_the_hosts(guest_tsc, due_tsc, khz, measured_ns)) {
        line->offset = 0;
        return (gint64)((__int128)(due_tsc - guest_tsc) * 1000000 / khz);
    }
    line->offset =
        guest_tsc + (guint64)((__int128)measured_ns * khz / 1000000) - due_tsc;
    return measured_ns;
}
