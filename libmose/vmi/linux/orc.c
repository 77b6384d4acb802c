/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ORC tables in a guest's memory. See orc.h. */
#include "vmi/linux/orc.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/modules.h"

/* A large kernel has a million. */
#define MAX_ENTRIES (16u << 20)
#define NO_REGISTER 0xff

struct MoseOrc {
    MoseLinux *kernel;
    MoseOrcForm form;
    guint64 ips, entries, n;
    guint64 text, text_end, init, init_end;
    guint64 ftrace_call; /* 0: there is none */
};

/* --- one entry --- */

/* ORC_REG_*: from 4.14 on, and in 7.x. */
static const guint8 numbers[][MOSE_ORC_N_REGISTERS] = {
    { MOSE_ORC_NONE, MOSE_ORC_PREV_SP, MOSE_ORC_DX, MOSE_ORC_DI, MOSE_ORC_BP,
      MOSE_ORC_SP, MOSE_ORC_R10, MOSE_ORC_R13, MOSE_ORC_BP_INDIRECT,
      MOSE_ORC_SP_INDIRECT, NO_REGISTER },
    { MOSE_ORC_NONE, MOSE_ORC_AX, MOSE_ORC_DX, MOSE_ORC_SP, MOSE_ORC_BP, MOSE_ORC_DI,
      MOSE_ORC_R10, MOSE_ORC_R13, MOSE_ORC_PREV_SP, MOSE_ORC_SP_INDIRECT,
      MOSE_ORC_BP_INDIRECT },
};

static gboolean
register_of(MoseOrcForm form, guint number, MoseOrcRegister *ret)
{
    if (number >= MOSE_ORC_N_REGISTERS)
        return FALSE;
    *ret = numbers[form == MOSE_ORC_RENUMBERED][number];
    return *ret != NO_REGISTER;
}

gboolean
mose_orc_decode(MoseOrcForm form, const guint8 *bytes, MoseOrcEntry *ret)
{
    guint upper = bytes[5];
    static const MoseOrcType old[] = { MOSE_ORC_CALL, MOSE_ORC_REGS,
                                       MOSE_ORC_REGS_PARTIAL };
    gboolean end;

    *ret = (MoseOrcEntry){ .sp_offset = (gint16)(bytes[0] | bytes[1] << 8),
                           .bp_offset = (gint16)(bytes[2] | bytes[3] << 8) };
    if (!register_of(form, bytes[4] & 0xf, &ret->sp_reg) ||
        !register_of(form, bytes[4] >> 4, &ret->bp_reg))
        return FALSE;
    if (form >= MOSE_ORC_TYPES) {
        ret->type = upper & 7;
        ret->signal = upper >> 3 & 1;
        return ret->type <= MOSE_ORC_REGS_PARTIAL;
    }
    if ((upper & 3) >= G_N_ELEMENTS(old))
        return FALSE;
    ret->type = old[upper & 3];
    end = form == MOSE_ORC_END_BIT ? upper >> 2 & 1 : upper >> 3 & 1;
    /* Before there was a bit for it, what is told of by registers was interrupted. */
    ret->signal =
        form == MOSE_ORC_END_BIT ? ret->type != MOSE_ORC_CALL : upper >> 2 & 1;
    if (ret->sp_reg == MOSE_ORC_NONE)
        ret->type = end ? MOSE_ORC_END_OF_STACK : MOSE_ORC_UNDEFINED;
    return TRUE;
}

/* --- a table --- */

static gboolean
address_at(MoseSpace *space, guint64 ips, guint64 index, guint64 *ret, GError **error)
{
    guint64 at = ips + index * 4, distance;

    if (!mose_space_read_number(space, at, 4, &distance, error))
        return FALSE;
    *ret = at + (gint64)(gint32)distance;
    return TRUE;
}

/* The last one at or before it; the first one, if none is. */
gboolean
mose_orc_search(MoseSpace *space, MoseOrcForm form, guint64 ips, guint64 entries,
                guint64 n, guint64 ip, MoseOrcEntry *ret, GError **error)
{
    guint64 low = 0, high = n; /* all before low are at or before it */
    guint8 bytes[MOSE_ORC_ENTRY_SIZE];

    while (low < high) {
        guint64 middle = low + (high - low) / 2, at;

        if (!address_at(space, ips, middle, &at, error))
            return FALSE;
        if (at <= ip)
            low = middle + 1;
        else
            high = middle;
    }
    entries += (low ? low - 1 : 0) * MOSE_ORC_ENTRY_SIZE;
    if (!mose_space_read(space, entries, bytes, sizeof(bytes), NULL, error))
        return FALSE;
    if (mose_orc_decode(form, bytes, ret))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the guest's ORC entry at 0x%" G_GINT64_MODIFIER
                "x makes no sense: %02x %02x %02x %02x %02x %02x",
                entries, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
    return FALSE;
}

