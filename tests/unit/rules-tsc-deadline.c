/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rule tsc-deadline, on a small Linux. */
#include <string.h>

#include "lib/linux-world.h"
#include "stream/rules/clock-event.h"
#include "util/error.h"

#define V_NEXT_DEADLINE (LINUX_V_TEXT + 0x100)
#define V_NEXT_EVENT (LINUX_V_TEXT + 0x200)
#define P_STATIC (LINUX_DATA + 0x340)
#define IN_AREA 0x8c0 /* of lapic_events */
#define DEADLINE_MODE (2u << 17)

static MoseClockEvent *
device(LinuxWorld *world, guint cpu)
{
    return (MoseClockEvent *)(world->ram + LINUX_AREAS + cpu * 4096 + IN_AREA);
}

/* As setup_APIC_timer() leaves them. */
static void
make_devices(LinuxWorld *world)
{
    MoseClockEvent *original = (MoseClockEvent *)(world->ram + P_STATIC);

    memcpy(world->ram + LINUX_RODATA + 0x10, "lapic", 6);
    memcpy(world->ram + LINUX_RODATA + 0x20, "lapic-deadline", 15);
    *original = (MoseClockEvent){
        .set_next_event = V_NEXT_EVENT,
        .features = 3,
        .set_state_periodic = LINUX_V_TEXT + 0x300,
        .set_state_oneshot = LINUX_V_TEXT + 0x400,
        .set_state_oneshot_stopped = LINUX_V_TEXT + 0x500,
        .set_state_shutdown = LINUX_V_TEXT + 0x500,
        .broadcast = LINUX_V_TEXT + 0x600,
        .name = LINUX_V_RODATA + 0x10,
        .rating = 100,
        .irq = -1,
    };
    for (guint i = 0; i < 2; i++) {
        MoseClockEvent *copy = device(world, i);

        *copy = *original;
        copy->event_handler = LINUX_V_TEXT + 0x700;
        copy->set_next_event = V_NEXT_DEADLINE;
        copy->min_delta_ns = 1000;
        copy->max_delta_ns = 22000000000;
        copy->mult = 0x66666666; /* 400 MHz */
        copy->shift = 32;
        copy->state = 3;
        copy->features = 2;
        copy->min_delta_ticks = 0xf;
        copy->max_delta_ticks = G_MAXUINT64;
        copy->name = LINUX_V_RODATA + 0x20;
        copy->cpumask = copy->list_next = copy->list_prev = LINUX_V_DATA;
    }
}

static guint64
deadline(const LinuxWorld *world, guint cpu)
{
    MoseSection *msr = mose_section_subsection(world->cpu[cpu], "cpu/msr_tscdeadline");

    return rule_get(msr, "env.tsc_deadline");
}

static void
set_deadline(LinuxWorld *world, guint cpu, guint64 value)
{
    MoseSection *msr =
        mose_section_add_subsection(world->cpu[cpu], "cpu/msr_tscdeadline", 1);

    mose_section_append(msr, "env.tsc_deadline", "uint64", 8, value);
}

/* The first vCPU's tick is due in 1 ms; the other sleeps, and none is. */
static LinuxWorld *
with_deadlines(void)
{
    LinuxWorld *world = linux_world_new();

    make_devices(world);
    for (guint i = 0; i < 2; i++)
        linux_set(world->apic[i], "lvt[0]", DEADLINE_MODE | 0xec);
    set_deadline(world, 0, LINUX_TSC + LINUX_KHZ);
    return world;
}

