/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a switch does to the guest's clock: CLOCK_MONOTONIC against the host's, over
 * many switches and over the same time without any. The guest's clock also goes
 * wrong by itself (it has measured its TSC's frequency); that is taken off.
 */
#include <math.h>

#include "bench/plain.h"
#include "bench/result.h"
#include "lib/vm.h"

#define ROUNDS 3
#define SWITCHES 50

/* A reading: how far the guest's clock is ahead of the host's, and when that was. */
typedef struct {
    double ahead_ms;
    gint64 at_us;
} Reading;

static Reading
take_reading(const VmGuest *guest)
{
    Reading reading = { .ahead_ms = (double)vm_clock_difference(guest) / 1e6 };

    reading.at_us = g_get_monotonic_time();
    return reading;
}

/* By how much the difference has changed since @before; in *@ret_us how long ago. */
static double
change(const VmGuest *guest, Reading *before, gint64 *ret_us)
{
    Reading after = take_reading(guest);
    double ret = after.ahead_ms - before->ahead_ms;

    *ret_us = after.at_us - before->at_us;
    *before = after;
    return ret;
}

static void
measure(const VmGuest *guest, GArray *switched, GArray *alone)
{
    Reading reading = take_reading(guest);
    gint64 switched_us, alone_us;
    double with, without;

    for (int i = 0; i < SWITCHES; i++) {
        const char *command = i % 2 ? "virtualize" : "emulate";

        g_assert_cmpint(vm_mose(NULL, NULL, command, guest->name, NULL), ==, 0);
    }
    with = change(guest, &reading, &switched_us);
    g_usleep((gulong)switched_us);
    without = change(guest, &reading, &alone_us);
    without = without / (double)alone_us;
    bench_add(switched, fabs(with - without * (double)switched_us) / SWITCHES);
    bench_add(alone, fabs(without) * G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    g_autoptr(GArray) switched = bench_values_new(), alone = bench_values_new();
    g_autoptr(VmGuest) guest = NULL;

    bench_begin(&argc, &argv);
    guest = vm_guest_new("clock");
    vm_run(guest, NULL, NULL, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    for (int i = 0; i < ROUNDS; i++)
        measure(guest, switched, alone);
    bench_result(&(BenchResult){ "clock/switch",
                                 "the guest's clock moves by one switch (of 50)", "ms",
                                 0, switched });
    bench_result(&(BenchResult){
        "clock/alone", "the guest's clock goes wrong by itself", "ms/s", 0, alone });
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    bench_end();
    return 0;
}
