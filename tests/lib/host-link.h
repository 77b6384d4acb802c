/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network between the two hosts of hosts.h: a veth pair, or, while it is shaped,
 * the program `wire` between two taps (not every kernel has netem). The hosts'
 * addresses are on their loopbacks, and a route leads to the other's: so connections
 * stay when the way changes.
 */
#pragma once

#include "lib/hosts.h"

typedef struct HostLink HostLink;

/* Between the test and @there. NULL, and *@ret_why, where it cannot be made. */
HostLink *host_link_new(Hosts *hosts, HostSpace *there, char **ret_why);
void host_link_free(HostLink *link);

/* What the functions of hosts.h that are called so do. */
void host_link_cut(HostLink *link);
void host_link_mend(HostLink *link);
gboolean host_link_shape(HostLink *link, guint mbit, guint delay_ms);
void host_link_unshape(HostLink *link);
