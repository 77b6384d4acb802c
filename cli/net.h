/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of `mose net` share. */
#pragma once

#include "cli/look.h"
#include "vmi/linux/netns.h"

/* Those of the guest, or of the task that @task_word (NULL: none) names. */
GPtrArray *mose_net_namespaces(MoseLinux *kernel, const char *task_word,
                               GError **error);

/* The one with its struct net at @address; NULL: none of @nets. */
const MoseNetns *mose_net_namespace_at(const GPtrArray *nets, guint64 address);

/* Print the network interfaces. */
gboolean mose_net_show_links(MoseLook *look, const char *task_word, GError **error);
