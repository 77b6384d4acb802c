/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's log, copied out of a guest in the order that lets what was written
 * meanwhile be told. See printk.h. */
#include "vmi/linux/printk.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/printk-ring.h"

/* What all copies may have in bytes; log_buf_len= can ask for 2 GB, nobody does. */
#define MAX_COPY G_GUINT64_CONSTANT(0x40000000)
/* LOG_BUF_LEN_MAX is 2^31; a descriptor for each 2^PRB_AVGBITS bytes, which is 5. */
#define MAX_BITS 31

typedef struct {
    guint64 since;
    MosePrintkLog *log;
} Reading;

static gboolean
get_member(MoseLinux *kernel, const char *type_name, const char *path, gsize *ret_size,
           MoseMember *ret, GError **error)
{
    guint32 type = mose_types_find(kernel->types, type_name);

    if (!type || mose_types_size(kernel->types, type) <= 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: the types of its kernel (%s) have no %s",
                    mose_memory_name(kernel->memory), kernel->release, type_name);
        return FALSE;
    }
    *ret_size = mose_types_size(kernel->types, type);
    return mose_types_member(kernel->types, type, path, ret, error);
}

typedef struct {
    const char *path;
    MoseMember *member;
    gboolean optional, is_text;
} Wanted;

static gboolean
get_members(MoseLinux *kernel, const char *type_name, const Wanted *wanted, guint n,
            gsize *ret_size, GError **error)
{
    for (guint i = 0; i < n; i++) {
        MoseMember *member = wanted[i].member;
        g_autoptr(GError) cause = NULL;

        if (get_member(kernel, type_name, wanted[i].path, ret_size, member, &cause) &&
            (wanted[i].is_text || member->size <= 8))
            continue;
        memset(member, 0, sizeof(*member));
        if (wanted[i].optional)
            continue;
        if (cause)
            g_propagate_error(error, g_steal_pointer(&cause));
        else
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "the kernel's %s.%s is no number", type_name, wanted[i].path);
        return FALSE;
    }
    return TRUE;
}

/* --- since 5.10 --- */

static gboolean
prb_layout(MoseLinux *kernel, MosePrbLayout *ret, GError **error)
{
    const Wanted desc[] = {
        { "state_var", &ret->state },
        { "text_blk_lpos.begin", &ret->begin },
        { "text_blk_lpos.next", &ret->next },
    };
    const Wanted info[] = {
        { "seq", &ret->seq },
        { "ts_nsec", &ret->ts_nsec },
        { "text_len", &ret->text_len },
        { "facility", &ret->facility },
        { "level", &ret->level },
        { "caller_id", &ret->caller_id, TRUE },
        { "dev_info.subsystem", &ret->subsystem, TRUE, TRUE },
        { "dev_info.device", &ret->device, TRUE, TRUE },
        { "comm", &ret->comm, TRUE, TRUE },
    };

    return get_members(kernel, "prb_desc", desc, G_N_ELEMENTS(desc), &ret->desc_size,
                       error) &&
           get_members(kernel, "printk_info", info, G_N_ELEMENTS(info), &ret->info_size,
                       error);
}

/* Where it is; log_buf_len= has a second one made at boot, to which prb points then. */
static gboolean
read_ring(MoseLinux *kernel, MoseObject *ret, GError **error)
{
    guint64 at, ring;

    return mose_linux_symbol(kernel, "prb", &at, error) &&
           mose_space_read_number(kernel->space, at, 8, &ring, error) &&
           mose_object_read(kernel, "printk_ringbuffer", ring, ret, error);
}

static gboolean
check_sizes(const MoseLinux *kernel, const MosePrbLayout *layout, guint64 count_bits,
            guint64 size_bits, GError **error)
{
    guint64 limit = MIN(MAX_COPY, mose_memory_size(kernel->memory));
    guint64 each = layout->desc_size + layout->info_size;

    if (count_bits <= MAX_BITS && size_bits <= MAX_BITS &&
        each <= limit >> count_bits &&
        (each << count_bits) + (G_GUINT64_CONSTANT(1) << size_bits) <= limit)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s: its kernel log cannot be that large: 2^%" G_GUINT64_FORMAT
                " records, 2^%" G_GUINT64_FORMAT " bytes of text",
                mose_memory_name(kernel->memory), count_bits, size_bits);
    return FALSE;
}

static guint8 *
copy_out(MoseLinux *kernel, guint64 address, gsize size, GError **error)
{
    g_autofree guint8 *bytes = g_malloc(size);

    if (mose_space_read(kernel->space, address, bytes, size, NULL, error))
        return g_steal_pointer(&bytes);
    g_prefix_error(error, "the kernel log: ");
    return NULL;
}

static gboolean
copy_ring(MoseLinux *kernel, const MoseObject *ring, MosePrbCopy *copy,
          const Reading *reading, GError **error)
{
    gsize n = (gsize)1 << copy->count_bits;
    guint64 descs_at, infos_at, text_at;
    g_autofree guint8 *descs = NULL, *then = NULL, *infos = NULL, *text = NULL;

    if (!mose_object_get(ring, "desc_ring.descs", &descs_at, error) ||
        !mose_object_get(ring, "desc_ring.infos", &infos_at, error) ||
        !mose_object_get(ring, "text_data_ring.data", &text_at, error) ||
        !(descs = copy_out(kernel, descs_at, n * copy->layout.desc_size, error)) ||
        !(infos = copy_out(kernel, infos_at, n * copy->layout.info_size, error)) ||
        !(text = copy_out(kernel, text_at, (gsize)1 << copy->size_bits, error)))
        return FALSE;
    mose_linux_forget(kernel);
    then = copy_out(kernel, descs_at, n * copy->layout.desc_size, error);
    if (!then)
        return FALSE;
    copy->descs = descs;
    copy->descs_then = then;
    copy->infos = infos;
    copy->text = text;
    mose_prb_parse(copy, reading->since, reading->log);
    return TRUE;
}

