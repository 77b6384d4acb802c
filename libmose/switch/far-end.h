/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the MOSEs of two hosts say to each other about one guest: requests and answers
 * over a link, one at a time.
 *
 * Who was started by the user opens the link; the other one is `mose receive`. Whoever
 * has the guest then asks, the other one answers. A request is {"do": NAME, ...}; an
 * answer has no "do", and where it is a refusal, "error" (text) and "code".
 *
 *   hello     the first one: versions, names
 *   take      a guest is to come: its description; its QEMU is started   (take.c)
 *   overlay stream clock ready commit done said abort     the steps of that
 *   give      send the guest NAME to me; "take" and so on follow, the other way
 *   outcome   did you take the guest of switch ID?                       (doubt.c)
 *   told      this is what became of switch ID
 *   stop      end the guest of that life
 *   tie       the guest's home is here, and its disks                    (tether.c)
 *   wake      let it go on, if a disk that was out of reach has stopped it
 */
#pragma once

#include "guest/far.h"
#include "link/link.h"
#include "link/words.h"

/* Of the link: QMP of the guest's next process. */
#define MOSE_SERVICE_MONITOR 1
/* NBD server of a guest's disks, at its home. */
#define MOSE_SERVICE_DISKS 2
/* The destination's QEMU, where memory goes to it by TCP. */
#define MOSE_SERVICE_STREAM 3
/* And on, one each: the pumps of its private taps, on the other host. */
#define MOSE_SERVICE_NET 100

typedef struct {
    MoseLink *link;
    MoseWords *words;
    char *label;      /* the other host, for people */
    char *boot_id;    /* of that host's boot; known to who has opened it */
    gboolean refused; /* the last call was answered, by a refusal */
    /* Numbers of our last request, and of theirs. An answer has that of its request, so
     * that one which comes late is not taken for the answer to another. */
    gint64 asked, answering;
} MoseFarEnd;

/*
 * Reach the host of @far, and say hello. Errors are those of mose_link_open(), with the
 * host's name; UNSUPPORTED where the other MOSE speaks otherwise.
 */
MoseFarEnd *mose_far_end_open(const MoseFar *far, const MoseLinkOptions *options,
                              int interrupt_fd, GError **error);

/* The end of `mose receive`, over @link, which is taken over. */
MoseFarEnd *mose_far_end_new(MoseLink *link);

void mose_far_end_free(MoseFarEnd *end);

/* Forget it without ending the link: mose_link_leave(). */
void mose_far_end_leave(MoseFarEnd *end);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseFarEnd, mose_far_end_free)

/*
 * Ask @take (taken over) and wait for the answer, for @timeout_ms, or until @wake_fd
 * (-1: none) is readable. Errors that the other side answers keep their code, and name
 * the host.
 */
JsonObject *mose_far_end_call(MoseFarEnd *end, JsonObject *take, int timeout_ms,
                              int wake_fd, GError **error);

/* The same where the answer's words do not matter. */
gboolean mose_far_end_tell(MoseFarEnd *end, JsonObject *take, int timeout_ms,
                           int wake_fd, GError **error);

/* The next thing that the other side says of itself, a request mostly:
 * mose_words_receive(). What is answered then is this. */
JsonObject *mose_far_end_next(MoseFarEnd *end, int timeout_ms, int wake_fd,
                              GError **error);

/* Answer a request: with @take, with {} (NULL), or with what went wrong. */
gboolean mose_far_end_answer(MoseFarEnd *end, JsonObject *take, GError **error);
gboolean mose_far_end_refuse(MoseFarEnd *end, const GError *cause, GError **error);

/*
 * The other host's CLOCK_MONOTONIC minus ours, microseconds, known to half the way
 * there and back: the quickest of some tries. And its TSC's frequency; 0: not told.
 */
gboolean mose_far_end_clock(MoseFarEnd *end, gint64 *ret_offset_us,
                            guint64 *ret_tsc_khz, GError **error);

/* What hello says of this host. */
JsonObject *mose_far_end_self(void);
