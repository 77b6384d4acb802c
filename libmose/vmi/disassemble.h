/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions in words, by Capstone. Knows neither guest nor symbols: a branch's
 * target is told as a number, for whoever has names.
 */
#pragma once

#include <glib.h>

/* No x86 instruction is longer (SDM 2A, 2.3.11). */
#define MOSE_MAX_INSTRUCTION 15

typedef struct {
    guint64 address;
    guint size;
    const guint8 *bytes;
    gboolean known;   /* FALSE: one byte that begins no instruction: ".byte 0x.." */
    const char *text; /* mnemonic and operands */
    gboolean has_target;
    guint64 target; /* of a direct jump or call, or of an operand by RIP */
} MoseInstruction;

typedef void (*MoseInstructionFunc)(const MoseInstruction *instruction, gpointer data);

/*
 * Tell @func of each instruction in the @len @bytes at @address, in code of @bits (16,
 * 32 or 64), of those that begin in the first @wanted bytes. Returns how many bytes
 * were told of; less than @wanted where the last instruction is cut off by the end.
 * UNSUPPORTED where Capstone cannot.
 */
gboolean mose_disassemble(guint bits, guint64 address, const guint8 *bytes, gsize len,
                          gsize wanted, MoseInstructionFunc func, gpointer data,
                          gsize *ret_done, GError **error);
