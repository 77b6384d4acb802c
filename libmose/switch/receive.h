/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `mose receive`: what this host does for the guests of another one. */
#pragma once

#include "link/link.h"

/* Serve the connection of @link (taken over) until the other side has ended it. Only
 * what kept us from serving is an error: what went wrong with a guest was answered. */
gboolean mose_receive(MoseLink *link, GError **error);
