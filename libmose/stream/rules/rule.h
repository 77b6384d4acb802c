/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule: the code that detects and resolves one discrepancy between the two
 * machines a guest is switched between.
 *
 * One file a rule; rules.c lists them in the order in which they run. Most
 * rewrite the stream between source and destination. Some refuse, in words, on
 * facts gathered before anything has moved. docs/discrepancies.md is generated
 * from the fields below.
 */
#pragma once

#include <glib.h>

#include "stream/doc.h"

/* The paper's three classes. */
typedef enum {
    MOSE_HW_EQUIVALENCE, /* a device or instruction is absent or behaves otherwise */
    MOSE_HW_STATE,       /* the same device keeps its state otherwise */
    MOSE_SW_STATE,       /* what the guest's software believes of its hardware */
    MOSE_N_CLASSES,
} MoseRuleClass;

const char *mose_rule_class_name(MoseRuleClass rule_class); /* "HW equivalence" */

/* From which accelerator to which. */
enum {
    MOSE_KVM_TO_TCG = 1 << 0,
    MOSE_TCG_TO_KVM = 1 << 1,
    MOSE_TCG_TO_TCG = 1 << 2,
    MOSE_KVM_TO_KVM = 1 << 3,
    MOSE_TO_TCG = MOSE_KVM_TO_TCG | MOSE_TCG_TO_TCG,
    MOSE_TO_KVM = MOSE_TCG_TO_KVM | MOSE_KVM_TO_KVM,
    MOSE_ANY_WAY = MOSE_TO_TCG | MOSE_TO_KVM,
};

/* The direction between two accelerators named as QEMU names them. */
guint mose_direction(const char *from_accel, const char *to_accel);
const char *mose_direction_name(guint direction); /* "KVM -> TCG" */

/* What is known of the two machines before anything moves. Borrowed strings. */
typedef struct {
    guint direction;
    const char *const *lost_features;    /* CPU features that the destination lacks */
    const char *const *source_only;      /* QOM types of devices that it lacks, */
    const char *const *destination_only; /* or that it alone has */
    const char *const *blocked;          /* why QEMU would not migrate the guest */
    const char *run_state;               /* QEMU's name for the guest's state */
    guint source_phys_bits,
        destination_phys_bits; /* of physical addresses; 0: unknown */
} MoseFacts;

/* What a rule may ask while it rewrites. */
typedef struct {
    guint direction;
    guint64 tsc_khz; /* of the destination's host: its guests tick at it */

    /* Nanoseconds for which the guest, whose TSC is @tsc, will have stood still
     * when it resumes; 0 when it was not running before. Measured when asked. */
    gint64 (*stopped_ns)(gpointer data, guint64 tsc);

    /* Copy guest-physical memory, with what is to be written there; FALSE where that
     * is not all RAM. May be NULL. */
    gboolean (*read_memory)(gpointer data, guint64 address, void *to, gsize len);

    /* Have it written there once the destination has loaded all and before it runs:
     * only what belongs to the guest's software may be changed so, and after the whole
     * stream was found good. FALSE where that is not all RAM. NULL with read_memory. */
    gboolean (*write_memory)(gpointer data, guint64 address, const void *from,
                             gsize len);

    gpointer data;

    /* CPU features that the destination lacks, as in MoseFacts; NULL: not known. */
    const char *const *lost_features;

    /* Of the source's host, at which the guest ticked unless its KVM scaled that; 0:
     * the same host. */
    guint64 source_khz;
} MoseRuleContext;

/* The same, never 0. */
guint64 mose_rule_source_khz(const MoseRuleContext *context);

typedef struct MoseRule {
    const char *name; /* "kvmclock": for --json and the timeline */
    MoseRuleClass rule_class;
    guint directions;
    const char *title;  /* the discrepancy, in one line */
    const char *effect; /* what happens to the guest without the rule */
    const char *fix;    /* what the rule does */
    const char *source; /* QEMU and kernel sources of these facts */
    char evidence;      /* 'a': real KVM stream; 'b': fields as KVM writes them, loaded
                           into a real TCG; 'c': unproved */
    const char *test;   /* what fails without it */

    /* Whether the discrepancy can exist between these two machines; NULL: whenever
     * the direction is one of `directions`. For `mose check` alone: `rewrite` looks
     * for itself, in every direction of `directions`. */
    gboolean (*detect)(const MoseFacts *facts);

    /* CPU features whose loss it makes up for, ended by NULL: rule cpu-features does
     * not refuse for them. NULL: none. */
    const char *const *features;

    /* A refusal: the reason the switch cannot be, or NULL when it can. */
    char *(*refuse)(const MoseFacts *facts);

    /* `rewrite` resolves nothing, and refuses by what the guest is doing. */
    gboolean refuses;

    /* Resolve it. *@ret_changed tells whether there was something to do. AGAIN: it
     * cannot be at this moment; the guest runs on where it is, and the switch is tried
     * again a little later. REFUSED: it cannot be, as the guest is now. */
    gboolean (*rewrite)(const MoseRuleContext *context, MoseDoc *doc,
                        gboolean *ret_changed, GError **error);
} MoseRule;

/* All rules, in the order in which they run, ended by NULL. */
extern const MoseRule *const mose_rules[];

const MoseRule *mose_rule_by_name(const char *name);

/* Whether a rule of @direction makes up for the loss of the CPU feature @name. */
gboolean mose_rules_make_up_for(guint direction, const char *name);

/* Whether @rule concerns a switch between these machines. */
gboolean mose_rule_applies(const MoseRule *rule, const MoseFacts *facts);

/* The rule that a QEMU is started by: it rewrites nothing. */
#define MOSE_RULE_IOAPIC_VERSION "ioapic-version"

/* Whether the rule @name is in @without: one name, several with commas, or NULL. */
gboolean mose_rule_is_left_out(const char *name, const char *without);

/*
 * Run every rule of the context's direction, but for those of @without
 * (mose_rule_is_left_out()), on @doc. The names of those that changed something are
 * added to
 * @changed (may be NULL; borrowed strings). Errors name the rule.
 */
gboolean mose_rules_rewrite(const MoseRuleContext *context, MoseDoc *doc,
                            const char *without, GPtrArray *changed, GError **error);
