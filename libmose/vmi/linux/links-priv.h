/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that read network interfaces share. */
#pragma once

#include "vmi/linux/links.h"

/* Fill in what struct net_device @device has counted, where the kernel does so and not
 * its driver. */
gboolean mose_net_link_count(const MoseObject *device, MoseNetLink *link,
                             GError **error);
