/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's memory as a vCPU of the stream sees it: its page tables walked for
 * reading (SDM 3A, chapter 4). Protection and reserved bits are not looked at: what
 * is read is code that the vCPU itself has just fetched or is about to fetch.
 */
#pragma once

#include "stream/rules/rule.h"
#include "x86/page-walk.h"

/* How the vCPU with section @cpu translates; FALSE where the stream does not tell. */
gboolean mose_paging_of(const MoseSection *cpu, MosePaging *ret);

/*
 * The physical address behind the linear address @linear of the vCPU with section
 * @cpu; FALSE where it has none, or the stream or the tables cannot be read. At
 * most five entries are read.
 */
gboolean mose_paging_translate(const MoseRuleContext *context, const MoseSection *cpu,
                               guint64 linear, guint64 *ret);

/* Copy @len bytes (at most a page) from the linear address @linear, which may lie in
 * two pages. FALSE as above. */
gboolean mose_paging_read(const MoseRuleContext *context, const MoseSection *cpu,
                          guint64 linear, void *to, gsize len);

/* The same from @offset bytes behind (or, negative, before) the instruction pointer. */
gboolean mose_paging_read_code(const MoseRuleContext *context, const MoseSection *cpu,
                               int offset, void *to, gsize len);