static void
test_there(void)
{
    g_autoptr(LinuxWorld) world = with_deadlines();

    g_assert_true(linux_run_well(world, "tsc-deadline", MOSE_KVM_TO_TCG));
    for (guint i = 0; i < 2; i++) {
        const MoseClockEvent *event = device(world, i);

        g_assert_cmphex(event->set_next_event, ==, V_NEXT_EVENT);
        /* 1 ms is 62,500 of the counter's ticks. */
        g_assert_cmpuint((guint64)1000000 * event->mult >> event->shift, ==, 62500);
        /* As many as fit into the counter. */
        g_assert_cmpuint(event->max_delta_ns * event->mult >> event->shift, ==,
                         0x7fffffff);
        g_assert_cmpuint(event->min_delta_ns, ==, 1000);
        g_assert_cmphex(rule_get(world->apic[i], "lvt[0]"), ==, 0xec);
        g_assert_cmphex(rule_get(world->apic[i], "divide_conf"), ==, 3);
        g_assert_cmphex(rule_get(world->apic[i], "count_shift"), ==, 4);
        g_assert_cmphex(deadline(world, i), ==, LINUX_AREAS + i * 4096 + IN_AREA);
    }
    g_assert_cmpuint(rule_get(world->apic[0], "initial_count"), ==, 62500);
    g_assert_cmpuint(rule_get(world->apic[0], "initial_count_load_time"), ==,
                     LINUX_CLOCK);
    g_assert_cmpuint(rule_get(world->apic[0], "timer_expiry"), ==,
                     LINUX_CLOCK + 1000000 + 16);
    g_assert_cmpuint(rule_get(world->apic[1], "initial_count"), ==, 0);
    g_assert_cmphex(rule_get(world->apic[1], "timer_expiry"), ==, G_MAXUINT64);
}

/* A tick that was due already comes at once; one that is masked does not. */
static void
test_due(void)
{
    g_autoptr(LinuxWorld) world = with_deadlines();

    mose_section_drop_subsection(world->cpu[0], "cpu/msr_tscdeadline");
    set_deadline(world, 0, LINUX_TSC - 5);
    set_deadline(world, 1, LINUX_TSC - 5);
    linux_set(world->apic[1], "lvt[0]", 1u << 16 | DEADLINE_MODE | 0xec);
    g_assert_true(linux_run_well(world, "tsc-deadline", MOSE_KVM_TO_TCG));
    g_assert_cmpuint(rule_get(world->apic[0], "timer_expiry"), ==, LINUX_CLOCK + 32);
    g_assert_cmphex(rule_get(world->apic[1], "timer_expiry"), ==, G_MAXUINT64);
    g_assert_cmphex(rule_get(world->apic[1], "lvt[0]"), ==, 1u << 16 | 0xec);
}

/* All of memory is as it was, and what the counter had left is a deadline. Linux has
 * set the mode to deadline meanwhile, which TCG takes for one-shot. */
static void
test_back(void)
{
    g_autoptr(LinuxWorld) world = with_deadlines();
    g_autofree guint8 *before = g_memdup2(world->ram, LINUX_RAM);

    linux_run_well(world, "tsc-deadline", MOSE_KVM_TO_TCG);
    g_assert_cmpint(memcmp(before, world->ram, LINUX_RAM), !=, 0);
    linux_set(world->apic[0], "lvt[0]", DEADLINE_MODE | 0xec);
    linux_set(world->apic[0], "timer_expiry", LINUX_CLOCK + 2000000);
    g_assert_true(linux_run_well(world, "tsc-deadline", MOSE_TCG_TO_KVM));
    g_assert_cmpint(memcmp(before, world->ram, LINUX_RAM), ==, 0);
    for (guint i = 0; i < 2; i++) {
        g_assert_cmphex(rule_get(world->apic[i], "lvt[0]"), ==, DEADLINE_MODE | 0xec);
        g_assert_cmpuint(rule_get(world->apic[i], "initial_count"), ==, 0);
    }
    g_assert_cmpuint(deadline(world, 0), ==, LINUX_TSC + 2 * LINUX_KHZ);
    g_assert_cmpuint(deadline(world, 1), ==, 0);
}

/* The guest has started another kernel meanwhile, or has reset itself. */
static void
test_back_to_another(void)
{
    g_autoptr(LinuxWorld) world = with_deadlines();

    linux_run_well(world, "tsc-deadline", MOSE_KVM_TO_TCG);
    memset(device(world, 0), 0, sizeof(MoseClockEvent));
    linux_set(mose_section_subsection(world->cpu[1], "cpu/msr_tscdeadline"),
              "env.tsc_deadline", LINUX_RAM);
    linux_run_well(world, "tsc-deadline", MOSE_TCG_TO_KVM);
    for (guint i = 0; i < 2; i++) {
        g_assert_cmphex(rule_get(world->apic[i], "lvt[0]"), ==, 0xec);
        g_assert_cmpuint(deadline(world, i), ==, 0);
    }
    g_assert_true(device(world, 0)->set_next_event == 0);
}

