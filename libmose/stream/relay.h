/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream's way from one QEMU to the other, through a rewriter, on a thread
 * of its own. The return path goes the other way as it comes.
 *
 * It ends when both sides have closed, when it fails (the source then sees its
 * end close, and resumes the guest by itself), or when it is stopped.
 */
#pragma once

#include "stream/rewriter.h"
#include "stream/relay-end.h"

typedef struct MoseRelay MoseRelay;

/*
 * Start it between two connected sockets, which are taken over. @rewrite runs
 * on the relay's thread.
 */
MoseRelay *mose_relay_start(int source, int destination, MoseRewriteFunc rewrite,
                            gpointer data, GError **error);

/* The same between ends of any kind, whose descriptors are taken over. */
MoseRelay *mose_relay_start_between(MoseRelayEnd source, MoseRelayEnd destination,
                                    MoseRewriteFunc rewrite, gpointer data,
                                    GError **error);

/*
 * For how long the destination may keep the relay waiting: with bytes that it does not
 * take, or, once it has got the whole stream, without closing or saying on the return
 * path that it has ended. Any byte that it takes or sends, and this call, begin the
 * time anew; waiting for the source is not counted. Then the relay fails with TIMEOUT.
 * 0, as at the start: for ever. Any thread, while the relay runs.
 */
void mose_relay_set_patience(MoseRelay *relay, int ms);

/*
 * Write what the source sends, as it comes and before it is rewritten, to @fd (a file,
 * the caller's until the relay has been freed) as well. It fails where that fails. To
 * be called before the source sends.
 */
void mose_relay_keep(MoseRelay *relay, int fd);

/* Readable once the relay has failed: for mose_qmp_wait(). */
int mose_relay_failure_fd(const MoseRelay *relay);

/* Why it failed; FALSE and *@error if it did: CLOSED where the destination went
 * away or said that it could not load, TIMEOUT where it does nothing any more, STREAM
 * where the source went away (truncated), else what the rewriter said. */
gboolean mose_relay_check(MoseRelay *relay, GError **error);

/* It failed because the source closed the stream before its end. */
gboolean mose_relay_source_ended(MoseRelay *relay);

/* Bytes that the source has sent so far, and that went on to the destination. */
void mose_relay_progress(MoseRelay *relay, guint64 *ret_in, guint64 *ret_out);

/* Stop it, wait for its thread, close both ends. */
void mose_relay_free(MoseRelay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseRelay, mose_relay_free)
