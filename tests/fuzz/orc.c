/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as ORC tables, and as a task and its stack. The trace ends,
 * and is the same once more. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/stack-world.h"
#include "vmi/linux/unwind.h"

enum { TABLES = STACK_WORLD_MODULES - STACK_WORLD_IPS, STACK = 0x4000 };

/* So that it is told what form they have, whatever else they are. */
static void
put_form(StackWorld *world, guint form)
{
    static const guint8 calls[] = { 0, 0, 2, 2 }, ends[] = { 4, 8, 1, 1 };

    stack_world_entry(world, 0, 0, 0, 0, ends[form]);
    stack_world_entry(world, 1, 8, 0, form == MOSE_ORC_RENUMBERED ? 3 : 5, calls[form]);
}

static void
check(const MoseBacktrace *trace, const MoseBacktrace *again)
{
    FUZZ_CHECK(trace->frames->len <= MOSE_BACKTRACE_MAX);
    FUZZ_CHECK(trace->frames->len == again->frames->len);
    FUZZ_CHECK(trace->from_user == again->from_user);
    FUZZ_CHECK((trace->why != NULL) == (again->why != NULL));
    for (guint i = 0; i < trace->frames->len; i++)
        FUZZ_CHECK(g_array_index(trace->frames, MoseFrame, i).ip ==
                   g_array_index(again->frames, MoseFrame, i).ip);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(StackWorld) world = stack_world_new();
    gsize tables = MIN(size, TABLES), stack = MIN(size - tables, STACK);
    g_autoptr(MoseOrc) orc = NULL;
    g_autoptr(MoseBacktrace) trace = NULL;
    g_autoptr(MoseBacktrace) again = NULL;

    vmi_world_write(world->world, STACK_WORLD_IPS, data, tables);
    vmi_world_write(world->world, STACK_WORLD_STACK, data + tables, stack);
    put_form(world, size % 4);
    orc = mose_orc_new(world->kernel, NULL);
    if (!orc)
        return 0;
    trace = mose_backtrace_task(orc, STACK_WORLD_TASK, FALSE, NULL);
    again = mose_backtrace_task(orc, STACK_WORLD_TASK, FALSE, NULL);
    FUZZ_CHECK((trace != NULL) == (again != NULL));
    if (trace)
        check(trace, again);
    return 0;
}
