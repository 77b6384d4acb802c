/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process of MOSE's that goes on when the command that forked it has ended. */
#pragma once

#include <glib.h>

/*
 * In the child: keep nothing open but the @n descriptors @keep (which are sorted, and
 * may have negative numbers); what opens a descriptor later gets no standard stream's
 * number. What ends the command, or its terminal, does not end this process; SIGTERM
 * does. It has a session of its own, and is called @name (up to 15 bytes). An open
 * socket of the command's would hide its end from QEMU, an open lock from the next
 * command.
 */
void mose_detach(const char *name, int *keep, gsize n);
