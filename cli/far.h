/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other host, as `emulate` and `virtualize` are told of it. */
#pragma once

#include "guest/guest.h"
#include "switch/far-end.h"
#include "switch/switch.h"

/* Options for the command's table (an entry without a name ends it). */
extern const GOptionEntry mose_cli_far_entries[];

/* Whether the guest is to go to another host (--on). */
gboolean mose_cli_far_wanted(void);

/* FALSE, and words, for options that make no sense (exit status 2). */
gboolean mose_cli_far_check(void);

/* Memory over TCP, as the user wants it. */
MoseTcpOptions mose_cli_far_tcp(void);

/* Whether its network stays here. */
gboolean mose_cli_far_home_net(void);

/* Limit of a copy in bytes of memory a second; 0: none. */
guint64 mose_cli_far_bytes_per_second(void);

/* The record of the host that --on names. */
MoseFar *mose_cli_far_record(void);

/* Reach the host of @far. */
MoseFarEnd *mose_cli_far_open(const MoseFar *far, int interrupt_fd, GError **error);
