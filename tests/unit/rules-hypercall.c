/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rule hypercall, on a small Linux. */
#include <string.h>

#include "lib/linux-world.h"
#include "stream/rules/hypercall-shim.h"
#include "stream/rules/kernel-gate.h"
#include "util/error.h"

#define IDT 0xe00 /* in the page of data */
#define HANDLER (LINUX_V_TEXT + 0x20)
#define UNUSED 0x800 /* in the page of text, to its end */

static const char *const lost[] = { "kvm-pv-ipi", NULL };

static MoseGateBits *
gate(LinuxWorld *world)
{
    return (MoseGateBits *)(world->ram + LINUX_DATA + IDT) + 6;
}

static guint64
gate_handler(LinuxWorld *world)
{
    return (guint64)gate(world)->offset_high << 32 | gate(world)->offset_middle << 16 |
           gate(world)->offset_low;
}

static LinuxWorld *
with_gate(void)
{
    LinuxWorld *world = linux_world_new();

    memset(world->ram + LINUX_TEXT, 0x11, UNUSED);
    memset(world->ram + LINUX_TEXT + UNUSED, 0xcc, 4096 - UNUSED);
    *gate(world) = (MoseGateBits){
        HANDLER & 0xffff, 0x10, 0, 0x8e, HANDLER >> 16 & 0xffff, HANDLER >> 32, 0,
    };
    for (guint i = 0; i < 2; i++)
        linux_set(world->cpu[i], "env.idt.base", LINUX_V_DATA + IDT);
    world->lost = lost;
    return world;
}

/* The shim stands in the middle of the unused bytes, whole, and the gate points behind
 * its data. Back, all is as it was. */
static void
test_there_and_back(void)
{
    const gsize len = mose_hypercall_shim_end - mose_hypercall_shim;
    g_autoptr(LinuxWorld) world = with_gate();
    g_autofree guint8 *before = g_memdup2(world->ram, LINUX_RAM);
    const MoseHypercallShim *shim;
    guint64 at;

    g_assert_true(linux_run_well(world, "hypercall", MOSE_KVM_TO_TCG));
    at = gate_handler(world) - sizeof(*shim) - LINUX_V_TEXT;
    g_assert_cmpuint(at, >=, UNUSED + 512);
    g_assert_cmpuint(at + len + 512, <=, 4096);
    shim = (const MoseHypercallShim *)(world->ram + LINUX_TEXT + at);
    g_assert_cmphex(shim->handler, ==, HANDLER);
    g_assert_cmphex(shim->apic, ==, V_APIC);
    g_assert_cmpint(
        memcmp(shim + 1, mose_hypercall_shim + sizeof(*shim), len - sizeof(*shim)), ==,
        0);
    memcpy(before + LINUX_TEXT + at, shim, len);
    memcpy(before + LINUX_DATA + IDT, world->ram + LINUX_DATA + IDT,
           7 * sizeof(MoseGateBits));
    g_assert_cmpint(memcmp(before, world->ram, LINUX_RAM), ==, 0);
    /* It is there already. */
    g_assert_false(linux_run_well(world, "hypercall", MOSE_KVM_TO_TCG));
    g_assert_true(linux_run_well(world, "hypercall", MOSE_TCG_TO_KVM));
    memset(before + LINUX_TEXT + at, 0xcc, len);
    *(MoseGateBits *)(before + LINUX_DATA + IDT + 6 * sizeof(MoseGateBits)) =
        (MoseGateBits){
            HANDLER & 0xffff, 0x10, 0, 0x8e, HANDLER >> 16 & 0xffff, HANDLER >> 32, 0,
        };
    g_assert_cmpint(memcmp(before, world->ram, LINUX_RAM), ==, 0);
    g_assert_false(linux_run_well(world, "hypercall", MOSE_TCG_TO_KVM));
}

