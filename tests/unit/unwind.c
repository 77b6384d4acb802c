/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ORC entries of all forms, and stacks made by hand that are unwound by them. */
#include <string.h>

#include "lib/stack-world.h"
#include "util/error.h"
#include "vmi/linux/unwind.h"

/* --- entries --- */

static MoseOrcEntry
decode(MoseOrcForm form, guint8 registers, guint8 upper)
{
    const guint8 bytes[] = { 0x10, 0x00, 0xf0, 0xff, registers, upper };
    MoseOrcEntry entry;

    g_assert_true(mose_orc_decode(form, bytes, &entry));
    g_assert_cmpint(entry.sp_offset, ==, 16);
    g_assert_cmpint(entry.bp_offset, ==, -16);
    return entry;
}

static void
check(MoseOrcForm form, guint8 registers, guint8 upper, MoseOrcRegister sp,
      MoseOrcRegister bp, MoseOrcType type, gboolean signal)
{
    MoseOrcEntry entry = decode(form, registers, upper);

    g_assert_cmpint(entry.sp_reg, ==, sp);
    g_assert_cmpint(entry.bp_reg, ==, bp);
    g_assert_cmpint(entry.type, ==, type);
    g_assert_cmpint(entry.signal, ==, signal);
}

static void
test_decode(void)
{
    check(MOSE_ORC_END_BIT, 0x15, 0, MOSE_ORC_SP, MOSE_ORC_PREV_SP, MOSE_ORC_CALL,
          FALSE);
    check(MOSE_ORC_END_BIT, 0x05, 1, MOSE_ORC_SP, MOSE_ORC_NONE, MOSE_ORC_REGS, TRUE);
    check(MOSE_ORC_END_BIT, 0x05, 2, MOSE_ORC_SP, MOSE_ORC_NONE, MOSE_ORC_REGS_PARTIAL,
          TRUE);
    check(MOSE_ORC_END_BIT, 0x00, 4, MOSE_ORC_NONE, MOSE_ORC_NONE,
          MOSE_ORC_END_OF_STACK, FALSE);
    check(MOSE_ORC_END_BIT, 0x00, 0, MOSE_ORC_NONE, MOSE_ORC_NONE, MOSE_ORC_UNDEFINED,
          FALSE);
    check(MOSE_ORC_SIGNAL_AND_END, 0x05, 5, MOSE_ORC_SP, MOSE_ORC_NONE, MOSE_ORC_REGS,
          TRUE);
    check(MOSE_ORC_SIGNAL_AND_END, 0x05, 1, MOSE_ORC_SP, MOSE_ORC_NONE, MOSE_ORC_REGS,
          FALSE);
    check(MOSE_ORC_SIGNAL_AND_END, 0x00, 8, MOSE_ORC_NONE, MOSE_ORC_NONE,
          MOSE_ORC_END_OF_STACK, FALSE);
    check(MOSE_ORC_TYPES, 0x49, 2, MOSE_ORC_SP_INDIRECT, MOSE_ORC_BP, MOSE_ORC_CALL,
          FALSE);
    check(MOSE_ORC_TYPES, 0x03, 0xb, MOSE_ORC_DI, MOSE_ORC_NONE, MOSE_ORC_REGS, TRUE);
    check(MOSE_ORC_TYPES, 0x00, 1, MOSE_ORC_NONE, MOSE_ORC_NONE, MOSE_ORC_END_OF_STACK,
          FALSE);
    check(MOSE_ORC_TYPES, 0x00, 0, MOSE_ORC_NONE, MOSE_ORC_NONE, MOSE_ORC_UNDEFINED,
          FALSE);
    check(MOSE_ORC_RENUMBERED, 0x83, 2, MOSE_ORC_SP, MOSE_ORC_PREV_SP, MOSE_ORC_CALL,
          FALSE);
    check(MOSE_ORC_RENUMBERED, 0x05, 0xc, MOSE_ORC_DI, MOSE_ORC_NONE,
          MOSE_ORC_REGS_PARTIAL, TRUE);
    check(MOSE_ORC_RENUMBERED, 0x0a, 2, MOSE_ORC_BP_INDIRECT, MOSE_ORC_NONE,
          MOSE_ORC_CALL, FALSE);
    check(MOSE_ORC_RENUMBERED, 0x01, 3, MOSE_ORC_AX, MOSE_ORC_NONE, MOSE_ORC_REGS,
          FALSE);
}

