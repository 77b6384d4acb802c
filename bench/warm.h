/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that the host has at hand before something is measured. */
#pragma once

#include <glib.h>

/*
 * On a virtual machine whose host takes back what lies idle, the first touch of a page
 * may cost ten times its copy, and differs from one time to the next. So @mb MB, and an
 * eighth more, are touched and given back: they are, for the most part, what the next
 * process gets soon after.
 */
void bench_warm_memory(guint mb);
