/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of eh-frame.h share. */
#pragma once

#include "vmi/linux/eh-frame.h"

/* Bytes of the object's, and where they lie in its memory. What is read behind the end
 * is 0 and sets @broken. */
typedef struct {
    const guint8 *bytes;
    gsize size, at;
    guint64 address;
    gboolean broken;
} MoseEhBytes;

guint64 mose_eh_number(MoseEhBytes *bytes, gsize size);
guint64 mose_eh_uleb(MoseEhBytes *bytes);
gint64 mose_eh_sleb(MoseEhBytes *bytes);

/* Of an expression (DWARF 5, 2.5), with @first on its stack if @with_first. */
gboolean mose_eh_evaluate(MoseEhRead read, gpointer data, MoseEhBytes expression,
                          const MoseEhRegisters *registers, gboolean with_first,
                          guint64 first, guint64 *ret, GError **error);

gboolean mose_eh_fail(const MoseEhBytes *bytes, const char *what, GError **error);

gboolean mose_eh_not_there(guint64 at, const char *what, GError **error);

/* --- what entries are made of --- */

/* A value, and a pointer, as @encoding says (DW_EH_PE_*); FALSE for one that is not
 * known. @data: what is counted from in .eh_frame_hdr. */
gboolean mose_eh_take_value(MoseEhBytes *bytes, guint8 encoding, guint64 *ret);
gboolean mose_eh_take_pointer(MoseEhBytes *bytes, guint8 encoding, guint64 data,
                              guint64 *ret);

/* What a CIE has for all functions that refer to it. */
typedef struct {
    guint64 code_align;
    gint64 data_align;
    guint8 encoding; /* of FDEs' pointers */
    gboolean has_data, is_signal;
    MoseEhBytes instructions;
} MoseEhCommon;

/* @bytes: it, without its length. */
gboolean mose_eh_read_common(MoseEhBytes bytes, MoseEhCommon *ret, GError **error);

/* --- what a table tells of a frame --- */

typedef enum {
    MOSE_EH_SAME,       /* not changed */
    MOSE_EH_UNDEFINED,  /* lost; of rip: nobody called */
    MOSE_EH_AT_OFFSET,  /* saved at CFA + offset */
    MOSE_EH_VAL_OFFSET, /* it is CFA + offset */
    MOSE_EH_REGISTER,   /* in another register */
    MOSE_EH_EXPRESSION, /* saved where that says */
    MOSE_EH_VAL_EXPRESSION,
} MoseEhRuleKind;

typedef struct {
    MoseEhRuleKind kind;
    gint64 offset; /* or the other register */
    MoseEhBytes expression;
} MoseEhRule;

typedef struct {
    MoseEhRule cfa; /* of kind REGISTER (with cfa_register) or VAL_EXPRESSION */
    guint64 cfa_register;
    MoseEhRule rules[MOSE_EH_N];
} MoseEhRow;

typedef struct {
    guint64 code_align;
    gint64 data_align;
    guint64 begin; /* of the code that it tells of */
    guint64 pc;    /* the row is wanted that holds there */
} MoseEhProgram;

/* Run @instructions on @row; @initial is what they begin with (NULL: they are that). */
gboolean mose_eh_run(const MoseEhProgram *program, MoseEhBytes instructions,
                     const MoseEhRow *initial, MoseEhRow *row, GError **error);
