/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One keep-alive HTTP connection that sends the next request as soon as the
 * reply to the last one is there. Never blocks; whoever polls it calls
 * connection_step() when its descriptor is ready or its deadline has passed.
 */
#pragma once

#include <glib.h>
#include <netinet/in.h>

#include "tally.h"

/* What all connections share. */
typedef struct {
    struct sockaddr_in address;
    char *request;
    gboolean reconnect; /* make a broken connection anew */
    gint64 reply_limit; /* ns after which a missing reply is an error; 0: never */
    gboolean same_body; /* each body must equal the first one */
    GByteArray *body;   /* the first one */
    Tally *tally;
} Load;

typedef struct Connection Connection;

/* Starts to connect at once; @load must outlive it. */
Connection *connection_new(Load *load, guint index, gint64 now);
void connection_free(Connection *connection);

/* For poll(): the descriptor (-1: none now) and the events awaited. */
int connection_fd(const Connection *connection);
short connection_events(const Connection *connection);
/* When connection_step() must be called at the latest; G_MAXINT64: never. */
gint64 connection_deadline(const Connection *connection);
/* Whether it is, or will again be, of use. */
gboolean connection_is_alive(const Connection *connection);

void connection_step(Connection *connection, short revents, gint64 now);