/* --- which form --- */

static gboolean
set_unknown(const MoseOrc *orc, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s: its kernel (%s) cannot be unwound by ORC: %s",
                mose_memory_name(orc->kernel->memory), orc->kernel->release, why);
    return FALSE;
}

/* FALSE without an error: BTF does not have it. */
static gboolean
form_by_types(MoseOrc *orc, GError **error)
{
    const MoseTypes *types = orc->kernel->types;
    guint32 id = types ? mose_types_find(types, "struct orc_entry") : 0;
    MoseMember type, sp, bp, end, signal;
    gboolean has_end, has_signal;

    if (id == 0)
        return FALSE;
    has_end = mose_types_member(types, id, "end", &end, NULL);
    has_signal = mose_types_member(types, id, "signal", &signal, NULL);
    if (mose_types_size(types, id) != MOSE_ORC_ENTRY_SIZE ||
        !mose_types_member(types, id, "type", &type, NULL) ||
        !mose_types_member(types, id, "sp_reg", &sp, NULL) ||
        !mose_types_member(types, id, "bp_reg", &bp, NULL) || sp.bits != 4 ||
        bp.bits != 4)
        return set_unknown(orc, "its struct orc_entry is of a kind that is not known",
                           error);
    if (type.bits == 3 && has_signal && !has_end)
        orc->form = MOSE_ORC_TYPES;
    else if (type.bits == 2 && has_end)
        orc->form = has_signal ? MOSE_ORC_SIGNAL_AND_END : MOSE_ORC_END_BIT;
    else
        return set_unknown(orc, "its struct orc_entry is of a kind that is not known",
                           error);
    return TRUE;
}

