/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stage of tests of the switch: a guest in a process that only looks like QEMU
 * (fakeqemu/fakeqemu.h), in directories of its own. Environment: FAKEQEMU.
 */
#pragma once

#include "lib/says.h"
#include "switch/switch.h"

typedef struct {
    char *runtime;
    char *fake; /* $FAKEQEMU_DIR */
    MoseGuest *guest;
    char *state; /* guest.json as it was, without the timeline */
} Stage;

/* The options of stage_begin(). */
extern const char *const stage_plain_options[];

/* Directories alone; a description of a guest; both, and the guest in it, whose
 * first process has the script @source (NULL: none). */
Stage stage_make(void);
MoseSpec *stage_spec(const char *const *options);
void stage_begin(Stage *stage, const char *source);
void stage_begin_with(Stage *stage, const char *source, const char *const *options);

/* End the guest, and take all away. */
void stage_end(Stage *stage);
void stage_remove(const char *path);

/* Write file @name, as "pid.2.script"; read "pid.@generation.@suffix", "" if none. */
void stage_write(const Stage *stage, const char *name, const char *data, gssize len);
char *stage_read(const Stage *stage, guint generation, const char *suffix,
                 gsize *ret_len);

/* How often the process of @generation was told @command. */
int stage_count(const Stage *stage, guint generation, const char *command);

/* guest.json, of which a failed switch may change nothing but the timeline. */
char *stage_state(const Stage *stage);

gboolean stage_switch(Stage *stage, MoseSide side, GError **error);
gboolean stage_guest_runs(const Stage *stage);

/* The last event on the timeline is @event; returns its @member. */
const char *stage_last_event(const Stage *stage, const char *event, const char *member);

void stage_assert_no_journal(const Stage *stage);
/* No process, socket, log or pidfile of @generation. */
void stage_assert_nothing_left(const Stage *stage, guint generation);
