/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See btf-world.h. */
#include "lib/btf-world.h"

#include <string.h>

#include <bpf/btf.h>

#include "util/error.h"

/* Ids, in the order in which btf_world_btf() adds them. */
enum {
    INT = 1,
    UINT,
    CHAR,
    ULONG,
    U8,
    BOOL,
    LIST_HEAD,
    LIST_POINTER,
    HLIST_NODE,
    RB_NODE,
    STATE,
    FLAGS,
    BIG,
    COMM,
    INNER,
    INNERS,
    PID_CONST,
    PID_T,
    FUNCTION_TYPE,
    FUNCTION,
    BYTES,
    FLEXIBLE,
    TASK,
    TASK_POINTER,
    WORDS,
    ANONYMOUS,
    COUNTER,
    INT128,
    HLIST_HEAD,
    N_TYPES,
};

static void
is(int id, int expected)
{
    g_assert_cmpint(id, ==, expected);
}

static void
add_field(struct btf *btf, const char *name, int type, guint offset)
{
    g_assert_cmpint(btf__add_field(btf, name, type, offset * 8, 0), ==, 0);
}

static void
add_numbers(struct btf *btf)
{
    is(btf__add_int(btf, "int", 4, BTF_INT_SIGNED), INT);
    is(btf__add_int(btf, "unsigned int", 4, 0), UINT);
    is(btf__add_int(btf, "char", 1, BTF_INT_SIGNED), CHAR);
    is(btf__add_int(btf, "long unsigned int", 8, 0), ULONG);
    is(btf__add_int(btf, "unsigned char", 1, 0), U8);
    is(btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL), BOOL);
}

static void
add_links(struct btf *btf)
{
    is(btf__add_struct(btf, "list_head", 16), LIST_HEAD);
    add_field(btf, "next", LIST_POINTER, 0);
    add_field(btf, "prev", LIST_POINTER, 8);
    is(btf__add_ptr(btf, LIST_HEAD), LIST_POINTER);
    is(btf__add_struct(btf, "hlist_node", 16), HLIST_NODE);
    add_field(btf, "next", ULONG, 0);
    add_field(btf, "pprev", ULONG, 8);
    is(btf__add_struct(btf, "rb_node", 24), RB_NODE);
    add_field(btf, "__rb_parent_color", ULONG, 0);
    add_field(btf, "rb_right", ULONG, 8);
    add_field(btf, "rb_left", ULONG, 16);
}

static void
add_enums(struct btf *btf)
{
    is(btf__add_enum(btf, "state", 4), STATE);
    btf__add_enum_value(btf, "STATE_DEAD", -1);
    btf__add_enum_value(btf, "STATE_RUNNING", 0);
    btf__add_enum_value(btf, "STATE_SLEEPING", 5);
    is(btf__add_enum(btf, "flags", 4), FLAGS);
    btf__add_enum_value(btf, "FLAG_A", 1);
    btf__add_enum_value(btf, "FLAG_B", 2);
    btf__add_enum_value(btf, "FLAG_C", 4);
    is(btf__add_enum64(btf, "big", 8, false), BIG);
    btf__add_enum64_value(btf, "BIG_ONE", 1ULL << 40);
}

static void
add_arrays(struct btf *btf)
{
    is(btf__add_array(btf, UINT, CHAR, 16), COMM);
    is(btf__add_struct(btf, "inner", 8), INNER);
    add_field(btf, "v", INT, 0);
    add_field(btf, "w", INT, 4);
    is(btf__add_array(btf, UINT, INNER, 4), INNERS);
    is(btf__add_const(btf, INT), PID_CONST);
    is(btf__add_typedef(btf, "pid_t", PID_CONST), PID_T);
    is(btf__add_func_proto(btf, 0), FUNCTION_TYPE);
    btf__add_func_param(btf, "x", INT);
    is(btf__add_ptr(btf, FUNCTION_TYPE), FUNCTION);
    is(btf__add_array(btf, UINT, U8, 16), BYTES);
    is(btf__add_array(btf, UINT, INT, 0), FLEXIBLE);
}

