/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Namespaces that make a host of the test's own: mounts and a name, and a network if it
 * is asked for. They have no name in any file system and go with their last process.
 */
#pragma once

#include <gio/gio.h>

typedef struct HostSpace HostSpace;

typedef struct {
    const char *name;        /* the host's */
    gboolean own_net;        /* a network of its own instead of the test's; all that is
                                in it is killed at the end, even if the test dies */
    const char *runtime_dir; /* removed with it, or if it cannot be made; NULL: none */
    /* Files to be seen in the place of others: pairs of what and where, then NULL. */
    const char *const *files;
} HostSpaceConfig;

/* Make one. /run is empty there but for sshd's /run/sshd. NULL, and *@ret_why (the
 * caller's), where that is not allowed. */
HostSpace *host_space_new(const HostSpaceConfig *config, char **ret_why);

/* End it, with all that runs in a network of its own, and wait for that. */
void host_space_free(HostSpace *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostSpace, host_space_free)

/* A GSpawnChildSetupFunc that takes the child into the HostSpace @data (NULL: it stays
 * where it is). */
void host_space_enter(gpointer data);

/* The same for one that shall not outlive the test. */
void host_space_enter_bound(gpointer data);

/* Whether process @pid is in its network, which has to be its own. */
gboolean host_space_has(const HostSpace *space, pid_t pid);

/* A process that is in its network, for `ip link set ... netns PID`. */
pid_t host_space_pid(const HostSpace *space);
