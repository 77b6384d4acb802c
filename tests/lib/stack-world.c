/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel for tests of stacks and modules. See stack-world.h. */
#include "lib/stack-world.h"

#include <string.h>

#include <bpf/btf.h>

enum {
    ULONG = 1,
    UINT,
    INT,
    CHAR,
    LIST,
    LLIST,
    COUNTER,
    THREAD,
    NAME,
    MEMORY,
    MEMORIES,
    ORCS
};
enum { TABLES = 64 << 10 };

static void
is(int id, int wanted)
{
    g_assert_cmpint(id, ==, wanted);
}

static void
field(struct btf *btf, const char *name, int type, guint offset)
{
    g_assert_cmpint(btf__add_field(btf, name, type, offset * 8, 0), ==, 0);
}

static void
add_small(struct btf *btf)
{
    is(btf__add_int(btf, "long unsigned int", 8, 0), ULONG);
    is(btf__add_int(btf, "unsigned int", 4, 0), UINT);
    is(btf__add_int(btf, "int", 4, BTF_INT_SIGNED), INT);
    is(btf__add_int(btf, "char", 1, BTF_INT_SIGNED), CHAR);
    is(btf__add_struct(btf, "list_head", 16), LIST);
    field(btf, "next", ULONG, 0);
    field(btf, "prev", ULONG, 8);
    is(btf__add_struct(btf, "llist_head", 8), LLIST);
    field(btf, "first", ULONG, 0);
    is(btf__add_struct(btf, "atomic", 4), COUNTER);
    field(btf, "counter", INT, 0);
    is(btf__add_struct(btf, "thread_struct", 8), THREAD);
    field(btf, "sp", ULONG, 0);
    is(btf__add_array(btf, UINT, CHAR, 56), NAME);
    is(btf__add_struct(btf, "module_memory", 24), MEMORY);
    field(btf, "base", ULONG, 0);
    field(btf, "size", UINT, 8);
    is(btf__add_array(btf, UINT, MEMORY, 7), MEMORIES);
    is(btf__add_struct(btf, "mod_arch_specific", 24), ORCS);
    field(btf, "num_orcs", UINT, 0);
    field(btf, "orc_unwind_ip", ULONG, 8);
    field(btf, "orc_unwind", ULONG, 16);
}

static void
add_stack_types(struct btf *btf)
{
    btf__add_struct(btf, "task_struct", 128);
    field(btf, "stack", ULONG, TASK_STACK);
    field(btf, "on_cpu", INT, TASK_ON_CPU);
    field(btf, "nvcsw", ULONG, TASK_NVCSW);
    field(btf, "nivcsw", ULONG, TASK_NIVCSW);
    field(btf, "rethooks", LLIST, TASK_RETHOOKS);
    field(btf, "ret_stack", ULONG, TASK_RET_STACK);
    field(btf, "curr_ret_stack", INT, TASK_CURR_RET_STACK);
    field(btf, "mm", ULONG, TASK_MM);
    field(btf, "thread", THREAD, TASK_SP);
    btf__add_struct(btf, "inactive_task_frame", FRAME_SIZE);
    field(btf, "bp", ULONG, FRAME_BP);
    field(btf, "ret_addr", ULONG, FRAME_RET);
    btf__add_struct(btf, "rethook_node", 48);
    field(btf, "llist", ULONG, NODE_LIST);
    field(btf, "ret_addr", ULONG, NODE_RET);
    field(btf, "frame", ULONG, NODE_FRAME);
}

static void
add_module_types(struct btf *btf)
{
    static const char *const memories[] = { "MOD_TEXT",       "MOD_DATA",
                                            "MOD_RODATA",     "MOD_RO_AFTER_INIT",
                                            "MOD_INIT_TEXT",  "MOD_INIT_DATA",
                                            "MOD_INIT_RODATA" };

    btf__add_struct(btf, "module", MODULE_SIZE);
    field(btf, "state", UINT, MODULE_STATE);
    field(btf, "list", LIST, MODULE_LIST);
    field(btf, "name", NAME, MODULE_NAME);
    field(btf, "init", ULONG, MODULE_INIT);
    field(btf, "mem", MEMORIES, MODULE_MEM);
    field(btf, "taints", ULONG, MODULE_TAINTS);
    field(btf, "kallsyms", ULONG, MODULE_KALLSYMS);
    field(btf, "syms", ULONG, MODULE_SYMS);
    field(btf, "num_syms", UINT, MODULE_NUM_SYMS);
    field(btf, "source_list", LIST, MODULE_SOURCE_LIST);
    field(btf, "exit", ULONG, MODULE_EXIT);
    field(btf, "refcnt", COUNTER, MODULE_REFCNT);
    field(btf, "arch", ORCS, MODULE_ORCS);
    btf__add_struct(btf, "module_use", 48);
    field(btf, "source_list", LIST, 0);
    field(btf, "source", ULONG, 32);
    btf__add_struct(btf, "mod_kallsyms", 32);
    field(btf, "symtab", ULONG, KALLSYMS_SYMTAB);
    field(btf, "num_symtab", UINT, KALLSYMS_NUM);
    field(btf, "strtab", ULONG, KALLSYMS_STRTAB);
    field(btf, "typetab", ULONG, KALLSYMS_TYPETAB);
    btf__add_struct(btf, "kernel_symbol", 12);
    field(btf, "value_offset", INT, 0);
    field(btf, "name_offset", INT, 4);
    btf__add_enum(btf, "module_state", 4);
    btf__add_enum_value(btf, "MODULE_STATE_LIVE", 0);
    btf__add_enum_value(btf, "MODULE_STATE_COMING", 1);
    btf__add_enum_value(btf, "MODULE_STATE_GOING", 2);
    btf__add_enum_value(btf, "MODULE_STATE_UNFORMED", 3);
    btf__add_enum(btf, "mod_mem_type", 4);
    for (guint i = 0; i < G_N_ELEMENTS(memories); i++)
        btf__add_enum_value(btf, memories[i], i);
}

