/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines over a socket; see line.h. */
#include "fakeqemu/line.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "util/line.h"

void
fake_line_init(FakeLine *line, int fd)
{
    *line = (FakeLine){ fd, MOSE_FD_NONE, g_string_new(NULL) };
}

static void
take_passed(FakeLine *line, struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);

    if (!control || control->cmsg_type != SCM_RIGHTS)
        return;
    mose_fd_close(line->passed);
    memcpy(&line->passed, CMSG_DATA(control), sizeof(line->passed));
}

gboolean
fake_line_fill(FakeLine *line)
{
    char buffer[4096];
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec vector = { buffer, sizeof(buffer) };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = control.space,
                              .msg_controllen = sizeof(control.space) };
    ssize_t n;

    do
        n = recvmsg(line->fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return FALSE;
    take_passed(line, &message);
    g_string_append_len(line->input, buffer, n);
    return TRUE;
}

char *
fake_line_take(FakeLine *line)
{
    return mose_line_take(line->input);
}

char *
fake_line_read(FakeLine *line)
{
    char *text;

    while (!(text = fake_line_take(line)))
        if (!fake_line_fill(line))
            return NULL;
    return text;
}

void
fake_line_send(FakeLine *line, const char *text)
{
    gsize left = strlen(text);

    while (left > 0) {
        ssize_t n = send(line->fd, text, left, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        text += n;
        left -= n;
    }
}

void
fake_line_close(FakeLine *line)
{
    mose_fd_close(mose_fd_steal(&line->fd));
}

void
fake_line_clear(FakeLine *line)
{
    fake_line_close(line);
    mose_fd_close(mose_fd_steal(&line->passed));
    g_string_free(line->input, TRUE);
}
