/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The portable CPU: the largest set of features that a guest can keep when it
 * goes between KVM and TCG; and what a guest would lose with any other CPU.
 * Which features are excluded and why is in cpu-table.c.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "qemu/qmp.h"

typedef struct {
    gboolean with_kvm;   /* this host's KVM was asked */
    char *vendor;        /* the host's: "AuthenticAMD", "GenuineIntel" */
    GPtrArray *features; /* char *, sorted */
    char *virtualizer;   /* for -cpu; with KVM, or as the emulator's without */
    char *emulator;      /* for -cpu under TCG */
} MosePortableCpu;

/* What QEMU answered: static expansions (cpu-query.h) of the models "max" and
 * "qemu64"; those of KVM are NULL where KVM cannot be asked. */
typedef struct {
    JsonObject *kvm_max;
    JsonObject *kvm_base;
    JsonObject *tcg_max;
    JsonObject *tcg_base;
} MoseCpuModels;

/*
 * Ask @qemu (NULL: qemu-system-x86_64) under TCG and, if @with_kvm, under KVM;
 * both at the same time. Without KVM the portable CPU is what TCG and every
 * host with AVX2 offer, so that a later KVM host can take the guest.
 */
MosePortableCpu *mose_portable_cpu_new(const char *qemu, gboolean with_kvm,
                                       GError **error);

/* The same from answers that are there already; @vendor is the host's. Errors:
 * UNSUPPORTED if what is left is no 64-bit processor. */
MosePortableCpu *mose_portable_cpu_from_models(const MoseCpuModels *models,
                                               const char *vendor, GError **error);
void mose_portable_cpu_free(MosePortableCpu *cpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MosePortableCpu, mose_portable_cpu_free)

/* The host's CPU vendor, of CPUID leaf 0. */
char *mose_cpu_host_vendor(void);

/*
 * Take a -cpu argument apart: "model,+a,-b,c=on,d=5,vendor=X". Properties have
 * QEMU's names ('-' for '_'); +a and -b go last, as in QEMU. Errors: INVALID.
 */
gboolean mose_cpu_parse(const char *text, char **ret_model, JsonObject **ret_props,
                        GError **error);

/* One side of a switch, or of a comparison. */
typedef struct {
    const char *accel; /* "kvm", "tcg" */
    const char *cpu;   /* its -cpu argument */
} MoseCpuSide;

/* A feature that a guest would lose. */
typedef struct {
    char *name;
    const char *why;   /* static */
    gboolean harmless; /* worth a line, not a refusal */
} MoseCpuLoss;

void mose_cpu_loss_free(MoseCpuLoss *loss);

/*
 * The features (MoseCpuLoss *, sorted) that a guest sees on side @from and that
 * @to lacks or cannot keep. QEMU itself drops what an accelerator does not
 * offer with no more than a warning (target/i386/cpu.c:x86_cpu_filter_features).
 */
GPtrArray *mose_cpu_losses(const char *qemu, const MoseCpuSide *from,
                           const MoseCpuSide *to, GError **error);

/* The same of expansions: of each side's CPU, and of "max" under its accelerator. */
GPtrArray *mose_cpu_losses_from_models(JsonObject *from, JsonObject *from_max,
                                       JsonObject *to, JsonObject *to_max);

/*
 * Add to expansions of a CPU under KVM the enlightenments of Hyper-V that @props, of
 * its argument, ask for. QEMU leaves them out of static expansions (target/i386/cpu.c:
 * x86_cpu_static_props), and does not start where KVM cannot give what is asked for.
 */
void mose_cpu_add_enlightenments(JsonObject *props, JsonObject *cpu, JsonObject *max);

/* The features (char *) that the running QEMU behind @qmp was asked for and has
 * dropped: property unavailable-features of its first CPU. */
GPtrArray *mose_cpu_unavailable(MoseQmp *qmp, GError **error);
