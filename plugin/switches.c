/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which task a vCPU runs; see switches.h. */
#include "plugin/switches.h"

#include <string.h>

/* The second argument of a function. */
#define REGISTER "rsi"

/* All vCPUs' registers go by the same handles (QEMU plugins/api.c); they are asked for
 * on a vCPU's thread. */
static struct qemu_plugin_register *
find_register(void)
{
    static struct qemu_plugin_register *found;
    g_autoptr(GArray) all = NULL;

    if (__atomic_load_n(&found, __ATOMIC_RELAXED))
        return found;
    all = qemu_plugin_get_registers();
    for (guint i = 0; i < all->len; i++) {
        const qemu_plugin_reg_descriptor *entry =
            &g_array_index(all, qemu_plugin_reg_descriptor, i);

        if (strcmp(entry->name, REGISTER) == 0)
            __atomic_store_n(&found, entry->handle, __ATOMIC_RELAXED);
    }
    return found;
}

static void
on_switch(unsigned int vcpu, void *data)
{
    Plan *plan = data;
    Producer *ring = &plan->producers[vcpu];
    struct qemu_plugin_register *handle = find_register();
    static __thread GByteArray *bytes;

    if (!bytes)
        bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    if (!handle || qemu_plugin_read_register(handle, bytes) < 8)
        return;
    memcpy(&ring->task, bytes->data, 8);
    ring->other_task = TRUE;
}

void
switches_instrument(Plan *plan, struct qemu_plugin_tb *tb)
{
    gsize n = qemu_plugin_tb_n_insns(tb);
    guint64 first = qemu_plugin_tb_vaddr(tb);

    if (plan->switch_address == 0 || plan->switch_address < first ||
        plan->switch_address - first > n * 15)
        return;
    for (gsize i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        if (qemu_plugin_insn_vaddr(insn) == plan->switch_address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_switch,
                                                   QEMU_PLUGIN_CB_R_REGS, plan);
    }
}
