/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which memory is meant, and where in it. See target.h. */
#include "cli/target.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/error.h"
#include "vmi/linux/modules.h"

#define PAGE 4096

gboolean
mose_target_check(const char *command, const MoseTargetOptions *options)
{
    int n = !!options->physical + (options->pid != NULL) + (options->cpu >= 0);

    if (n > 1)
        fprintf(stderr, "mose %s: one of --physical, --pid and --cpu\n", command);
    else if (options->bits != 0 && options->bits != 16 && options->bits != 32 &&
             options->bits != 64)
        fprintf(stderr, "mose %s: --bits takes 16, 32 or 64\n", command);
    else
        return TRUE;
    return FALSE;
}

/* --- opening --- */

static gboolean
is_number(const char *word)
{
    return g_ascii_isdigit(*word) || *word == '%';
}

/* A hex dump of physical memory, or of a vCPU's, is the same on any system. */
static gboolean
needs_linux(const MoseTargetOptions *options, gboolean want_symbols,
            const char *const *words)
{
    if (want_symbols || options->pid || (!options->physical && options->cpu < 0))
        return TRUE;
    for (; words && *words; words++)
        if (!is_number(*words))
            return TRUE;
    return FALSE;
}

static gboolean
open_vcpu(MoseTarget *target, int cpu, GError **error)
{
    g_autoptr(GArray) vcpus = mose_memory_vcpus(target->look.memory, FALSE, error);

    for (guint i = 0; vcpus && i < vcpus->len; i++) {
        const MoseVcpu *vcpu = &g_array_index(vcpus, MoseVcpu, i);

        if (vcpu->index != (guint)cpu)
            continue;
        target->vcpu = *vcpu;
        target->has_vcpu = TRUE;
        target->space = mose_space_new(target->look.memory, &vcpu->paging);
        target->bits = vcpu->code_bits                          ? vcpu->code_bits
                       : mose_paging_levels(&vcpu->paging) >= 4 ? 64
                                                                : 32;
        return TRUE;
    }
    if (vcpus)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "%s has no vCPU %d: it has %u", target->look.name, cpu, vcpus->len);
    return FALSE;
}

/* Linux arch/x86/include/asm/mmu.h: MM_CONTEXT_UPROBE_IA32 is bit 0 of the flags; up to
 * 5.11 a member of its own. */
static guint
task_bits(MoseLinux *kernel, const MoseTask *task)
{
    guint64 value;

    if (mose_object_peek(kernel, "mm_struct", task->mm, "context.flags", &value, NULL))
        return value & 1 ? 32 : 64;
    if (mose_object_peek(kernel, "mm_struct", task->mm, "context.ia32_compat", &value,
                         NULL))
        return value ? 32 : 64;
    return 64;
}

static gboolean
open_task(MoseTarget *target, const char *word, GError **error)
{
    MoseLinux *kernel = target->look.kernel;

    target->task = mose_task_find(kernel, word, error);
    if (!target->task)
        return FALSE;
    target->user = mose_user_new(kernel, target->task, error);
    if (!target->user)
        return FALSE;
    target->space = mose_user_space(target->user);
    target->borrowed = TRUE;
    target->bits = task_bits(kernel, target->task);
    return TRUE;
}

static gboolean
choose(MoseTarget *target, const MoseTargetOptions *options, GError **error)
{
    target->bits = 64;
    if (options->physical)
        return TRUE;
    if (options->pid && target->look.kernel)
        return open_task(target, options->pid, error);
    if (options->pid) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: no Linux kernel known, so no processes: %s", target->look.name,
                    target->no_linux->message);
        return FALSE;
    }
    if (options->cpu >= 0 || !target->look.kernel)
        return open_vcpu(target, MAX(options->cpu, 0), error);
    target->space = target->look.kernel->space;
    target->borrowed = TRUE;
    return TRUE;
}

