/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `mose trace` does with files. */
#pragma once

#include <glib.h>

typedef struct {
    int vcpu;             /* -1: all of them, by time */
    gint64 from;          /* of one vCPU: begin at this instruction */
    gint64 instructions;  /* at most; 0: all */
    const char *function; /* this one alone; NULL: all */
    gboolean blocks;      /* a line for each block */
    gboolean info;        /* what the file says of itself alone */
} MoseTraceShow;

/* Print what is in the trace at @path; the exit status. */
int mose_trace_show(const char *path, const MoseTraceShow *options);