static void
add_task(struct btf *btf)
{
    is(btf__add_struct(btf, "task", BTF_WORLD_TASK_SIZE), TASK);
    add_field(btf, "pid", PID_T, 0);
    g_assert_cmpint(btf__add_field(btf, "low", UINT, 32, 3), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "high", INT, 35, 5), ==, 0);
    add_field(btf, "state", STATE, 8);
    add_field(btf, "flags", FLAGS, 12);
    add_field(btf, "comm", COMM, 16);
    add_field(btf, "tasks", LIST_HEAD, 32);
    add_field(btf, "parent", TASK_POINTER, 48);
    add_field(btf, NULL, ANONYMOUS, 56);
    add_field(btf, "inners", INNERS, 64);
    add_field(btf, "alive", BOOL, 96);
    add_field(btf, "func", FUNCTION, 104);
    add_field(btf, "hash", HLIST_NODE, 112);
    add_field(btf, "rb", RB_NODE, 128);
    add_field(btf, "bytes", BYTES, 152);
    add_field(btf, "big", BIG, 168);
    add_field(btf, "more", FLEXIBLE, BTF_WORLD_TASK_SIZE);
    is(btf__add_ptr(btf, TASK), TASK_POINTER);
    is(btf__add_struct(btf, NULL, 8), WORDS);
    add_field(btf, "word", UINT, 0);
    is(btf__add_union(btf, NULL, 8), ANONYMOUS);
    add_field(btf, "whole", ULONG, 0);
    add_field(btf, NULL, WORDS, 0);
}

struct btf *
btf_world_btf(void)
{
    struct btf *btf = btf__new_empty();

    g_assert_nonnull(btf);
    add_numbers(btf);
    add_links(btf);
    add_enums(btf);
    add_arrays(btf);
    add_task(btf);
    is(btf__add_var(btf, "counter", BTF_VAR_GLOBAL_ALLOCATED, UINT), COUNTER);
    is(btf__add_int(btf, "__int128", 16, BTF_INT_SIGNED), INT128);
    is(btf__add_struct(btf, "hlist_head", 8), HLIST_HEAD);
    add_field(btf, "first", ULONG, 0);
    return btf;
}

MoseTypes *
btf_world_parse(const struct btf *btf, const MoseTypes *base, GError **error)
{
    guint32 size;
    const void *bytes = btf__raw_data(btf, &size);

    return mose_types_new(bytes, size, base, error);
}

/* --- memory and symbols --- */

static gboolean
is_there(guint64 address)
{
    guint64 page = (address - BTF_WORLD_BASE) / 4096;

    return address >= BTF_WORLD_BASE && page < BTF_WORLD_PAGES &&
           page != BTF_WORLD_HOLE;
}

static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len, gsize *ret_got,
            GError **error)
{
    BtfWorld *world = data;
    gsize got = 0;

    for (; got < len && is_there(address + got); got++)
        ((guint8 *)to)[got] = world->memory[address + got - BTF_WORLD_BASE];
    if (ret_got)
        *ret_got = got;
    if (got == len)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "0x%" G_GINT64_MODIFIER "x is not there", address + got);
    return FALSE;
}

static gboolean
find_symbol(gpointer data, const char *module, const char *name, guint64 *ret,
            GError **error)
{
    static const struct {
        const char *name;
        guint64 address;
    } symbols[] = {
        { "init_task", BTF_WORLD_TASK(0) }, { "counter", BTF_WORLD_COUNTER(0) },
        { "do_it", BTF_WORLD_FUNCTION },    { "head", BTF_WORLD_BASE + 0x20 },
        { "root", BTF_WORLD_BASE + 0x28 },
    };

    for (guint i = 0; i < G_N_ELEMENTS(symbols) && !module; i++)
        if (strcmp(name, symbols[i].name) == 0) {
            *ret = symbols[i].address;
            return TRUE;
        }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "no symbol %s", name);
    return FALSE;
}

static gboolean
cpu_offset(gpointer data, guint cpu, guint64 *ret, GError **error)
{
    *ret = BTF_WORLD_COUNTER(cpu) - BTF_WORLD_COUNTER(0);
    return TRUE;
}

static char *
address_name(gpointer data, guint64 address)
{
    if (address < BTF_WORLD_FUNCTION || address >= BTF_WORLD_FUNCTION + 0x100)
        return NULL;
    return address == BTF_WORLD_FUNCTION
               ? g_strdup("do_it")
               : g_strdup_printf("do_it+0x%x", (guint)(address - BTF_WORLD_FUNCTION));
}

