/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unwinding by .eh_frame (Linux Standard Base Core, "Exception Frames"; DWARF 5, 6.4)
 * as it is in a program's memory, found through .eh_frame_hdr. x86-64. Knows neither
 * guest nor process: bytes come from a function. They are a stranger's: sizes are
 * bounded, so are steps.
 */
#pragma once

#include <glib.h>

/* Numbers of registers (System V ABI for x86-64, figure 3.36): rax rdx rcx rbx rsi rdi
 * rbp rsp r8 ... r15, and where it returns to. */
enum {
    MOSE_EH_RAX,
    MOSE_EH_RDX,
    MOSE_EH_RCX,
    MOSE_EH_RBX,
    MOSE_EH_RSI,
    MOSE_EH_RDI,
    MOSE_EH_RBP,
    MOSE_EH_RSP,
    MOSE_EH_R8,
    MOSE_EH_RIP = 16,
    MOSE_EH_N,
};

typedef struct {
    guint64 values[MOSE_EH_N];
    guint32 known; /* a bit for each whose value is */
} MoseEhRegisters;

/* Copy @len bytes at @at; FALSE where they are not all there. */
typedef gboolean (*MoseEhRead)(gpointer data, guint64 at, void *to, gsize len);

/* What one function is told of in. */
typedef struct {
    guint64 begin, end; /* its code */
    guint64 entry;      /* where its FDE lies */
} MoseEhFunction;

/*
 * The functions of an object without .eh_frame_hdr, of MoseEhFunction in ascending
 * order, from its .eh_frame of @size bytes at @frames. INVALID, with a place, for one
 * that is broken. Free with g_array_unref().
 */
GArray *mose_eh_index(MoseEhRead read, gpointer data, guint64 frames, guint64 size,
                      GError **error);

/*
 * From a function to its caller: @registers become what they were there. @header is
 * where the object's .eh_frame_hdr (PT_GNU_EH_FRAME) lies; or @index (else NULL) is
 * that of an object that has none. @exact: it was interrupted
 * at rip; else rip is a return address, and what holds is what does at the call.
 * *@ret_outermost: nobody called it, and nothing was changed. *@ret_signal: it is the
 * frame of a signal handler, and who is next was interrupted. NOT_FOUND where the
 * tables do not have that code; INVALID, with a place, where they are broken, or need
 * what is not known.
 */
gboolean mose_eh_step(MoseEhRead read, gpointer data, guint64 header,
                      const GArray *index, gboolean exact, MoseEhRegisters *registers,
                      gboolean *ret_outermost, gboolean *ret_signal, GError **error);
