/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest that is being taken: what take.c and take-commit.c share. */
#pragma once

#include "guest/clock.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "net/tcp-relay.h"
#include "switch/guardian.h"
#include "switch/take.h"

typedef struct {
    MoseFarEnd *end;
    const MoseTakeOptions *options;
    MoseGuest *guest; /* options->home, or our own */
    MoseJournal *journal;
    MoseGuardian *guardian;
    MoseLaunch *launch;
    MoseTcpRelay *tcp; /* memory that comes beside the link; or NULL */
    guint generation;
    MoseSide side;
    MoseTscSample begun;
    gint64 ready_us; /* CLOCK_BOOTTIME of "ready"; 0: not yet */
    gboolean committed;
    gboolean uncertain; /* the guardians have to find out */
} MoseTake;

/* Read @request into take->guest, and judge what can be judged without a process. */
gboolean mose_take_read(MoseTake *take, JsonObject *request, GError **error);

/* The images that both write are the same ones, and have locks: *@ret_seen where there
 * are any; an error where it is otherwise. */
gboolean mose_take_see_locks(JsonObject *request, gboolean *ret_seen, GError **error);

/* The commit record, the rules' writes, the guest's first instruction; @request has the
 * words. What failed has gone back, unless take->uncertain. */
gboolean mose_take_commit(MoseTake *take, JsonObject *request, gint64 *ret_resume_us,
                          GError **error);

/* Sockets, ports, records: the guest is here. */
gboolean mose_take_settle(MoseTake *take, GError **error);
