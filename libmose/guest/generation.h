/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes of a guest by their generation: each is started with a pidfile of its
 * own name in the guest's directory, whether or not guest.json knows of it yet.
 */
#pragma once

#include "guest/guest.h"

/* The process of @guest's that has generation @generation; NULL if none runs. */
MoseProcess *mose_find_generation(const MoseGuest *guest, guint generation);

/* End it, if there is one. */
gboolean mose_end_generation(const MoseGuest *guest, guint generation, GError **error);
