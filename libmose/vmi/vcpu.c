/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers read from what QEMU's monitor prints. See vcpu.h. */
#include "vmi/vcpu.h"

#include <string.h>

#include "util/error.h"

#define MAX_VCPUS 4096
/* Of the upper half of a code segment's descriptor (SDM 3A, figure 3-8). */
#define SEGMENT_L (1u << 21)
#define SEGMENT_D (1u << 22)

const char *const mose_general_names[MOSE_N_GENERAL] = {
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

/* The @word-th (from 0) hexadecimal number behind @key in @text; FALSE: it is not
 * there. A key is at the beginning of a line or behind a space ("IP=" is not in
 * "RIP="). */
static gboolean
find_number(const char *text, const char *key, int word, guint64 *ret)
{
    const char *at = text;
    char *end;

    do {
        at = strstr(at, key);
        if (!at)
            return FALSE;
        at += strlen(key);
    } while (at - strlen(key) != text && !g_ascii_isspace(at[-strlen(key) - 1]));
    for (;; word--) {
        while (*at == ' ')
            at++;
        *ret = g_ascii_strtoull(at, &end, 16);
        if (end == at)
            return FALSE;
        if (word == 0)
            return TRUE;
        at = end;
    }
}

/* "RAX=", or, of a vCPU outside 64-bit code, "EAX=". Two are spelled "R8 =". */
static gboolean
find_general(const char *text, guint number, guint64 *ret)
{
    g_autofree char *name = g_ascii_strup(mose_general_names[number], -1);
    g_autofree char *key = g_strdup_printf("%-3s=", name);

    if (find_number(text, key, 0, ret))
        return TRUE;
    if (number >= MOSE_R8) {
        *ret = 0; /* not shown there */
        return TRUE;
    }
    key[0] = 'E';
    return find_number(text, key, 0, ret);
}

static gboolean
parse_one(const char *text, MoseVcpu *vcpu, GError **error)
{
    const struct {
        const char *key, *other;
        int word;
        guint64 *to;
    } fields[] = {
        { "RIP=", "EIP=", 0, &vcpu->rip },
        { "RFL=", "EFL=", 0, &vcpu->rflags },
        { "CS =", NULL, 0, &vcpu->cs },
        { "SS =", NULL, 0, &vcpu->ss },
        { "FS =", NULL, 1, &vcpu->fs_base },
        { "GS =", NULL, 1, &vcpu->gs_base },
        { "GDT=", NULL, 0, &vcpu->gdt_base },
        { "IDT=", NULL, 0, &vcpu->idt_base },
        { "CR0=", NULL, 0, &vcpu->paging.cr0 },
        { "CR2=", NULL, 0, &vcpu->cr2 },
        { "CR3=", NULL, 0, &vcpu->paging.cr3 },
        { "CR4=", NULL, 0, &vcpu->paging.cr4 },
        { "DR7=", NULL, 0, &vcpu->dr7 },
        { "EFER=", NULL, 0, &vcpu->paging.efer },
    };
    guint64 limit = 0, halted = 0, segment;

    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (!find_number(text, fields[i].key, fields[i].word, fields[i].to) &&
            !(fields[i].other &&
              find_number(text, fields[i].other, fields[i].word, fields[i].to))) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                        "`info registers` of vCPU %u has no %s", vcpu->index,
                        fields[i].key);
            return FALSE;
        }
    for (guint i = 0; i < MOSE_N_GENERAL; i++)
        if (!find_general(text, i, &vcpu->general[i])) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                        "`info registers` of vCPU %u has no %s", vcpu->index,
                        mose_general_names[i]);
            return FALSE;
        }
    if (find_number(text, "CS =", 3, &segment))
        vcpu->code_bits = segment & SEGMENT_L ? 64 : segment & SEGMENT_D ? 32 : 16;
    find_number(text, "IDT=", 1, &limit);
    find_number(text, "HLT=", 0, &halted);
    vcpu->idt_limit = limit;
    vcpu->halted = halted != 0;
    return TRUE;
}

GArray *
mose_vcpus_parse(const char *text, GError **error)
{
    g_autoptr(GArray) vcpus = g_array_new(FALSE, TRUE, sizeof(MoseVcpu));
    g_auto(GStrv) parts = g_strsplit(text, "CPU#", MAX_VCPUS + 1);

    for (char **part = parts[0] ? parts + 1 : parts; *part; part++) {
        MoseVcpu vcpu = { .index = strtoul(*part, NULL, 10) };

        if (!parse_one(*part, &vcpu, error))
            return NULL;
        g_array_append_val(vcpus, vcpu);
    }
    if (vcpus->len > 0)
        return g_steal_pointer(&vcpus);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                "`info registers -a` does not tell of any vCPU");
    return NULL;
}