void
btf_world_poke(BtfWorld *world, guint64 address, gsize size, guint64 number)
{
    g_assert_true(address >= BTF_WORLD_BASE &&
                  address + size <= BTF_WORLD_BASE + BTF_WORLD_PAGES * 4096);
    memcpy(world->memory + (address - BTF_WORLD_BASE), &number, size);
}

/* A ring: init_task's `tasks` is the head of the others'. */
static void
link_tasks(BtfWorld *world)
{
    for (guint n = 0; n < 4; n++) {
        guint64 task = BTF_WORLD_TASK(n);

        btf_world_poke(world, task + 32, 8, BTF_WORLD_TASK((n + 1) % 4) + 32);
        btf_world_poke(world, task + 40, 8, BTF_WORLD_TASK((n + 3) % 4) + 32);
        btf_world_poke(world, task + 48, 8, n ? BTF_WORLD_TASK(n - 1) : 0);
        btf_world_poke(world, task, 4, n);
    }
    /* head -> 1 -> 2; root: 2 with 1 and 3 at its sides. */
    btf_world_poke(world, BTF_WORLD_BASE + 0x20, 8, BTF_WORLD_TASK(1) + 112);
    btf_world_poke(world, BTF_WORLD_TASK(1) + 112, 8, BTF_WORLD_TASK(2) + 112);
    btf_world_poke(world, BTF_WORLD_TASK(1) + 120, 8, BTF_WORLD_BASE + 0x20);
    btf_world_poke(world, BTF_WORLD_TASK(2) + 120, 8, BTF_WORLD_TASK(1) + 112);
    btf_world_poke(world, BTF_WORLD_BASE + 0x28, 8, BTF_WORLD_TASK(2) + 128);
    btf_world_poke(world, BTF_WORLD_TASK(2) + 128, 8, 1); /* black */
    btf_world_poke(world, BTF_WORLD_TASK(2) + 136, 8, BTF_WORLD_TASK(3) + 128);
    btf_world_poke(world, BTF_WORLD_TASK(2) + 144, 8, BTF_WORLD_TASK(1) + 128);
    btf_world_poke(world, BTF_WORLD_TASK(1) + 128, 8, BTF_WORLD_TASK(2) + 128);
    btf_world_poke(world, BTF_WORLD_TASK(3) + 128, 8, BTF_WORLD_TASK(2) + 128);
}

static void
fill_init_task(BtfWorld *world)
{
    guint64 task = BTF_WORLD_TASK(0);

    btf_world_poke(world, task + 4, 1, 5 | (-2 & 31) << 3);
    btf_world_poke(world, task + 8, 4, -1);
    btf_world_poke(world, task + 12, 4, 5);
    btf_world_poke(world, task + 16, 8, 0x72657070617773); /* "swapper" */
    btf_world_poke(world, task + 56, 8, 7);
    btf_world_poke(world, task + 96, 1, 1);
    btf_world_poke(world, task + 104, 8, BTF_WORLD_FUNCTION + 0x10);
    btf_world_poke(world, task + 168, 8, 1ULL << 40);
    btf_world_poke(world, BTF_WORLD_COUNTER(0), 4, 10);
    btf_world_poke(world, BTF_WORLD_COUNTER(1), 4, 11);
}

BtfWorld *
btf_world_new(void)
{
    BtfWorld *world = g_new0(BtfWorld, 1);
    struct btf *btf = btf_world_btf();
    g_autoptr(GError) error = NULL;

    world->types = btf_world_parse(btf, NULL, &error);
    g_assert_no_error(error);
    btf__free(btf);
    world->memory = g_malloc0(BTF_WORLD_PAGES * 4096);
    world->source = (MoseTypeSource){ .read = read_memory,
                                      .symbol = find_symbol,
                                      .cpu_offset = cpu_offset,
                                      .address_name = address_name,
                                      .data = world,
                                      .types = world->types,
                                      .n_cpus = 2 };
    link_tasks(world);
    fill_init_task(world);
    return world;
}

void
btf_world_free(BtfWorld *world)
{
    if (!world)
        return;
    mose_types_free(world->types);
    g_free(world->memory);
    g_free(world);
}
