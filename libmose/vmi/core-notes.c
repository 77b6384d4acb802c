/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes of a core file; see core-notes.h. */
#include "vmi/core-notes.h"

#include <elf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/core-notes-format.h"

#define MAX_VCPUS 8192 /* Linux's limit on x86-64 (arch/x86/Kconfig: NR_CPUS) */

#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define SEGMENT_L (1u << 21) /* as the descriptor's second word has it */

void
mose_core_notes_init(MoseCoreNotes *notes)
{
    notes->vcpus = g_array_new(FALSE, TRUE, sizeof(MoseVcpu));
    notes->threads = g_array_new(FALSE, TRUE, sizeof(MoseVcpu));
    notes->is_long = FALSE;
    notes->vmcoreinfo = NULL;
    notes->total = 0;
}

void
mose_core_notes_clear(MoseCoreNotes *notes)
{
    g_clear_pointer(&notes->vcpus, g_array_unref);
    g_clear_pointer(&notes->threads, g_array_unref);
    g_clear_pointer(&notes->vmcoreinfo, g_free);
}

static void
append(GArray *to, MoseVcpu *vcpu)
{
    vcpu->index = to->len;
    if (to->len < MAX_VCPUS)
        g_array_append_vals(to, vcpu, 1);
}

static void
add_qemu(MoseCoreNotes *notes, const guint8 *desc, gsize len)
{
    MoseNoteQemu state = { 0 };
    MoseVcpu vcpu = { 0 };

    memcpy(&state, desc, MIN(len, sizeof(state)));
    if (state.version != MOSE_NOTE_QEMU_VERSION || state.size > len ||
        state.size < MOSE_NOTE_QEMU_MIN)
        return;
    vcpu.general[MOSE_RAX] = state.rax;
    vcpu.general[MOSE_RBX] = state.rbx;
    vcpu.general[MOSE_RCX] = state.rcx;
    vcpu.general[MOSE_RDX] = state.rdx;
    vcpu.general[MOSE_RSI] = state.rsi;
    vcpu.general[MOSE_RDI] = state.rdi;
    vcpu.general[MOSE_RBP] = state.rbp;
    vcpu.general[MOSE_RSP] = state.rsp;
    memcpy(&vcpu.general[MOSE_R8], state.r8_to_r15, sizeof(state.r8_to_r15));
    vcpu.rip = state.rip;
    vcpu.rflags = state.rflags;
    vcpu.cs = state.cs.selector;
    vcpu.ss = state.ss.selector;
    vcpu.fs_base = state.fs.base;
    vcpu.gs_base = state.gs.base;
    if (state.size >= sizeof(state))
        vcpu.kernel_gs_base = state.kernel_gs_base;
    vcpu.gdt_base = state.gdt.base;
    vcpu.idt_base = state.idt.base;
    vcpu.idt_limit = state.idt.limit;
    vcpu.cr2 = state.cr[2];
    vcpu.paging.cr0 = state.cr[0];
    vcpu.paging.cr3 = state.cr[3];
    vcpu.paging.cr4 = state.cr[4];
    notes->is_long |= (state.cs.flags & SEGMENT_L) != 0;
    append(notes->vcpus, &vcpu);
}

/* QEMU writes one of this size only where its first vCPU is in long mode
 * (x86_cpu_write_elf64_note). */
static void
add_prstatus(MoseCoreNotes *notes, const guint8 *desc, gsize len)
{
    MoseNotePrstatus status;
    MoseVcpu vcpu = { 0 };

    if (len != sizeof(status))
        return;
    memcpy(&status, desc, sizeof(status));
    vcpu.general[MOSE_RAX] = status.rax;
    vcpu.general[MOSE_RBX] = status.rbx;
    vcpu.general[MOSE_RCX] = status.rcx;
    vcpu.general[MOSE_RDX] = status.rdx;
    vcpu.general[MOSE_RSI] = status.rsi;
    vcpu.general[MOSE_RDI] = status.rdi;
    vcpu.general[MOSE_RBP] = status.rbp;
    vcpu.general[MOSE_RSP] = status.rsp;
    vcpu.general[MOSE_R8] = status.r8;
    vcpu.general[MOSE_R8 + 1] = status.r9;
    vcpu.general[MOSE_R8 + 2] = status.r10;
    vcpu.general[MOSE_R8 + 3] = status.r11;
    vcpu.general[MOSE_R8 + 4] = status.r12;
    vcpu.general[MOSE_R8 + 5] = status.r13;
    vcpu.general[MOSE_R8 + 6] = status.r14;
    vcpu.general[MOSE_R8 + 7] = status.r15;
    vcpu.rip = status.rip;
    vcpu.rflags = status.eflags;
    vcpu.cs = status.cs;
    vcpu.ss = status.ss;
    vcpu.fs_base = status.fs_base;
    vcpu.gs_base = status.gs_base;
    notes->is_long = TRUE;
    append(notes->threads, &vcpu);
}

