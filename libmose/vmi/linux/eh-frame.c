/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a place in the code to its entry in .eh_frame, and by that to the caller. See
 * eh-frame.h. */
#include "vmi/linux/eh-frame.h"

#include <dwarf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/eh-priv.h"

/* One function's entry; those of large ones have some thousand bytes. */
#define MAX_ENTRY (1u << 20)
#define MAX_TABLE (16u << 20)
#define CALLEE_SAVED                                                                   \
    (1u << MOSE_EH_RBX | 1u << MOSE_EH_RBP | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 15)

typedef struct {
    MoseEhRead read;
    gpointer data;
    guint64 header;
    const GArray *index; /* or NULL */
} Object;

/* A copy of one record (CIE or FDE) without its length. */
typedef struct {
    guint8 *owned;
    MoseEhBytes bytes;
} Record;

static void
record_clear(Record *record)
{
    g_free(record->owned);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Record, record_clear)

/* --- the table of .eh_frame_hdr --- */

enum { HEADER = 4 + 2 * 10, ROW = 8 };

/* Where the table of (beginning, entry) begins, and how many they are. All linkers
 * write it as distances of four bytes from the header. */
static gboolean
read_header(const Object *object, guint64 *ret_table, guint64 *ret_n, GError **error)
{
    guint8 bytes[HEADER] = { 0 };
    MoseEhBytes at = {
        .bytes = bytes, .size = sizeof(bytes), .at = 4, .address = object->header
    };
    guint64 frames;

    /* It is followed by its table: what it has less than that is no harm. */
    if (!object->read(object->data, object->header, bytes, 12))
        return mose_eh_not_there(object->header, ".eh_frame_hdr", error);
    object->read(object->data, object->header, bytes, sizeof(bytes));
    if (bytes[0] != 1 || bytes[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4) ||
        !mose_eh_take_pointer(&at, bytes[1], object->header, &frames) ||
        !mose_eh_take_pointer(&at, bytes[2], object->header, ret_n) ||
        *ret_n > MAX_TABLE)
        return mose_eh_fail(&at, "its header is of a kind that is not known", error);
    *ret_table = object->header + at.at;
    return TRUE;
}

static gboolean
read_row(const Object *object, guint64 table, guint64 index, guint64 *ret_begin,
         guint64 *ret_entry)
{
    gint32 row[2];

    if (!object->read(object->data, table + index * ROW, row, sizeof(row)))
        return FALSE;
    *ret_begin = object->header + (gint64)(gint32)GINT32_FROM_LE(row[0]);
    *ret_entry = object->header + (gint64)(gint32)GINT32_FROM_LE(row[1]);
    return TRUE;
}

static gboolean
not_known(guint64 pc, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "its .eh_frame does not have the code at 0x%" G_GINT64_MODIFIER "x",
                pc);
    return FALSE;
}

static gboolean
find_in_index(const GArray *index, guint64 pc, guint64 *ret, GError **error)
{
    guint low = 0, high = index->len; /* all before low begin at or before it */

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(index, MoseEhFunction, middle).begin <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return not_known(pc, error);
    *ret = g_array_index(index, MoseEhFunction, low - 1).entry;
    return TRUE;
}