/* Where there is no Linux, the memory is open all the same. */
static gboolean
open_look(MoseTarget *target, const char *name, const MoseTargetOptions *options,
          gboolean find_linux, GError **error)
{
    MoseLook *look = &target->look;

    if (options->change) {
        if (!mose_look_open_to_change(look, name, error))
            return FALSE;
        if (find_linux)
            look->kernel = mose_linux_find(look->memory, &target->no_linux);
        return TRUE;
    }
    if (!find_linux)
        return mose_look_open(look, name, error);
    if (mose_look_open_linux(look, name, &target->no_linux) || look->memory)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&target->no_linux));
    return FALSE;
}

gboolean
mose_target_open(MoseTarget *target, const char *name, const MoseTargetOptions *options,
                 gboolean want_symbols, const char *const *words, GError **error)
{
    if (!open_look(target, name, options, needs_linux(options, want_symbols, words),
                   error))
        return FALSE;
    if (!choose(target, options, error))
        return FALSE;
    if (options->bits)
        target->bits = options->bits;
    return TRUE;
}

void
mose_target_clear(MoseTarget *target)
{
    if (!target->borrowed)
        g_clear_pointer(&target->space, mose_space_free);
    g_clear_pointer(&target->user, mose_user_free);
    g_clear_pointer(&target->task, mose_task_free);
    g_clear_error(&target->no_linux);
    mose_look_clear(&target->look);
}

char *
mose_target_describe(const MoseTarget *target)
{
    if (!target->space)
        return g_strdup("physical");
    if (target->task)
        return g_strdup_printf("pid %d (%s)", target->task->pid, target->task->comm);
    if (target->has_vcpu)
        return g_strdup_printf("vCPU %u", target->vcpu.index);
    return g_strdup("kernel");
}

void
mose_target_note(const MoseTarget *target)
{
    if (target->no_linux && !mose_cli_json())
        fprintf(stderr, "mose: no Linux kernel known: %s\n", target->no_linux->message);
}

/* --- places --- */

static gboolean
bad_place(const char *word, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: %s", word, why);
    return FALSE;
}

/* 0x... is hexadecimal, as are sixteen digits; other digits are decimal. */
static gboolean
parse_number(const char *text, guint64 *ret)
{
    gsize len = strlen(text);
    gboolean hex = g_str_has_prefix(text, "0x");

    if (hex)
        text += 2;
    else if (len == 16 && strspn(text, "0123456789abcdefABCDEF") == 16)
        hex = TRUE;
    return g_ascii_string_to_unsigned(text, hex ? 16 : 10, 0, G_MAXUINT64, ret, NULL);
}

static gboolean
find_register(const MoseTarget *target, const char *name, guint64 *ret, GError **error)
{
    if (!target->has_vcpu)
        return bad_place(name, "registers are a vCPU's: give --cpu", error);
    for (guint i = 0; i < MOSE_N_GENERAL; i++)
        if (strcmp(name, mose_general_names[i]) == 0) {
            *ret = target->vcpu.general[i];
            return TRUE;
        }
    *ret = target->vcpu.rip;
    return strcmp(name, "rip") == 0 ||
           bad_place(name, "is no register that is known here", error);
}

/* Of a process these are its own: the kernel's are not in its memory. */
static gboolean
find_user_symbol(const MoseTarget *target, const char *name, guint64 *ret,
                 guint64 *ret_size, GError **error)
{
    const MoseSymbol *symbol = mose_user_symbol(target->user, name, error);

    if (!symbol)
        return FALSE;
    *ret = symbol->address;
    *ret_size = symbol->size;
    return TRUE;
}

