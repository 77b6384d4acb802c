/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control groups: where a process belongs for the host's service manager. */
#pragma once

#include <sys/types.h>

/*
 * Put @pid into the control groups of @other, where we may; where we may not, it
 * stays in ours. The service manager ends what is left in a group when its service or
 * session ends (systemd.kill(5), KillMode=control-group).
 */
void mose_cgroup_join(pid_t pid, pid_t other);
