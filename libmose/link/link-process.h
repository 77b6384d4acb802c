/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a link process; for link.c alone. */
#pragma once

#include "link/mux.h"

/* Be the link process, in a process just forked: keep nothing of the command's but what
 * @setup names. Does not return. */
G_NORETURN void mose_link_process_main(const MoseMuxSetup *setup);
