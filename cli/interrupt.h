/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ctrl-C and its like, for a command that must not end in the middle: it is told
 * by a descriptor, and ends its work by itself.
 */
#pragma once

#include <glib.h>

/* From now on SIGINT, SIGTERM and SIGHUP do no more than make the descriptor that
 * is returned readable. 0 where that cannot be had: they end the process, then. */
int mose_cli_catch_interrupts(void);
