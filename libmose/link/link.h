/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link: all traffic between two hosts, over the standard input and output of one
 * transport command ("ssh user@host mose receive").
 *
 *   command --- socket pairs, one a channel --- link process === transport === ... far
 *
 * A link process on either host multiplexes the channels. The command sees plain
 * sockets, and may hand them on (to a QEMU, to a relay). When the link ends, for
 * whatever reason, each channel gives what has already arrived, and then its end; why
 * it has ended is told by mose_link_check(). When the last holder of the MoseLink has
 * gone (the command died), the link ends as well, at the other host too.
 *
 * What goes over the wire is in frame.h. The link process is forked without exec: a
 * link is opened while the command has no second thread.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* The channels that are there from the start. */
enum {
    MOSE_LINK_CONTROL, /* messages of the two commands; words.h */
    MOSE_LINK_MONITOR,
    MOSE_LINK_STREAM, /* bulk: the migration stream and its return path */
    MOSE_LINK_SPARE,
    MOSE_LINK_N_CHANNELS
};

/* The default limits. The first is long enough for a person to type a password. */
#define MOSE_LINK_HELLO_MS 120000
#define MOSE_LINK_SILENCE_MS 10000

#define MOSE_LINK_MAX_COMPRESS 19

/* Each side has options of its own; they are about what it sends. */
typedef struct {
    guint compress_level; /* of zstd, 1 to MOSE_LINK_MAX_COMPRESS, for bulk channels; 0:
                             none */
    guint64 bytes_per_second; /* on the wire, of bulk channels together; 0: no limit */
    /* Limits in milliseconds, 0 for the default: until the other side has said hello,
     * and how long it may be silent afterwards (it gives several signs of life in
     * that time). Both sides should have the same. */
    guint hello_ms;
    guint silence_ms;
} MoseLinkOptions;

typedef struct MoseLink MoseLink;

/*
 * Start the transport @argv (searched in PATH) and greet the link at its other end. It
 * stays in our session and process group, so that ssh may ask for a password on the
 * terminal, but it ignores the terminal's signals: Ctrl-C ends the command, which may
 * still need the link. @interrupt_fd, if above 0, ends the wait when it is readable.
 * NULL for @options: no compression, no limits but the default ones.
 *
 * CLOSED: the transport has ended; the text has its status and what it wrote to its
 * standard error ("mose: command not found"). INVALID: something else answers there, or
 * another version. TIMEOUT; INTERRUPTED; FAILED: the transport cannot be started.
 */
MoseLink *mose_link_open(const char *const *argv, const MoseLinkOptions *options,
                         int interrupt_fd, GError **error);

/*
 * The far end: over two descriptors of ours (standard input and output), which may be
 * the same one. They are taken over, also on failure: ours are closed, those up to 2
 * become /dev/null. Errors as above.
 */
MoseLink *mose_link_accept(int in, int out, const MoseLinkOptions *options,
                           GError **error);

/*
 * The command's end of channel @channel, a unix stream socket (blocking,
 * close-on-exec): the link's property; -1 when it has been taken. shutdown(SHUT_WR) and
 * close are seen by the other side as on any socket. Whoever does not read a channel
 * holds up that one alone.
 */
int mose_link_channel(const MoseLink *link, guint channel);

/* The same; it becomes the caller's. */
int mose_link_take_channel(MoseLink *link, guint channel);

/* Whether the link is up; mose_link_check() sets @error to why it is not: CLOSED (the
 * other side or the transport has ended), TIMEOUT (silence), INVALID (the other side
 * breaks the protocol), FAILED. */
gboolean mose_link_is_up(const MoseLink *link);
gboolean mose_link_check(const MoseLink *link, GError **error);

/* Readable (POLLIN) as soon as the link has ended; only to be polled. */
int mose_link_fd(const MoseLink *link);

/* What the transport wrote to its standard error last, valid UTF-8 of one line; "" if
 * nothing. Never NULL. */
char *mose_link_said(const MoseLink *link);

/* The processes, for tests and messages. No transport (0) at the far end. */
pid_t mose_link_pid(const MoseLink *link);
pid_t mose_link_transport_pid(const MoseLink *link);

/*
 * End the link: what was written to the control channel still goes out (within a
 * second), then link process and transport are ended, in some seconds at most.
 */
void mose_link_free(MoseLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseLink, mose_link_free)

/* What the holder of the link has open for it: at most MOSE_LINK_MAX_FDS descriptors to
 * @ret; how many. For a process that closes all others. */
#define MOSE_LINK_MAX_FDS (MOSE_LINK_N_CHANNELS + 6)
gsize mose_link_descriptors(const MoseLink *link, int *ret);

/* Forget the link without ending it, after a fork: for the one of the two processes
 * that shall not hold it any longer. Its channels that have not been taken are closed
 * here. */
void mose_link_leave(MoseLink *link);

/* --- further channels: services --- */

/*
 * Let the other side open channels to @service (0..65535, the two commands' choice):
 * the link process connects each to the unix socket at @path. What the other side opens
 * without such a word, or while nobody listens there, is closed at once.
 */
gboolean mose_link_offer(MoseLink *link, guint service, const char *path,
                         GError **error);

/* Make each connection to the listening unix socket @fd (borrowed) a channel to
 * @service of the other side. */
gboolean mose_link_listen(MoseLink *link, guint service, int fd, GError **error);

/* Open one channel to @service of the other side: a socket like those above, the
 * caller's; -1 and @error. */
int mose_link_connect(MoseLink *link, guint service, GError **error);

/* How many channels each side may have opened at the same time. */
#define MOSE_LINK_MAX_OPENED 32