static gboolean
find_symbol(const MoseTarget *target, const char *name, guint64 *ret, guint64 *ret_size,
            GError **error)
{
    g_auto(GStrv) parts = g_strsplit(name, ":", 2);
    const MoseSymbol *symbol;

    if (target->user)
        return find_user_symbol(target, name, ret, ret_size, error);
    if (!target->look.kernel) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: no symbols are known, since no Linux kernel is: %s; give an "
                    "address",
                    name,
                    target->no_linux ? target->no_linux->message : "none was needed");
        return FALSE;
    }
    symbol = parts[1] ? mose_linux_symbol_named(target->look.kernel, parts[0], parts[1])
                      : mose_linux_symbol_named(target->look.kernel, NULL, name);
    if (!symbol) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "%s: its kernel has no symbol %s", target->look.name, name);
        return FALSE;
    }
    *ret = symbol->address;
    *ret_size = symbol->size;
    return TRUE;
}

/* A kernel symbol's address is virtual: physical memory has it elsewhere. */
static gboolean
to_physical(const MoseTarget *target, guint64 *address, GError **error)
{
    return target->space ||
           mose_space_translate(target->look.kernel->space, *address, address, error);
}

static gboolean
find_base(MoseTarget *target, const char *word, guint64 *ret, guint64 *ret_size,
          GError **error)
{
    *ret_size = 0;
    if (*word == '%')
        return find_register(target, word + 1, ret, error);
    if (parse_number(word, ret))
        return TRUE;
    return find_symbol(target, word, ret, ret_size, error) &&
           to_physical(target, ret, error);
}

gboolean
mose_target_place(MoseTarget *target, const char *word, guint64 *ret, guint64 *ret_size,
                  GError **error)
{
    const char *sign = strpbrk(word, "+-");
    g_autofree char *base = NULL;
    guint64 offset = 0, size;

    /* Names of libraries have these characters, too: the last one counts. */
    for (const char *next = sign; next; next = strpbrk(next + 1, "+-"))
        sign = next;
    if (sign && !(sign > word && parse_number(sign + 1, &offset)))
        sign = NULL;
    base = sign ? g_strndup(word, sign - word) : g_strdup(word);
    if (!find_base(target, base, ret, &size, error))
        return FALSE;
    *ret += sign && *sign == '-' ? -offset : offset;
    if (ret_size)
        *ret_size = sign && (*sign == '-' || offset > size) ? 0 : size - offset;
    return TRUE;
}

static const MoseSymbol *
symbol_at(MoseTarget *target, guint64 address)
{
    const MoseSymbol *symbol =
        target->user ? mose_user_symbol_at(target->user, address) : NULL;

    return symbol ? symbol : mose_linux_symbol_at(target->look.kernel, address);
}

char *
mose_target_symbol(MoseTarget *target, guint64 address)
{
    const MoseSymbol *symbol;
    g_autoptr(GString) text = g_string_new(NULL);

    if (!target->look.kernel || !target->space)
        return NULL;
    symbol = symbol_at(target, address);
    if (!symbol)
        return NULL;
    if (symbol->module)
        g_string_append_printf(text, "%s:", symbol->module);
    g_string_append(text, symbol->name);
    if (address != symbol->address)
        g_string_append_printf(text, "+0x%" G_GINT64_MODIFIER "x",
                               address - symbol->address);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* --- reading --- */

static gboolean
read_physical(MoseMemory *memory, guint64 address, guint8 *to, gsize len,
              gsize *ret_got, GError **error)
{
    for (*ret_got = 0; *ret_got < len;) {
        guint64 at = address + *ret_got;
        gsize step = MIN(len - *ret_got, PAGE - at % PAGE);

        if (!mose_memory_read(memory, at, to + *ret_got, step, error))
            return FALSE;
        *ret_got += step;
    }
    return TRUE;
}

gboolean
mose_target_read(MoseTarget *target, guint64 address, void *to, gsize len,
                 gsize *ret_got, GError **error)
{
    if (target->user)
        return mose_user_read(target->user, address, to, len, ret_got, error);
    return target->space
               ? mose_space_read(target->space, address, to, len, ret_got, error)
               : read_physical(target->look.memory, address, to, len, ret_got, error);
}
