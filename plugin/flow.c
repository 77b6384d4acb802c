/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks and accesses of memory, told of as they happen; see flow.h.
 *
 * A block is told of when it begins. A fault or an interrupt may end it early, and
 * nobody says so in QEMU 10.0; so translated code keeps the number of the instruction
 * that it is at in a word of the vCPU's (one store, no call), and the next block tells
 * how far the one before it has come.
 */
#include "plugin/flow.h"

#include <string.h>

#include "plugin/core.h"
#include "plugin/switches.h"

/* How many blocks there are between two times. */
#define BLOCKS_A_TIME 1024
/* Of one translated block, QEMU accel/tcg/translator.c: TCG_MAX_INSNS. */
#define MAX_INSNS 512
#define MAX_INSN 15

static Plan *plan;
static struct qemu_plugin_scoreboard *board;
static qemu_plugin_u64 at; /* the instruction of its block that a vCPU is at */

typedef struct {
    guint64 at;
    guint64 n_blocks; /* of this plan */
} Score;

void
flow_init(void)
{
    board = qemu_plugin_scoreboard_new(sizeof(Score));
    at = (qemu_plugin_u64){ board, G_STRUCT_OFFSET(Score, at) };
}

/* --- when it runs --- */

/* What was lost is said before what comes after it. */
static void
tell_lost(Producer *ring)
{
    producer_put(ring, MOSE_EVENT_LOST | (guint64)ring->before << 8 | ring->lost << 24);
    ring->lost = 0;
    ring->skipping = FALSE;
}

static void
tell_time(Producer *ring)
{
    producer_put(ring, MOSE_EVENT_TIME);
    producer_put(ring, (guint64)g_get_monotonic_time() * 1000);
}

static void
tell_task(Producer *ring)
{
    producer_put(ring, MOSE_EVENT_TASK);
    producer_put(ring, ring->task);
    ring->other_task = FALSE;
}

static guint
begun(const Score *score)
{
    return score->n_blocks > 0 ? (guint)score->at + 1 : 0;
}

/* The last block that was told of came so far; what runs from here on is not told of,
 * whether it was instrumented or not. */
static void
note_end(Producer *ring, guint executed)
{
    if (ring->over)
        return;
    ring->over = TRUE;
    if (ring->lost == 0)
        ring->before = executed;
}

static void
on_block(unsigned int vcpu, void *number)
{
    Score *score = qemu_plugin_scoreboard_find(board, vcpu);
    guint executed = begun(score);
    Producer *ring = &plan->producers[vcpu];
    gboolean room;

    if (G_UNLIKELY(!producer_recording)) {
        note_end(ring, executed);
        core_settle();
        return;
    }
    score->at = 0;
    room = producer_has_room(ring, 6);
    if (G_UNLIKELY(ring->skipping || !room)) {
        if (ring->lost == 0)
            ring->before = executed;
        ring->lost += !room;
        ring->skipping = TRUE;
        score->n_blocks = 0;
        if (!room)
            return;
        tell_lost(ring);
        executed = 0;
    }
    if (G_UNLIKELY(ring->other_task))
        tell_task(ring);
    if (score->n_blocks++ % BLOCKS_A_TIME == 0)
        tell_time(ring);
    producer_put(ring, MOSE_EVENT_BLOCK | (guint64)executed << 8 |
                           (guint64)GPOINTER_TO_UINT(number) << 32);
    producer_done(ring);
}

static guint
put_value(guint64 *to, qemu_plugin_meminfo_t info)
{
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);

    switch (value.type) {
    case QEMU_PLUGIN_MEM_VALUE_U8:
        to[0] = value.data.u8;
        return 1;
    case QEMU_PLUGIN_MEM_VALUE_U16:
        to[0] = value.data.u16;
        return 1;
    case QEMU_PLUGIN_MEM_VALUE_U32:
        to[0] = value.data.u32;
        return 1;
    case QEMU_PLUGIN_MEM_VALUE_U64:
        to[0] = value.data.u64;
        return 1;
    case QEMU_PLUGIN_MEM_VALUE_U128:
        to[0] = value.data.u128.low;
        to[1] = value.data.u128.high;
        return 2;
    }
    return 0;
}

