/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frame by frame through a kernel's stacks. See unwind.h. */
#include "vmi/linux/unwind.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/modules.h"

#define MAX_USER_STACK (64 << 10)

enum { FRAME_PUSHED = MOSE_REGS_IP, USER_MODE = 3 };

typedef struct {
    MoseOrc *orc;
    MoseLinux *kernel;
    guint64 task;
    GArray *stacks;
    MoseStack *stack; /* on which sp was last, or NULL */
    MoseBacktrace *trace;
    guint64 ip, sp, bp;
    gboolean signal;    /* ip is not a return address */
    gboolean registers; /* those in words are what this frame had */
    guint64 words[MOSE_REGS_WORDS];
    guint64 regs; /* where those were, which told of ip */
    gboolean partial;
} Unwind;

void
mose_backtrace_free(MoseBacktrace *trace)
{
    if (!trace)
        return;
    g_array_unref(trace->frames);
    g_clear_pointer(&trace->user_stack, g_byte_array_unref);
    g_free(trace->why);
    g_free(trace);
}

static MoseBacktrace *
trace_new(void)
{
    MoseBacktrace *trace = g_new0(MoseBacktrace, 1);

    trace->frames = g_array_new(FALSE, FALSE, sizeof(MoseFrame));
    return trace;
}

/* --- reading the stack --- */

/* A stack that was left is not come back to: those are chained one way only. */
static gboolean
read_stack(Unwind *unwind, guint64 at, gpointer to, gsize len, GError **error)
{
    MoseStack *stack = unwind->stack;

    if (!stack || at < stack->begin || at >= stack->end || len > stack->end - at) {
        stack = mose_stack_at(unwind->stacks, at, len);
        if (!stack || stack->visited) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        stack ? "0x%" G_GINT64_MODIFIER
                                "x is on a stack that was left before"
                              : "0x%" G_GINT64_MODIFIER "x is on no stack of it",
                        at);
            return FALSE;
        }
        stack->visited = TRUE;
        unwind->stack = stack;
    }
    return mose_space_read(unwind->kernel->space, at, to, len, NULL, error);
}

static gboolean
read_word(Unwind *unwind, guint64 at, guint64 *ret, GError **error)
{
    if (!read_stack(unwind, at, ret, sizeof(*ret), error))
        return FALSE;
    *ret = GUINT64_FROM_LE(*ret);
    return TRUE;
}

/* --- one step --- */

static gboolean
get_register(const Unwind *unwind, guint word, const char *name, guint64 *ret,
             GError **error)
{
    *ret = unwind->words[word];
    if (unwind->registers)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "what was in %s is not known there", name);
    return FALSE;
}

/* Where the caller's frame is counted from. */
static gboolean
find_frame(Unwind *unwind, const MoseOrcEntry *entry, guint64 *ret, GError **error)
{
    switch (entry->sp_reg) {
    case MOSE_ORC_SP:
        *ret = unwind->sp + entry->sp_offset;
        return TRUE;
    case MOSE_ORC_BP:
        *ret = unwind->bp + entry->sp_offset;
        return TRUE;
    case MOSE_ORC_SP_INDIRECT:
        if (!read_word(unwind, unwind->sp, ret, error))
            return FALSE;
        *ret += entry->sp_offset;
        return TRUE;
    case MOSE_ORC_BP_INDIRECT:
        return read_word(unwind, unwind->bp + entry->sp_offset, ret, error);
    case MOSE_ORC_R10:
        return get_register(unwind, MOSE_REGS_R10, "r10", ret, error);
    case MOSE_ORC_R13:
        return get_register(unwind, MOSE_REGS_R13, "r13", ret, error);
    case MOSE_ORC_AX:
        return get_register(unwind, MOSE_REGS_AX, "rax", ret, error);
    case MOSE_ORC_DI:
        return get_register(unwind, MOSE_REGS_DI, "rdi", ret, error);
    case MOSE_ORC_DX:
        return get_register(unwind, MOSE_REGS_DX, "rdx", ret, error);
    default:
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "its unwind table counts from register %d", entry->sp_reg);
        return FALSE;
    }
}

static gboolean
take_call(Unwind *unwind, guint64 sp, GError **error)
{
    unwind->sp = sp;
    unwind->regs = 0;
    unwind->registers = FALSE;
    return read_word(unwind, sp - 8, &unwind->ip, error) &&
           mose_unwind_true_return(unwind->kernel, unwind->task, sp - 8, &unwind->ip,
                                   error);
}