void
mose_core_notes_set_vmcoreinfo(MoseCoreNotes *notes, const guint8 *text, gsize len)
{
    if (!notes->vmcoreinfo && len > 0 && len <= MOSE_CORE_MAX_VMCOREINFO)
        notes->vmcoreinfo = g_strndup((const char *)text, len);
}

static void
add(MoseCoreNotes *notes, guint32 type, const char *name, gsize name_len,
    const guint8 *desc, gsize len)
{
    /* With the NUL, as all but a few old writers have it. */
    if (name_len == sizeof("QEMU") && memcmp(name, "QEMU", name_len) == 0)
        add_qemu(notes, desc, len);
    else if (name_len == sizeof("CORE") && memcmp(name, "CORE", name_len) == 0 &&
             type == NT_PRSTATUS)
        add_prstatus(notes, desc, len);
    else if (name_len >= strlen("VMCOREINFO") &&
             strncmp(name, "VMCOREINFO", name_len) == 0)
        mose_core_notes_set_vmcoreinfo(notes, desc, len);
}

gboolean
mose_core_notes_parse(MoseCoreNotes *notes, const guint8 *bytes, gsize len,
                      guint64 offset, const char *name, GError **error)
{
    gsize at = 0;

    notes->total += len;
    while (len - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr header;
        gsize left = len - at - sizeof(header);
        guint64 name_room, room;

        memcpy(&header, bytes + at, sizeof(header));
        /* Linux leaves zeros behind the last one of a vCPU (kernel/crash_core.c:
         * final_note), and those of a vCPU that never was are all zeros. */
        if (header.n_namesz == 0 && header.n_descsz == 0) {
            at += sizeof(header);
            continue;
        }
        /* To multiples of 4, in files of 64 bits as well. */
        name_room = ((guint64)header.n_namesz + 3) & ~G_GUINT64_CONSTANT(3);
        room = name_room + header.n_descsz;
        if (room > left) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "%s: the note at 0x%" G_GINT64_MODIFIER
                        "x is longer than what there is",
                        name, offset + at);
            return FALSE;
        }
        at += sizeof(header);
        add(notes, header.n_type, (const char *)bytes + at, header.n_namesz,
            bytes + at + name_room, header.n_descsz);
        at += MIN(left, (room + 3) & ~G_GUINT64_CONSTANT(3));
    }
    return TRUE;
}

/*
 * EFER is in none of these notes. LMA decides how tables are read, and is sure enough:
 * a file is EM_X86_64, and an NT_PRSTATUS has 64 bits, only if QEMU's first vCPU is in
 * long mode (cpu_get_dump_info), Linux writes them in long mode alone, and a code
 * segment with L set is nowhere else. Another vCPU of the same guest with paging and
 * PAE on could be in legacy mode only between two instructions of a kernel's start.
 * SCE and NXE are those of any Linux on a processor that has NX; no walk needs them.
 */
static void
derive_efer(GArray *vcpus)
{
    for (guint i = 0; i < vcpus->len; i++) {
        MosePaging *paging = &g_array_index(vcpus, MoseVcpu, i).paging;

        if ((paging->cr0 & CR0_PG) && (paging->cr4 & CR4_PAE))
            paging->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    }
}

GArray *
mose_core_notes_vcpus(const MoseCoreNotes *notes, gboolean is_x86_64)
{
    GArray *vcpus = notes->vcpus->len > 0 ? notes->vcpus : notes->threads;

    if (is_x86_64 || notes->is_long)
        derive_efer(vcpus);
    return g_array_ref(vcpus);
}