/* The entry of the last function that begins at or before @pc. */
static gboolean
find_entry(const Object *object, guint64 pc, guint64 *ret, GError **error)
{
    guint64 table = 0, n = 0, low = 0, high, begin;

    if (object->index)
        return find_in_index(object->index, pc, ret, error);
    if (!read_header(object, &table, &n, error))
        return FALSE;
    for (high = n; low < high;) {
        guint64 middle = low + (high - low) / 2;

        if (!read_row(object, table, middle, &begin, ret))
            return mose_eh_not_there(table + middle * ROW, ".eh_frame_hdr", error);
        if (begin <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return (low > 0 && read_row(object, table, low - 1, &begin, ret)) ||
           not_known(pc, error);
}

/* --- records --- */

static gboolean
read_record(const Object *object, guint64 at, Record *ret, GError **error)
{
    guint32 length;

    if (!object->read(object->data, at, &length, sizeof(length)))
        return mose_eh_not_there(at, ".eh_frame", error);
    length = GUINT32_FROM_LE(length);
    ret->bytes.address = at + sizeof(length);
    if (length < 4 || length > MAX_ENTRY)
        return mose_eh_fail(&ret->bytes, "an entry has a length that makes no sense",
                            error);
    ret->owned = g_malloc(length);
    if (!object->read(object->data, at + sizeof(length), ret->owned, length))
        return mose_eh_not_there(at, ".eh_frame", error);
    ret->bytes.bytes = ret->owned;
    ret->bytes.size = length;
    return TRUE;
}

/* What a CIE has for all functions that refer to it. */
/* --- the caller's registers --- */

static gboolean
find_cfa(const Object *object, const MoseEhRow *row, const MoseEhBytes *where,
         const MoseEhRegisters *registers, guint64 *ret, GError **error)
{
    if (row->cfa.kind == MOSE_EH_VAL_EXPRESSION)
        return mose_eh_evaluate(object->read, object->data, row->cfa.expression,
                                registers, FALSE, 0, ret, error);
    if (row->cfa.kind != MOSE_EH_REGISTER || row->cfa_register >= MOSE_EH_N ||
        !(registers->known >> row->cfa_register & 1))
        return mose_eh_fail(where,
                            "its frame is counted from a register that is not "
                            "known",
                            error);
    *ret = registers->values[row->cfa_register] + row->cfa.offset;
    return TRUE;
}

static gboolean
load(const Object *object, guint64 at, guint64 *ret, GError **error)
{
    if (!object->read(object->data, at, ret, sizeof(*ret)))
        return mose_eh_not_there(at, "stack", error);
    *ret = GUINT64_FROM_LE(*ret);
    return TRUE;
}

static void
set(MoseEhRegisters *registers, guint number, guint64 value)
{
    registers->values[number] = value;
    registers->known |= 1u << number;
}

/* Of one register; what is not known stays so. */
static gboolean
apply(const Object *object, const MoseEhRule *rule, guint number, guint64 cfa,
      const MoseEhRegisters *before, MoseEhRegisters *after, GError **error)
{
    guint64 value;

    switch (rule->kind) {
    case MOSE_EH_AT_OFFSET:
        if (!load(object, cfa + rule->offset, &value, error))
            return FALSE;
        break;
    case MOSE_EH_VAL_OFFSET:
        value = cfa + rule->offset;
        break;
    case MOSE_EH_REGISTER:
        if (rule->offset < 0 || rule->offset >= MOSE_EH_N ||
            !(before->known >> rule->offset & 1))
            return TRUE;
        value = before->values[rule->offset];
        break;
    case MOSE_EH_EXPRESSION:
    case MOSE_EH_VAL_EXPRESSION:
        if (!mose_eh_evaluate(object->read, object->data, rule->expression, before,
                              TRUE, cfa, &value, error) ||
            (rule->kind == MOSE_EH_EXPRESSION && !load(object, value, &value, error)))
            return FALSE;
        break;
    default:
        return TRUE;
    }
    set(after, number, value);
    return TRUE;
}

static gboolean
apply_row(const Object *object, const MoseEhRow *row, const MoseEhBytes *where,
          MoseEhRegisters *registers, GError **error)
{
    const MoseEhRegisters before = *registers;
    MoseEhRegisters after = before;
    guint64 cfa;

    if (!find_cfa(object, row, where, &before, &cfa, error))
        return FALSE;
    /* Those that a function need not keep are lost, unless the table has them. */
    after.known &= CALLEE_SAVED;
    for (guint i = 0; i < MOSE_EH_N; i++)
        if (row->rules[i].kind == MOSE_EH_UNDEFINED)
            after.known &= ~(1u << i);
    set(&after, MOSE_EH_RSP, cfa);
    for (guint i = 0; i < MOSE_EH_N; i++)
        if (!apply(object, &row->rules[i], i, cfa, &before, &after, error))
            return FALSE;
    if (!(after.known >> MOSE_EH_RIP & 1))
        return mose_eh_fail(where, "it does not say where it returns to", error);
    *registers = after;
    return TRUE;
}

/* --- one step --- */

typedef struct {
    const Object *object;
    Record entry, common_record;
    MoseEhCommon common;
    MoseEhProgram program;
    MoseEhBytes instructions;
} Frame;

static void
frame_clear(Frame *frame)
{
    record_clear(&frame->entry);
    record_clear(&frame->common_record);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Frame, frame_clear)

/* The entry of @pc, if it reaches so far. */
static gboolean
open_frame(Frame *frame, guint64 pc, GError **error)
{
    MoseEhBytes bytes;
    guint64 at = 0, back, range, skip = 0;

    if (!find_entry(frame->object, pc, &at, error) ||
        !read_record(frame->object, at, &frame->entry, error))
        return FALSE;
    bytes = frame->entry.bytes;
    back = mose_eh_number(&bytes, 4);
    if (back == 0)
        return mose_eh_fail(&bytes, "the table leads to no function's entry", error);
    if (!read_record(frame->object, frame->entry.bytes.address - back,
                     &frame->common_record, error) ||
        !mose_eh_read_common(frame->common_record.bytes, &frame->common, error))
        return FALSE;
    if (!mose_eh_take_pointer(&bytes, frame->common.encoding, 0,
                              &frame->program.begin) ||
        !mose_eh_take_value(&bytes, frame->common.encoding & 0xf, &range))
        return mose_eh_fail(
            &bytes, "an entry's code is told in a way that is not known", error);
    if (frame->common.has_data)
        skip = mose_eh_uleb(&bytes);
    if (bytes.broken || skip > bytes.size - bytes.at)
        return mose_eh_fail(&bytes, "an entry is cut off", error);
    bytes.at += skip;
    if (pc - frame->program.begin >= range)
        return not_known(pc, error);
    frame->program.pc = pc;
    frame->program.code_align = frame->common.code_align;
    frame->program.data_align = frame->common.data_align;
    frame->instructions = bytes;
    return TRUE;
}

gboolean
mose_eh_step(MoseEhRead read, gpointer data, guint64 header, const GArray *index,
             gboolean exact, MoseEhRegisters *registers, gboolean *ret_outermost,
             gboolean *ret_signal, GError **error)
{
    const Object object = { read, data, header, index };
    g_auto(Frame) frame = { .object = &object };
    guint64 pc = registers->values[MOSE_EH_RIP] - (exact ? 0 : 1);
    MoseEhRow initial = { 0 }, row;

    *ret_outermost = *ret_signal = FALSE;
    /* Of a signal's frame rip is exact: the kernel made it. */
    if (!open_frame(&frame, pc, error))
        return FALSE;
    if (!mose_eh_run(&frame.program, frame.common.instructions, NULL, &initial, error))
        return FALSE;
    row = initial;
    if (!mose_eh_run(&frame.program, frame.instructions, &initial, &row, error))
        return FALSE;
    *ret_signal = frame.common.is_signal;
    *ret_outermost = row.rules[MOSE_EH_RIP].kind == MOSE_EH_UNDEFINED;
    return *ret_outermost ||
           apply_row(&object, &row, &frame.entry.bytes, registers, error);
}
