/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other vCPUs at work, in the background: memory of their own, the TSC that all
 * share, IPIs that they answer. */
#include "litmus.h"

enum { WORDS = 4096, CHUNK = 64, ANSWER_MS = 20000 };

static uint64_t memory[MAX_VCPUS][WORDS];
static uint32_t steps[MAX_VCPUS];

/* A counter a word: rewritten in turn, each holds the number of its writing. INIT may
 * have come in the middle of one, which is then made again. */
static void
write_chunk(unsigned vcpu, uint32_t step)
{
    uint64_t *words = &memory[vcpu][step * CHUNK % WORDS];

    for (unsigned i = 0; i < (machine.slow ? 4 : CHUNK); i++) {
        if (words[i] && words[i] != step && words[i] + WORDS / CHUNK != step)
            vcpus[vcpu].trouble = "its memory has changed";
        words[i] = step;
    }
}

/* What is wrong with a TSC, and by how much. */
static void
tsc_trouble(Vcpu *vcpu, const char *wrong, uint64_t by)
{
    vcpu->trouble = wrong;
    if (by > vcpu->off)
        vcpu->off = by;
}

void
vcpu_step(unsigned vcpu)
{
    Vcpu *me = &vcpus[vcpu], *first = &vcpus[0];
    uint64_t first_tsc = first->tsc, tsc = rdtsc();

    if (tsc < me->tsc)
        tsc_trouble(me, "its TSC went back", me->tsc - tsc);
    /* What the first one has read before is not in this one's future. */
    if (tsc < first_tsc)
        tsc_trouble(me, "its TSC is behind the first vCPU's", first_tsc - tsc);
    me->tsc = tsc;
    write_chunk(vcpu, me->steps + WORDS / CHUNK + 1);
    me->steps++;
}

static void
take_ipi(Frame *frame)
{
    vcpus[this_vcpu()].ipis++;
    apic_eoi();
}

void
vcpus_setup(void)
{
    on_vector(VECTOR_IPI, take_ipi);
}

static const char *
prepare(void)
{
    if (machine.vcpus == 1)
        return "one vCPU";
    for (unsigned i = 1; i < machine.vcpus; i++) {
        vcpus[i].trouble = NULL;
        vcpus[i].off = 0;
        steps[i] = vcpus[i].steps;
    }
    return NULL;
}

static void
work(void)
{
    uint64_t tsc = rdtsc();

    for (unsigned i = 1; i < machine.vcpus; i++)
        if (vcpus[i].online && vcpus[i].tsc > tsc && vcpus[i].tsc > rdtsc())
            tsc_trouble(&vcpus[i], "its TSC is ahead of the first vCPU's",
                        vcpus[i].tsc - tsc);
    vcpus[0].tsc = tsc;
}

/* It works on, whatever it did before, and answers. */
static const char *
check_one(unsigned i)
{
    Vcpu *vcpu = &vcpus[i];
    uint32_t done;

    if (!vcpu_job(i, JOB_BUSY))
        return say("vCPU %u takes no IPI", i);
    done = vcpu->steps;
    if (!wait_change(&vcpu->steps, done, ANSWER_MS))
        return say("vCPU %u does nothing", i);
    if (vcpu->trouble && vcpu->off)
        return say("vCPU %u: %s by %lu ticks", i, vcpu->trouble, vcpu->off);
    return vcpu->trouble ? say("vCPU %u: %s", i, vcpu->trouble) : NULL;
}

static const char *
check(void)
{
    for (unsigned i = 1; i < machine.vcpus; i++) {
        const char *wrong = vcpus[i].online ? check_one(i) : NULL;

        if (wrong)
            return wrong;
    }
    return NULL;
}

PROPERTY(vcpus) = {
    .name = "vcpus",
    .flags = BACKGROUND,
    .prepare = prepare,
    .work = work,
    .check = check,
};
