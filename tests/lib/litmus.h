/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side of guest/litmus: start it, switch it between "armed" and "checked",
 * read its verdicts. Its README.md has the protocol.
 *
 *     Litmus *litmus = litmus_start(&(LitmusSetup){ .accel = "tcg", .only = "pit-pic"
 * });
 *
 *     litmus_arm(litmus);
 *     litmus_switch(litmus, NULL, NULL);
 *     verdicts = litmus_check(litmus);
 *     litmus_assert(verdicts, "pit-pic", "PASS");
 *
 * Environment: LITMUS (the kernel), and what lib/vm.h wants. A guest that faults or
 * says nothing for too long fails the test, with all that it said.
 */
#pragma once

#include "lib/vm.h"
#include "stream/doc.h"

typedef struct {
    const char *name;       /* of the guest; NULL: "litmus" */
    const char *accel;      /* of the virtualizer: "kvm" or "tcg" */
    const char *machine;    /* NULL: "pc" */
    guint vcpus;            /* 0: 1 */
    const char *only;       /* exclusives, "a,b"; NULL: all */
    const char *background; /* the same of the background's properties */
    guint rounds;           /* 0: each exclusive once */
    guint wait_ms;          /* what timers are set to; 0: the kernel's choice */
    const char *options;    /* more for `mose run` before the "--"; NULL: none */
    const char *qemu;       /* and behind it */
    const char *append;     /* more for the kernel's command line */
    gboolean full_kvm;      /* KVM here is known to be fit; else it is taken for one
                               in software, and the kernel is told that it is slow */
    guint seconds;          /* that it may take to say something; 0: 120 */
} LitmusSetup;

typedef struct Litmus Litmus;

/* Start it; where its kernel runs, no round is begun yet. */
Litmus *litmus_start(const LitmusSetup *setup);
/* Stops the guest as well. */
void litmus_free(Litmus *litmus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Litmus, litmus_free)

const char *litmus_name(const Litmus *litmus); /* of the guest */

/* Begin the next round, and wait until all is armed: the exclusive's name ("-" if there
 * is none; borrowed), or NULL when the kernel has said END. */
const char *litmus_arm(Litmus *litmus);

/* Have it check, and wait for its verdicts: by name, "PASS", "SKIP: reason" or "FAIL:
 * detail". */
GHashTable *litmus_check(Litmus *litmus);

/* The same, or NULL if it has not ended the round within @seconds: what a guest does
 * that a switch has broken. A FAULT is a verdict here: "FAULT", with the line of it; so
 * is a guest that has begun anew. */
GHashTable *litmus_try_check(Litmus *litmus, guint seconds);

/* The verdict on @name begins with @verdict; none in @verdicts is FAIL or FAULT. */
void litmus_assert(GHashTable *verdicts, const char *name, const char *verdict);
void litmus_assert_no_failure(GHashTable *verdicts);

/* Move it to its other side, by the library, without the rule @without (may be NULL).
 * @tamper (may be NULL) makes the source say what a test wants, before the rules. */
typedef gboolean (*LitmusTamper)(MoseDoc *doc, gpointer data, GError **error);
void litmus_switch(Litmus *litmus, LitmusTamper tamper, const char *without);
gboolean litmus_try_switch(Litmus *litmus, LitmusTamper tamper, gpointer data,
                           const char *without, GError **error);

/* Whether the guest runs under KVM now. */
gboolean litmus_in_kvm(const Litmus *litmus);
