/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The taps of a guest whose network stays at home (home-net.h), as its tether pumps
 * them. For tether-process.c alone. */
#pragma once

#include "guest/guest.h"
#include "switch/far-end.h"

typedef struct MoseTetherLines MoseTetherLines;

/* @guest's taps, which are not open yet: none where its network does not stay. */
MoseTetherLines *mose_tether_lines_new(const MoseGuest *guest);

/* Open the taps that are not open, and connect those that are not connected over the
 * link of @end. FALSE and @error for the first tap that cannot be opened; the others
 * work. */
gboolean mose_tether_lines_connect(MoseTetherLines *lines, MoseFarEnd *end,
                                   GError **error);

/* The link has ended. */
void mose_tether_lines_disconnect(MoseTetherLines *lines);

/* Wait for frames and pass them on, for the link's end (FALSE), or for @timeout_ms. */
gboolean mose_tether_lines_pump(MoseTetherLines *lines, const MoseFarEnd *end,
                                int timeout_ms);
