/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of one QMP connection, played from a script in a thread: what
 * the client has to send, and what it gets for it. After the last step the peer
 * says nothing more and waits until the client has closed.
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *expect; /* the next line must contain this; NULL: read nothing */
    const char *reply;  /* then this is sent as it is; NULL: nothing */
    gboolean hang_up;   /* and the connection is closed */
} FakeStep;

/* What a stock QEMU 10.0.2 says first, and the step after it. */
#define FAKE_GREETING                                                                  \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, " \
    "\"package\": \"Debian 1:10.0.2+ds-2\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define FAKE_OK "{\"return\": {}}\r\n"
#define FAKE_HELLO                                                                     \
    { NULL, FAKE_GREETING },                                                           \
    {                                                                                  \
        "\"qmp_capabilities\"", FAKE_OK                                                \
    }

typedef struct FakePeer FakePeer;

/* Play @steps, ended by one that is all zero (they must live as long as the peer);
 * *@ret_fd is the client's end. */
FakePeer *fake_peer_start(const FakeStep *steps, int *ret_fd);

/* Wait for its end, the client's end being closed: fails the test unless each
 * step was played. Returns the last descriptor that was passed along, or -1. */
int fake_peer_finish(FakePeer *peer);