static gboolean
read_structured(MoseLinux *kernel, const Reading *reading, GError **error)
{
    g_auto(MoseObject) ring = { 0 };
    MosePrbCopy copy = { 0 };
    guint64 count_bits, size_bits;

    if (!prb_layout(kernel, &copy.layout, error) || !read_ring(kernel, &ring, error) ||
        !mose_object_get(&ring, "desc_ring.count_bits", &count_bits, error) ||
        !mose_object_get(&ring, "text_data_ring.size_bits", &size_bits, error) ||
        !mose_object_get(&ring, "desc_ring.head_id", &copy.head_id, error) ||
        !check_sizes(kernel, &copy.layout, count_bits, size_bits, error))
        return FALSE;
    copy.count_bits = count_bits;
    copy.size_bits = size_bits;
    return copy_ring(kernel, &ring, &copy, reading, error);
}

/* --- before 5.10 --- */

static gboolean
log_layout(MoseLinux *kernel, MoseLogLayout *ret, GError **error)
{
    const Wanted wanted[] = {
        { "ts_nsec", &ret->ts_nsec },           { "len", &ret->len },
        { "text_len", &ret->text_len },         { "dict_len", &ret->dict_len },
        { "facility", &ret->facility },         { "level", &ret->level },
        { "caller_id", &ret->caller_id, TRUE },
    };

    return get_members(kernel, "printk_log", wanted, G_N_ELEMENTS(wanted),
                       &ret->header_size, error);
}

static gboolean
read_variable(MoseLinux *kernel, const char *name, gsize size, guint64 *ret,
              GError **error)
{
    guint64 at;

    return mose_linux_symbol(kernel, name, &at, error) &&
           mose_space_read_number(kernel->space, at, size, ret, error);
}

/* A record's number and place change one after the other, under a lock: a pair is
 * right where the number has not changed around the place; where both have, the walk
 * does not end where it should. */
static gboolean
read_pair(MoseLinux *kernel, const char *seq_name, const char *idx_name,
          guint64 *ret_seq, guint32 *ret_idx, GError **error)
{
    guint64 idx, then;

    if (!read_variable(kernel, seq_name, 8, ret_seq, error) ||
        !read_variable(kernel, idx_name, 4, &idx, error) ||
        !read_variable(kernel, seq_name, 8, &then, error))
        return FALSE;
    *ret_idx = idx;
    if (then == *ret_seq)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the guest's %s changes while it is read", seq_name);
    return FALSE;
}

/* What there was before the copy and still is after it, is in the copy. */
static gboolean
copy_log(MoseLinux *kernel, guint64 at, MoseLogCopy *copy, const Reading *reading,
         GError **error)
{
    g_autofree guint8 *buffer = NULL;

    if (!read_pair(kernel, "log_next_seq", "log_next_idx", &copy->next_seq,
                   &copy->next_idx, error) ||
        !(buffer = copy_out(kernel, at, copy->size, error)))
        return FALSE;
    mose_linux_forget(kernel);
    if (!read_pair(kernel, "log_first_seq", "log_first_idx", &copy->first_seq,
                   &copy->first_idx, error))
        return FALSE;
    if (copy->first_seq > copy->next_seq) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                    "all of the guest's log was written anew while it was read");
        return FALSE;
    }
    copy->buffer = buffer;
    return mose_log_parse(copy, reading->since, reading->log, error);
}

static gboolean
read_old(MoseLinux *kernel, const Reading *reading, GError **error)
{
    MoseLogCopy copy = { 0 };
    guint64 at, size;

    if (!log_layout(kernel, &copy.layout, error) ||
        !read_variable(kernel, "log_buf", 8, &at, error) ||
        !read_variable(kernel, "log_buf_len", 4, &size, error))
        return FALSE;
    if (size == 0 || size > MIN(MAX_COPY, mose_memory_size(kernel->memory))) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: its kernel log cannot have %" G_GUINT64_FORMAT " bytes",
                    mose_memory_name(kernel->memory), size);
        return FALSE;
    }
    copy.size = size;
    return copy_log(kernel, at, &copy, reading, error);
}

/* --- either --- */

static gboolean
read_log(MoseLinux *kernel, gpointer data, GError **error)
{
    Reading *reading = data;

    g_clear_pointer(&reading->log, mose_printk_log_free);
    reading->log = mose_printk_log_new();
    if (mose_symbols_by_name(kernel->symbols, NULL, "prb"))
        return read_structured(kernel, reading, error);
    if (mose_symbols_by_name(kernel->symbols, NULL, "log_next_idx"))
        return read_old(kernel, reading, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s: its kernel (%s) has no log that is known here: neither prb nor "
                "log_next_idx is among its symbols",
                mose_memory_name(kernel->memory), kernel->release);
    return FALSE;
}

MosePrintkLog *
mose_printk_read(MoseLinux *kernel, guint64 since, guint *ret_retries, GError **error)
{
    Reading reading = { .since = since };

    if (mose_linux_need_types(kernel, error) &&
        mose_linux_retry(kernel, read_log, &reading, ret_retries, error))
        return reading.log;
    mose_printk_log_free(reading.log);
    return NULL;
}
