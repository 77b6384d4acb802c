/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An sshd for a host of the test's own, with keys of its own, in the foreground: no
 * service, and nothing of this system's configuration is read or changed.
 *
 * Environment: MOSE_FETCH_SSHD (tools/fetch-sshd).
 */
#pragma once

#include "lib/host-space.h"

#define HOST_SSHD_PORT "2222"

/* What all sshds of a test share, in a directory that the caller removes. */
typedef struct {
    char *dir;
    char *program; /* that runs an sshd */
    char *user;    /* who can log in, by the key there */
    gid_t group;
    gboolean root; /* it is root, really */
    char *config;  /* for `ssh -F`: with it, the hosts know each other and the user */
} HostLogin;

/* Make the keys in the new directory @dir. NULL, and *@ret_why (the caller's), where
 * that cannot be. */
HostLogin *host_login_new(const char *dir, char **ret_why);
void host_login_free(HostLogin *login);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostLogin, host_login_free)

/* Files for HostSpaceConfig: the user's account as sshd needs it, and its own. */
char **host_login_files(const HostLogin *login);

/* Give the host @name at @address a key that the hosts know. */
gboolean host_login_add(const HostLogin *login, const char *name, const char *address);

/* Start that host's in @space; what is run through it gets @environment (NAME=VALUE
 * pairs, sshd_config(5) SetEnv). Its pid, when it listens; 0, and *@ret_why, if it
 * ends before. It does not outlive the test. */
GPid host_sshd_start(const HostLogin *login, const char *name, const char *address,
                     HostSpace *space, const char *environment, char **ret_why);

/* Kill the processes that serve its connections; itself as well. */
void host_sshd_end_sessions(GPid sshd);
void host_sshd_stop(GPid sshd);
