/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions in words. See disassemble.h. */
#include "vmi/disassemble.h"

#include <capstone/capstone.h>

#include "util/error.h"

static gboolean
fail(const char *what, cs_err code, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "Capstone: %s: %s", what,
                cs_strerror(code));
    return FALSE;
}

static gboolean
begin(guint bits, csh *ret, GError **error)
{
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;
    cs_err code = cs_open(CS_ARCH_X86, mode, ret);

    if (code != CS_ERR_OK)
        return fail("it cannot be opened", code, error);
    code = cs_option(*ret, CS_OPT_DETAIL, CS_OPT_ON);
    if (code == CS_ERR_OK)
        return TRUE;
    cs_close(ret);
    return fail("it tells no details", code, error);
}

/* Addresses of code outside 64-bit mode have as many bits as it has. */
static void
find_target(csh handle, guint bits, const cs_insn *found, MoseInstruction *to)
{
    const cs_x86 *x86 = &found->detail->x86;
    gboolean branch = cs_insn_group(handle, found, CS_GRP_JUMP) ||
                      cs_insn_group(handle, found, CS_GRP_CALL);

    for (guint i = 0; i < x86->op_count && i < G_N_ELEMENTS(x86->operands); i++) {
        const cs_x86_op *operand = &x86->operands[i];

        if (branch && operand->type == X86_OP_IMM)
            to->target = operand->imm;
        else if (operand->type == X86_OP_MEM && operand->mem.base == X86_REG_RIP)
            to->target = found->address + found->size + operand->mem.disp;
        else
            continue;
        if (bits < 64)
            to->target &= (G_GUINT64_CONSTANT(1) << bits) - 1;
        to->has_target = TRUE;
        return;
    }
}

static void
tell(csh handle, guint bits, const cs_insn *found, const guint8 *bytes,
     MoseInstructionFunc func, gpointer data)
{
    g_autofree char *text =
        g_strconcat(found->mnemonic, *found->op_str ? " " : "", found->op_str, NULL);
    MoseInstruction instruction = {
        .address = found->address,
        .size = found->size,
        .bytes = bytes,
        .known = TRUE,
        .text = text,
    };

    find_target(handle, bits, found, &instruction);
    func(&instruction, data);
}

static void
tell_byte(guint64 address, const guint8 *byte, MoseInstructionFunc func, gpointer data)
{
    g_autofree char *text = g_strdup_printf(".byte 0x%02x", *byte);
    MoseInstruction instruction = {
        .address = address, .size = 1, .bytes = byte, .text = text
    };

    func(&instruction, data);
}

gboolean
mose_disassemble(guint bits, guint64 address, const guint8 *bytes, gsize len,
                 gsize wanted, MoseInstructionFunc func, gpointer data, gsize *ret_done,
                 GError **error)
{
    csh handle;
    cs_insn *found;
    gsize at = 0;

    if (!begin(bits, &handle, error))
        return FALSE;
    found = cs_malloc(handle);
    while (at < MIN(wanted, len)) {
        const guint8 *code = bytes + at;
        gsize left = len - at;
        guint64 here = address + at;

        if (cs_disasm_iter(handle, &code, &left, &here, found))
            tell(handle, bits, found, bytes + at, func, data);
        else if (len - at < MOSE_MAX_INSTRUCTION)
            break; /* perhaps there is more of it */
        else
            tell_byte(address + at, bytes + at, func, data);
        at = len - left > at ? len - left : at + 1;
    }
    *ret_done = at;
    cs_free(found, 1);
    cs_close(&handle);
    return TRUE;
}
