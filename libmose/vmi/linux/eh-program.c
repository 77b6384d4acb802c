/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instructions of call frame information: from them, how to find a caller's
 * registers at one place of the code. See eh-frame.h. */
#include <dwarf.h>

#include "vmi/linux/eh-priv.h"

#define MAX_REMEMBERED 32
#define MAX_INSTRUCTIONS (64 << 10)

typedef struct {
    const MoseEhProgram *program;
    MoseEhBytes at;
    const MoseEhRow *initial;
    MoseEhRow *row;
    MoseEhRow remembered[MAX_REMEMBERED];
    guint n_remembered;
    guint64 pc;
    const char *why; /* it fails */
} Run;

/* Those beyond rip (SSE, ...) are passed over. */
static void
set_rule(Run *run, guint64 number, MoseEhRuleKind kind, gint64 offset)
{
    if (number < MOSE_EH_N)
        run->row->rules[number] = (MoseEhRule){ .kind = kind, .offset = offset };
}

static gint64
scaled(const Run *run, gint64 offset)
{
    return (gint64)((guint64)offset * (guint64)run->program->data_align);
}

static void
restore(Run *run, guint64 number)
{
    if (!run->initial)
        run->why = "what begins a table restores";
    else if (number < MOSE_EH_N)
        run->row->rules[number] = run->initial->rules[number];
}

static MoseEhBytes
take_block(Run *run)
{
    guint64 size = mose_eh_uleb(&run->at);
    MoseEhBytes block = { 0 };

    if (size > run->at.size - run->at.at) {
        run->why = "an expression is cut off";
        return block;
    }
    block.bytes = run->at.bytes + run->at.at;
    block.address = run->at.address + run->at.at;
    block.size = size;
    run->at.at += size;
    return block;
}

static void
take_expression(Run *run, MoseEhRuleKind kind)
{
    guint64 number = mose_eh_uleb(&run->at);
    MoseEhBytes block = take_block(run);

    set_rule(run, number, kind, 0);
    if (number < MOSE_EH_N)
        run->row->rules[number].expression = block;
}

static void
set_cfa(Run *run, guint64 number, gint64 offset)
{
    run->row->cfa = (MoseEhRule){ .kind = MOSE_EH_REGISTER, .offset = offset };
    run->row->cfa_register = number;
}

static void
remember(Run *run)
{
    if (run->n_remembered == MAX_REMEMBERED)
        run->why = "more rows are remembered than make sense";
    else
        run->remembered[run->n_remembered++] = *run->row;
}

static void
recall(Run *run)
{
    if (run->n_remembered == 0)
        run->why = "a row is recalled that was not remembered";
    else
        *run->row = run->remembered[--run->n_remembered];
}

