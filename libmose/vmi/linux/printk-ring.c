/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structured ring: descriptors that say in which state a record is and where its
 * text lies, an array of what is known of each, and the ring of texts.
 *
 * A record may be believed where its descriptor was the same before and after the rest
 * was copied: the kernel makes a descriptor reusable before it reuses the text
 * (kernel/printk/printk_ringbuffer.c: data_make_reusable, desc_push_tail), and the id
 * in it never comes again. Records newer than the head of before the copy are left out,
 * so that none is missing between others because it came while the copy was made.
 */
#include <string.h>

#include "vmi/linux/printk-ring.h"

/* kernel/printk/printk_ringbuffer.h: enum desc_state, in the two highest bits. */
enum { STATE_RESERVED = 0, STATE_COMMITTED = 1, STATE_FINALIZED = 2 };
#define STATE_SHIFT 62
#define ID_MASK ((G_GUINT64_CONSTANT(1) << STATE_SHIFT) - 1)

/* Where there is no data block: FAILED_LPOS, and that of a record without text, which
 * was NO_LPOS first and is EMPTY_LINE_LPOS now. */
#define LPOS_DATALESS 1u
#define LPOS_EMPTY 3u

/* Data begins behind the id of its descriptor: struct prb_data_block. */
#define BLOCK_HEADER 8

typedef struct {
    guint64 id;
    guint state;
    guint64 begin, next;
} Desc;

/* Of one pass over the ring. */
typedef struct {
    const MosePrbCopy *copy;
    guint64 since;
    MosePrintkLog *log;
    guint64 text_left; /* all texts fit into the ring */
} Pass;

static gsize
count_of(const MosePrbCopy *copy)
{
    return (gsize)1 << copy->count_bits;
}

static void
read_desc(const MosePrbCopy *copy, const guint8 *descs, gsize i, Desc *ret)
{
    const guint8 *bytes = descs + i * copy->layout.desc_size;
    guint64 state = mose_printk_number(bytes, &copy->layout.state);

    ret->id = state & ID_MASK;
    ret->state = state >> STATE_SHIFT;
    ret->begin = mose_printk_number(bytes, &copy->layout.begin);
    ret->next = mose_printk_number(bytes, &copy->layout.next);
}

/* Of a record that can be read: one that is finished, or may be continued. What was
 * continued and finished meanwhile counts as the latter. */
static gboolean
was_stable(const Desc *desc, const Desc *then)
{
    return desc->id == then->id && desc->begin == then->begin &&
           desc->next == then->next &&
           (then->state == STATE_COMMITTED || then->state == STATE_FINALIZED);
}

static gboolean
is_newer(guint64 id, guint64 head)
{
    guint64 distance = (id - head) & ID_MASK;

    return distance != 0 && distance <= ID_MASK / 2;
}

/*
 * The data block's bytes behind its header. A block that does not fit in before the
 * ring's end lies at its beginning (get_data()). One that ends exactly there has not
 * wrapped: there are such since 6.19, before them next never is the beginning.
 */
static const guint8 *
find_block(const MosePrbCopy *copy, const Desc *desc, gsize *ret_size)
{
    guint64 size = G_GUINT64_CONSTANT(1) << copy->size_bits, mask = size - 1;
    guint64 begin = desc->begin & mask, len = desc->next - desc->begin;
    guint64 block_id = 0;

    if (desc->begin >> copy->size_bits != (desc->next - 1) >> copy->size_bits) {
        /* begins anew, in the wrap after that one */
        if ((desc->begin + size) >> copy->size_bits !=
            (desc->next - 1) >> copy->size_bits)
            return NULL;
        begin = 0;
        len = desc->next & mask;
    }
    if (len < BLOCK_HEADER || len > size - begin)
        return NULL;
    for (gsize i = BLOCK_HEADER; i > 0; i--)
        block_id = block_id << 8 | copy->text[begin + i - 1];
    if (block_id != desc->id)
        return NULL;
    *ret_size = len - BLOCK_HEADER;
    return copy->text + begin + BLOCK_HEADER;
}

