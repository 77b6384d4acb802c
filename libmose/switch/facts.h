/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be known of two machines before anything moves, by asking the two
 * QEMU processes themselves: the CPU features each really gives (not those it
 * was asked for), and the devices each really has.
 */
#pragma once

#include "qemu/qmp.h"
#include "stream/rules/rule.h"

/* Facts that own their strings; `facts` is what rules see. */
typedef struct {
    MoseFacts facts;
    GPtrArray *lost_features;
    GPtrArray *source_only;
    GPtrArray *destination_only;
    GPtrArray *blocked;
    char *run_state;
} MoseFactSet;

/* What the machine behind @qmp has: its CPU, its devices. Sources: QOM property
 * feature-words of the CPU (QEMU target/i386/cpu.c), the device tree below /machine. */
typedef struct MoseFactHalf MoseFactHalf;
MoseFactHalf *mose_facts_half(MoseQmp *qmp, GError **error);
void mose_facts_half_free(MoseFactHalf *half);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseFactHalf, mose_facts_half_free)

/* Compare the machine behind @source, which has @before (asked while the other one was
 * started, say), with the one behind @destination; and what @source says of its state.
 */
MoseFactSet *mose_facts_gather(MoseQmp *source, const MoseFactHalf *before,
                               MoseQmp *destination, guint direction, GError **error);
void mose_facts_free(MoseFactSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseFactSet, mose_facts_free)

/*
 * What each rule that is not @without (mose_rule_is_left_out()) says of these facts:
 * *@ret_found gets the rules that concern the switch, *@ret_reasons, of the
 * same length, the reason of a refusal or NULL. TRUE when nothing is refused.
 */
gboolean mose_facts_judge(const MoseFacts *facts, const char *without,
                          GPtrArray **ret_found, GPtrArray **ret_reasons);

/* The same where only the first reason against it matters: REFUSED, with that. */
gboolean mose_facts_check(const MoseFacts *facts, const char *without, GError **error);
