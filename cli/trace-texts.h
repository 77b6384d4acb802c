/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instructions of a trace in words. */
#pragma once

#include "trace/reader.h"

typedef struct MoseTraceTexts MoseTraceTexts;

/* @trace must outlive it. */
MoseTraceTexts *mose_trace_texts_new(const MoseTrace *trace);
void mose_trace_texts_free(MoseTraceTexts *texts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTraceTexts, mose_trace_texts_free)

/* The texts (char *) of all instructions of block @id, which there is, until the next
 * call. UNSUPPORTED where Capstone cannot. */
const GPtrArray *mose_trace_texts_of(MoseTraceTexts *texts, guint32 id, GError **error);
