/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frame by frame through a thread's own stack. See user-unwind.h. */
#include "vmi/linux/user-unwind.h"

#include <elf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/eh-frame.h"
#include "vmi/linux/user-priv.h"

typedef struct {
    MoseUser *user;
    const MoseBacktrace *trace;
    MoseEhRegisters registers;
} Walk;

/* What was kept of the stack is of the same moment as the registers. */
static gboolean
read_memory(gpointer data, guint64 at, void *to, gsize len)
{
    const Walk *walk = data;
    const GByteArray *stack = walk->trace->user_stack;

    if (stack && at >= walk->trace->user_stack_at &&
        at - walk->trace->user_stack_at <= stack->len &&
        len <= stack->len - (at - walk->trace->user_stack_at)) {
        memcpy(to, stack->data + (at - walk->trace->user_stack_at), len);
        return TRUE;
    }
    return mose_user_read(walk->user, at, to, len, NULL, NULL);
}

static void
take_registers(const guint64 *words, MoseEhRegisters *ret)
{
    static const guint8 from[MOSE_EH_N] = {
        MOSE_REGS_AX,  MOSE_REGS_DX,  MOSE_REGS_CX,  MOSE_REGS_BX,  MOSE_REGS_SI,
        MOSE_REGS_DI,  MOSE_REGS_BP,  MOSE_REGS_SP,  MOSE_REGS_R8,  MOSE_REGS_R9,
        MOSE_REGS_R10, MOSE_REGS_R11, MOSE_REGS_R12, MOSE_REGS_R13, MOSE_REGS_R14,
        MOSE_REGS_R15, MOSE_REGS_IP,
    };

    for (guint i = 0; i < MOSE_EH_N; i++)
        ret->values[i] = words[from[i]];
    ret->known = (1u << MOSE_EH_N) - 1;
}

/* Where its .eh_frame_hdr lies; FALSE: it has none. */
static gboolean
find_header(const MoseElfObject *object, guint64 *ret)
{
    for (guint i = 0; i < object->elf->segments->len; i++) {
        const MoseElfSegment *segment =
            &g_array_index(object->elf->segments, MoseElfSegment, i);

        if (segment->type == PT_GNU_EH_FRAME) {
            *ret = object->elf->bias + segment->address;
            return TRUE;
        }
    }
    return FALSE;
}

/* --- an object without it, as static programs are --- */

#define MAX_SECTIONS 4096
#define NAME ".eh_frame"

typedef struct {
    MoseUser *user;
    const MosePageCache *file;
} File;

static gboolean
read_file(const File *file, guint64 at, gpointer to, gsize len)
{
    return mose_page_cache_read(file->user->kernel, file->file, at, to, len, NULL,
                                NULL);
}

/* Its .eh_frame by the section headers, which no process maps: the file has them, if it
 * is in the page cache. FALSE: it has none, or not. */
static gboolean
find_section(const File *file, Elf64_Shdr *ret)
{
    Elf64_Ehdr header;
    Elf64_Shdr names;
    char name[sizeof(NAME)];

    if (!read_file(file, 0, &header, sizeof(header)) ||
        header.e_shentsize != sizeof(names) || header.e_shnum > MAX_SECTIONS ||
        !read_file(file, header.e_shoff + header.e_shstrndx * sizeof(names), &names,
                   sizeof(names)))
        return FALSE;
    for (guint i = 0; i < header.e_shnum; i++)
        if (read_file(file, header.e_shoff + i * sizeof(*ret), ret, sizeof(*ret)) &&
            (ret->sh_flags & SHF_ALLOC) &&
            read_file(file, names.sh_offset + ret->sh_name, name, sizeof(name)) &&
            memcmp(name, NAME, sizeof(name)) == 0)
            return TRUE;
    return FALSE;
}

static GArray *
make_index(Walk *walk, const MoseElfObject *object, GError **error)
{
    File file = { .user = walk->user };
    Elf64_Shdr section;

    if (object->file != 0 &&
        (file.file = mose_user_file(walk->user, object->file, NULL)) &&
        find_section(&file, &section))
        return mose_eh_index(read_memory, walk, object->elf->bias + section.sh_addr,
                             section.sh_size, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "it has no .eh_frame_hdr, and no .eh_frame that could be found");
    return NULL;
}

static const GArray *
index_of(Walk *walk, const MoseElfObject *object, GError **error)
{
    MoseUser *user = walk->user;
    GArray *index;

    if (!user->unwind)
        user->unwind =
            g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_array_unref);
    index = g_hash_table_lookup(user->unwind, object);
    if (!index && (index = make_index(walk, object, error)))
        g_hash_table_insert(user->unwind, (gpointer)object, index);
    return index;
}

/* --- one step --- */

