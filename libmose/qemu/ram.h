/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's RAM: a memfd of MOSE's, shared by whichever QEMU runs the guest.
 *
 * It has no name in any file system, so it is not bounded by /dev/shm and goes
 * with its last user. QEMU maps it as memory-backend-file by way of
 * /proc/self/fd; its memory-backend-memfd would be sent through the stream
 * despite x-ignore-shared (measured, QEMU 10.0.2).
 */
#pragma once

#include <glib.h>

#include "qemu/frozen-fd.h"
#include "qemu/qmp.h"
#include "util/process.h"

/*
 * Create @size bytes of RAM for guest @name. Unless @overcommit, RESOURCES when
 * the host (MemAvailable + SwapFree) or a cgroup above us (v1 and v2) has less.
 */
int mose_ram_create(const char *name, guint64 size, gboolean overcommit,
                    GError **error);

/* Whether the host and its cgroups have @size bytes to give; else RESOURCES. */
gboolean mose_ram_has_room(guint64 size, GError **error);

/* The RAM of a running QEMU of MOSE's, opened anew through /proc/PID/fd. */
int mose_ram_open(const MoseProcess *process, GError **error);

/* What the host can still give, in bytes; the smaller of memory and cgroups. */
guint64 mose_ram_available(void);

/* Where guest-physical addresses lie. */
typedef struct MoseRam MoseRam;

typedef struct {
    guint64 address; /* guest-physical */
    guint64 size;
    guint64 offset; /* in the memfd, or the host's virtual address */
} MoseRamRange;

/*
 * Map @fd (which stays the caller's) for reading, and keep it for writing, laid out as
 * the QEMU behind
 * @qmp says (HMP `info mtree -f`, the first flat view of the memory address
 * space).
 */
MoseRam *mose_ram_map(int fd, MoseQmp *qmp, GError **error);

/*
 * The same of private memory: read and written through /proc/PID/mem of the @process
 * behind @qmp, at the addresses it tells (HMP `gpa2hva`). Needs the right to trace it
 * (ptrace(2), PTRACE_MODE_ATTACH_FSCREDS).
 */
MoseRam *mose_ram_attach(const MoseProcess *process, MoseQmp *qmp, GError **error);

/* One or the other of @process, whose monitor is @qmp, as it has its memory; what it
 * has frozen (frozen.h) is private. */
MoseRam *mose_ram_of(const MoseProcess *process, MoseQmp *qmp, GError **error);
void mose_ram_free(MoseRam *ram);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseRam, mose_ram_free)

/* Copy @len bytes at guest-physical @address; FALSE where that is not all RAM. */
gboolean mose_ram_read(const MoseRam *ram, guint64 address, void *to, gsize len);

/*
 * Write there. Only for a guest that stands still, either in a QEMU that has executed
 * none of it or under KVM, in memory that no switch copies: QEMU is not told, so
 * neither code that it has translated nor what it knows of dirty pages would follow.
 * INVALID where that is not all RAM.
 */
gboolean mose_ram_write(MoseRam *ram, guint64 address, const void *from, gsize len,
                        GError **error);

/* Where there is RAM: of MoseRamRange, in the order of QEMU's flat view, which is that
 * of the addresses. */
const GArray *mose_ram_ranges(const MoseRam *ram);

/* Read the layout from the text of `info mtree -f`; the entries are MoseRamRange. */
GArray *mose_ram_layout_parse(const char *mtree);
