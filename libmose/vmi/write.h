/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one way in which a guest's memory is written while it is looked into.
 *
 * Through QEMU's gdb stub, in a debug session (switch/debug.h) that stops the guest for
 * some milliseconds: only QEMU can throw away what TCG has translated from those bytes
 * and note the page as dirty (system/physmem.c:invalidate_and_set_dirty). A guest that
 * is paused under KVM, whose memory is in place (a memfd that no fork maps), has no
 * translations and is never copied: it is written there without QEMU.
 */
#pragma once

#include "vmi/space.h"

#define MOSE_WRITE_MAX ((gsize)16 << 20)

typedef struct {
    MoseSpace *space; /* NULL: guest-physical */
    guint64 address;
    const guint8 *bytes;
    gsize len;            /* 1 to MOSE_WRITE_MAX */
    const guint8 *expect; /* NULL, or what must be there before */
    gsize expect_len;
    /* Called with the guest stopped, before anything is written: whether the space is
     * still what it was meant to be; and, for each page of it, whether it may be
     * written. Both may be NULL. */
    gboolean (*check)(gpointer data, GError **error);
    gboolean (*page)(const MosePageWalk *walk, guint64 address, gpointer data,
                     GError **error);
    gpointer data;
} MoseWrite;

typedef struct {
    gboolean by_stub;   /* else in place */
    gboolean unchanged; /* the bytes were there already: nothing was written */
    gint64 stop_us;     /* how long the guest stood still; 0: it stood before */
} MoseWritten;

/*
 * Do @write in @guest, which is locked and recovered, and whose memory is @memory. What
 * was written is read back. All or nothing: on failure what was there before is put
 * back. Only a death of this process between two pieces (of 2,000 bytes, none over a
 * page's end) leaves some of them; the guest runs on in any case.
 *
 * BUSY while a switch is under way or a debug session open, and where forks would see
 * it; REFUSED where there is not what was expected, with what there is; NOT_FOUND
 * names the address that is not there. Call it while this process has one thread.
 */
gboolean mose_vmi_write(MoseGuest *guest, MoseMemory *memory, const MoseWrite *write,
                        MoseWritten *ret, GError **error);

/* The same, told what is done (debug.h); and then "written" after each piece, of which
 * there are as many as it takes, and "verified". For tests. */
typedef void (*MoseWriteTell)(const char *step, gpointer data);
gboolean mose_vmi_write_told(MoseGuest *guest, MoseMemory *memory,
                             const MoseWrite *write, MoseWriteTell tell,
                             gpointer tell_data, MoseWritten *ret, GError **error);