/* A guest that was offered none of it is left alone, whatever it is. */
static void
test_not_offered(void)
{
    static const char *const other[] = { "tsc-deadline", NULL };
    g_autoptr(LinuxWorld) world = with_gate();

    world->lost = NULL;
    g_assert_false(linux_run_well(world, "hypercall", MOSE_KVM_TO_TCG));
    world->lost = other;
    g_assert_false(linux_run_well(world, "hypercall", MOSE_KVM_TO_TCG));
    linux_set(world->cpu[0], "env.idt.base", 0);
    g_assert_false(linux_run_well(world, "hypercall", MOSE_TCG_TO_KVM));
}

/* Nobody is to be in what is taken out. */
static void
test_busy(void)
{
    g_autoptr(LinuxWorld) world = with_gate();

    linux_run_well(world, "hypercall", MOSE_KVM_TO_TCG);
    linux_set(world->cpu[1], "env.eip", gate_handler(world) + 5);
    linux_expect(world, "hypercall", MOSE_TCG_TO_KVM, MOSE_ERROR_AGAIN,
                 "vCPU 1 is in the");
    linux_set(world->cpu[1], "env.eip", LINUX_V_TEXT);
    linux_set(world->cpu[0], "env.hflags2", 1u << 2);
    linux_expect(world, "hypercall", MOSE_TCG_TO_KVM, MOSE_ERROR_AGAIN,
                 "vCPU 0 is in the");
}

/* x2APIC needs no mapping. */
static void
test_x2apic(void)
{
    g_autoptr(LinuxWorld) world = with_gate();

    linux_put(world, LINUX_FIX_PT + 0x1fd * 8, 0);
    for (guint i = 0; i < 2; i++)
        linux_set(world->apic[i], "apicbase", P_APIC | 0xc00);
    g_assert_true(linux_run_well(world, "hypercall", MOSE_KVM_TO_TCG));
}

static void
spoil_apic(LinuxWorld *world)
{
    linux_put(world, LINUX_FIX_PT + 0x1fd * 8, 0);
}

static void
spoil_type(LinuxWorld *world)
{
    gate(world)->type = 0xee;
}

static void
spoil_handler(LinuxWorld *world)
{
    gate(world)->offset_high = 0;
}

static void
spoil_limit(LinuxWorld *world)
{
    linux_set(world->cpu[0], "env.idt.limit", 0x60);
}

static void
spoil_shared(LinuxWorld *world)
{
    memcpy(world->ram + LINUX_DATA, world->ram + LINUX_DATA + IDT,
           7 * sizeof(MoseGateBits));
    linux_set(world->cpu[1], "env.idt.base", LINUX_V_DATA);
}

/* Code in the middle of the unused bytes. */
static void
spoil_room(LinuxWorld *world)
{
    world->ram[LINUX_TEXT + 0xc00] = 0x90;
}

static void
spoil_paging(LinuxWorld *world)
{
    for (guint i = 0; i < 2; i++)
        linux_set(world->cpu[i], "env.cr[0]", 1);
}

static const struct {
    void (*spoil)(LinuxWorld *world);
    const char *why;
} spoils[] = {
    { spoil_apic, "its local APIC is mapped nowhere" },
    { spoil_type, "invalid opcodes do not go to the image" },
    { spoil_handler, "invalid opcodes do not go to the image" },
    { spoil_limit, "no IDT that could be read" },
    { spoil_shared, "do not share their IDT" },
    { spoil_room, "no unused bytes" },
    { spoil_paging, "no vCPU runs a 64-bit kernel" },
};

static void
test_refused(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(spoils); i++) {
        g_autoptr(LinuxWorld) world = with_gate();

        spoils[i].spoil(world);
        linux_expect(world, "hypercall", MOSE_KVM_TO_TCG, MOSE_ERROR_REFUSED,
                     spoils[i].why);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/hypercall/there-and-back", test_there_and_back);
    g_test_add_func("/rules/hypercall/not-offered", test_not_offered);
    g_test_add_func("/rules/hypercall/busy", test_busy);
    g_test_add_func("/rules/hypercall/x2apic", test_x2apic);
    g_test_add_func("/rules/hypercall/refused", test_refused);
    return g_test_run();
}