static gboolean
define_cfa(Run *run, guint8 op)
{
    guint64 number;

    switch (op) {
    case DW_CFA_def_cfa:
        number = mose_eh_uleb(&run->at);
        set_cfa(run, number, (gint64)mose_eh_uleb(&run->at));
        return TRUE;
    case DW_CFA_def_cfa_sf:
        number = mose_eh_uleb(&run->at);
        set_cfa(run, number, scaled(run, mose_eh_sleb(&run->at)));
        return TRUE;
    case DW_CFA_def_cfa_register:
        set_cfa(run, mose_eh_uleb(&run->at), run->row->cfa.offset);
        return TRUE;
    case DW_CFA_def_cfa_offset:
        set_cfa(run, run->row->cfa_register, (gint64)mose_eh_uleb(&run->at));
        return TRUE;
    case DW_CFA_def_cfa_offset_sf:
        set_cfa(run, run->row->cfa_register, scaled(run, mose_eh_sleb(&run->at)));
        return TRUE;
    case DW_CFA_def_cfa_expression:
        run->row->cfa = (MoseEhRule){ .kind = MOSE_EH_VAL_EXPRESSION,
                                      .expression = take_block(run) };
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
define_register(Run *run, guint8 op)
{
    guint64 number;

    switch (op) {
    case DW_CFA_offset_extended:
        number = mose_eh_uleb(&run->at);
        set_rule(run, number, MOSE_EH_AT_OFFSET,
                 scaled(run, (gint64)mose_eh_uleb(&run->at)));
        return TRUE;
    case DW_CFA_offset_extended_sf:
        number = mose_eh_uleb(&run->at);
        set_rule(run, number, MOSE_EH_AT_OFFSET, scaled(run, mose_eh_sleb(&run->at)));
        return TRUE;
    case DW_CFA_GNU_negative_offset_extended:
        number = mose_eh_uleb(&run->at);
        set_rule(run, number, MOSE_EH_AT_OFFSET,
                 scaled(run, -(gint64)mose_eh_uleb(&run->at)));
        return TRUE;
    case DW_CFA_val_offset:
        number = mose_eh_uleb(&run->at);
        set_rule(run, number, MOSE_EH_VAL_OFFSET,
                 scaled(run, (gint64)mose_eh_uleb(&run->at)));
        return TRUE;
    case DW_CFA_val_offset_sf:
        number = mose_eh_uleb(&run->at);
        set_rule(run, number, MOSE_EH_VAL_OFFSET, scaled(run, mose_eh_sleb(&run->at)));
        return TRUE;
    case DW_CFA_register:
        number = mose_eh_uleb(&run->at);
        set_rule(run, number, MOSE_EH_REGISTER, (gint64)mose_eh_uleb(&run->at));
        return TRUE;
    case DW_CFA_undefined:
        set_rule(run, mose_eh_uleb(&run->at), MOSE_EH_UNDEFINED, 0);
        return TRUE;
    case DW_CFA_same_value:
        set_rule(run, mose_eh_uleb(&run->at), MOSE_EH_SAME, 0);
        return TRUE;
    case DW_CFA_restore_extended:
        restore(run, mose_eh_uleb(&run->at));
        return TRUE;
    case DW_CFA_expression:
        take_expression(run, MOSE_EH_EXPRESSION);
        return TRUE;
    case DW_CFA_val_expression:
        take_expression(run, MOSE_EH_VAL_EXPRESSION);
        return TRUE;
    default:
        return FALSE;
    }
}

/* How far the code goes on; FALSE: it is no such instruction. */
static gboolean
advance(Run *run, guint8 op, guint64 *ret)
{
    switch (op) {
    case DW_CFA_set_loc:
        *ret = mose_eh_number(&run->at, 8) - run->pc;
        return TRUE;
    case DW_CFA_advance_loc1:
        *ret = mose_eh_number(&run->at, 1) * run->program->code_align;
        return TRUE;
    case DW_CFA_advance_loc2:
        *ret = mose_eh_number(&run->at, 2) * run->program->code_align;
        return TRUE;
    case DW_CFA_advance_loc4:
        *ret = mose_eh_number(&run->at, 4) * run->program->code_align;
        return TRUE;
    default:
        return FALSE;
    }
}

static void
other(Run *run, guint8 op)
{
    switch (op) {
    case DW_CFA_nop:
        break;
    case DW_CFA_remember_state:
        remember(run);
        break;
    case DW_CFA_restore_state:
        recall(run);
        break;
    case DW_CFA_GNU_args_size:
        mose_eh_uleb(&run->at);
        break;
    default:
        run->why = "a table has an instruction that is not known";
    }
}

/* FALSE: the next row begins behind the wanted place. */
static gboolean
step(Run *run)
{
    guint8 byte = mose_eh_number(&run->at, 1), low = byte & 0x3f;
    guint64 by = 0;
    gboolean advances = TRUE;

    switch (byte & 0xc0) {
    case DW_CFA_advance_loc:
        by = low * run->program->code_align;
        break;
    case DW_CFA_offset:
        set_rule(run, low, MOSE_EH_AT_OFFSET,
                 scaled(run, (gint64)mose_eh_uleb(&run->at)));
        return TRUE;
    case DW_CFA_restore:
        restore(run, low);
        return TRUE;
    default:
        advances = advance(run, byte, &by);
    }
    if (advances) {
        if (run->pc + by > run->program->pc)
            return FALSE;
        run->pc += by;
    } else if (!define_cfa(run, byte) && !define_register(run, byte)) {
        other(run, byte);
    }
    return TRUE;
}

gboolean
mose_eh_run(const MoseEhProgram *program, MoseEhBytes instructions,
            const MoseEhRow *initial, MoseEhRow *row, GError **error)
{
    g_autofree Run *run = g_new0(Run, 1);

    run->program = program;
    run->at = instructions;
    run->initial = initial;
    run->row = row;
    run->pc = program->begin;
    for (guint i = 0; run->at.at < run->at.size && !run->why && step(run); i++) {
        if (i == MAX_INSTRUCTIONS)
            run->why = "a table has too many instructions";
        if (run->at.broken)
            run->why = "a table is cut off";
    }
    return !run->why || mose_eh_fail(&run->at, run->why, error);
}