static void
test_decode_wrong(void)
{
    static const struct {
        MoseOrcForm form;
        guint8 registers, upper;
    } wrong[] = {
        { MOSE_ORC_END_BIT, 0x0a, 0 },    { MOSE_ORC_END_BIT, 0xf5, 0 },
        { MOSE_ORC_END_BIT, 0x05, 3 },    { MOSE_ORC_TYPES, 0x0a, 2 },
        { MOSE_ORC_TYPES, 0x05, 5 },      { MOSE_ORC_TYPES, 0x05, 7 },
        { MOSE_ORC_RENUMBERED, 0x0b, 2 }, { MOSE_ORC_RENUMBERED, 0xc3, 2 },
    };
    MoseOrcEntry entry;

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        const guint8 bytes[] = { 8, 0, 0, 0, wrong[i].registers, wrong[i].upper };

        g_assert_false(mose_orc_decode(wrong[i].form, bytes, &entry));
    }
}

/* --- which form --- */

/* What of functions 0 and 1 tells the form. */
static void
put_form(StackWorld *world, MoseOrcForm form)
{
    static const guint8 calls[] = { 0, 0, 2, 2 }, ends[] = { 4, 8, 1, 1 };

    stack_world_entry(world, 0, 0, 0, 0, ends[form]);
    stack_world_entry(world, 1, 8, 0, form == MOSE_ORC_RENUMBERED ? 3 : 5, calls[form]);
}

static void
test_forms(void)
{
    for (MoseOrcForm form = MOSE_ORC_END_BIT; form <= MOSE_ORC_RENUMBERED; form++) {
        g_autoptr(StackWorld) world = stack_world_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseOrc) orc = NULL;
        MoseOrcEntry entry;

        put_form(world, form);
        orc = mose_orc_new(world->kernel, &error);
        g_assert_no_error(error);
        g_assert_true(mose_orc_find(orc, STACK_WORLD_FUNCTION(1) + 0xff, &entry, NULL));
        g_assert_cmpint(entry.type, ==, MOSE_ORC_CALL);
        g_assert_cmpint(entry.sp_reg, ==, MOSE_ORC_SP);
        g_assert_true(mose_orc_find(orc, STACK_WORLD_FUNCTION(0), &entry, NULL));
        g_assert_cmpint(entry.type, ==, MOSE_ORC_END_OF_STACK);
        g_assert_false(mose_orc_find(orc, STACK_WORLD_FUNCTION(8), &entry, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    }
}

static void
test_unknown_form(void)
{
    static const guint8 calls[][2] = { { 5, 3 }, { 4, 2 }, { 6, 0 } };

    for (guint i = 0; i < G_N_ELEMENTS(calls); i++) {
        g_autoptr(StackWorld) world = stack_world_new();
        g_autoptr(GError) error = NULL;

        put_form(world, MOSE_ORC_TYPES);
        stack_world_entry(world, 1, 8, 0, calls[i][0], calls[i][1]);
        g_assert_null(mose_orc_new(world->kernel, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED);
    }
}

/* --- stacks --- */

#define TOP (STACK_WORLD_STACK + 0x4000)
/* Where the switched task's frame begins. */
#define SWITCHED (STACK_WORLD_STACK + 0x1000)

/* Of 7.x: CALL 2, REGS 3, PARTIAL 4, signal 8; rsp 3, rbp 4, PREV_SP 8. */
enum { CALL = 2, REGS = 3, PARTIAL = 4, SIGNAL = 8, SP = 3, BP = 4, PREV_SP = 0x80 };

static StackWorld *
world_new(guint64 ret, guint64 bp)
{
    StackWorld *world = stack_world_new();

    put_form(world, MOSE_ORC_RENUMBERED);
    stack_world_put(world, STACK_WORLD_TASK + TASK_SP, SWITCHED, 8);
    stack_world_put(world, SWITCHED + FRAME_BP, bp, 8);
    stack_world_put(world, SWITCHED + FRAME_RET, ret, 8);
    return world;
}

static MoseBacktrace *
trace_of(StackWorld *world)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseOrc) orc = mose_orc_new(world->kernel, &error);
    MoseBacktrace *trace;

    g_assert_no_error(error);
    trace = mose_backtrace_task(orc, STACK_WORLD_TASK, FALSE, &error);
    g_assert_no_error(error);
    return trace;
}

/* @names: each frame's, with a blank between. */
static void
check_frames(StackWorld *world, const MoseBacktrace *trace, const char *names)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < trace->frames->len; i++) {
        g_autofree char *name =
            mose_frame_name(world->kernel, &g_array_index(trace->frames, MoseFrame, i));

        g_string_append_printf(text, "%s%s", i ? " " : "", name);
    }
    g_assert_cmpstr(text->str, ==, names);
}

static void
put_registers(StackWorld *world, guint64 at, guint64 ip, guint64 cs, guint64 sp)
{
    for (guint i = 0; i < MOSE_REGS_WORDS; i++)
        stack_world_put(world, at + i * 8, 0x1000 + i, 8);
    stack_world_put(world, at + MOSE_REGS_IP * 8, ip, 8);
    stack_world_put(world, at + MOSE_REGS_CS * 8, cs, 8);
    stack_world_put(world, at + MOSE_REGS_SP * 8, sp, 8);
}