/* NULL: it is lost. */
static char *
read_text(const MosePrbCopy *copy, const Desc *desc, const guint8 *info)
{
    guint64 text_len = mose_printk_number(info, &copy->layout.text_len);
    const guint8 *text;
    gsize size;

    if (desc->begin & LPOS_DATALESS && desc->next & LPOS_DATALESS)
        return desc->begin == LPOS_EMPTY && desc->next == LPOS_EMPTY ? g_strdup("")
                                                                     : NULL;
    text = find_block(copy, desc, &size);
    return text && text_len <= size ? mose_printk_text(text, text_len) : NULL;
}

/* Text in an array of characters of @info; NULL: none. */
static char *
text_member(const guint8 *info, const MoseMember *member)
{
    const char *at = (const char *)info + member->offset;

    return member->size && *at
               ? mose_printk_text(info + member->offset, strnlen(at, member->size))
               : NULL;
}

/* As /dev/kmsg has it (kernel/printk/printk.c: msg_print_ext_body). */
static char **
read_dictionary(const MosePrbLayout *layout, const guint8 *info)
{
    g_autofree char *subsystem = text_member(info, &layout->subsystem);
    g_autofree char *device = text_member(info, &layout->device);
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();

    if (!subsystem && !device)
        return NULL;
    if (subsystem) {
        g_autofree char *word = g_strconcat("SUBSYSTEM=", subsystem, NULL);

        g_strv_builder_add(words, word);
    }
    if (device) {
        g_autofree char *word = g_strconcat("DEVICE=", device, NULL);

        g_strv_builder_add(words, word);
    }
    return g_strv_builder_end(words);
}

static MosePrintkRecord *
record_of(const MosePrbLayout *layout, const guint8 *info, const Desc *desc)
{
    MosePrintkRecord *record = g_new0(MosePrintkRecord, 1);

    record->seq = mose_printk_number(info, &layout->seq);
    record->ts_nsec = mose_printk_number(info, &layout->ts_nsec);
    record->facility = mose_printk_number(info, &layout->facility);
    record->level = mose_printk_number(info, &layout->level);
    record->caller_id =
        layout->caller_id.size
            ? (gint64)(mose_printk_number(info, &layout->caller_id) & G_MAXUINT32)
            : -1;
    record->partial = desc->state == STATE_COMMITTED;
    record->dictionary = read_dictionary(layout, info);
    record->comm = text_member(info, &layout->comm);
    return record;
}

static void
add_text(Pass *pass, const guint8 *info, const Desc *desc)
{
    guint64 text_len = mose_printk_number(info, &pass->copy->layout.text_len);
    MosePrintkRecord *record;
    char *text;

    if (text_len > pass->text_left || !(text = read_text(pass->copy, desc, info))) {
        pass->log->lost++;
        return;
    }
    pass->text_left -= text_len;
    record = record_of(&pass->copy->layout, info, desc);
    record->text = text;
    g_ptr_array_add(pass->log->records, record);
}

static void
add_record(Pass *pass, gsize i)
{
    const MosePrbCopy *copy = pass->copy;
    const guint8 *info = copy->infos + i * copy->layout.info_size;
    guint64 seq = mose_printk_number(info, &copy->layout.seq);
    gsize mask = count_of(copy) - 1;
    Desc desc, then;

    read_desc(copy, copy->descs, i, &desc);
    read_desc(copy, copy->descs_then, i, &then);
    if ((desc.id & mask) != i || (seq & mask) != i || seq < pass->since ||
        is_newer(desc.id, copy->head_id & ID_MASK))
        return;
    /* A descriptor that has never been used is all zeros. */
    if (desc.state == STATE_RESERVED && desc.id != 0)
        pass->log->unfinished++;
    if ((desc.state == STATE_COMMITTED || desc.state == STATE_FINALIZED) &&
        was_stable(&desc, &then))
        add_text(pass, info, &desc);
}

static gint
by_seq(gconstpointer a, gconstpointer b)
{
    const MosePrintkRecord *x = *(gpointer *)a, *y = *(gpointer *)b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void
mose_prb_parse(const MosePrbCopy *copy, guint64 since, MosePrintkLog *log)
{
    Pass pass = { copy, since, log, G_GUINT64_CONSTANT(1) << copy->size_bits };

    for (gsize i = 0; i < count_of(copy); i++)
        add_record(&pass, i);
    g_ptr_array_sort(log->records, by_seq);
}
