/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An analysis of a guest in the emulator: what is to be told is armed, told, and
 * disarmed again, while the guest runs. A guest that never idles stands still for the
 * moment in which code that was translated is forgotten, under a debug session's record
 * and guardians (vmi/exact.h): who dies in it leaves a guest that runs. Who dies
 * afterwards leaves one that is told of to nobody, and soon runs as before
 * (plugin/control.h).
 */
#pragma once

#include "analysis/client.h"

typedef struct MoseSession MoseSession;

/* Begin with @plan on @guest, which is locked for as long as the session is (so that it
 * is not switched meanwhile) and must outlive it. @words: of each ring. Errors: those
 * of mose_plugin_connect(); INVALID: the guest is paused. */
MoseSession *mose_session_begin(MoseGuest *guest, const MosePlan *plan, guint words,
                                GError **error);

/* Read what there is; TRUE also where there is nothing: *@ret_n. */
gboolean mose_session_read(MoseSession *session, const MoseRingSink *sink,
                           gpointer data, guint64 *ret_n, GError **error);

/* Disarm, and read the rest. Guardians are started: no other thread of this process may
 * be at work meanwhile. */
gboolean mose_session_end(MoseSession *session, const MoseRingSink *sink, gpointer data,
                          GError **error);

/* Whether its end came by itself: translation outran the reader, or QEMU has gone. */
gboolean mose_session_check(MoseSession *session, GError **error);

guint mose_session_vcpus(const MoseSession *session);

/* How long the longer of both moments was, in microseconds; 0: there was none. */
gint64 mose_session_still_us(const MoseSession *session);

void mose_session_free(MoseSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSession, mose_session_free)
