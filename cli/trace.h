/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `mose trace` does with files. */
#pragma once

/* mose trace show FILE; argv[1] is "show". The exit status. */
int mose_trace_show(int argc, char **argv);
