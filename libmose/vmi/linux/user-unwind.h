/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack of a thread in its own code: by .eh_frame of its objects (eh-frame.h), or,
 * where that is asked for, by frame pointers. */
#pragma once

#include "vmi/linux/unwind.h"
#include "vmi/linux/user.h"

typedef struct {
    guint64 ip;
    gboolean exact;   /* it stands, or was interrupted, there; else it called */
    gboolean signal;  /* the handler of a signal returns there */
    gboolean guessed; /* its place was found by a frame pointer that may be none */
} MoseUserFrame;

/* So many are shown; a recursion may be deeper. */
#define MOSE_USER_TRACE_MAX 512

/*
 * Of the thread that left its own code with the registers of @trace (from_user), in
 * @user's memory; what @trace has of its stack comes before that. MoseUserFrame, the
 * innermost first. *@ret_why: why it ends before its end; NULL: it is complete. With
 * @frame_pointers, code that is in no table is taken to have rbp as its frame's. Free
 * with g_array_unref() and g_free().
 */
GArray *mose_user_trace(MoseUser *user, const MoseBacktrace *trace,
                        gboolean frame_pointers, char **ret_why);

/* "accept4+0x4d/0xb0 [libc.so.6]"; "+0x1234 [libfoo.so.1]" without a symbol; or its
 * number. Free with g_free(). */
char *mose_user_frame_name(MoseUser *user, const MoseUserFrame *frame);
