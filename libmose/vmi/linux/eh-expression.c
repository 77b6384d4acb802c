/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers and expressions of DWARF. See eh-frame.h. */
#include <dwarf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/eh-priv.h"

#define MAX_DEPTH 64
#define MAX_STEPS 4096

gboolean
mose_eh_fail(const MoseEhBytes *bytes, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                ".eh_frame at 0x%" G_GINT64_MODIFIER "x: %s",
                bytes->address + bytes->at, what);
    return FALSE;
}

guint64
mose_eh_number(MoseEhBytes *bytes, gsize size)
{
    guint64 value = 0;

    if (size > bytes->size - bytes->at) {
        bytes->broken = TRUE;
        bytes->at = bytes->size;
        return 0;
    }
    for (gsize i = size; i > 0; i--)
        value = value << 8 | bytes->bytes[bytes->at + i - 1];
    bytes->at += size;
    return value;
}

guint64
mose_eh_uleb(MoseEhBytes *bytes)
{
    guint64 value = 0, byte;
    guint shift = 0;

    do {
        byte = mose_eh_number(bytes, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

gint64
mose_eh_sleb(MoseEhBytes *bytes)
{
    guint64 value = 0, byte;
    guint shift = 0;

    do {
        byte = mose_eh_number(bytes, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (shift < 64 && (byte & 0x40))
        value |= G_MAXUINT64 << shift;
    return (gint64)value;
}

/* --- expressions --- */

typedef struct {
    MoseEhRead read;
    gpointer data;
    MoseEhBytes at;
    const MoseEhRegisters *registers;
    guint64 stack[MAX_DEPTH];
    guint depth;
    const char *why; /* it fails */
} Machine;

static void
push(Machine *machine, guint64 value)
{
    if (machine->depth == MAX_DEPTH)
        machine->why = "an expression needs too much of a stack";
    else
        machine->stack[machine->depth++] = value;
}

static guint64
pop(Machine *machine)
{
    if (machine->depth > 0)
        return machine->stack[--machine->depth];
    machine->why = "an expression takes what is not there";
    return 0;
}

static void
push_register(Machine *machine, guint64 number, gint64 offset)
{
    if (number >= MOSE_EH_N || !(machine->registers->known >> number & 1))
        machine->why = "an expression takes a register that is not known";
    else
        push(machine, machine->registers->values[number] + offset);
}

static void
load(Machine *machine, gsize size)
{
    guint8 bytes[8];
    guint64 at = pop(machine), value = 0;

    if (size > sizeof(bytes) || !machine->read(machine->data, at, bytes, size)) {
        machine->why = "an expression reads what cannot be read";
        return;
    }
    for (gsize i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    push(machine, value);
}

static guint64
pick(Machine *machine, guint64 index)
{
    if (index < machine->depth)
        return machine->stack[machine->depth - 1 - index];
    machine->why = "an expression takes what is not there";
    return 0;
}

static void
jump(Machine *machine, gint64 distance)
{
    gint64 to = (gint64)machine->at.at + distance;

    if (to < 0 || to > (gint64)machine->at.size)
        machine->why = "an expression jumps out of itself";
    else
        machine->at.at = to;
}

static guint64
shift(guint8 op, guint64 value, guint64 by)
{
    if (op == DW_OP_shra)
        return (guint64)((gint64)value >> MIN(by, 63));
    if (by > 63)
        return 0;
    return op == DW_OP_shl ? value << by : value >> by;
}

/* FALSE: it is none of them. */
static gboolean
binary(Machine *machine, guint8 op)
{
    guint64 b, a, value;

    switch (op) {
    case DW_OP_and ... DW_OP_and:
    case DW_OP_minus ... DW_OP_mul:
    case DW_OP_or:
    case DW_OP_plus:
    case DW_OP_shl ... DW_OP_xor:
    case DW_OP_eq ... DW_OP_ne:
        break;
    default:
        return FALSE;
    }
    b = pop(machine);
    a = pop(machine);
    switch (op) {
    case DW_OP_and:
        value = a & b;
        break;
    case DW_OP_or:
        value = a | b;
        break;
    case DW_OP_xor:
        value = a ^ b;
        break;
    case DW_OP_plus:
        value = a + b;
        break;
    case DW_OP_minus:
        value = a - b;
        break;
    case DW_OP_mul:
        value = a * b;
        break;
    case DW_OP_eq:
        value = a == b;
        break;
    case DW_OP_ne:
        value = a != b;
        break;
    case DW_OP_ge:
        value = (gint64)a >= (gint64)b;
        break;
    case DW_OP_gt:
        value = (gint64)a > (gint64)b;
        break;
    case DW_OP_le:
        value = (gint64)a <= (gint64)b;
        break;
    case DW_OP_lt:
        value = (gint64)a < (gint64)b;
        break;
    case DW_OP_shl:
    case DW_OP_shr:
    case DW_OP_shra:
        value = shift(op, a, b);
        break;
    default: /* mod is between minus and mul */
        machine->why = "an expression divides";
        return TRUE;
    }
    push(machine, value);
    return TRUE;
}

/* The same. */
static gboolean
constant(Machine *machine, guint8 op)
{
    MoseEhBytes *at = &machine->at;

    if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
        push(machine, op - DW_OP_lit0);
        return TRUE;
    }
    switch (op) {
    case DW_OP_addr:
    case DW_OP_const8u:
    case DW_OP_const8s:
        push(machine, mose_eh_number(at, 8));
        return TRUE;
    case DW_OP_const1u:
        push(machine, mose_eh_number(at, 1));
        return TRUE;
    case DW_OP_const1s:
        push(machine, (gint64)(gint8)mose_eh_number(at, 1));
        return TRUE;
    case DW_OP_const2u:
        push(machine, mose_eh_number(at, 2));
        return TRUE;
    case DW_OP_const2s:
        push(machine, (gint64)(gint16)mose_eh_number(at, 2));
        return TRUE;
    case DW_OP_const4u:
        push(machine, mose_eh_number(at, 4));
        return TRUE;
    case DW_OP_const4s:
        push(machine, (gint64)(gint32)mose_eh_number(at, 4));
        return TRUE;
    case DW_OP_constu:
        push(machine, mose_eh_uleb(at));
        return TRUE;
    case DW_OP_consts:
        push(machine, mose_eh_sleb(at));
        return TRUE;
    default:
        return FALSE;
    }
}

static void
other(Machine *machine, guint8 op)
{
    MoseEhBytes *at = &machine->at;
    guint64 a, b, c;

    switch (op) {
    case DW_OP_nop:
        break;
    case DW_OP_bregx:
        a = mose_eh_uleb(at);
        push_register(machine, a, mose_eh_sleb(at));
        break;
    case DW_OP_deref:
        load(machine, 8);
        break;
    case DW_OP_deref_size:
        load(machine, mose_eh_number(at, 1));
        break;
    case DW_OP_plus_uconst:
        a = pop(machine);
        push(machine, a + mose_eh_uleb(at));
        break;
    case DW_OP_dup:
        push(machine, pick(machine, 0));
        break;
    case DW_OP_drop:
        pop(machine);
        break;
    case DW_OP_over:
        push(machine, pick(machine, 1));
        break;
    case DW_OP_pick:
        push(machine, pick(machine, mose_eh_number(at, 1)));
        break;
    case DW_OP_swap:
        a = pop(machine);
        b = pop(machine);
        push(machine, a);
        push(machine, b);
        break;
    case DW_OP_rot:
        a = pop(machine);
        b = pop(machine);
        c = pop(machine);
        push(machine, a);
        push(machine, c);
        push(machine, b);
        break;
    case DW_OP_abs:
        a = pop(machine);
        push(machine, (gint64)a < 0 ? -a : a);
        break;
    case DW_OP_neg:
        push(machine, -pop(machine));
        break;
    case DW_OP_not:
        push(machine, ~pop(machine));
        break;
    case DW_OP_skip:
        jump(machine, (gint16)mose_eh_number(at, 2));
        break;
    case DW_OP_bra:
        a = mose_eh_number(at, 2);
        if (pop(machine) != 0)
            jump(machine, (gint16)a);
        break;
    default:
        machine->why = "an expression has an operation that is not known";
    }
}

static void
step(Machine *machine)
{
    guint8 op = mose_eh_number(&machine->at, 1);

    if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
        push_register(machine, op - DW_OP_breg0, mose_eh_sleb(&machine->at));
    else if (!constant(machine, op) && !binary(machine, op))
        other(machine, op);
}

gboolean
mose_eh_evaluate(MoseEhRead read, gpointer data, MoseEhBytes expression,
                 const MoseEhRegisters *registers, gboolean with_first, guint64 first,
                 guint64 *ret, GError **error)
{
    Machine machine = {
        .read = read, .data = data, .at = expression, .registers = registers
    };

    if (with_first)
        push(&machine, first);
    for (guint i = 0; machine.at.at < machine.at.size && !machine.why; i++) {
        if (i == MAX_STEPS)
            machine.why = "an expression has no end";
        else
            step(&machine);
        if (machine.at.broken)
            machine.why = "an expression is cut off";
    }
    if (!machine.why)
        *ret = pop(&machine);
    return !machine.why || mose_eh_fail(&machine.at, machine.why, error);
}
