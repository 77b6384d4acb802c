/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plugin in a guest's emulator (plugin/control.h), asked. One client at a time;
 * what it has asked for ends when it goes.
 */
#pragma once

#include "guest/guest.h"
#include "analysis/rings.h"

typedef struct {
    guint64 first, last; /* addresses; both belong to it */
} MoseRange;

/* What is to be told of. */
typedef struct {
    GArray *ranges;    /* MoseRange; blocks that begin in one of them */
    gboolean accesses; /* of memory, and */
    gboolean values;   /* what was loaded or stored */
    guint64
        switch_address; /* the kernel's function that has the task that runs next as
                         * its second argument: tasks are told of; 0: they are not */
    guint
        patience_ms; /* how long a vCPU waits for a reader that does not keep up; 0: it
                      * goes on at once, and what it did is lost, and told as lost */
} MosePlan;

typedef struct MosePlugin MosePlugin;

/* Connect. UNSUPPORTED: the guest is in no emulator, or in one without the plugin;
 * BUSY: somebody else uses it. */
MosePlugin *mose_plugin_connect(const MoseGuest *guest, GError **error);
void mose_plugin_free(MosePlugin *plugin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MosePlugin, mose_plugin_free)

/* Of the emulator. */
guint mose_plugin_vcpus(const MosePlugin *plugin);

/* Whether translation outran the reader: nothing is told of any more. */
gboolean mose_plugin_overrun(MosePlugin *plugin, gboolean *ret, GError **error);

/* Ask for @plan, told in @rings; or for nothing any more. It is done when a vCPU has
 * come by (plugin/core.h): mose_plugin_wait() then says so. */
gboolean mose_plugin_arm(MosePlugin *plugin, const MosePlan *plan,
                         const MoseRings *rings, GError **error);
gboolean mose_plugin_disarm(MosePlugin *plugin, GError **error);
gboolean mose_plugin_wait(MosePlugin *plugin, int timeout_ms, GError **error);
