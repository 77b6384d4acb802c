/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest that is on another host still needs of its home (home-disks.h,
 * home-net.h) goes over a link that outlives the command which brought it there: its
 * tether, a process of MOSE's at home. When the link breaks it makes another one, for
 * as long as the guest is away. It asks no questions: ssh has to get there without (an
 * agent, a key).
 *
 * The file "tether" in the guest's directory names the process. One that has died is
 * replaced by the next command that looks at the guest (mose_recover()).
 */
#pragma once

#include "guest/guest.h"
#include "switch/far-end.h"

/* Whether @guest is away and needs it. */
gboolean mose_tether_is_needed(const MoseGuest *guest);

/* The process that there is, or NULL. */
MoseProcess *mose_tether_process(const MoseGuest *guest);

/*
 * Start it for @guest, which is locked: over the link of @end, which is taken over, or,
 * where that is NULL, over a new one. TRUE where there is one already. The caller has
 * no second thread. What ends the command's service or session must not end it: it
 * joins the control groups of the guest's storage daemon, or of @like (0: it stays).
 */
gboolean mose_tether_start(const MoseGuest *guest, MoseFarEnd *end, pid_t like,
                           GError **error);

/* End it; TRUE where there is none. */
gboolean mose_tether_end(const MoseGuest *guest, GError **error);

/* The guest is here, and needs nothing of another host any more: end the tether, and
 * what exported the disks (REFUSED where that still has to write). */
gboolean mose_tether_clear(MoseGuest *guest, GError **error);

/* Why there is no link at the moment; NULL where there is one, or none is needed. */
char *mose_tether_trouble(const MoseGuest *guest);

/* On the other host: let the other side of @link reach what it has to; and serve "tie",
 * which does that again, and "wake". */
gboolean mose_tether_offer(const MoseGuest *guest, MoseLink *link, GError **error);
gboolean mose_tether_serve_tie(MoseFarEnd *end, JsonObject *request, GError **error);
gboolean mose_tether_serve_wake(MoseFarEnd *end, JsonObject *request, GError **error);