static void
expect_again(LinuxWorld *world, guint direction)
{
    linux_expect(world, "tsc-deadline", direction, MOSE_ERROR_AGAIN,
                 "vCPU 0 may be setting its timer");
}

/* Interrupts off in the kernel, and the device at hand: its timer may just be being
 * set. Asleep, it is not. */
static void
test_atomic(void)
{
    const guint64 event = LINUX_V_AREAS + IN_AREA, rsp = LINUX_V_DATA + 0x400;
    const guint64 slot = LINUX_DATA + 0x400 + 0x80;
    g_autoptr(LinuxWorld) world = with_deadlines();

    linux_set(world->cpu[0], "env.eflags", 2);
    linux_set(world->cpu[0], "env.regs[4]", rsp);
    linux_set(world->cpu[0], "env.regs[3]", event + 0x30);
    expect_again(world, MOSE_KVM_TO_TCG);
    linux_set(world->cpu[0], "env.regs[3]", event + 0x100);
    linux_put(world, slot, event);
    expect_again(world, MOSE_KVM_TO_TCG);
    linux_put(world, slot, event - 1);
    linux_set(world->cpu[0], "env.hflags2", 1u << 2); /* in an NMI */
    expect_again(world, MOSE_KVM_TO_TCG);
    linux_set(world->cpu[0], "env.hflags2", 0);
    linux_set(world->cpu[0], "env.regs[4]", 0x1000); /* no stack there */
    expect_again(world, MOSE_KVM_TO_TCG);
    linux_set(world->common[0], "halted", 1);
    linux_run_well(world, "tsc-deadline", MOSE_KVM_TO_TCG);
    linux_set(world->common[0], "halted", 0);
    expect_again(world, MOSE_TCG_TO_KVM);
    linux_set(world->cpu[0], "env.regs[4]", rsp);
    linux_run_well(world, "tsc-deadline", MOSE_TCG_TO_KVM);
}

/* In user mode GS is the user's, and with page-table isolation so are the tables. */
static void
test_user_mode(void)
{
    g_autoptr(LinuxWorld) world = with_deadlines();

    linux_set(world->cpu[0], "env.cr[3]", LINUX_USER_PML4);
    linux_set(world->cpu[0], "env.hflags", 3);
    linux_set(world->cpu[0], "env.kernelgsbase", LINUX_V_AREAS);
    linux_set(world->cpu[0], "env.segs[5].base", LINUX_V_AREAS + 4096);
    g_assert_true(linux_run_well(world, "tsc-deadline", MOSE_KVM_TO_TCG));
    g_assert_cmphex(deadline(world, 0), ==, LINUX_AREAS + IN_AREA);
}

typedef void (*Spoil)(LinuxWorld *world);

static void
spoil_gs(LinuxWorld *world)
{
    linux_set(world->cpu[0], "env.segs[5].base", 0x10000);
}

static void
spoil_name(LinuxWorld *world)
{
    memcpy(world->ram + LINUX_RODATA + 0x20, "lapic-Deadline", 15);
}

static void
spoil_mult(LinuxWorld *world)
{
    device(world, 0)->mult /= 2;
}

static void
spoil_function(LinuxWorld *world)
{
    device(world, 0)->set_next_event = LINUX_V_DATA;
}

static void
spoil_handler(LinuxWorld *world)
{
    device(world, 0)->event_handler = 0;
}

static void
spoil_padding(LinuxWorld *world)
{
    device(world, 0)->kept.address = 1;
}

static void
spoil_paging(LinuxWorld *world)
{
    linux_put(world, LINUX_PML4 + 273 * 8, (guint64)LINUX_RAM | 3);
}

static void
spoil_loop(LinuxWorld *world)
{
    linux_put(world, LINUX_IMAGE_PD, LINUX_PML4 | 3);
}

static void
spoil_original(LinuxWorld *world)
{
    memset(world->ram + P_STATIC, 0, sizeof(MoseClockEvent));
}

