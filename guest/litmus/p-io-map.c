/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A port that user mode may use, by the I/O permission bitmap of its task. */
#include "litmus.h"
#include "tables.h"

enum { TSS_SIZE = 104, MAP_AT = 102, MAP_SIZE = IO_MAP_PORT / 8 + 2, TYPE_TSS = 0x89 };

extern const char user_in[];

static struct {
    uint8_t tss[TSS_SIZE], map[MAP_SIZE];
} __attribute__((packed, aligned(128))) task;

static uint64_t
base_of(unsigned selector)
{
    uint64_t low = gdt[selector / 8], high = gdt[selector / 8 + 1];

    return (low >> 16 & 0xffffff) | (low >> 56) << 24 | high << 32;
}

static void
load_task(unsigned selector)
{
    __asm__ volatile("ltr %w0" : : "r"(selector) : "memory");
}

static void
run_in(void *unused)
{
    user_run(user_in);
}

/* With a copy of the first vCPU's TSS, in place of that of one that is not there. */
static const char *
prepare(void)
{
    if (machine.slow)
        return "user mode does not work in a software KVM";
    if (machine.vcpus == MAX_VCPUS)
        return "no TSS is free";
    memcpy(task.tss, (const void *)base_of(SEL_TSS(0)), TSS_SIZE);
    memset(task.map, 0xff, MAP_SIZE);
    task.map[IO_MAP_PORT / 8] = (uint8_t) ~(1 << IO_MAP_PORT % 8);
    task.tss[MAP_AT] = TSS_SIZE;
    set_system_segment(SEL_TSS(MAX_VCPUS - 1), &task, sizeof(task) - 1, TYPE_TSS);
    load_task(SEL_TSS(MAX_VCPUS - 1));
    return guarded(run_in, NULL, NULL, NULL) < 0 ? NULL : "user mode gets no port";
}

static const char *
check(void)
{
    int vector = guarded(run_in, NULL, NULL, NULL);

    set_system_segment(SEL_TSS(0), (const void *)base_of(SEL_TSS(0)), TSS_SIZE - 1,
                       TYPE_TSS);
    load_task(SEL_TSS(0));
    return vector < 0 ? NULL : say("in of user mode: exception %d", vector);
}

PROPERTY(io_map) = {
    .name = "io-map",
    .prepare = prepare,
    .check = check,
};
