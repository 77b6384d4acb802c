/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests on two hosts (tests/lib/hosts.h): what the tests of them share. */
#pragma once

#include "lib/hosts.h"
#include "lib/vm.h"

extern Hosts *far_hosts;

/* Both hosts; g_test_run(), and their end. */
void far_setup(void);
int far_run_tests(void);

/* The usual business. */
gboolean far_cannot_run(void);

/* A demo guest that is up, with QEMU options @extra, or NULL. */
VmGuest *far_start(const char *name, const char *extra);
void far_stop(VmGuest *guest);

/* A new qcow2 image in a directory of its own, @name, that the other host has not got;
 * free with g_free(). */
char *far_image(const char *name);

/* `mose emulate --on HOST`; its exit status. */
int far_go(const VmGuest *guest, const char *host, char **ret_out, char **ret_err);

/* What `mose list` says at @side of @name: its state, "" where it is not known. */
char *far_listed(HostSide side, const char *name);
void far_assert_listed(const VmGuest *guest, const char *here, const char *there);

/* A switch to the other host ended with @status 1 and @words in @err; the guest runs on
 * here, and nothing of it is left there. */
void far_assert_refused(const VmGuest *guest, int status, const char *err,
                        const char *words);

/* Its shell answers, wherever it is. */
void far_assert_answers(const VmGuest *guest);
