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
#define MAX_AUGMENTATION 16
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

static gboolean
not_there(guint64 at, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "its %s at 0x%" G_GINT64_MODIFIER "x cannot be read", what, at);
    return FALSE;
}

/* --- pointers --- */

/* LSB, "DWARF exception header encoding". */
static gboolean
take_value(MoseEhBytes *bytes, guint8 encoding, guint64 *ret)
{
    switch (encoding & 0xf) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        *ret = mose_eh_number(bytes, 8);
        break;
    case DW_EH_PE_uleb128:
        *ret = mose_eh_uleb(bytes);
        break;
    case DW_EH_PE_sleb128:
        *ret = mose_eh_sleb(bytes);
        break;
    case DW_EH_PE_udata2:
        *ret = mose_eh_number(bytes, 2);
        break;
    case DW_EH_PE_sdata2:
        *ret = (gint64)(gint16)mose_eh_number(bytes, 2);
        break;
    case DW_EH_PE_udata4:
        *ret = mose_eh_number(bytes, 4);
        break;
    case DW_EH_PE_sdata4:
        *ret = (gint64)(gint32)mose_eh_number(bytes, 4);
        break;
    default:
        return FALSE;
    }
    return !bytes->broken;
}

/* @data: what is counted from in .eh_frame_hdr. */
static gboolean
take_pointer(MoseEhBytes *bytes, guint8 encoding, guint64 data, guint64 *ret)
{
    guint64 at = bytes->address + bytes->at;

    if (encoding == DW_EH_PE_omit || (encoding & DW_EH_PE_indirect) ||
        !take_value(bytes, encoding, ret))
        return FALSE;
    switch (encoding & 0x70) {
    case DW_EH_PE_absptr:
        return TRUE;
    case DW_EH_PE_pcrel:
        *ret += at;
        return TRUE;
    case DW_EH_PE_datarel:
        *ret += data;
        return TRUE;
    default:
        return FALSE;
    }
}

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
        return not_there(object->header, ".eh_frame_hdr", error);
    object->read(object->data, object->header, bytes, sizeof(bytes));
    if (bytes[0] != 1 || bytes[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4) ||
        !take_pointer(&at, bytes[1], object->header, &frames) ||
        !take_pointer(&at, bytes[2], object->header, ret_n) || *ret_n > MAX_TABLE)
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
            return not_there(table + middle * ROW, ".eh_frame_hdr", error);
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
        return not_there(at, ".eh_frame", error);
    length = GUINT32_FROM_LE(length);
    ret->bytes.address = at + sizeof(length);
    if (length < 4 || length > MAX_ENTRY)
        return mose_eh_fail(&ret->bytes, "an entry has a length that makes no sense",
                            error);
    ret->owned = g_malloc(length);
    if (!object->read(object->data, at + sizeof(length), ret->owned, length))
        return not_there(at, ".eh_frame", error);
    ret->bytes.bytes = ret->owned;
    ret->bytes.size = length;
    return TRUE;
}

/* What a CIE has for all functions that refer to it. */
typedef struct {
    guint64 code_align;
    gint64 data_align;
    guint8 encoding; /* of FDEs' pointers */
    gboolean has_data, is_signal;
    MoseEhBytes instructions;
} Common;

static gboolean
take_augmentation(MoseEhBytes *bytes, const char *letters, Common *ret)
{
    guint64 length, end, ignored;

    ret->encoding = DW_EH_PE_absptr;
    if (letters[0] == '\0')
        return TRUE;
    if (letters[0] != 'z')
        return FALSE;
    ret->has_data = TRUE;
    length = mose_eh_uleb(bytes);
    if (bytes->broken || length > bytes->size - bytes->at)
        return FALSE;
    end = bytes->at + length;
    for (letters++; *letters; letters++) {
        guint8 encoding = *letters == 'S' ? 0 : mose_eh_number(bytes, 1);

        if (*letters == 'S')
            ret->is_signal = TRUE;
        else if (*letters == 'R')
            ret->encoding = encoding;
        else if (*letters == 'P' ? !take_value(bytes, encoding, &ignored)
                                 : *letters != 'L')
            return FALSE;
    }
    if (bytes->at > end)
        return FALSE;
    bytes->at = end;
    return TRUE;
}

