/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The runner of probes: whatever a probe does, it has a result in time, and
 * the right one.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/probe.h"

/* Far apart: on a busy machine one that spins must not look like one that sleeps. */
static const MoseProbeLimits limits = { .cpu_ms = 50, .wall_ms = 2000 };

static void
passes(const void *data, MoseProbeOutcome *ret)
{
}

static void
fails(const void *data, MoseProbeOutcome *ret)
{
    mose_probe_fail(ret, "the answer is %d", *(const int *)data);
}

static void
skips(const void *data, MoseProbeOutcome *ret)
{
    mose_probe_skip(ret, "not here");
}

static void
spins(const void *data, MoseProbeOutcome *ret)
{
    for (volatile int i = 0;; i++)
        ;
}

static void
sleeps(const void *data, MoseProbeOutcome *ret)
{
    for (;;)
        pause();
}

static void
crashes(const void *data, MoseProbeOutcome *ret)
{
    kill(getpid(), SIGSEGV);
}

static void
leaves(const void *data, MoseProbeOutcome *ret)
{
    _exit(7);
}

/* Ignores what ends a child, so that only the parent's SIGKILL is left. */
static void
resists(const void *data, MoseProbeOutcome *ret)
{
    signal(SIGALRM, SIG_IGN);
    signal(SIGPROF, SIG_IGN);
    for (;;)
        pause();
}

static void
test_outcomes(void)
{
    static const MoseProbe probes[] = {
        { "passes", "", passes }, { "fails", "", fails },   { "skips", "", skips },
        { "spins", "", spins },   { "sleeps", "", sleeps }, { "crashes", "", crashes },
        { "leaves", "", leaves }, { "passes", "", passes },
    };
    static const struct {
        MoseProbeStatus status;
        const char *detail;
    } wanted[] = {
        { MOSE_PROBE_PASS, "" },
        { MOSE_PROBE_FAIL, "the answer is 42" },
        { MOSE_PROBE_SKIP, "not here" },
        { MOSE_PROBE_FAIL, "spins: ended after 50 ms of processor time" },
        { MOSE_PROBE_FAIL, "hangs: ended after 2000 ms" },
        { MOSE_PROBE_FAIL, "ended by signal 11*" },
        { MOSE_PROBE_FAIL, "ended with status 7 and no result" },
        { MOSE_PROBE_PASS, "" },
    };
    MoseProbeOutcome outcomes[G_N_ELEMENTS(probes)];
    int answer = 42;

    mose_probe_run_all(probes, G_N_ELEMENTS(probes), &answer, &limits, outcomes);
    for (gsize i = 0; i < G_N_ELEMENTS(probes); i++) {
        g_test_message("%s: %s %s", probes[i].name,
                       mose_probe_status_name(outcomes[i].status), outcomes[i].detail);
        g_assert_cmpint(outcomes[i].status, ==, wanted[i].status);
        g_assert_true(g_pattern_match_simple(wanted[i].detail, outcomes[i].detail));
    }
}

/* Blocked and ignored signals of the caller do not save a probe that spins. */
static void
test_inherited_signals(void)
{
    static const MoseProbe probe = { "spins", "", spins };
    MoseProbeOutcome outcome;
    sigset_t all, old;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    signal(SIGPROF, SIG_IGN);
    mose_probe_run_all(&probe, 1, NULL, &limits, &outcome);
    signal(SIGPROF, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    g_assert_cmpint(outcome.status, ==, MOSE_PROBE_FAIL);
    g_assert_true(g_str_has_prefix(outcome.detail, "spins:"));
}

static void
test_sigchld_ignored(void)
{
    static const MoseProbe probes[] = { { "passes", "", passes },
                                        { "leaves", "", leaves } };
    MoseProbeOutcome outcomes[2];

    signal(SIGCHLD, SIG_IGN);
    mose_probe_run_all(probes, 2, NULL, &limits, outcomes);
    signal(SIGCHLD, SIG_DFL);
    g_assert_cmpint(outcomes[0].status, ==, MOSE_PROBE_PASS);
    g_assert_cmpint(outcomes[1].status, ==, MOSE_PROBE_FAIL);
}

static void
test_resists(void)
{
    static const MoseProbe probe = { "resists", "", resists };
    gint64 start = g_get_monotonic_time();
    MoseProbeOutcome outcome;

    mose_probe_run_all(&probe, 1, NULL, &limits, &outcome);
    g_assert_cmpint(outcome.status, ==, MOSE_PROBE_FAIL);
    g_assert_true(g_str_has_prefix(outcome.detail, "ended by signal 9"));
    g_assert_cmpint(g_get_monotonic_time() - start, <, 10 * G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/probe/outcomes", test_outcomes);
    g_test_add_func("/host/probe/inherited-signals", test_inherited_signals);
    g_test_add_func("/host/probe/sigchld-ignored", test_sigchld_ignored);
    g_test_add_func("/host/probe/resists", test_resists);
    return g_test_run();
}
