/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process inherits beside descriptors: environment, resource limits, processors,
 * niceness. The next process of a guest gets those of the one before, not those of the
 * command that happens to switch it.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct MoseSurroundings MoseSurroundings;

/* Those of process @pid; what cannot be read is left as it is here. Never NULL. */
MoseSurroundings *mose_surroundings_of(pid_t pid);
void mose_surroundings_free(MoseSurroundings *surroundings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSurroundings, mose_surroundings_free)

/*
 * Have the dynamic linker load @module (a path without spaces and colons; NULL:
 * nothing) first (LD_PRELOAD, ld.so(8)), and no other file of the name @name, which the
 * process may have had. What the user has it load stays.
 */
void mose_surroundings_preload(MoseSurroundings *surroundings, const char *name,
                               const char *module);

/* Its environment for an exec, NULL for ours (also where @surroundings is NULL). */
const char *const *mose_surroundings_environment(const MoseSurroundings *surroundings);

/* Take the rest on. Async-signal-safe: for a child before its exec. */
void mose_surroundings_take(const MoseSurroundings *surroundings);
