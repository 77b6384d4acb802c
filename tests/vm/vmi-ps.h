/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this test of `mose ps` share. */
#pragma once

#include <json-glib/json-glib.h>

#include "lib/kernels.h"

/* Of a row: "" and G_MININT32 where it has none. */
const char *vmi_ps_text(JsonObject *row, const char *member);
gint64 vmi_ps_number(JsonObject *row, const char *member);

/* The row of @pid in what `mose ps --json` said; NULL: there is none. */
JsonObject *vmi_ps_row(JsonObject *said, gint64 pid);

/* vmi-ps-files.c: against status, cmdline, cgroup and ns of /proc/PID. */
void vmi_ps_test_status(const KernelsGuest *guest);
void vmi_ps_test_command(const KernelsGuest *guest);
void vmi_ps_test_cgroups(const KernelsGuest *guest);
void vmi_ps_test_namespaces(const KernelsGuest *guest);
