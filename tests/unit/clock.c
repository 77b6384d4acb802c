/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frequency of the TSC, computed and measured. */
#include "guest/clock.h"

static void
test_computed(void)
{
    const MoseTscSample from = { 1000, 5000 };
    const MoseTscSample to = { 1000 + 30000000, 5000 + 10000000 };
    const MoseTscSample far = { 1000 + G_GUINT64_CONSTANT(40000000000000000),
                                5000 + G_GINT64_CONSTANT(10000000000000000) };
    const MoseTscSample wrapped = { 500, 5000 + 1000 };
    const MoseTscSample before_wrap = { (guint64)-500, 5000 };

    g_assert_cmpuint(mose_tsc_khz(&from, &to), ==, 3000000);
    /* 115 days: the product does not fit 64 bits */
    g_assert_cmpuint(mose_tsc_khz(&from, &far), ==, 4000000);
    g_assert_cmpuint(mose_tsc_khz(&before_wrap, &wrapped), ==, 1000000);
    g_assert_cmpuint(mose_tsc_khz(&from, &from), ==, 0);
    g_assert_cmpuint(mose_tsc_khz(&to, &from), ==, 0);
}

/* Two measurements, one after the other, agree within 1 %. */
static void
test_measured(void)
{
    MoseTscSample first = mose_tsc_sample(), middle, last;
    double one, two;

    do
        middle = mose_tsc_sample();
    while (middle.ns - first.ns < 10000000);
    do
        last = mose_tsc_sample();
    while (last.ns - middle.ns < 10000000);
    one = mose_tsc_khz(&first, &middle);
    two = mose_tsc_khz(&middle, &last);
    g_assert_cmpfloat(one, >, 100000); /* 100 MHz: no x86-64 is slower */
    g_assert_cmpfloat(one / two, >, 0.99);
    g_assert_cmpfloat(one / two, <, 1.01);
}

/* The line is aimed at anew at each switch: a late resume is made up for by the
 * next, a pause is not. Host and guest tick at 1 GHz here. */
static void
test_line(void)
{
    const guint64 khz = 1000000, ms = 1000000;
    MoseClockLine line = { 0 };

    /* The first switch believes what was measured: 5 ms. */
    g_assert_cmpint(mose_clock_advance(&line, 100 * ms, 205 * ms, khz, 5 * ms), ==,
                    5 * ms);
    g_assert_true(line.known);
    /* It resumed 2 ms late; the next switch measures 5 ms again and makes 7. */
    g_assert_cmpint(mose_clock_advance(&line, 198 * ms, 305 * ms, khz, 5 * ms), ==,
                    7 * ms);
    /* A guest that is ahead is told by how much. */
    g_assert_cmpint(mose_clock_advance(&line, 310 * ms, 405 * ms, khz, 5 * ms), ==,
                    -5 * ms);
    /* Paused for a second: that is not made up for, and the line begins anew. */
    g_assert_cmpint(mose_clock_advance(&line, 320 * ms, 1425 * ms, khz, 5 * ms), ==,
                    5 * ms);
    g_assert_cmpint(mose_clock_advance(&line, 425 * ms, 1530 * ms, khz, 6 * ms), ==,
                    5 * ms);
    /* But half a second that is known of is made up for, once. */
    line.late_ns = 500 * ms;
    g_assert_cmpint(mose_clock_advance(&line, 520 * ms, 2130 * ms, khz, 6 * ms), ==,
                    510 * ms);
    g_assert_cmpint(line.late_ns, ==, 0);
    /* A guest that has the host's TSC: read 3 ms after the stop, it is 2 ms late. */
    line = (MoseClockLine){ 0 };
    g_assert_cmpint(mose_clock_advance(&line, 203 * ms, 205 * ms, khz, 5 * ms), ==,
                    2 * ms);
    g_assert_true(line.known);
    g_assert_cmpuint(line.offset, ==, 0);
    /* The same, where QEMU told of the stop 30 ms after it had read it. */
    line = (MoseClockLine){ 0 };
    g_assert_cmpint(mose_clock_advance(&line, 170 * ms, 205 * ms, khz, 5 * ms), ==,
                    35 * ms);
    g_assert_true(line.known);
    g_assert_cmpuint(line.offset, ==, 0);
    /* No frequency, no line. */
    g_assert_cmpint(mose_clock_advance(&line, 0, 0, 0, 3 * ms), ==, 3 * ms);
    g_assert_false(line.known);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tsc/computed", test_computed);
    g_test_add_func("/tsc/measured", test_measured);
    g_test_add_func("/clock/line", test_line);
    return g_test_run();
}
