/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Symbols of code that a kernel makes while it runs, as /proc/kallsyms has them behind
 * those of modules (kernel/kallsyms.c:s_show). */
#pragma once

#include "vmi/linux/linux.h"

/*
 * Append them to @symbols (of MoseSymbol, each with a name that is the caller's to
 * free): BPF programs and trampolines, as of module "bpf"; the trampolines of ftrace,
 * as of "__builtin__ftrace"; the pages of kprobes' instructions, as of
 * "__builtin__kprobes". What a kernel is built without is left out.
 */
gboolean mose_extra_symbols(MoseLinux *kernel, GArray *symbols, GError **error);
