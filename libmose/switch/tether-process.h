/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tether's process; see tether.h. */
#pragma once

#include "guest/guest.h"
#include "switch/far-end.h"

/* The file with what went wrong last; free with g_free(). */
char *mose_tether_log(const MoseGuest *guest);

/*
 * In a new child: never returns. Keeps nothing open of its parent's but the link of
 * @end, which may be NULL. A byte from @go says that it may begin; its end without one,
 * that it may not.
 */
G_NORETURN void mose_tether_main(const MoseGuest *guest, MoseFarEnd *end, int go);
