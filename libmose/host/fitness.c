/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens KVM, has the probes run, and gives the verdict: fit if none failed.
 */
#include "host/fitness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "host/checks.h"
#include "util/fd.h"

#define KVM_DEVICE "/dev/kvm"

/* A probe needs some ms where KVM is fit; it may need a hundred times that
 * where ring 0 is emulated, and still give its result. */
static const MoseProbeLimits limits = { .cpu_ms = 250, .wall_ms = 4000 };

void
mose_kvm_fitness_free(MoseKvmFitness *fitness)
{
    if (fitness == NULL)
        return;
    g_free(fitness->verdict);
    g_free(fitness->outcomes);
    g_free(fitness);
}

const char *
mose_kvm_presence_name(MoseKvmPresence presence)
{
    static const char *const names[] = {
        [MOSE_KVM_PRESENT] = "present",   [MOSE_KVM_MISSING] = "missing",
        [MOSE_KVM_DENIED] = "denied",     [MOSE_KVM_NO_MODULE] = "no-module",
        [MOSE_KVM_UNUSABLE] = "unusable",
    };

    return (gsize)presence < G_N_ELEMENTS(names) ? names[presence] : "unusable";
}

const MoseProbeOutcome *
mose_kvm_fitness_outcome(const MoseKvmFitness *fitness, const char *name)
{
    for (gsize i = 0; i < fitness->n_probes; i++) {
        if (g_strcmp0(fitness->probes[i].name, name) == 0)
            return &fitness->outcomes[i];
    }
    return NULL;
}

static void
explain_open(MoseKvmFitness *fitness, const char *path, int saved_errno)
{
    switch (saved_errno) {
    case ENOENT:
        fitness->presence = MOSE_KVM_MISSING;
        fitness->verdict = g_strdup_printf(
            "there is no %s: load the module kvm_intel or kvm_amd, turn virtualization "
            "on in the firmware, or use a host that has it",
            path);
        break;
    case EACCES:
    case EPERM:
        fitness->presence = MOSE_KVM_DENIED;
        fitness->verdict = g_strdup_printf(
            "no permission to open %s: add yourself to the group kvm (usermod -aG kvm "
            "USER) and log in again",
            path);
        break;
    case ENODEV:
    case ENXIO:
        fitness->presence = MOSE_KVM_NO_MODULE;
        fitness->verdict = g_strdup_printf(
            "%s has no driver behind it: load the module kvm_intel or kvm_amd", path);
        break;
    default:
        fitness->presence = MOSE_KVM_UNUSABLE;
        fitness->verdict =
            g_strdup_printf("%s does not open: %s", path, g_strerror(saved_errno));
    }
}

/* Open KVM and ask its version; the descriptor, or -1 with the reason said. */
static int
open_kvm(MoseKvmFitness *fitness, const char *path)
{
    g_auto(MoseFd) fd = open(path, O_RDWR | O_CLOEXEC);
    int version;

    if (fd < 0) {
        explain_open(fitness, path, errno);
        return -1;
    }
    version = ioctl(fd, KVM_GET_API_VERSION, 0ul);
    if (version != KVM_API_VERSION) {
        fitness->presence = MOSE_KVM_UNUSABLE;
        if (version < 0)
            fitness->verdict = g_strdup_printf("%s is not KVM: KVM_GET_API_VERSION: %s",
                                               path, g_strerror(errno));
        else
            fitness->verdict = g_strdup_printf("%s has the KVM API version %d, not %d",
                                               path, version, KVM_API_VERSION);
        return -1;
    }
    fitness->api_version = version;
    return mose_fd_steal(&fd);
}

void
mose_kvm_fitness_judge(MoseKvmFitness *fitness)
{
    g_autoptr(GString) failed = g_string_new(NULL);
    const MoseProbeOutcome *speed = mose_kvm_fitness_outcome(fitness, "speed");

    for (gsize i = 0; i < fitness->n_probes; i++) {
        if (fitness->outcomes[i].status == MOSE_PROBE_FAIL)
            g_string_append_printf(failed, "%s%s", failed->len > 0 ? ", " : "",
                                   fitness->probes[i].name);
    }
    fitness->fit = failed->len == 0;
    g_free(fitness->verdict);
    if (fitness->fit)
        fitness->verdict = g_strdup("this KVM runs a general guest");
    else if (speed != NULL && speed->status == MOSE_PROBE_FAIL)
        fitness->verdict =
            g_strdup_printf("this KVM cannot run a general guest: %s; failed: %s",
                            speed->detail, failed->str);
    else
        fitness->verdict = g_strdup_printf(
            "this KVM cannot run a general guest; failed: %s", failed->str);
}

MoseKvmFitness *
mose_kvm_fitness_probe(const char *path)
{
    MoseKvmFitness *fitness = g_new0(MoseKvmFitness, 1);
    gint64 start = g_get_monotonic_time();
    g_auto(MoseFd) kvm = open_kvm(fitness, path != NULL ? path : KVM_DEVICE);

    if (kvm >= 0) {
        fitness->probes = mose_kvm_checks;
        fitness->n_probes = mose_kvm_n_checks;
        fitness->outcomes = g_new0(MoseProbeOutcome, mose_kvm_n_checks);
        mose_probe_run_all(mose_kvm_checks, mose_kvm_n_checks, &kvm, &limits,
                           fitness->outcomes);
        mose_kvm_fitness_judge(fitness);
    }
    fitness->time_us = (guint64)(g_get_monotonic_time() - start);
    return fitness;
}

const MoseKvmFitness *
mose_kvm_fitness(void)
{
    static gsize cached;

    if (g_once_init_enter(&cached))
        g_once_init_leave(&cached, (gsize)mose_kvm_fitness_probe(NULL));
    return (const MoseKvmFitness *)cached;
}