static gboolean
step_by_table(Walk *walk, MoseUserFrame *frame, gboolean *ret_outermost, GError **error)
{
    guint64 at = frame->ip - (frame->exact ? 0 : 1), header = 0;
    const GArray *index = NULL;
    const MoseElfObject *object = mose_user_object_at(walk->user, at);

    if (!object) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "0x%" G_GINT64_MODIFIER "x is in no object of it", at);
        return FALSE;
    }
    if (!find_header(object, &header) && !(index = index_of(walk, object, error))) {
        g_prefix_error(error, "%s: ", object->name);
        return FALSE;
    }
    if (!object->elf->is_64) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s is of 32 bits, whose frames are not known here", object->name);
        return FALSE;
    }
    if (mose_eh_step(read_memory, walk, header, index, frame->exact, &walk->registers,
                     ret_outermost, &frame->signal, error))
        return TRUE;
    g_prefix_error(error, "%s: ", object->name);
    return FALSE;
}

/* push %rbp; mov %rsp,%rbp: the caller's rbp is at rbp, and its rip behind that. */
static gboolean
step_by_pointer(Walk *walk)
{
    guint64 bp = walk->registers.values[MOSE_EH_RBP], words[2];
    const MoseVma *vma;

    if (!(walk->registers.known >> MOSE_EH_RBP & 1) ||
        bp < walk->registers.values[MOSE_EH_RSP] || bp % 8 != 0 ||
        !read_memory(walk, bp, words, sizeof(words)))
        return FALSE;
    vma = mose_user_vma_at(walk->user, GUINT64_FROM_LE(words[1]));
    if (!vma || !(vma->flags & MOSE_VMA_EXEC))
        return FALSE;
    walk->registers.values[MOSE_EH_RBP] = GUINT64_FROM_LE(words[0]);
    walk->registers.values[MOSE_EH_RIP] = GUINT64_FROM_LE(words[1]);
    walk->registers.values[MOSE_EH_RSP] = bp + 16;
    walk->registers.known = 1u << MOSE_EH_RBP | 1u << MOSE_EH_RIP | 1u << MOSE_EH_RSP;
    return TRUE;
}

/* To the caller: *@next. FALSE, with *@ret_why or, at the end, without. */
static gboolean
step(Walk *walk, MoseUserFrame *frame, gboolean frame_pointers, MoseUserFrame *next,
     char **ret_why)
{
    g_autoptr(GError) error = NULL;
    guint64 sp = walk->registers.values[MOSE_EH_RSP];
    gboolean outermost = FALSE;

    *next = (MoseUserFrame){ 0 };
    if (step_by_table(walk, frame, &outermost, &error)) {
        next->exact = frame->signal;
    } else if (frame_pointers && step_by_pointer(walk)) {
        next->guessed = TRUE;
    } else {
        *ret_why = g_strdup(error->message);
        return FALSE;
    }
    next->ip = walk->registers.values[MOSE_EH_RIP];
    if (outermost || next->ip == 0)
        return FALSE;
    /* A handler may have a stack of its own; else it only goes up. */
    if (walk->registers.values[MOSE_EH_RSP] > sp || frame->signal)
        return TRUE;
    *ret_why = g_strdup_printf("the stack pointer does not go on at "
                               "0x%" G_GINT64_MODIFIER "x",
                               sp);
    return FALSE;
}

GArray *
mose_user_trace(MoseUser *user, const MoseBacktrace *trace, gboolean frame_pointers,
                char **ret_why)
{
    GArray *frames = g_array_new(FALSE, FALSE, sizeof(MoseUserFrame));
    Walk walk = { .user = user, .trace = trace };
    MoseUserFrame frame = { .exact = TRUE }, next;
    gboolean more = TRUE;

    *ret_why = NULL;
    take_registers(trace->user, &walk.registers);
    frame.ip = walk.registers.values[MOSE_EH_RIP];
    while (more && frames->len < MOSE_USER_TRACE_MAX) {
        more = step(&walk, &frame, frame_pointers, &next, ret_why);
        g_array_append_val(frames, frame);
        frame = next;
    }
    if (more)
        *ret_why = g_strdup_printf("it has more than %d frames", MOSE_USER_TRACE_MAX);
    return frames;
}

char *
mose_user_frame_name(MoseUser *user, const MoseUserFrame *frame)
{
    guint64 at = frame->ip - (frame->exact ? 0 : 1);
    const MoseSymbol *symbol = mose_user_symbol_at(user, at);
    const MoseElfObject *object = symbol ? NULL : mose_user_object_at(user, at);

    if (symbol)
        return g_strdup_printf(
            "%s+0x%" G_GINT64_MODIFIER "x/0x%" G_GINT64_MODIFIER "x [%s]", symbol->name,
            frame->ip - symbol->address, symbol->size, symbol->module);
    if (object)
        return g_strdup_printf("+0x%" G_GINT64_MODIFIER "x [%s]",
                               frame->ip - object->elf->bias, object->name);
    return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", frame->ip);
}
