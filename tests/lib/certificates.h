/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates for tests of TLS (libmose/net/tls.h). */
#pragma once

#include <glib.h>

/* Make an authority of its own in @dir, which exists, and by it certificates of a
 * server, for the addresses @addresses (NULL-terminated, IPv4), and of a client. */
void certificates_make(const char *dir, const char *const *addresses);