/* All of them, or the last five, in which case the others are what they were. */
static gboolean
take_registers(Unwind *unwind, guint64 sp, gboolean partial, GError **error)
{
    guint64 words[MOSE_REGS_WORDS] = { 0 };
    guint first = partial ? FRAME_PUSHED : 0;

    if (!read_stack(unwind, sp, words + first, (MOSE_REGS_WORDS - first) * 8, error))
        return FALSE;
    for (guint i = first; i < MOSE_REGS_WORDS; i++)
        unwind->words[i] = GUINT64_FROM_LE(words[i]);
    unwind->registers = partial ? unwind->registers : TRUE;
    unwind->partial = partial;
    unwind->regs = sp - (guint64)first * 8;
    unwind->ip = unwind->words[MOSE_REGS_IP];
    unwind->sp = unwind->words[MOSE_REGS_SP];
    /* It may have been interrupted on the first instruction of a trampoline. */
    return mose_unwind_true_return(unwind->kernel, unwind->task, unwind->sp - 8,
                                   &unwind->ip, error);
}

static gboolean
find_bp(Unwind *unwind, const MoseOrcEntry *entry, guint64 sp, GError **error)
{
    switch (entry->bp_reg) {
    case MOSE_ORC_NONE:
        if (unwind->registers && !(entry->type == MOSE_ORC_CALL))
            unwind->bp = unwind->words[MOSE_REGS_BP];
        return TRUE;
    case MOSE_ORC_PREV_SP:
        return read_word(unwind, sp + entry->bp_offset, &unwind->bp, error);
    case MOSE_ORC_BP:
        return read_word(unwind, unwind->bp + entry->bp_offset, &unwind->bp, error);
    default:
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "its unwind table has rbp in register %d", entry->bp_reg);
        return FALSE;
    }
}

/* Within one stack it only goes up. */
static gboolean
check_progress(const Unwind *unwind, const MoseStack *before, guint64 sp_before,
               GError **error)
{
    const MoseStack *stack = unwind->stack;

    if (!stack || stack != before || unwind->sp < stack->begin ||
        unwind->sp >= stack->end || unwind->sp > sp_before)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the stack pointer does not go on: 0x%" G_GINT64_MODIFIER
                "x after 0x%" G_GINT64_MODIFIER "x",
                unwind->sp, sp_before);
    return FALSE;
}

/* To the caller. FALSE without an error: there is none. */
static gboolean
step(Unwind *unwind, GError **error)
{
    guint64 sp, sp_before = unwind->sp;
    const MoseStack *before = unwind->stack;
    MoseOrcEntry entry;

    /* A return address may be the next function's first: what holds is that of the
     * call. */
    if (!mose_orc_find(unwind->orc, unwind->signal ? unwind->ip : unwind->ip - 1,
                       &entry, error))
        return FALSE;
    if (entry.type == MOSE_ORC_END_OF_STACK)
        return FALSE;
    if (entry.type == MOSE_ORC_UNDEFINED) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "code at 0x%" G_GINT64_MODIFIER "x has no frame that is known",
                    unwind->ip);
        return FALSE;
    }
    unwind->signal = entry.signal;
    if (!find_frame(unwind, &entry, &sp, error) ||
        !(entry.type == MOSE_ORC_CALL
              ? take_call(unwind, sp, error)
              : take_registers(unwind, sp, entry.type == MOSE_ORC_REGS_PARTIAL, error)))
        return FALSE;
    return find_bp(unwind, &entry, sp, error) &&
           check_progress(unwind, before, sp_before, error);
}

/* --- all of them --- */

static gboolean
is_user(const Unwind *unwind)
{
    return unwind->regs != 0 && (unwind->words[MOSE_REGS_CS] & USER_MODE) == USER_MODE;
}

static void
add_frame(const Unwind *unwind)
{
    MoseFrame frame = {
        .ip = unwind->ip,
        .exact = unwind->signal,
        .regs = unwind->regs,
        .partial = unwind->partial,
    };
    const MoseStack *stack = mose_stack_at(unwind->stacks, unwind->sp, 1);

    /* Whose caller's frame begins where the stack ends, is on it. */
    if (!stack && unwind->stack && unwind->sp == unwind->stack->end)
        stack = unwind->stack;
    frame.stack = stack ? stack->name : NULL;
    memcpy(frame.words, unwind->words, sizeof(frame.words));
    g_array_append_val(unwind->trace->frames, frame);
}

