/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is this host's KVM there, and is it fit for a general guest? Found out by
 * running a tiny virtual machine on it (host/checks.h), not by names or flags:
 * a software KVM answers every capability query like a full one.
 */
#pragma once

#include <glib.h>

#include "host/probe.h"

typedef enum {
    MOSE_KVM_PRESENT,
    MOSE_KVM_MISSING,   /* no device node */
    MOSE_KVM_DENIED,    /* no permission to open it */
    MOSE_KVM_NO_MODULE, /* a node, but nothing behind it */
    MOSE_KVM_UNUSABLE,  /* opens or answers in some other wrong way */
} MoseKvmPresence;

typedef struct {
    MoseKvmPresence presence;
    int api_version; /* of KVM_GET_API_VERSION; 0 unless present */
    gboolean fit;
    char *verdict;              /* one sentence: fit, or why not and what to do */
    gsize n_probes;             /* 0 unless present */
    const MoseProbe *probes;    /* their names, */
    MoseProbeOutcome *outcomes; /* and what they found */
    guint64 time_us;            /* that all of it took */
} MoseKvmFitness;

/* Probe @path (NULL: /dev/kvm). Never fails: says what it found. */
MoseKvmFitness *mose_kvm_fitness_probe(const char *path);
void mose_kvm_fitness_free(MoseKvmFitness *fitness);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseKvmFitness, mose_kvm_fitness_free)

/* The fitness of /dev/kvm, probed at the first call of this process. */
const MoseKvmFitness *mose_kvm_fitness(void);

/* "present", "missing", "denied", "no-module", "unusable" */
const char *mose_kvm_presence_name(MoseKvmPresence presence);

/* The outcome of the probe @name, or NULL if it was not run. */
const MoseProbeOutcome *mose_kvm_fitness_outcome(const MoseKvmFitness *fitness,
                                                 const char *name);

/* Set fit and verdict from the outcomes of a KVM that is present. */
void mose_kvm_fitness_judge(MoseKvmFitness *fitness);
