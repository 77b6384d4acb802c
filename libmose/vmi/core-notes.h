/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The notes of a core: registers, and VMCOREINFO. The bytes are a stranger's.
 */
#pragma once

#include <glib.h>

/* More bytes than this are not all read: 8,192 vCPUs have 7 MB. */
#define MOSE_CORE_MAX_NOTES (16u << 20)
/* Linux's is one page (VMCOREINFO_BYTES); QEMU takes a note of 1 MB
 * (dump/dump.c: MAX_GUEST_NOTE_SIZE). */
#define MOSE_CORE_MAX_VMCOREINFO (1u << 20)

typedef struct {
    GArray *vcpus;    /* MoseVcpu, of QEMU's own notes */
    GArray *threads;  /* the same of NT_PRSTATUS: no tables, no control registers */
    gboolean is_long; /* a note says that a vCPU is in long mode */
    char *vmcoreinfo; /* or NULL */
    gsize total;      /* bytes that were parsed */
} MoseCoreNotes;

void mose_core_notes_init(MoseCoreNotes *notes);
void mose_core_notes_clear(MoseCoreNotes *notes);

/*
 * Add what the @len bytes of notes at @bytes, which lie at @offset of file @name, have.
 * INVALID, with the offset, for a note that is longer than they are. Notes that are not
 * known are passed over.
 */
gboolean mose_core_notes_parse(MoseCoreNotes *notes, const guint8 *bytes, gsize len,
                               guint64 offset, const char *name, GError **error);

/* VMCOREINFO from elsewhere, of @len bytes; not where there is one. */
void mose_core_notes_set_vmcoreinfo(MoseCoreNotes *notes, const guint8 *text,
                                    gsize len);

/*
 * The vCPUs that they tell of, QEMU's notes first; a reference. Nothing tells EFER: it
 * is set to that of a Linux in long mode where @is_x86_64 (the file says so) or a note
 * does. See core-notes.c for how sure that is.
 */
GArray *mose_core_notes_vcpus(const MoseCoreNotes *notes, gboolean is_x86_64);

/* New notes of @vcpus (MoseVcpu), as QEMU has them: an NT_PRSTATUS each where they are
 * in long mode, and QEMU's own. */
GByteArray *mose_core_notes_make(const GArray *vcpus, gboolean is_long);
