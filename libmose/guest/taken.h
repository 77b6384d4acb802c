/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which switches from other hosts have brought a guest here: a file a switch in .taken
 * of the runtime directory, from just before the guest's first instruction here until
 * the other host is known to know. It stays when the guest has gone or was ended, so
 * that a host which asks later is not told that its guest was never here.
 */
#pragma once

#include <glib.h>

/* Ids are UUIDs; others, which a stranger may send, are INVALID. */
gboolean mose_taken_check(const char *id, GError **error);

/* Write it down: whoever asks after TRUE is told so. */
gboolean mose_taken_note(const char *id, GError **error);

/* The guest of that switch has not run here after all; or who gave it knows. */
gboolean mose_taken_forget(const char *id, GError **error);

gboolean mose_taken_is(const char *id);

/* The same, and at least @seconds have gone since it was noted, or since the last time
 * that this was so. */
gboolean mose_taken_due(const char *id, guint seconds);
