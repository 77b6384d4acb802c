/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules on trial; see rule-trial.h. */
#include "lib/rule-trial.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

enum { BROKEN_SECONDS = 20 };

guint64
trial_get(MoseSection *section, const char *path)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;

    g_assert_nonnull(section);
    mose_section_get(section, path, &value, &error);
    g_assert_no_error(error);
    return value;
}

void
trial_set(MoseSection *section, const char *path, guint64 value)
{
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(section);
    mose_section_set(section, path, value, &error);
    g_assert_no_error(error);
}

void
trial_set_bits(MoseSection *section, const char *path, guint64 bits)
{
    trial_set(section, path, trial_get(section, path) | bits);
}

static Litmus *
start(const RuleTrial *trial)
{
    return litmus_start(&(LitmusSetup){
        .accel = trial->accel,
        .vcpus = trial->vcpus,
        .only = trial->only ? trial->only : "none",
        .background = trial->background ? trial->background : "memory",
        .wait_ms = trial->wait_ms,
        .qemu = trial->qemu,
    });
}

/* By a process of its own: MOSE's guardian ends one that waits for a QEMU in vain. */
static void
switch_in_child(Litmus *litmus, const RuleTrial *trial, const char *without)
{
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        litmus_try_switch(litmus, trial->tamper, NULL, without, NULL);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
}

/* The verdicts, or NULL when the guest did not come so far, or said nothing more. */
static GHashTable *
try_rule(const RuleTrial *trial, const char *without, guint seconds)
{
    g_autoptr(Litmus) litmus = start(trial);
    g_autoptr(GError) error = NULL;

    if (trial->back)
        litmus_switch(litmus, NULL, without);
    litmus_arm(litmus);
    g_usleep(trial->arm_ms * 1000);
    if (trial->hangs && without)
        switch_in_child(litmus, trial, without);
    else if (!litmus_try_switch(litmus, trial->tamper, NULL, without, &error) ||
             (trial->again &&
              !litmus_try_switch(litmus, NULL, NULL, without, &error))) {
        g_test_message("%s", error->message);
        g_assert_nonnull(without);
        return NULL;
    }
    g_usleep(trial->rest_ms * 1000);
    return litmus_try_check(litmus, seconds);
}

static gboolean
is_broken(GHashTable *verdicts, const char *property)
{
    const char *verdict = verdicts ? g_hash_table_lookup(verdicts, property) : NULL;

    if (verdicts && g_hash_table_contains(verdicts, "FAULT"))
        return TRUE;
    /* It must have been armed at all. */
    g_assert_false(verdict && g_str_has_prefix(verdict, "SKIP"));
    return !verdict || strcmp(verdict, "PASS") != 0;
}

static gboolean
cannot_run(const RuleTrial *trial)
{
    g_auto(MoseFd) kvm = MOSE_FD_NONE;

    if (vm_cannot_run())
        return TRUE;
    if (strcmp(trial->accel, "kvm") != 0)
        return FALSE;
    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        g_test_skip("/dev/kvm does not open");
    return kvm < 0;
}

void
rule_trial(const RuleTrial *trial)
{
    const char *property = trial->property ? trial->property : trial->only;
    g_autoptr(GHashTable) with = NULL, without = NULL;
    const char *verdict;

    if (cannot_run(trial))
        return;
    with = try_rule(trial, NULL, 120);
    g_assert_nonnull(with);
    verdict = g_hash_table_lookup(with, property);
    if (verdict && g_str_has_prefix(verdict, "SKIP")) {
        g_test_skip(verdict);
        return;
    }
    litmus_assert(with, property, "PASS");
    litmus_assert_no_failure(with);
    without =
        try_rule(trial, trial->rule, trial->seconds ? trial->seconds : BROKEN_SECONDS);
    g_assert_true(is_broken(without, property));
}