static gboolean
raw_at(MoseOrc *orc, const char *function, guint8 *ret)
{
    guint64 ip, low = 0, high = orc->n;

    if (!mose_linux_symbol(orc->kernel, function, &ip, NULL))
        return FALSE;
    while (low < high) {
        guint64 middle = low + (high - low) / 2, at;

        if (!address_at(orc->kernel->space, orc->ips, middle, &at, NULL))
            return FALSE;
        if (at <= ip)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && mose_space_read(orc->kernel->space,
                                      orc->entries + (low - 1) * MOSE_ORC_ENTRY_SIZE,
                                      ret, MOSE_ORC_ENTRY_SIZE, NULL, NULL);
}

/*
 * At its first instruction each function of C has its return address at rsp, which is
 * CALL: 0 of old, 2 since 6.4. Nobody called entry_SYSCALL_64 (arch/x86/entry/
 * entry_64.S), which then is said by the end bit: number 2 of the upper byte, in 6.3
 * number 3.
 */
static gboolean
form_by_entries(MoseOrc *orc, GError **error)
{
    guint8 call[MOSE_ORC_ENTRY_SIZE], entry[MOSE_ORC_ENTRY_SIZE];

    if (!raw_at(orc, "schedule", call) || !raw_at(orc, "entry_SYSCALL_64", entry) ||
        (entry[4] & 0xf) != 0)
        return set_unknown(orc, "BTF lacks orc_entry, and its tables do not tell",
                           error);
    if (call[5] == 2 && (entry[5] & 7) == MOSE_ORC_END_OF_STACK)
        orc->form = MOSE_ORC_TYPES;
    else if (call[5] == 0 && (entry[5] & 0xc) == 4)
        orc->form = MOSE_ORC_END_BIT;
    else if (call[5] == 0 && (entry[5] & 8))
        orc->form = MOSE_ORC_SIGNAL_AND_END;
    else
        return set_unknown(orc, "its entries are of a kind that is not known", error);
    return TRUE;
}

/* The number of rsp, by the same functions: nothing else has a return address there. */
static gboolean
find_numbers(MoseOrc *orc, GError **error)
{
    static const char *const functions[] = { "schedule", "kfree", "vprintk" };
    guint sp = 0;

    for (guint i = 0; i < G_N_ELEMENTS(functions); i++) {
        guint8 call[MOSE_ORC_ENTRY_SIZE];

        if (!raw_at(orc, functions[i], call) || call[0] != 8 || call[1] != 0 ||
            (i > 0 && (call[4] & 0xf) != sp))
            return set_unknown(orc, "its tables do not tell its registers", error);
        sp = call[4] & 0xf;
    }
    if (orc->form == MOSE_ORC_TYPES && sp == 3)
        orc->form = MOSE_ORC_RENUMBERED;
    else if (sp != 5)
        return set_unknown(orc, "its registers have numbers that are not known", error);
    return TRUE;
}

static gboolean
find_form(MoseOrc *orc, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (form_by_types(orc, &cause))
        return find_numbers(orc, error);
    if (!cause)
        return form_by_entries(orc, error) && find_numbers(orc, error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* --- the tables --- */

static gboolean
find_tables(MoseOrc *orc, GError **error)
{
    guint64 ips_end, entries_end;

    if (!mose_linux_symbol(orc->kernel, "__start_orc_unwind_ip", &orc->ips, NULL) ||
        !mose_linux_symbol(orc->kernel, "__stop_orc_unwind_ip", &ips_end, NULL) ||
        !mose_linux_symbol(orc->kernel, "__start_orc_unwind", &orc->entries, NULL) ||
        !mose_linux_symbol(orc->kernel, "__stop_orc_unwind", &entries_end, NULL))
        return set_unknown(orc, "it has no such tables", error);
    orc->n = (ips_end - orc->ips) / 4;
    if (ips_end > orc->ips && entries_end > orc->entries && orc->n <= MAX_ENTRIES &&
        (entries_end - orc->entries) / MOSE_ORC_ENTRY_SIZE == orc->n)
        return TRUE;
    return set_unknown(orc, "the sizes of its tables do not fit each other", error);
}

static void
find_text(MoseOrc *orc)
{
    /* include/asm-generic/sections.h; what is beyond _etext and init is of others */
    mose_linux_symbol(orc->kernel, "_stext", &orc->text, NULL);
    mose_linux_symbol(orc->kernel, "_etext", &orc->text_end, NULL);
    mose_linux_symbol(orc->kernel, "_sinittext", &orc->init, NULL);
    mose_linux_symbol(orc->kernel, "_einittext", &orc->init_end, NULL);
    mose_linux_symbol(orc->kernel, "ftrace_call", &orc->ftrace_call, NULL);
}

MoseOrc *
mose_orc_new(MoseLinux *kernel, GError **error)
{
    g_autoptr(MoseOrc) orc = g_new0(MoseOrc, 1);

    orc->kernel = kernel;
    if (!find_tables(orc, error) || !find_form(orc, error) ||
        !mose_linux_modules(kernel, error))
        return NULL;
    find_text(orc);
    return g_steal_pointer(&orc);
}

void
mose_orc_free(MoseOrc *orc)
{
    g_free(orc);
}

/* --- who has it --- */

/* unwind_orc.c: orc_fp_entry */
static const MoseOrcEntry frame_pointer = {
    .sp_reg = MOSE_ORC_BP,
    .sp_offset = 16,
    .bp_reg = MOSE_ORC_PREV_SP,
    .bp_offset = -16,
    .type = MOSE_ORC_CALL,
};

/* unwind_orc.c: null_orc_entry, of a call to nowhere */
static const MoseOrcEntry called_null = {
    .sp_reg = MOSE_ORC_SP,
    .sp_offset = 8,
    .type = MOSE_ORC_CALL,
};

static gboolean
find_outside(MoseOrc *orc, guint64 ip, MoseOrcEntry *ret, GError **error)
{
    MoseLinux *kernel = orc->kernel;
    const MoseModule *module = mose_module_at(kernel->modules, ip);
    const MoseSymbol *symbol;

    if (module && module->n_orcs > 0 && module->n_orcs <= MAX_ENTRIES)
        return mose_orc_search(kernel->space, orc->form, module->orc_ip,
                               module->orc_unwind, module->n_orcs, ip, ret, error);
    symbol = mose_symbols_by_address(kernel->symbols, ip);
    /* A trampoline is a copy of ftrace_caller, which is the same from its call on
     * (unwind_orc.c: orc_ftrace_find). */
    if (symbol && g_strcmp0(symbol->module, "__builtin__ftrace") == 0 &&
        orc->ftrace_call)
        return mose_orc_search(kernel->space, orc->form, orc->ips, orc->entries, orc->n,
                               orc->ftrace_call, ret, error);
    /* arch/x86/net/bpf_jit_comp.c: emit_prologue */
    if (symbol && g_strcmp0(symbol->module, "bpf") == 0) {
        *ret = frame_pointer;
        return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                module ? "the module's code at 0x%" G_GINT64_MODIFIER
                         "x has no unwind table"
                       : "0x%" G_GINT64_MODIFIER "x is no code that is known",
                ip);
    return FALSE;
}

gboolean
mose_orc_find(MoseOrc *orc, guint64 ip, MoseOrcEntry *ret, GError **error)
{
    if (ip == 0) {
        *ret = called_null;
        return TRUE;
    }
    if (ip - orc->text < orc->text_end - orc->text ||
        ip - orc->init < orc->init_end - orc->init)
        return mose_orc_search(orc->kernel->space, orc->form, orc->ips, orc->entries,
                               orc->n, ip, ret, error);
    return find_outside(orc, ip, ret, error);
}

MoseLinux *
mose_orc_kernel(const MoseOrc *orc)
{
    return orc->kernel;
}