/* Function 2 has 16 bytes of its own and calls; 3 has pushed rbp; 4 has its frame by
 * that; 5 is entered with registers on the stack. */
static void
test_calls(void)
{
    g_autoptr(StackWorld) world =
        world_new(STACK_WORLD_FUNCTION(2) + 0x10, SWITCHED + 0x200);
    const guint64 sp = SWITCHED + FRAME_SIZE;
    g_autoptr(MoseBacktrace) trace = NULL;

    stack_world_entry(world, 2, 24, 0, SP, CALL);
    stack_world_put(world, sp + 16, STACK_WORLD_FUNCTION(3) + 0x20, 8);
    stack_world_entry(world, 3, 16, -16, SP | PREV_SP, CALL);
    stack_world_put(world, sp + 24, SWITCHED + 0x300, 8); /* rbp of function 4 */
    stack_world_put(world, sp + 32, STACK_WORLD_FUNCTION(4) + 0x30, 8);
    stack_world_entry(world, 4, 16, 0, BP, CALL);
    stack_world_put(world, SWITCHED + 0x308, STACK_WORLD_FUNCTION(0) + 0x40, 8);
    trace = trace_of(world);
    check_frames(world, trace,
                 "two+0x10/0x100 three+0x20/0x100 four+0x30/0x100 "
                 "entry_SYSCALL_64+0x40/0x100");
    g_assert_null(trace->why);
    g_assert_false(trace->from_user);
}

static void
test_user(void)
{
    g_autoptr(StackWorld) world = world_new(STACK_WORLD_FUNCTION(5) + 0x10, 0);
    g_autoptr(MoseBacktrace) trace = NULL;

    stack_world_entry(world, 5, 0, 0, SP, REGS | SIGNAL);
    put_registers(world, SWITCHED + FRAME_SIZE, 0x401234, 0x33, 0x7fff0000);
    trace = trace_of(world);
    check_frames(world, trace, "five+0x10/0x100");
    g_assert_null(trace->why);
    g_assert_true(trace->from_user);
    g_assert_cmphex(trace->user[MOSE_REGS_IP], ==, 0x401234);
    g_assert_cmphex(trace->user[MOSE_REGS_SP], ==, 0x7fff0000);
    g_assert_cmphex(trace->user[MOSE_REGS_BX], ==, 0x1000 + MOSE_REGS_BX);
}

/* The kernel was interrupted in function 2 and, before its registers were saved, once
 * more, in function 5: these are those of function 2 still. */
static void
test_interrupted(void)
{
    g_autoptr(StackWorld) world = world_new(STACK_WORLD_FUNCTION(4) + 0x10, 0);
    const guint64 outer = STACK_WORLD_STACK + 0x3000, at = SWITCHED + FRAME_SIZE;
    g_autoptr(MoseBacktrace) trace = NULL;
    const MoseFrame *frame;

    stack_world_entry(world, 4, 0, 0, SP, REGS | SIGNAL);
    put_registers(world, at, STACK_WORLD_FUNCTION(5), 0x10, outer);
    stack_world_entry(world, 5, 0, 0, SP, PARTIAL | SIGNAL);
    put_registers(world, outer - MOSE_REGS_IP * 8, STACK_WORLD_FUNCTION(2), 0x10,
                  outer + 0x100);
    /* Function 2 has its frame in r10, which is known because it was interrupted. */
    stack_world_entry(world, 2, 0, 0, 6, CALL);
    stack_world_put(world, at + MOSE_REGS_R10 * 8, outer + 0x208, 8);
    stack_world_put(world, outer + 0x200, STACK_WORLD_FUNCTION(0) + 1, 8);
    trace = trace_of(world);
    check_frames(world, trace,
                 "four+0x10/0x100 five+0x0/0x100 two+0x0/0x100 "
                 "entry_SYSCALL_64+0x1/0x100");
    g_assert_null(trace->why);
    frame = &g_array_index(trace->frames, MoseFrame, 1);
    g_assert_true(frame->exact && frame->regs == at && !frame->partial);
    frame = &g_array_index(trace->frames, MoseFrame, 2);
    g_assert_true(frame->exact && frame->partial);
    g_assert_cmphex(frame->words[MOSE_REGS_BX], ==, 0x1000 + MOSE_REGS_BX);
    g_assert_cmpint(g_array_index(trace->frames, MoseFrame, 3).exact, ==, FALSE);
}

