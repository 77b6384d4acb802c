/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line a rule; rules.c puts them in order. */
#pragma once

#include "stream/rules/rule.h"

extern const MoseRule mose_rule_a20;
extern const MoseRule mose_rule_async_pf;
extern const MoseRule mose_rule_cpu_features;
extern const MoseRule mose_rule_devices;
extern const MoseRule mose_rule_blocked;
extern const MoseRule mose_rule_exception_injected;
extern const MoseRule mose_rule_globalstate;
extern const MoseRule mose_rule_guest_stopped;
extern const MoseRule mose_rule_hflags;
extern const MoseRule mose_rule_hflags_protection;
extern const MoseRule mose_rule_hpet;
extern const MoseRule mose_rule_hypercall;
extern const MoseRule mose_rule_interrupt_injected;
extern const MoseRule mose_rule_interrupt_shadow;
extern const MoseRule mose_rule_ioapic_version;
extern const MoseRule mose_rule_hyperv_hypercall;
extern const MoseRule mose_rule_kvmclock;
extern const MoseRule mose_rule_kvmclock_aps;
extern const MoseRule mose_rule_lapic_oneshot;
extern const MoseRule mose_rule_lapic_pending;
extern const MoseRule mose_rule_misc_enable;
extern const MoseRule mose_rule_mp_state;
extern const MoseRule mose_rule_nmi_injected;
extern const MoseRule mose_rule_pdptrs;
extern const MoseRule mose_rule_pic_pending;
extern const MoseRule mose_rule_phys_bits;
extern const MoseRule mose_rule_pit;
extern const MoseRule mose_rule_pit_edge;
extern const MoseRule mose_rule_pmu;
extern const MoseRule mose_rule_poll_control;
extern const MoseRule mose_rule_sipi;
extern const MoseRule mose_rule_mtrr_mask;
extern const MoseRule mose_rule_pvclock_frequency;
extern const MoseRule mose_rule_pvclock_vcpus;
extern const MoseRule mose_rule_smi;
extern const MoseRule mose_rule_stale_interrupt;
extern const MoseRule mose_rule_stale_shadow;
extern const MoseRule mose_rule_steal_time;
extern const MoseRule mose_rule_stopped_time;
extern const MoseRule mose_rule_tr_busy;
extern const MoseRule mose_rule_tsc;
extern const MoseRule mose_rule_tsc_deadline;
extern const MoseRule mose_rule_xsave_layout;
extern const MoseRule mose_rule_xstate_bv;
extern const MoseRule mose_rule_wall_clock;
extern const MoseRule mose_rule_x87_stack;

/* A `detect` for what KVM alone leaves in a stream. Such a rule still runs on each
 * way to TCG: it does nothing where there is nothing to do. */
gboolean mose_rule_from_kvm(const MoseFacts *facts);

/*
 * Call @each for the section @name of every vCPU, in vCPU order, with its
 * number. Ends at the first FALSE.
 */
typedef gboolean (*MoseEachCpu)(MoseDoc *doc, MoseSection *section, guint cpu,
                                gpointer data, GError **error);
gboolean mose_rule_each_cpu(MoseDoc *doc, const char *name, MoseEachCpu each,
                            gpointer data, GError **error);

/* Under TCG: whether vCPU @cpu was started by nobody yet (QEMU hw/intc/apic.c:
 * apic_sipi). */
gboolean mose_rule_waits_for_start(const MoseDoc *doc, guint cpu);

/* The section @name of vCPU number @cpu, or NULL. */
MoseSection *mose_rule_cpu_section(const MoseDoc *doc, const char *name, guint cpu);

/* Clear and set bits of a field; *@changed becomes TRUE if that makes a difference. */
gboolean mose_rule_change_bits(MoseSection *section, const char *path, guint64 clear,
                               guint64 set, gboolean *changed, GError **error);
/* The same with a whole value. */
gboolean mose_rule_change(MoseSection *section, const char *path, guint64 value,
                          gboolean *changed, GError **error);