static MoseTypes *
make_types(void)
{
    struct btf *btf = btf__new_empty();
    g_autoptr(GError) error = NULL;
    MoseTypes *types;
    const void *bytes;
    guint32 size;

    add_small(btf);
    add_stack_types(btf);
    add_module_types(btf);
    bytes = btf__raw_data(btf, &size);
    types = mose_types_new(bytes, size, NULL, &error);
    g_assert_no_error(error);
    btf__free(btf);
    return types;
}

static MoseSymbols *
make_symbols(void)
{
    static const struct {
        const char *name;
        guint64 address;
    } known[] = {
        { "entry_SYSCALL_64", STACK_WORLD_FUNCTION(0) },
        { "_stext", STACK_WORLD_TEXT },
        { "schedule", STACK_WORLD_FUNCTION(1) },
        { "kfree", STACK_WORLD_FUNCTION(1) },
        { "vprintk", STACK_WORLD_FUNCTION(1) },
        { "two", STACK_WORLD_FUNCTION(2) },
        { "three", STACK_WORLD_FUNCTION(3) },
        { "four", STACK_WORLD_FUNCTION(4) },
        { "five", STACK_WORLD_FUNCTION(5) },
        { "ret_from_fork_asm", STACK_WORLD_FUNCTION(6) },
        { "arch_rethook_trampoline", STACK_WORLD_FUNCTION(7) },
        { "_etext", STACK_WORLD_FUNCTION(8) },
        { "__start_orc_unwind_ip", STACK_WORLD_IPS },
        { "__stop_orc_unwind_ip", STACK_WORLD_IPS + STACK_WORLD_N * 4 },
        { "__start_orc_unwind", STACK_WORLD_ENTRIES },
        { "__stop_orc_unwind", STACK_WORLD_ENTRIES + STACK_WORLD_N * 6 },
        { "modules", STACK_WORLD_MODULES },
        { "__start_init_stack", STACK_WORLD_STACK },
        { "__end_init_stack", STACK_WORLD_STACK + 0x4000 },
    };
    MoseSymbols *symbols = mose_symbols_new();

    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        mose_symbols_add(symbols, known[i].address, 'T', known[i].name, -1, NULL, 0);
    mose_symbols_finish(symbols);
    return symbols;
}

StackWorld *
stack_world_new(void)
{
    StackWorld *world = g_new0(StackWorld, 1);
    MoseLinux *kernel = g_new0(MoseLinux, 1);

    world->world = vmi_world_new(STACK_WORLD_SIZE + TABLES);
    vmi_world_map(world->world, STACK_WORLD_BASE, 0, STACK_WORLD_SIZE);
    world->world->still = TRUE;
    world->memory = vmi_world_memory(world->world);
    kernel->memory = world->memory;
    kernel->space = mose_space_new(world->memory, &world->world->vcpu.paging);
    kernel->text = STACK_WORLD_TEXT;
    kernel->release = g_strdup("7.0");
    kernel->types = make_types();
    kernel->symbols = make_symbols();
    kernel->n_cpus = 1;
    world->kernel = kernel;
    stack_world_put(world, STACK_WORLD_MODULES, STACK_WORLD_MODULES, 8);
    stack_world_put(world, STACK_WORLD_MODULES + 8, STACK_WORLD_MODULES, 8);
    stack_world_put(world, STACK_WORLD_TASK + TASK_STACK, STACK_WORLD_STACK, 8);
    return world;
}

void
stack_world_free(StackWorld *world)
{
    if (!world)
        return;
    mose_linux_free(world->kernel);
    mose_memory_free(world->memory);
    vmi_world_free(world->world);
    g_free(world);
}

void
stack_world_put(StackWorld *world, guint64 at, guint64 value, gsize size)
{
    vmi_world_put(world->world, at, value, size);
}

void
stack_world_entry(StackWorld *world, guint n, gint16 sp_offset, gint16 bp_offset,
                  guint8 registers, guint8 upper)
{
    guint64 at = STACK_WORLD_ENTRIES + n * 6;

    for (guint i = 0; i < STACK_WORLD_N; i++)
        stack_world_put(world, STACK_WORLD_IPS + i * 4,
                        STACK_WORLD_FUNCTION(i) - (STACK_WORLD_IPS + i * 4), 4);
    stack_world_put(world, at, (guint16)sp_offset, 2);
    stack_world_put(world, at + 2, (guint16)bp_offset, 2);
    stack_world_put(world, at + 4, registers, 1);
    stack_world_put(world, at + 5, upper, 1);
}