/* A return probe put its trampoline where function 3 returns to. */
static void
test_rethook(void)
{
    g_autoptr(StackWorld) world = world_new(STACK_WORLD_FUNCTION(3) + 0x10, 0);
    const guint64 slot = SWITCHED + FRAME_SIZE, node = STACK_WORLD_BASE + 0x3400;
    g_autoptr(MoseBacktrace) trace = NULL;
    g_autoptr(MoseBacktrace) lost = NULL;

    stack_world_entry(world, 3, 8, 0, SP, CALL);
    stack_world_put(world, slot, STACK_WORLD_FUNCTION(7), 8);
    stack_world_put(world, STACK_WORLD_TASK + TASK_RETHOOKS, node + NODE_LIST, 8);
    stack_world_put(world, node + NODE_FRAME, slot, 8);
    stack_world_put(world, node + NODE_RET, STACK_WORLD_FUNCTION(0) + 0x50, 8);
    trace = trace_of(world);
    check_frames(world, trace, "three+0x10/0x100 entry_SYSCALL_64+0x50/0x100");
    g_assert_null(trace->why);
    stack_world_put(world, node + NODE_FRAME, slot + 8, 8);
    lost = trace_of(world);
    g_assert_nonnull(strstr(lost->why, "trampoline"));
}

/* One that has never run begins at a function's first instruction. */
static void
test_new(void)
{
    g_autoptr(StackWorld) world = world_new(STACK_WORLD_FUNCTION(6), 0);
    g_autoptr(MoseBacktrace) trace = NULL;

    stack_world_entry(world, 6, 0, 0, 0, 1);
    /* That of the one before would lead on. */
    stack_world_entry(world, 5, 8, 0, SP, CALL);
    trace = trace_of(world);
    check_frames(world, trace, "ret_from_fork_asm+0x0/0x100");
    g_assert_null(trace->why);
}

/* --- what cannot be gone on with --- */

static void
expect_why(StackWorld *world, guint n_frames, const char *why)
{
    g_autoptr(MoseBacktrace) trace = trace_of(world);

    g_assert_cmpuint(trace->frames->len, ==, n_frames);
    g_assert_nonnull(trace->why);
    if (!strstr(trace->why, why))
        g_error("not '%s', but: %s", why, trace->why);
}

static void
test_ends(void)
{
    const guint64 sp = SWITCHED + FRAME_SIZE;
    g_autoptr(StackWorld) world =
        world_new(STACK_WORLD_FUNCTION(2) + 0x10, G_MAXUINT64 - 7);

    stack_world_entry(world, 2, 0, 0, 0, 0);
    expect_why(world, 1, "has no frame that is known");
    /* To where it has been. */
    stack_world_entry(world, 2, 0, 0, SP, CALL);
    stack_world_put(world, sp - 8, STACK_WORLD_FUNCTION(2) + 0x10, 8);
    expect_why(world, 1, "does not go on");
    stack_world_entry(world, 2, 8, 0, BP, CALL);
    expect_why(world, 1, "is on no stack of it");
    stack_world_entry(world, 2, 0, 0, 7, CALL);
    expect_why(world, 1, "what was in r13 is not known");
    stack_world_entry(world, 2, 0, 0, 0xff, CALL);
    expect_why(world, 1, "makes no sense");
    stack_world_entry(world, 2, 8, 0, SP, CALL);
    stack_world_put(world, sp, 0x1234, 8);
    expect_why(world, 2, "is no code that is known");
}

static void
test_running(void)
{
    g_autoptr(StackWorld) world = world_new(STACK_WORLD_FUNCTION(0) + 1, 0);
    g_autoptr(MoseOrc) orc = mose_orc_new(world->kernel, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) none = NULL;

    stack_world_put(world, STACK_WORLD_TASK + TASK_ON_CPU, 1, 4);
    g_assert_null(mose_backtrace_task(orc, STACK_WORLD_TASK, FALSE, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    stack_world_put(world, STACK_WORLD_TASK + TASK_ON_CPU, 0, 4);
    stack_world_put(world, STACK_WORLD_TASK + TASK_STACK, 0, 8);
    g_assert_null(mose_backtrace_task(orc, STACK_WORLD_TASK, FALSE, &none));
    g_assert_error(none, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/unwind/decode", test_decode);
    g_test_add_func("/unwind/decode-wrong", test_decode_wrong);
    g_test_add_func("/unwind/forms", test_forms);
    g_test_add_func("/unwind/unknown-form", test_unknown_form);
    g_test_add_func("/unwind/calls", test_calls);
    g_test_add_func("/unwind/user", test_user);
    g_test_add_func("/unwind/interrupted", test_interrupted);
    g_test_add_func("/unwind/rethook", test_rethook);
    g_test_add_func("/unwind/new", test_new);
    g_test_add_func("/unwind/ends", test_ends);
    g_test_add_func("/unwind/running", test_running);
    return g_test_run();
}