static void
finish(Unwind *unwind, GError *error)
{
    MoseBacktrace *trace = unwind->trace;

    if (is_user(unwind)) {
        trace->from_user = TRUE;
        memcpy(trace->user, unwind->words, sizeof(trace->user));
    } else if (error) {
        trace->why = g_strdup(error->message);
    }
}

static void
unwind_all(Unwind *unwind)
{
    g_autoptr(GError) error = NULL;

    unwind->stack = mose_stack_at(unwind->stacks, unwind->sp, 8);
    if (unwind->stack)
        unwind->stack->visited = TRUE;
    while (!is_user(unwind) && unwind->trace->frames->len < MOSE_BACKTRACE_MAX) {
        add_frame(unwind);
        if (!step(unwind, &error))
            break;
    }
    if (unwind->trace->frames->len == MOSE_BACKTRACE_MAX)
        g_set_error(&error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "it has more than %d frames", MOSE_BACKTRACE_MAX);
    finish(unwind, error);
}

/* --- the other side --- */

/* As much as can be read. */
static void
keep_user_stack(MoseLinux *kernel, guint64 task, MoseBacktrace *trace)
{
    g_autoptr(MoseSpace) space = NULL;
    guint64 mm, pgd;
    gsize got = 0;

    if (!trace->from_user ||
        !mose_object_peek(kernel, "task_struct", task, "mm", &mm, NULL) || mm == 0 ||
        !mose_object_peek(kernel, "mm_struct", mm, "pgd", &pgd, NULL) ||
        !(space = mose_linux_user_space(kernel, pgd, NULL)))
        return;
    trace->user_stack = g_byte_array_new();
    trace->user_stack_at = trace->user[MOSE_REGS_SP];
    g_byte_array_set_size(trace->user_stack, MAX_USER_STACK);
    mose_space_read(space, trace->user_stack_at, trace->user_stack->data,
                    MAX_USER_STACK, &got, NULL);
    g_byte_array_set_size(trace->user_stack, got);
}

/* --- where it begins --- */

/* What of a task changes with each switch to and from it. */
typedef struct {
    guint64 on_cpu, sp, switches, forced;
} Run;

static gboolean
read_run(MoseLinux *kernel, guint64 task, Run *ret, GError **error)
{
    ret->on_cpu = 0;
    if (!mose_object_peek(kernel, "task_struct", task, "thread.sp", &ret->sp, error) ||
        !mose_object_peek(kernel, "task_struct", task, "nvcsw", &ret->switches,
                          error) ||
        !mose_object_peek(kernel, "task_struct", task, "nivcsw", &ret->forced, error))
        return FALSE;
    /* Not in a kernel for one CPU, which then has the task as its current one. */
    mose_object_peek(kernel, "task_struct", task, "on_cpu", &ret->on_cpu, NULL);
    if (ret->on_cpu == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN, "it runs");
    return FALSE;
}

/* A task that never ran begins there (arch/x86/kernel/process.c:copy_thread). */
static gboolean
is_new(MoseLinux *kernel, guint64 ip)
{
    guint64 begin;

    return (mose_linux_symbol(kernel, "ret_from_fork_asm", &begin, NULL) &&
            ip == begin) ||
           (mose_linux_symbol(kernel, "ret_from_fork", &begin, NULL) && ip == begin);
}

/* arch/x86/include/asm/switch_to.h: what __switch_to_asm leaves on its stack */
static gboolean
begin_switched(Unwind *unwind, guint64 sp, GError **error)
{
    MoseLinux *kernel = unwind->kernel;
    gint64 size;

    if (!mose_object_peek(kernel, "inactive_task_frame", sp, "bp", &unwind->bp,
                          error) ||
        !mose_object_peek(kernel, "inactive_task_frame", sp, "ret_addr", &unwind->ip,
                          error))
        return FALSE;
    size = mose_types_size(kernel->types,
                           mose_types_find(kernel->types, "inactive_task_frame"));
    unwind->sp = sp + size;
    unwind->signal = is_new(kernel, unwind->ip);
    return TRUE;
}

