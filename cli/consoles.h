/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where people talk to a fork: its unix sockets (qemu/spec-fork.h). */
#pragma once

#include "guest/guest.h"

/* A line for each; nothing for a guest that has none of its own. */
void mose_cli_print_consoles(const MoseGuest *guest);

/* Member "sockets" of @object: {"chardev", "path"} of each. */
void mose_cli_add_consoles(const MoseGuest *guest, JsonObject *object);
