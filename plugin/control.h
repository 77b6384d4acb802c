/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket over which commands say what they want told. One client at a time; a
 * request is a line with a JSON object, answered by one:
 *
 *   {"execute": "status"}      {"return": {"api": N, "vcpus": N, "armed": B, ...}}
 *   {"execute": "arm", ...}    what plan.h says, the rings' file beside it
 *   {"execute": "disarm"}
 *
 * "arm" and "disarm" are done once a vCPU has come by (core.h): {"event": "PENDING"}
 * says that it may, {"return": ...} that it has. What cannot be done is answered by
 * {"error": "..."}. When the client goes, nothing is told of any more, and what it had
 * wanted is undone.
 */
#pragma once

#include <glib.h>

/* Begin to listen at the socket @fd, which is taken over, in a thread of its own. */
gboolean control_begin(int fd, int n_vcpus, GError **error);
