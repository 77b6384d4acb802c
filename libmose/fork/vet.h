/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's description that comes from a file, which anybody may have made. */
#pragma once

#include "qemu/spec.h"

/*
 * Whether QEMU may be started from @spec, which comes from a stranger: REFUSED, naming
 * it, for an option that a fork has no need of, for one that leads to a file outside of
 * @files (NULL: there are none) or to anything but a file, and for a side's
 * accelerator, CPU or machine that is none. What is the guest's own affair is not
 * judged. By names that are allowed, not by those that are not.
 */
gboolean mose_fork_vet(const MoseSpec *spec, const char *files, GError **error);
