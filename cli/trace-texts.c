/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instructions of a trace in words; see trace-texts.h. */
#include "cli/trace-texts.h"

#include "vmi/disassemble.h"

/* Blocks whose texts are kept: loops need them again and again. */
#define MAX_TEXTS 65536

struct MoseTraceTexts {
    const MoseTrace *trace;
    GHashTable *blocks; /* GPtrArray by id */
};

MoseTraceTexts *
mose_trace_texts_new(const MoseTrace *trace)
{
    MoseTraceTexts *texts = g_new0(MoseTraceTexts, 1);

    texts->trace = trace;
    texts->blocks =
        g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    return texts;
}

void
mose_trace_texts_free(MoseTraceTexts *texts)
{
    if (!texts)
        return;
    g_hash_table_unref(texts->blocks);
    g_free(texts);
}

/* @data: where the text goes, and how long the instruction has to be. */
typedef struct {
    char *text;
    guint size;
} Text;

static void
take_text(const MoseInstruction *instruction, gpointer data)
{
    Text *text = data;

    if (!text->text && instruction->known && instruction->size == text->size)
        text->text = g_strdup(instruction->text);
}

static char *
bytes_text(const guint8 *bytes, guint n)
{
    g_autoptr(GString) text = g_string_new(".byte");

    for (guint i = 0; i < n; i++)
        g_string_append_printf(text, "%s 0x%02x", i ? "," : "", bytes[i]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* One that Capstone does not know, or takes for another, is told as its bytes. */
static GPtrArray *
make_texts(const MoseTraceBlock *block, GError **error)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    gsize at = 0, done;

    for (guint i = 0; i < block->n; at += block->lengths[i++]) {
        Text text = { NULL, block->lengths[i] };

        if (!mose_disassemble(64, block->address + at, block->bytes + at, text.size,
                              text.size, take_text, &text, &done, error))
            return NULL;
        g_ptr_array_add(texts, text.text ? text.text
                                         : bytes_text(block->bytes + at, text.size));
    }
    return g_steal_pointer(&texts);
}

const GPtrArray *
mose_trace_texts_of(MoseTraceTexts *texts, guint32 id, GError **error)
{
    gpointer key = GUINT_TO_POINTER(id);
    GPtrArray *block = g_hash_table_lookup(texts->blocks, key);

    if (block)
        return block;
    if (g_hash_table_size(texts->blocks) == MAX_TEXTS)
        g_hash_table_remove_all(texts->blocks);
    block = make_texts(mose_trace_block(texts->trace, id), error);
    if (block)
        g_hash_table_insert(texts->blocks, key, block);
    return block;
}