static void
spoil_twice(LinuxWorld *world)
{
    memcpy(world->ram + LINUX_DATA + 0x800, world->ram + P_STATIC,
           sizeof(MoseClockEvent));
}

static const struct {
    Spoil spoil;
    const char *why;
} spoils[] = {
    { spoil_gs, "no clock event device 'lapic-deadline'" },
    { spoil_name, "no clock event device 'lapic-deadline'" },
    { spoil_mult, "no clock event device 'lapic-deadline'" },
    { spoil_function, "no clock event device 'lapic-deadline'" },
    { spoil_handler, "no clock event device 'lapic-deadline'" },
    { spoil_padding, "no clock event device 'lapic-deadline'" },
    { spoil_paging, "no clock event device 'lapic-deadline'" },
    { spoil_loop, "no clock event device 'lapic-deadline'" },
    { spoil_original, "no clock event device 'lapic' " },
    { spoil_twice, "more than one clock event device 'lapic' " },
};

/* Lost, it is no reason for rule cpu-features; another feature is. */
static void
test_facts(void)
{
    static const char *const one[] = { "tsc-deadline", NULL };
    static const char *const two[] = { "avx2", "tsc-deadline", NULL };
    const MoseRule *rule = mose_rule_by_name("tsc-deadline");
    const MoseRule *cpu = mose_rule_by_name("cpu-features");
    MoseFacts facts = { .direction = MOSE_KVM_TO_TCG, .lost_features = one };
    g_autofree char *reason = NULL;

    g_assert_true(mose_rule_applies(rule, &facts));
    g_assert_false(mose_rule_applies(cpu, &facts));
    facts.lost_features = two;
    reason = cpu->refuse(&facts);
    g_assert_nonnull(strstr(reason, "lacks: avx2; "));
    facts.direction = MOSE_KVM_TO_KVM;
    g_assert_false(mose_rule_applies(rule, &facts));
    g_free(reason);
    reason = cpu->refuse(&facts);
    g_assert_nonnull(strstr(reason, "lacks: avx2, tsc-deadline; "));
}

static void
test_refused(void)
{
    static const char *const lost[] = { "tsc-deadline", NULL };
    g_autoptr(LinuxWorld) shared = with_deadlines(), unused = with_deadlines();
    g_autoptr(GError) error = NULL;
    gboolean changed;

    for (gsize i = 0; i < G_N_ELEMENTS(spoils); i++) {
        g_autoptr(LinuxWorld) world = with_deadlines();

        spoils[i].spoil(world);
        linux_expect(world, "tsc-deadline", MOSE_KVM_TO_TCG, MOSE_ERROR_REFUSED,
                     spoils[i].why);
    }
    linux_set(shared->cpu[0], "env.segs[5].base", LINUX_V_AREAS + 4096);
    g_assert_false(
        linux_run(shared, "tsc-deadline", MOSE_KVM_TO_TCG, &changed, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
    g_assert_nonnull(strstr(error->message, "vCPU 1 has its ticks"));
    /* Not in use, not lost; not in use and lost. */
    linux_set(unused->apic[0], "lvt[0]", 0x10000);
    linux_set(unused->apic[1], "lvt[0]", 0x10000);
    g_assert_false(linux_run_well(unused, "tsc-deadline", MOSE_KVM_TO_TCG));
    unused->lost = lost;
    linux_expect(unused, "tsc-deadline", MOSE_KVM_TO_TCG, MOSE_ERROR_REFUSED,
                 "Try again when it has booted");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/tsc-deadline/there", test_there);
    g_test_add_func("/rules/tsc-deadline/due", test_due);
    g_test_add_func("/rules/tsc-deadline/back", test_back);
    g_test_add_func("/rules/tsc-deadline/back-to-another", test_back_to_another);
    g_test_add_func("/rules/tsc-deadline/atomic", test_atomic);
    g_test_add_func("/rules/tsc-deadline/user-mode", test_user_mode);
    g_test_add_func("/rules/tsc-deadline/facts", test_facts);
    g_test_add_func("/rules/tsc-deadline/refused", test_refused);
    return g_test_run();
}
