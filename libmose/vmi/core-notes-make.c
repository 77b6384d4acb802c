/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes of a core file, written; see core-notes.h. What MoseVcpu does not know of a
 * vCPU is 0: limits and flags of segments, LDT, TR. */
#include <elf.h>
#include <string.h>

#include "vmi/core-notes-format.h"
#include "vmi/core-notes.h"

static void
put_note(GByteArray *to, const char *name, guint32 type, gconstpointer desc, gsize len)
{
    Elf64_Nhdr header = { .n_namesz = strlen(name) + 1,
                          .n_descsz = len,
                          .n_type = type };
    char padded[8] = { 0 };

    g_strlcpy(padded, name, sizeof(padded));
    g_byte_array_append(to, (const guint8 *)&header, sizeof(header));
    g_byte_array_append(to, (const guint8 *)padded, sizeof(padded));
    g_byte_array_append(to, desc, len);
}

static void
put_prstatus(GByteArray *to, const MoseVcpu *vcpu)
{
    const guint64 *general = vcpu->general;
    const guint32 pid = vcpu->index + 1; /* as QEMU numbers them */
    MoseNotePrstatus status = {
        .r15 = general[15],
        .r14 = general[14],
        .r13 = general[13],
        .r12 = general[12],
        .r11 = general[11],
        .r10 = general[10],
        .r9 = general[9],
        .r8 = general[8],
        .rbp = general[MOSE_RBP],
        .rbx = general[MOSE_RBX],
        .rax = general[MOSE_RAX],
        .rcx = general[MOSE_RCX],
        .rdx = general[MOSE_RDX],
        .rsi = general[MOSE_RSI],
        .rdi = general[MOSE_RDI],
        .rsp = general[MOSE_RSP],
        .rip = vcpu->rip,
        .eflags = vcpu->rflags,
        .cs = vcpu->cs,
        .ss = vcpu->ss,
        .fs_base = vcpu->fs_base,
        .gs_base = vcpu->gs_base,
    };

    memcpy(status.before + MOSE_NOTE_PRSTATUS_PID, &pid, sizeof(pid));
    put_note(to, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static void
put_qemu(GByteArray *to, const MoseVcpu *vcpu)
{
    const guint64 *general = vcpu->general;
    MoseNoteQemu state = {
        .version = MOSE_NOTE_QEMU_VERSION,
        .size = sizeof(state),
        .rax = general[MOSE_RAX],
        .rbx = general[MOSE_RBX],
        .rcx = general[MOSE_RCX],
        .rdx = general[MOSE_RDX],
        .rsi = general[MOSE_RSI],
        .rdi = general[MOSE_RDI],
        .rsp = general[MOSE_RSP],
        .rbp = general[MOSE_RBP],
        .rip = vcpu->rip,
        .rflags = vcpu->rflags,
        .cs.selector = vcpu->cs,
        .ss.selector = vcpu->ss,
        .fs.base = vcpu->fs_base,
        .gs.base = vcpu->gs_base,
        .gdt.base = vcpu->gdt_base,
        .idt = { .base = vcpu->idt_base, .limit = vcpu->idt_limit },
        .cr = { vcpu->paging.cr0, 0, vcpu->cr2, vcpu->paging.cr3, vcpu->paging.cr4 },
        .kernel_gs_base = vcpu->kernel_gs_base,
    };

    memcpy(state.r8_to_r15, &general[MOSE_R8], sizeof(state.r8_to_r15));
    put_note(to, "QEMU", 0, &state, sizeof(state));
}

GByteArray *
mose_core_notes_make(const GArray *vcpus, gboolean is_long)
{
    GByteArray *notes = g_byte_array_new();

    for (guint i = 0; i < vcpus->len && is_long; i++)
        put_prstatus(notes, &g_array_index(vcpus, MoseVcpu, i));
    for (guint i = 0; i < vcpus->len; i++)
        put_qemu(notes, &g_array_index(vcpus, MoseVcpu, i));
    return notes;
}
