/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix stream sockets whose path may be longer than sockaddr_un's 108 bytes:
 * the last part is reached through a descriptor of its directory.
 */
#pragma once

#include <glib.h>

/* Listen at @path (mode 0600, a stale socket there is replaced); -1 and @error. */
int mose_unix_listen(const char *path, GError **error);

/* The same for so many connections that wait to be accepted, and one more. */
int mose_unix_listen_for(const char *path, int backlog, GError **error);

/* Connect to @path; -1 and @error (CLOSED where nobody listens). */
int mose_unix_connect(const char *path, GError **error);

/* The same without waiting where others wait to be accepted there (FAILED); the socket
 * stays non-blocking. */
int mose_unix_connect_at_once(const char *path, GError **error);

/* The longest path that QEMU itself can bind (sizeof sun_path - 1). */
#define MOSE_UNIX_PATH_MAX 107