static void
on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *insn)
{
    Producer *ring = &plan->producers[vcpu];
    guint64 word = MOSE_EVENT_ACCESS | (guint64)GPOINTER_TO_UINT(insn) << 8 |
                   (guint64)qemu_plugin_mem_size_shift(info) << 24;
    guint64 value[2];
    guint n = 0;

    if (ring->skipping || !producer_recording)
        return;
    if (!producer_has_room(ring, 4)) {
        ring->skipping = TRUE;
        return;
    }
    if (qemu_plugin_mem_is_store(info))
        word |= MOSE_EVENT_STORE;
    if (plan->values)
        n = put_value(value, info);
    producer_put(ring, n > 0 ? word | MOSE_EVENT_VALUE : word);
    producer_put(ring, address);
    for (guint i = 0; i < n; i++)
        producer_put(ring, value[i]);
}

/* --- when it is translated --- */

static void
put_bytes(Producer *ring, const guint8 *bytes, gsize len)
{
    for (gsize i = 0; i < len; i += 8) {
        guint64 word = 0;

        memcpy(&word, bytes + i, MIN(8, len - i));
        producer_put(ring, word);
    }
}

/* Copy what the block is made of; how many bytes, or 0 where it cannot be told. */
static gsize
copy_code(const struct qemu_plugin_tb *tb, gsize n, guint8 *sizes, guint8 *code)
{
    gsize len = 0;

    for (gsize i = 0; i < n; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        gsize size = qemu_plugin_insn_size(insn);

        if (size == 0 || size > MAX_INSN ||
            qemu_plugin_insn_data(insn, code + len, size) != size)
            return 0;
        sizes[i] = size;
        len += size;
    }
    return len;
}

/* Tell of the code before anybody can run it; FALSE: nobody can be told. */
static gboolean
tell_code(const struct qemu_plugin_tb *tb, gsize n, guint32 *ret_number)
{
    guint8 sizes[MAX_INSNS], code[MAX_INSNS * MAX_INSN];
    gsize len = n <= MAX_INSNS ? copy_code(tb, n, sizes, code) : 0;
    Producer *ring = &plan->code;

    if (len == 0 || !producer_has_room(ring, 2 + (n + 7) / 8 + (len + 7) / 8))
        return FALSE;
    *ret_number = plan->n_blocks++;
    producer_put(ring, MOSE_EVENT_CODE | n << 8 | len << 24);
    producer_put(ring, qemu_plugin_tb_vaddr(tb));
    put_bytes(ring, sizes, n);
    put_bytes(ring, code, len);
    producer_publish(ring);
    return TRUE;
}

static void
instrument(struct qemu_plugin_tb *tb, gsize n, guint32 number)
{
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
                                         GUINT_TO_POINTER(number));
    for (gsize i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        if (i > 0)
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
                insn, QEMU_PLUGIN_INLINE_STORE_U64, at, i);
        if (plan->accesses)
            qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_RW, GUINT_TO_POINTER(i));
    }
}

/* Of several vCPUs at once. */
static void
on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    gsize n = qemu_plugin_tb_n_insns(tb);
    guint32 number;
    gboolean told;

    if (!producer_recording || n == 0)
        return;
    switches_instrument(plan, tb);
    if (!plan_wants(plan, qemu_plugin_tb_vaddr(tb)))
        return;
    g_mutex_lock(&plan->code_lock);
    told = tell_code(tb, n, &number);
    g_mutex_unlock(&plan->code_lock);
    if (told)
        instrument(tb, n, number);
    else
        core_overrun();
}

/* No vCPU runs: nobody waits for the reader. */
static void
tell_end(guint vcpu)
{
    const Score *score = qemu_plugin_scoreboard_find(board, vcpu);
    Producer *ring = &plan->producers[vcpu];

    note_end(ring, begun(score));
    if (!producer_has_room(ring, 1))
        return;
    if (ring->skipping)
        tell_lost(ring);
    else
        producer_put(ring, MOSE_EVENT_END | (guint64)ring->before << 8);
    producer_publish(ring);
}

/* Another plan, or the same one once more. */
static void
change_plan(Plan *new_plan)
{
    for (guint i = 0; plan && i < plan->n_vcpus; i++)
        tell_end(i);
    plan = new_plan;
    for (int i = 0; i < qemu_plugin_num_vcpus(); i++)
        memset(qemu_plugin_scoreboard_find(board, i), 0, sizeof(Score));
}

void
flow_begin(qemu_plugin_id_t id, Plan *new_plan)
{
    if (plan != new_plan)
        change_plan(new_plan);
    if (plan)
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

void
flow_flush(guint vcpu)
{
    if (plan && vcpu < plan->n_vcpus)
        producer_publish(&plan->producers[vcpu]);
}
