/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other vCPUs in each of their states, and IPIs to them; the x2APIC, which stays once
 * it is on. The last vCPU is the one that is started and stopped. */
#include "litmus.h"

enum { ANSWER_MS = 20000 };

static unsigned last;

static const char *
find_last(void)
{
    last = machine.vcpus - 1;
    return last == 0 ? "one vCPU" : NULL;
}

/* --- not started yet --- */

static const char *
prepare_late(void)
{
    const char *reason = find_last();

    if (!reason && vcpus[last].online)
        reason = "it has been started already";
    return reason;
}

static const char *
check_start(void)
{
    return vcpu_start(last) ? NULL : "it does not start";
}

PROPERTY(ap_late) = {
    .name = "ap-late",
    .prepare = prepare_late,
    .check = check_start,
};

/* --- between INIT and SIPI --- */

static const char *
prepare_init(void)
{
    const char *reason = find_last();

    if (!reason)
        vcpu_init(last);
    return reason;
}

static const char *
check_sipi(void)
{
    return vcpu_sipi(last) ? NULL : "it does not start";
}

PROPERTY(ap_init) = {
    .name = "ap-init",
    .prepare = prepare_init,
    .check = check_sipi,
};

/* --- halted with interrupts off, as one that is offline --- */

static const char *
prepare_offline(void)
{
    const char *reason = find_last();

    if (!reason) {
        vcpu_job(last, JOB_STILL);
        wait_ms(50);
    }
    return reason;
}

static const char *
check_offline(void)
{
    uint32_t ipis = vcpus[last].ipis, steps = vcpus[last].steps;

    apic_send(last, VECTOR_IPI);
    wait_ms(50);
    if (vcpus[last].ipis != ipis || vcpus[last].steps != steps)
        return "it runs, though it is halted with interrupts off";
    return check_start();
}

PROPERTY(ap_offline) = {
    .name = "ap-offline",
    .prepare = prepare_offline,
    .check = check_offline,
};

/* --- IPIs --- */

const char *
check_ipis(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++)
        for (unsigned n = 0; n < 2 && vcpus[i].online; n++) {
            uint32_t before = vcpus[i].ipis;

            apic_send(i, VECTOR_IPI);
            if (!wait_change(&vcpus[i].ipis, before, ANSWER_MS))
                return say("vCPU %u takes no IPI", i);
            wait_ms(10);
            if (vcpus[i].ipis != before + 1)
                return say("vCPU %u took %u IPIs, not 1", i, vcpus[i].ipis - before);
        }
    return NULL;
}

PROPERTY(ipi_busy) = {
    .name = "ipi-busy",
    .prepare = find_last,
    .check = check_ipis,
};

static const char *
prepare_asleep(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++)
        vcpu_job(i, JOB_SLEEP);
    wait_ms(50);
    return find_last();
}

static const char *
check_asleep(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++) {
        uint32_t before = vcpus[i].steps;

        wait_ms(20);
        if (vcpus[i].steps != before)
            return say("vCPU %u is awake", i);
    }
    return check_ipis();
}

PROPERTY(ipi_halted) = {
    .name = "ipi-halted",
    .prepare = prepare_asleep,
    .check = check_asleep,
};

/* IPIs all the time: some are under way whenever the switch comes. */
static uint32_t sent[MAX_VCPUS];

static const char *
prepare_load(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++) {
        vcpu_job(i, i % 2 ? JOB_SLEEP : JOB_BUSY);
        wait_ms(50);
        sent[i] = vcpus[i].ipis;
    }
    return find_last();
}

static void
work_load(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++)
        if (vcpus[i].online && vcpus[i].ipis == sent[i]) {
            sent[i]++;
            apic_send(i, VECTOR_IPI);
        }
}

static const char *
check_load(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++) {
        if (!vcpus[i].online)
            continue;
        wait_change(&vcpus[i].ipis, sent[i] - 1, ANSWER_MS);
        if (vcpus[i].ipis != sent[i])
            return say("vCPU %u was sent IPI %u, and is at %u", i, sent[i],
                       vcpus[i].ipis);
    }
    return NULL;
}

PROPERTY(ipi_load) = {
    .name = "ipi-load",
    .prepare = prepare_load,
    .work = work_load,
    .check = check_load,
};
