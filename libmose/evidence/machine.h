/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a report says of the host itself. */
#pragma once

#include <json-glib/json-glib.h>

/* "processor" (the first of /proc/cpuinfo, without what changes), "kernel" (uname),
 * "modules" (KVM's, with their parameters), "kvm" (fitness.h), "qemu" (its version as
 * 100002 for 10.0.2). No name, address or
 * serial number. */
JsonObject *mose_report_machine(void);