static gboolean
read_common(const Record *record, Common *ret, GError **error)
{
    MoseEhBytes bytes = record->bytes;
    char letters[MAX_AUGMENTATION + 1] = "";
    guint version, n = 0;

    *ret = (Common){ 0 };
    if (mose_eh_number(&bytes, 4) != 0)
        return mose_eh_fail(&bytes, "an entry refers to one that is not common", error);
    version = mose_eh_number(&bytes, 1);
    do
        letters[n] = mose_eh_number(&bytes, 1);
    while (letters[n] != '\0' && ++n < MAX_AUGMENTATION);
    ret->code_align = mose_eh_uleb(&bytes);
    ret->data_align = mose_eh_sleb(&bytes);
    if ((version != 1 && version != 3) || letters[n] != '\0' ||
        (version == 1 ? mose_eh_number(&bytes, 1) : mose_eh_uleb(&bytes)) !=
            MOSE_EH_RIP ||
        !take_augmentation(&bytes, letters, ret) || bytes.broken)
        return mose_eh_fail(&bytes, "an entry is of a kind that is not known", error);
    ret->instructions = bytes;
    ret->instructions.bytes += bytes.at;
    ret->instructions.address += bytes.at;
    ret->instructions.size -= bytes.at;
    ret->instructions.at = 0;
    return TRUE;
}

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
        return not_there(at, "stack", error);
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
    Common common;
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
    guint64 at, back, range, skip = 0;

    if (!find_entry(frame->object, pc, &at, error) ||
        !read_record(frame->object, at, &frame->entry, error))
        return FALSE;
    bytes = frame->entry.bytes;
    back = mose_eh_number(&bytes, 4);
    if (back == 0)
        return mose_eh_fail(&bytes, "the table leads to no function's entry", error);
    if (!read_record(frame->object, frame->entry.bytes.address - back,
                     &frame->common_record, error) ||
        !read_common(&frame->common_record, &frame->common, error))
        return FALSE;
    if (!take_pointer(&bytes, frame->common.encoding, 0, &frame->program.begin) ||
        !take_value(&bytes, frame->common.encoding & 0xf, &range))
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

/* --- without .eh_frame_hdr --- */

#define MAX_FRAMES ((guint64)64 << 20)

/* All of it, copied, and what was common to the last function. */
typedef struct {
    MoseEhBytes bytes;
    gsize common_at; /* G_MAXSIZE: none yet */
    Common common;
    GArray *functions;
} Section;

/* The record at @at of it, without its length; FALSE: there is none. */
static gboolean
record_at(const Section *section, gsize at, MoseEhBytes *ret)
{
    MoseEhBytes bytes = section->bytes;
    guint64 length;

    if (at >= bytes.size)
        return FALSE;
    bytes.at = at;
    length = mose_eh_number(&bytes, 4);
    if (bytes.broken || length < 4 || length > bytes.size - bytes.at)
        return FALSE;
    *ret = (MoseEhBytes){ .bytes = bytes.bytes + bytes.at,
                          .size = length,
                          .address = bytes.address + bytes.at };
    return TRUE;
}

static gboolean
use_common(Section *section, gsize at, GError **error)
{
    Record record = { 0 };

    if (at == section->common_at)
        return TRUE;
    if (!record_at(section, at, &record.bytes))
        return mose_eh_fail(&section->bytes, "an entry refers to none", error);
    section->common_at = G_MAXSIZE;
    if (!read_common(&record, &section->common, error))
        return FALSE;
    section->common_at = at;
    return TRUE;
}

static gboolean
add_function(Section *section, gsize at, MoseEhBytes bytes, GError **error)
{
    MoseEhFunction function = { .entry = section->bytes.address + at };
    guint64 back = mose_eh_number(&bytes, 4), range;

    if (back == 0)
        return TRUE;
    if (back > at + 4)
        return mose_eh_fail(&bytes, "an entry refers to none", error);
    if (!use_common(section, at + 4 - back, error))
        return FALSE;
    if (!take_pointer(&bytes, section->common.encoding, 0, &function.begin) ||
        !take_value(&bytes, section->common.encoding & 0xf, &range) ||
        range > G_MAXUINT64 - function.begin)
        return mose_eh_fail(
            &bytes, "an entry's code is told in a way that is not known", error);
    function.end = function.begin + range;
    g_array_append_val(section->functions, function);
    return TRUE;
}

static gint
by_begin(gconstpointer a, gconstpointer b)
{
    const MoseEhFunction *x = a, *y = b;

    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

GArray *
mose_eh_index(MoseEhRead read, gpointer data, guint64 frames, guint64 size,
              GError **error)
{
    g_autoptr(GArray) functions = g_array_new(FALSE, FALSE, sizeof(MoseEhFunction));
    g_autofree guint8 *copy = NULL;
    Section section = { .common_at = G_MAXSIZE, .functions = functions };
    MoseEhBytes record;

    section.bytes.address = frames;
    if (size > MAX_FRAMES) {
        mose_eh_fail(&section.bytes, "it is too large", error);
        return NULL;
    }
    copy = g_malloc(size + 1);
    if (!read(data, frames, copy, size)) {
        not_there(frames, ".eh_frame", error);
        return NULL;
    }
    section.bytes.bytes = copy;
    section.bytes.size = size;
    /* A length of 0 ends it. */
    for (gsize at = 0; record_at(&section, at, &record);
         at = record.address + record.size - frames)
        if (!add_function(&section, at, record, error))
            return NULL;
    g_array_sort(functions, by_begin);
    return g_steal_pointer(&functions);
}
