/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Return addresses that were replaced by that of a trampoline: function graph tracing
 * and return probes. See unwind.h. */
#include <bpf/btf.h>

#include "util/error.h"
#include "vmi/linux/unwind.h"

#define MAX_NODES 4096
#define MAX_TRAMPOLINES 4
/* The words of a shadow stack: SHADOW_STACK_SIZE is a page. */
#define MAX_SHADOW 512
#define OFFSET_MASK 0x3ff /* kernel/trace/fgraph.c: FGRAPH_FRAME_OFFSET_MASK */

static gboolean
is_at(const MoseLinux *kernel, const char *symbol, guint64 ip)
{
    guint64 at;

    return mose_linux_symbol(kernel, symbol, &at, NULL) && at == ip;
}

static gboolean
not_found(guint64 slot, const char *list, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "the return address at 0x%" G_GINT64_MODIFIER
                "x is that of a trampoline, and is not in %s of the task",
                slot, list);
    return FALSE;
}

/* --- return probes --- */

/* kernel/trace/rethook.c: rethook_find_ret_addr; arch/x86/kernel/rethook.c has the
 * address of the slot as its frame. The trampoline itself is kept of one that is
 * within another. */
static gboolean
find_rethook(MoseLinux *kernel, guint64 task, guint64 slot, guint64 *ip, GError **error)
{
    guint64 at, offset, trampoline = *ip;

    if (!mose_object_peek(kernel, "task_struct", task, "rethooks.first", &at, error) ||
        !mose_object_offset(kernel, "rethook_node", "llist", &offset, NULL, error))
        return FALSE;
    for (guint i = 0; at != 0 && i < MAX_NODES; i++) {
        guint64 node = at - offset, frame, to;

        if (!mose_object_peek(kernel, "rethook_node", node, "frame", &frame, error) ||
            !mose_object_peek(kernel, "rethook_node", node, "ret_addr", &to, error) ||
            !mose_space_read_number(kernel->space, at, 8, &at, error))
            return FALSE;
        if (frame == slot && to != trampoline) {
            *ip = to;
            return TRUE;
        }
    }
    return not_found(slot, "rethooks", error);
}

/* --- function graph tracing --- */

typedef struct {
    guint64 stack, size; /* of struct ftrace_ret_stack */
    guint64 slot, trampoline;
} Shadow;

/* Whether the struct at  is of that slot, and tells where it really returns to: *.
 * A function that was jumped to has the slot of the one that jumped. */
static gboolean
matches(MoseLinux *kernel, const Shadow *shadow, guint64 at, guint64 *ret)
{
    guint64 retp;

    return mose_object_peek(kernel, "ftrace_ret_stack", at, "retp", &retp, NULL) &&
           retp == shadow->slot &&
           mose_object_peek(kernel, "ftrace_ret_stack", at, "ret", ret, NULL) &&
           *ret != shadow->trampoline;
}

/* Up to 6.9 an array, whose last one is curr_ret_stack. */
static gboolean
search_array(MoseLinux *kernel, const Shadow *shadow, gint64 last, guint64 *ret)
{
    for (gint64 i = MIN(last, MAX_SHADOW); i >= 0; i--)
        if (matches(kernel, shadow, shadow->stack + (guint64)i * shadow->size, ret))
            return TRUE;
    return FALSE;
}

/* Since then words; behind each struct and what belongs to it, one that says how many
 * they are (fgraph.c: get_ret_stack). curr_ret_stack is behind the last of these. */
static gboolean
search_words(MoseLinux *kernel, const Shadow *shadow, gint64 end, guint64 *ret)
{
    while (end > 0 && end <= MAX_SHADOW) {
        guint64 word;
        gint64 back;

        end--;
        if (!mose_space_read_number(kernel->space, shadow->stack + (guint64)end * 8, 8,
                                    &word, NULL))
            return FALSE;
        back = word & OFFSET_MASK;
        if (back <= 0 || back > end)
            return FALSE;
        end -= back;
        if (matches(kernel, shadow, shadow->stack + (guint64)end * 8, ret))
            return TRUE;
    }
    return FALSE;
}

/* Whether it points to words, not to structs. */
static gboolean
is_of_words(MoseLinux *kernel)
{
    const MoseTypes *types = kernel->types;
    guint32 task = mose_types_find(types, "task_struct");
    const struct btf_type *pointer;
    MoseMember member;

    if (!mose_types_member(types, task, "ret_stack", &member, NULL))
        return FALSE;
    pointer =
        btf__type_by_id(mose_types_btf(types), mose_types_strip(types, member.type));
    return pointer && btf_is_ptr(pointer) && mose_types_size(types, pointer->type) == 8;
}

static gboolean
find_graph(MoseLinux *kernel, guint64 task, guint64 slot, guint64 *ip, GError **error)
{
    Shadow shadow = { .slot = slot, .trampoline = *ip };
    guint64 current, to;
    gint64 size = mose_types_size(kernel->types,
                                  mose_types_find(kernel->types, "ftrace_ret_stack"));

    shadow.size = MAX(size, 1);
    if (!mose_object_peek(kernel, "task_struct", task, "ret_stack", &shadow.stack,
                          error) ||
        !mose_object_peek(kernel, "task_struct", task, "curr_ret_stack", &current,
                          error))
        return FALSE;
    if (shadow.stack != 0 &&
        (is_of_words(kernel) ? search_words(kernel, &shadow, current, &to)
                             : search_array(kernel, &shadow, current, &to))) {
        *ip = to;
        return TRUE;
    }
    return not_found(slot, "ret_stack", error);
}

gboolean
mose_unwind_true_return(MoseLinux *kernel, guint64 task, guint64 slot, guint64 *ip,
                        GError **error)
{
    /* Both may be there, one over the other. (Linux itself follows but one order.)
     * arch_rethook_trampoline is that of since 5.18; kretprobes were on their own
     * before, and kept their instances elsewhere. */
    for (guint i = 0; i < MAX_TRAMPOLINES; i++) {
        if (is_at(kernel, "return_to_handler", *ip)) {
            if (!find_graph(kernel, task, slot, ip, error))
                return FALSE;
        } else if (is_at(kernel, "arch_rethook_trampoline", *ip)) {
            if (!find_rethook(kernel, task, slot, ip, error))
                return FALSE;
        } else {
            return TRUE;
        }
    }
    return TRUE;
}
