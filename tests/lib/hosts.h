/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two hosts, "here" and "there", that reach each other by ssh. Here is the test itself
 * in the network namespace of vm-net.h: vm.h and vm-net.h act here. There has a
 * network, mounts, a name, a boot id and a runtime directory of its own, and an empty
 * /run; the files are the same, as on shared storage. Both may run as root, or as a
 * user who may make user namespaces. Whatever is left there ends with the test, even if
 * it is killed.
 *
 * Environment, beside that of vm.h: MOSE_FETCH_SSHD (tools/fetch-sshd), WIRE (that
 * program of tests/tools).
 */
#pragma once

#include <gio/gio.h>

#include "lib/host-sshd.h"

typedef enum { HOST_HERE, HOST_THERE } HostSide;

typedef struct Hosts Hosts;

/*
 * Make them; behind vm_setup(), and before vm_net_setup() if a tap is wanted here as
 * well; before there is a second thread. NULL where that cannot be; hosts_why_not()
 * tells why.
 */
Hosts *hosts_new(void);
void hosts_free(Hosts *hosts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hosts, hosts_free)
const char *hosts_why_not(void);

/* The usual business: g_test_skip() with that reason, and TRUE. */
gboolean hosts_cannot_run(void);

/*
 * Run these words (NULL-terminated) on a host, `mose` being the one that is tested.
 * Returns the exit status; what was written goes to *@ret_out and *@ret_err (either may
 * be NULL). hosts_spawn() does not wait; the process does not outlive the test.
 */
int hosts_run(Hosts *hosts, HostSide side, char **ret_out, char **ret_err,
              const char *word, ...) G_GNUC_NULL_TERMINATED;
int hosts_runv(Hosts *hosts, HostSide side, char **ret_out, char **ret_err,
               const char *const *words);
GSubprocess *hosts_spawn(Hosts *hosts, HostSide side, GSubprocessFlags flags,
                         const char *const *words);

/* The command that reaches the other host from either side, "ssh -F CONFIG", whose
 * words are free of blanks; USER@ADDRESS of a host, and the address alone. A remote
 * `mose` is found, and has the runtime directory of that host. */
const char *hosts_rsh(const Hosts *hosts);
const char *hosts_address(const Hosts *hosts, HostSide side);
const char *hosts_ip(HostSide side);
const char *hosts_runtime_dir(const Hosts *hosts, HostSide side);

/* Whether process @pid runs there: other tests have hosts of their own. */
gboolean hosts_runs_there(const Hosts *hosts, pid_t pid);

/* There, directory @to shows what @from shows here, and @from is empty; both exist. */
void hosts_map(Hosts *hosts, const char *from, const char *to);

/* A silent break: what either sends is lost, and neither is told; and its end. */
void hosts_cut(Hosts *hosts);
void hosts_mend(Hosts *hosts);

/* A loud one: the processes that serve ssh connections at @side are killed. */
void hosts_reset_connections(Hosts *hosts, HostSide side);

/*
 * Have the link carry @mbit (10^6 bits/s; 0: no limit) each way and deliver everything
 * @delay_ms later, each way. Connections stay. FALSE where there is no /dev/net/tun.
 */
gboolean hosts_shape(Hosts *hosts, guint mbit, guint delay_ms);
void hosts_unshape(Hosts *hosts);