MoseBacktrace *
mose_backtrace_task(MoseOrc *orc, guint64 task, gboolean with_user, GError **error)
{
    MoseLinux *kernel = mose_orc_kernel(orc);
    g_autoptr(GArray) stacks = NULL;
    g_autoptr(MoseBacktrace) trace = trace_new();
    Unwind unwind = { .orc = orc, .kernel = kernel, .task = task, .trace = trace };
    Run before, after;

    if (!read_run(kernel, task, &before, error) ||
        !(stacks = mose_stacks_of(kernel, task, -1, error)))
        return NULL;
    unwind.stacks = stacks;
    if (!begin_switched(&unwind, before.sp, error))
        return NULL;
    unwind_all(&unwind);
    if (with_user)
        keep_user_stack(kernel, task, trace);
    if (!read_run(kernel, task, &after, error))
        return NULL;
    if (memcmp(&before, &after, sizeof(before)) == 0)
        return g_steal_pointer(&trace);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN, "it ran meanwhile");
    return NULL;
}

/* target/i386's order to that of pt_regs */
static void
take_vcpu(const MoseVcpu *vcpu, guint64 *words)
{
    static const guint8 from[] = {
        [MOSE_REGS_R15] = 15,      [MOSE_REGS_R14] = 14,      [MOSE_REGS_R13] = 13,
        [MOSE_REGS_R12] = 12,      [MOSE_REGS_BP] = MOSE_RBP, [MOSE_REGS_BX] = MOSE_RBX,
        [MOSE_REGS_R11] = 11,      [MOSE_REGS_R10] = 10,      [MOSE_REGS_R9] = 9,
        [MOSE_REGS_R8] = MOSE_R8,  [MOSE_REGS_AX] = MOSE_RAX, [MOSE_REGS_CX] = MOSE_RCX,
        [MOSE_REGS_DX] = MOSE_RDX, [MOSE_REGS_SI] = MOSE_RSI, [MOSE_REGS_DI] = MOSE_RDI,
    };

    for (guint i = 0; i < G_N_ELEMENTS(from); i++)
        words[i] = vcpu->general[from[i]];
    words[MOSE_REGS_ORIG_AX] = 0;
    words[MOSE_REGS_IP] = vcpu->rip;
    words[MOSE_REGS_CS] = vcpu->cs;
    words[MOSE_REGS_FLAGS] = vcpu->rflags;
    words[MOSE_REGS_SP] = vcpu->general[MOSE_RSP];
    words[MOSE_REGS_SS] = vcpu->ss;
}

MoseBacktrace *
mose_backtrace_vcpu(MoseOrc *orc, const MoseVcpu *vcpu, guint cpu, guint64 task,
                    gboolean with_user, GError **error)
{
    MoseLinux *kernel = mose_orc_kernel(orc);
    g_autoptr(GArray) stacks = mose_stacks_of(kernel, task, cpu, error);
    MoseBacktrace *trace;
    Unwind unwind = { .orc = orc,
                      .kernel = kernel,
                      .task = task,
                      .stacks = stacks,
                      .ip = vcpu->rip,
                      .sp = vcpu->general[MOSE_RSP],
                      .bp = vcpu->general[MOSE_RBP],
                      .signal = TRUE,
                      .registers = TRUE };

    if (!stacks)
        return NULL;
    trace = unwind.trace = trace_new();
    take_vcpu(vcpu, unwind.words);
    if ((vcpu->cs & USER_MODE) == USER_MODE) {
        trace->from_user = TRUE;
        memcpy(trace->user, unwind.words, sizeof(trace->user));
    } else {
        unwind_all(&unwind);
    }
    if (with_user)
        keep_user_stack(kernel, task, trace);
    return trace;
}

/* --- names --- */

/* lib/vsprintf.c: %pB; of what was interrupted, %pS */
char *
mose_frame_name(MoseLinux *kernel, const MoseFrame *frame)
{
    guint64 at = frame->exact ? frame->ip : frame->ip - 1;
    const MoseSymbol *symbol = mose_symbols_first_by_address(kernel->symbols, at);

    if (!symbol)
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", frame->ip);
    return g_strdup_printf(
        "%s+0x%" G_GINT64_MODIFIER "x/0x%" G_GINT64_MODIFIER "x%s%s%s", symbol->name,
        frame->ip - symbol->address, symbol->size, symbol->module ? " [" : "",
        symbol->module ? symbol->module : "", symbol->module ? "]" : "");
}
