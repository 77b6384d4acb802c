/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device part: candidates for its description, tried in their order. */
#include "stream/tail.h"

#include <string.h>

#include "stream/format.h"
#include "stream/wire.h"
#include "util/error.h"

/* What QEMU's description begins with: qemu_savevm_state_header() in savevm.c. */
static const char first_words[] = "{\"configuration\"";
#define FIRST_WORDS_LEN (sizeof(first_words) - 1)

/* EOF, 0x06 and the length, all before the first words. */
#define HEAD_LEN 6u
#define FOOTER_LEN 5u

typedef struct {
    gsize description; /* where its 0x06 stands in what is held */
    gsize end;
} Candidate;

struct MoseTail {
    guint64 offset;
    GByteArray *held;
    gsize searched; /* no first words begin before it */
    GArray *candidates;
    guint tried;
    GError *first_error; /* of a candidate that was given up */
    gboolean done;
};

MoseTail *
mose_tail_new(guint64 offset)
{
    MoseTail *tail = g_new0(MoseTail, 1);

    tail->offset = offset;
    tail->held = g_byte_array_new();
    tail->candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    return tail;
}

void
mose_tail_free(MoseTail *tail)
{
    if (!tail)
        return;
    g_byte_array_unref(tail->held);
    g_array_unref(tail->candidates);
    g_clear_error(&tail->first_error);
    g_free(tail);
}

static gboolean
fail(const MoseTail *tail, gsize at, const char *reason, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                "device part, stream offset 0x%" G_GINT64_MODIFIER "x: %s",
                tail->offset + at, reason);
    return FALSE;
}

/* The first words stand at @at: is this where a description can be? */
static gboolean
looks_right(const MoseTail *tail, gsize at)
{
    const guint8 *head;

    if (at < HEAD_LEN)
        return FALSE;
    head = tail->held->data + at - HEAD_LEN;
    if (head[0] != MOSE_VM_EOF || head[1] != MOSE_VM_DESCRIPTION ||
        mose_wire_get(head + 2, 4) > MOSE_MAX_VMDESC)
        return FALSE;
    return at == HEAD_LEN ||
           (at >= HEAD_LEN + FOOTER_LEN && *(head - FOOTER_LEN) == MOSE_VM_FOOTER);
}

static gboolean
search(MoseTail *tail, GError **error)
{
    const guint8 *data = tail->held->data;
    gsize len = tail->held->len;

    while (len - tail->searched >= FIRST_WORDS_LEN) {
        const guint8 *found = memmem(data + tail->searched, len - tail->searched,
                                     first_words, FIRST_WORDS_LEN);
        gsize at = found ? (gsize)(found - data) : 0;
        Candidate candidate;

        if (!found) {
            tail->searched = len - FIRST_WORDS_LEN + 1;
            break;
        }
        tail->searched = at + 1;
        if (!looks_right(tail, at))
            continue;
        candidate.description = at - HEAD_LEN + 1;
        candidate.end = at + mose_wire_get(found - 4, 4);
        g_array_append_val(tail->candidates, candidate);
        if (tail->tried + tail->candidates->len > MOSE_MAX_VMDESC_CANDIDATES)
            return fail(tail, at, "too many places that look like a description",
                        error);
    }
    return TRUE;
}

/*
 * Try candidate @i, whose bytes are all there. A wrong description with nothing
 * behind it is the real one, and an error now; the source would wait for ever.
 */
static gboolean
try_candidate(MoseTail *tail, guint i, MoseDoc **ret_doc, GError **error)
{
    Candidate candidate = g_array_index(tail->candidates, Candidate, i);
    GError *wrong = NULL;

    *ret_doc = mose_doc_parse(tail->held->data, candidate.end, candidate.description,
                              tail->offset, &wrong);
    if (*ret_doc) {
        tail->done = TRUE;
        return tail->held->len == candidate.end ||
               fail(tail, candidate.end, "bytes behind the end of the stream", error);
    }
    if (tail->held->len == candidate.end) {
        g_propagate_error(error, wrong);
        return FALSE;
    }
    if (tail->first_error)
        g_error_free(wrong);
    else
        tail->first_error = wrong;
    tail->tried++;
    g_array_remove_index(tail->candidates, i);
    return TRUE;
}

gboolean
mose_tail_push(MoseTail *tail, const guint8 *data, gsize len, MoseDoc **ret_doc,
               GError **error)
{
    *ret_doc = NULL;
    if (len == 0)
        return TRUE;
    if (tail->done)
        return fail(tail, tail->held->len, "bytes behind the end of the stream", error);
    if (len > MOSE_MAX_DEVICE_PART - tail->held->len)
        return fail(tail, tail->held->len, "longer than the limit of 64 MiB", error);
    g_byte_array_append(tail->held, data, (guint)len);
    if (!search(tail, error))
        return FALSE;
    for (guint i = 0; i < tail->candidates->len;) {
        if (g_array_index(tail->candidates, Candidate, i).end > tail->held->len) {
            i++;
            continue;
        }
        if (!try_candidate(tail, i, ret_doc, error)) {
            g_clear_pointer(ret_doc, mose_doc_free);
            return FALSE;
        }
        if (*ret_doc)
            return TRUE;
    }
    return TRUE;
}

void
mose_tail_explain(const MoseTail *tail, GError **error)
{
    if (tail->candidates->len > 0)
        fail(tail, tail->held->len, "truncated in the description", error);
    else if (tail->first_error)
        g_propagate_error(error, g_error_copy(tail->first_error));
    else
        fail(tail, tail->held->len,
             "truncated before the description (or sent by a machine with "
             "suppress-vmdesc=on)",
             error);
}
