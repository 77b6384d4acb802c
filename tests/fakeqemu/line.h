/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines in and out of one socket, and the descriptors that come beside them. */
#pragma once

#include <glib.h>

typedef struct {
    int fd;
    int passed; /* the descriptor that came last, or -1; owned */
    GString *input;
} FakeLine;

void fake_line_init(FakeLine *line, int fd);

/* The next line without its end, or NULL at the end of the connection. Waits. */
char *fake_line_read(FakeLine *line);

/* Read what is there into the input; FALSE at the end of the connection. */
gboolean fake_line_fill(FakeLine *line);

/* Take a whole line out of the input, or NULL. */
char *fake_line_take(FakeLine *line);

/* Send @text as it is; a client that has gone does not matter. */
void fake_line_send(FakeLine *line, const char *text);

/* Close the socket; then free the rest, the passed descriptor included. */
void fake_line_close(FakeLine *line);
void fake_line_clear(FakeLine *line);
