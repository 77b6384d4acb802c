/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the three rules of events in flight share: events that KVM has begun to
 * deliver and has not delivered.
 *
 * KVM enters the guest with an event; an exit on the way (a page of the guest that is
 * not mapped yet, a signal for QEMU) leaves it "injected", to be delivered at the next
 * entry (Linux Documentation/virt/kvm/api.rst, KVM_GET_VCPU_EVENTS). QEMU sends it
 * (target/i386/kvm/kvm.c:kvm_get_vcpu_events), and nothing in target/i386/tcg reads it:
 * it is lost, and back under KVM the stale event would be delivered once more.
 */
#pragma once

#include "stream/rules/rule.h"

#define MOSE_NO_EVENT G_MAXUINT32

/* Fail: the event cannot be given back. It is gone a moment later. Returns FALSE. */
gboolean mose_in_flight_not_now(const char *what, guint64 number, guint cpu,
                                GError **error);

/* Whether the vCPU with section @cpu stands before `int @vector` or, for the vectors 3
 * and 4, its short forms int3 and into: executed once more, it raises it again. */
gboolean mose_in_flight_is_int(const MoseRuleContext *context, const MoseSection *cpu,
                               guint64 vector);
