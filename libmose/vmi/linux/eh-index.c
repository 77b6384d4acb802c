/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An index of .eh_frame, for objects that have none (.eh_frame_hdr). See eh-frame.h. */
#include "util/error.h"
#include "vmi/linux/eh-priv.h"

#define MAX_FRAMES ((guint64)64 << 20)

/* All of it, copied, and what was common to the last function. */
typedef struct {
    MoseEhBytes bytes;
    gsize common_at; /* G_MAXSIZE: none yet */
    MoseEhCommon common;
    GArray *functions;
} Section;

/* The record at @at of it, without its length; FALSE: there is none. */
static gboolean
record_at(const Section *section, gsize at, MoseEhBytes *ret)
{
    MoseEhBytes bytes = section->bytes;
    guint64 length;

    if (at >= bytes.size)
        return FALSE;
    bytes.at = at;
    length = mose_eh_number(&bytes, 4);
    if (bytes.broken || length < 4 || length > bytes.size - bytes.at)
        return FALSE;
    *ret = (MoseEhBytes){ .bytes = bytes.bytes + bytes.at,
                          .size = length,
                          .address = bytes.address + bytes.at };
    return TRUE;
}

static gboolean
use_common(Section *section, gsize at, GError **error)
{
    MoseEhBytes record;

    if (at == section->common_at)
        return TRUE;
    if (!record_at(section, at, &record))
        return mose_eh_fail(&section->bytes, "an entry refers to none", error);
    section->common_at = G_MAXSIZE;
    if (!mose_eh_read_common(record, &section->common, error))
        return FALSE;
    section->common_at = at;
    return TRUE;
}

static gboolean
add_function(Section *section, gsize at, MoseEhBytes bytes, GError **error)
{
    MoseEhFunction function = { .entry = section->bytes.address + at };
    guint64 back = mose_eh_number(&bytes, 4), range;

    if (back == 0)
        return TRUE;
    if (back > at + 4)
        return mose_eh_fail(&bytes, "an entry refers to none", error);
    if (!use_common(section, at + 4 - back, error))
        return FALSE;
    if (!mose_eh_take_pointer(&bytes, section->common.encoding, 0, &function.begin) ||
        !mose_eh_take_value(&bytes, section->common.encoding & 0xf, &range) ||
        range > G_MAXUINT64 - function.begin)
        return mose_eh_fail(
            &bytes, "an entry's code is told in a way that is not known", error);
    function.end = function.begin + range;
    g_array_append_val(section->functions, function);
    return TRUE;
}

static gint
by_begin(gconstpointer a, gconstpointer b)
{
    const MoseEhFunction *x = a, *y = b;

    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

GArray *
mose_eh_index(MoseEhRead read, gpointer data, guint64 frames, guint64 size,
              GError **error)
{
    g_autoptr(GArray) functions = g_array_new(FALSE, FALSE, sizeof(MoseEhFunction));
    g_autofree guint8 *copy = NULL;
    Section section = { .common_at = G_MAXSIZE, .functions = functions };
    MoseEhBytes record;

    section.bytes.address = frames;
    if (size > MAX_FRAMES) {
        mose_eh_fail(&section.bytes, "it is too large", error);
        return NULL;
    }
    copy = g_malloc(size + 1);
    if (!read(data, frames, copy, size)) {
        mose_eh_not_there(frames, ".eh_frame", error);
        return NULL;
    }
    section.bytes.bytes = copy;
    section.bytes.size = size;
    /* A length of 0 ends it. */
    for (gsize at = 0; record_at(&section, at, &record);
         at = record.address + record.size - frames)
        if (!add_function(&section, at, record, error))
            return NULL;
    g_array_sort(functions, by_begin);
    return g_steal_pointer(&functions);
}
