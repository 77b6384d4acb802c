/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The litmus guest (guest/litmus) as a user's host can run it: started, switched
 * between "armed" and "checked", and asked for its verdicts. Its README.md has the
 * protocol.
 */
#pragma once

#include "switch/switch.h"

typedef struct {
    const char *kernel; /* litmus.elf */
    const char *accel;  /* of the virtualizer */
    const char *only;   /* the exclusive property to arm; NULL: all, one a round */
    guint rounds;       /* 0: each exclusive once */
    gboolean slow;      /* a KVM in software: what it cannot do is left out */
    int interrupt_fd;   /* of MoseSwitchOptions; 0: none */
} MoseLitmusSetup;

typedef struct MoseLitmus MoseLitmus;

/* Start it with two vCPUs, as a guest of its own name, and wait until it has come up.
 */
MoseLitmus *mose_litmus_start(const MoseLitmusSetup *setup, GError **error);

/* End it, and take all away. */
void mose_litmus_free(MoseLitmus *litmus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseLitmus, mose_litmus_free)

/* Begin the next round, and wait until all is armed. *@ret is the exclusive's name (to
 * be freed), or NULL when there are no more rounds. TIMEOUT; FAILED for a fault. */
gboolean mose_litmus_arm(MoseLitmus *litmus, char **ret, GError **error);

/* Move it to its other side without the rule @without (NULL: with all); @observe (may
 * be NULL) sees the source's device part before the rules. *@ret as of mose_switch().
 */
gboolean mose_litmus_switch(MoseLitmus *litmus, const char *without,
                            gboolean (*observe)(MoseDoc *doc, gpointer data,
                                                GError **error),
                            gpointer data, MoseSwitchReport *ret, GError **error);

/* Have it check: "PASS", "SKIP: reason" or "FAIL: detail" by the property's name; free
 * with json_object_unref(). TIMEOUT where it says nothing, FAILED for a fault. */
JsonObject *mose_litmus_check(MoseLitmus *litmus, GError **error);

/* QEMU's name of the accelerator that it runs under now. */
const char *mose_litmus_accel(const MoseLitmus *litmus);
