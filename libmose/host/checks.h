/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of what a general guest needs of KVM, each row a probe that runs
 * the probing guest (host/vm.h) and judges what it left behind. Whether a host
 * as a whole is fit is not decided here (host/fitness.h).
 */
#pragma once

#include "host/probe.h"

/* Ring-0 code this many times slower than native is not run but emulated: a KVM
 * without VT-x or SVM. Nested virtualization stays far below. */
#define MOSE_KVM_MAX_SLOWDOWN 10

/* To map, touch and unmap a page: some 0.2 us with two-dimensional paging, some
 * 10 us with shadow page tables, which a guest survives. */
#define MOSE_KVM_MAX_PAGING_NS 1000000

/* The probes; their `data` is a const int *, an open /dev/kvm. */
extern const MoseProbe mose_kvm_checks[];
extern const gsize mose_kvm_n_checks;
