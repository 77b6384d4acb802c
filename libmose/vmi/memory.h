/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one interface through which a guest is looked at: physical memory and registers,
 * of a guest on either side, of a fork, or of a core file. All that is above it knows
 * no more. A running guest runs on: what is read may change while it is read.
 */
#pragma once

#include <glib.h>

#include "guest/guest.h"
#include "vmi/vcpu.h"

typedef struct MoseMemory MoseMemory;

/* A piece of RAM in the guest-physical address space. */
typedef struct {
    guint64 address, size;
} MoseMemoryRange;

/* @vcpus: MoseVcpu. */
typedef void (*MoseStillFunc)(const GArray *vcpus, gpointer data);

/* What a source of memory has to offer; @data is its own. */
typedef struct {
    /* Copy @len bytes at guest-physical @address. FALSE where that is not all RAM, or
     * is not in the core file. */
    gboolean (*read)(gpointer data, guint64 address, void *to, gsize len);
    /* The vCPUs, as an array of MoseVcpu. @exact: in the instant of a stop (of less
     * than a millisecond, which needs the guest's lock); else a running vCPU's
     * registers may be of different moments but for those that say where tables are. */
    GArray *(*vcpus)(gpointer data, gboolean exact, GError **error);
    /* The same, exact, and @func is told of them while the guest stands still. NULL: it
     * always does. */
    gboolean (*still)(gpointer data, MoseStillFunc func, gpointer told, GError **error);
    /* Forget what was kept of an earlier moment of the guest; may be NULL. */
    void (*forget)(gpointer data);
    void (*free)(gpointer data);
} MoseMemorySource;

/*
 * @data is taken over. @name is for errors. @ranges (of MoseMemoryRange, in ascending
 * order) is copied. @alive: it is a guest that may run, not a file.
 */
MoseMemory *mose_memory_new(const MoseMemorySource *source, gpointer data,
                            const char *name, const GArray *ranges, gboolean alive);
void mose_memory_free(MoseMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseMemory, mose_memory_free)

/*
 * That of @guest, which must outlive it, opened with or without its lock. Mapped where
 * it is shared; else read out of QEMU (/proc/PID/mem); else, where we may not trace
 * QEMU, in pieces that QEMU writes to a file (QMP pmemsave). ENDED, AWAY, and what QEMU
 * says. With a switch under way: of the process that has the guest once that has
 * settled.
 */
MoseMemory *mose_memory_of_guest(MoseGuest *guest, GError **error);

/*
 * That of a core file: ELF, as `mose dump`, QEMU's dump-guest-memory, virsh dump and
 * /proc/vmcore have it, or kdump-compressed (makedumpfile, QEMU's kdump formats).
 * INVALID with offset for a file that is broken, UNSUPPORTED in words for what is
 * packed in a way that is not known here.
 */
MoseMemory *mose_memory_of_core(const char *path, GError **error);

const char *mose_memory_name(const MoseMemory *memory);
gboolean mose_memory_is_alive(const MoseMemory *memory);

/* The RAM there is, of MoseMemoryRange; and all of it in bytes. */
const GArray *mose_memory_ranges(const MoseMemory *memory);
guint64 mose_memory_size(const MoseMemory *memory);

/* Copy @len bytes at guest-physical @address. The first gives no reason (and is a
 * MosePhysicalRead); the second's error, NOT_FOUND, names the address. */
gboolean mose_memory_peek(gpointer memory, guint64 address, void *to, gsize len);
gboolean mose_memory_read(MoseMemory *memory, guint64 address, void *to, gsize len,
                          GError **error);

/* See MoseMemorySource. NOT_FOUND where a core file has no registers. */
GArray *mose_memory_vcpus(MoseMemory *memory, gboolean exact, GError **error);

/*
 * Call @func once, with the vCPUs of one instant, in which the guest stands still:
 * memory read by it fits the registers. Under either accelerator the guest is stopped
 * for as long as that takes, which needs its lock (exact.h); whatever @func does, the
 * guest runs on after it. Only a function that fails before @func is called sets
 * @error; or one that cannot let the guest run again.
 */
gboolean mose_memory_still(MoseMemory *memory, MoseStillFunc func, gpointer data,
                           GError **error);

/* What is read from now on is not older than this call. */
void mose_memory_forget(MoseMemory *memory);

/* The text of the core file's VMCOREINFO note, NUL-terminated; NULL where there is
 * none. Set by the source, which gives it away. */
const char *mose_memory_vmcoreinfo(const MoseMemory *memory);
void mose_memory_set_vmcoreinfo(MoseMemory *memory, char *text);
