/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings, made and read; see rings.h. */
#include "analysis/rings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

#define MAX_INSNS 512
#define MAX_INSN 15
#define MAX_CODE ((gsize)MAX_INSNS * MAX_INSN)

struct MoseRings {
    int fd;
    void *file;
    gsize size;
    guint n_vcpus;
    guint words;
    guint64 *tails; /* of each ring, the code's last */
    guint32 n_blocks;
};

/* A part of a ring: what is between two positions. */
typedef struct {
    const guint64 *words;
    guint64 mask;
    guint64 at, end;
} Part;

MoseRings *
mose_rings_new(guint n_vcpus, guint words, GError **error)
{
    g_autoptr(MoseRings) rings = g_new0(MoseRings, 1);

    rings->size = mose_ring_file_size(n_vcpus, words);
    rings->n_vcpus = n_vcpus;
    rings->words = words;
    rings->tails = g_new0(guint64, n_vcpus + 1);
    rings->fd = memfd_create("mose-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (rings->fd >= 0 && ftruncate(rings->fd, (off_t)rings->size) == 0 &&
        fcntl(rings->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        rings->file =
            mmap(NULL, rings->size, PROT_READ | PROT_WRITE, MAP_SHARED, rings->fd, 0);
    if (!rings->file || rings->file == MAP_FAILED) {
        rings->file = NULL;
        mose_error_set_errno(error, errno, "no memory for what the emulator tells");
        return NULL;
    }
    *(MoseRingFile *)rings->file = (MoseRingFile){ MOSE_RING_MAGIC, n_vcpus, words };
    return g_steal_pointer(&rings);
}

void
mose_rings_free(MoseRings *rings)
{
    if (!rings)
        return;
    if (rings->file)
        munmap(rings->file, rings->size);
    mose_fd_close(rings->fd);
    g_free(rings->tails);
    g_free(rings);
}

int
mose_rings_fd(const MoseRings *rings)
{
    return rings->fd;
}

static gboolean
broken(const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "what the emulator tells makes no sense: %s", what);
    return FALSE;
}

/* --- one ring --- */

static gboolean
look(const MoseRings *rings, guint i, Part *ret, GError **error)
{
    guint64 head =
        __atomic_load_n(&mose_ring_at(rings->file, i)->head, __ATOMIC_ACQUIRE);

    *ret = (Part){
        .words = mose_ring_words(rings->file, rings->n_vcpus, rings->words, i),
        .mask = rings->words - 1,
        .at = rings->tails[i],
        .end = head,
    };
    if (head < ret->at || head - ret->at > rings->words)
        return broken("a ring has more than fits into it", error);
    return TRUE;
}

static void
give_back(MoseRings *rings, guint i, const Part *part)
{
    rings->tails[i] = part->at;
    __atomic_store_n(&mose_ring_at(rings->file, i)->tail, part->at, __ATOMIC_RELEASE);
}

static inline guint64
left(const Part *part)
{
    return part->end - part->at;
}

static inline guint64
take(Part *part)
{
    return part->words[part->at++ & part->mask];
}

static void
take_bytes(Part *part, guint8 *to, gsize len)
{
    for (gsize i = 0; i < len; i += 8) {
        guint64 word = take(part);

        memcpy(to + i, &word, MIN(8, len - i));
    }
}

static gboolean
read_code(MoseRings *rings, Part *part, const MoseRingSink *sink, gpointer data,
          GError **error)
{
    guint8 sizes[MAX_INSNS], bytes[MAX_CODE];
    guint64 word = take(part), address, sum = 0;
    gsize n = word >> 8 & G_MAXUINT16, len = word >> 24 & 0xffffff;

    if ((word & 0xff) != MOSE_EVENT_CODE || n == 0 || n > MAX_INSNS || len > MAX_CODE ||
        left(part) < 1 + (n + 7) / 8 + (len + 7) / 8)
        return broken("no code where there should be", error);
    address = take(part);
    take_bytes(part, sizes, n);
    take_bytes(part, bytes, len);
    for (gsize i = 0; i < n; i++)
        sum += sizes[i];
    if (sum != len || memchr(sizes, 0, n))
        return broken("code with instructions of other sizes", error);
    sink->code(data, rings->n_blocks++, address, n, sizes, bytes, len);
    return TRUE;
}

static gboolean
read_access(const MoseRings *rings, guint vcpu, guint64 word, Part *part,
            const MoseRingSink *sink, gpointer data)
{
    guint shift = word >> 24 & 0xf;
    guint n = !(word & MOSE_EVENT_VALUE) ? 0 : shift > 3 ? 2 : 1;
    guint64 address, value[2] = { 0, 0 };

    if (shift > 6 || (n > 0 && shift > 4) || left(part) < 1 + n)
        return FALSE;
    address = take(part);
    for (guint i = 0; i < n; i++)
        value[i] = take(part);
    sink->access(data, vcpu, word >> 8 & G_MAXUINT16, shift,
                 (word & MOSE_EVENT_STORE) != 0, address, n > 0 ? value : NULL);
    return TRUE;
}

/* One event; FALSE: it makes no sense. */
static gboolean
read_event(const MoseRings *rings, guint vcpu, Part *part, const MoseRingSink *sink,
           gpointer data)
{
    guint64 word = take(part);

    switch ((MoseEventKind)(word & 0xff)) {
    case MOSE_EVENT_BLOCK:
        if (word >> 32 >= rings->n_blocks)
            return FALSE;
        sink->block(data, vcpu, word >> 32, word >> 8 & G_MAXUINT16);
        return TRUE;
    case MOSE_EVENT_ACCESS:
        return read_access(rings, vcpu, word, part, sink, data);
    case MOSE_EVENT_LOST:
        sink->lost(data, vcpu, word >> 8 & G_MAXUINT16, word >> 24);
        return TRUE;
    case MOSE_EVENT_END:
        sink->end(data, vcpu, word >> 8 & G_MAXUINT16);
        return TRUE;
    case MOSE_EVENT_TASK:
        if (left(part) < 1)
            return FALSE;
        sink->task(data, vcpu, take(part));
        return TRUE;
    case MOSE_EVENT_TIME:
        if (left(part) < 1)
            return FALSE;
        sink->time(data, vcpu, take(part));
        return TRUE;
    case MOSE_EVENT_CODE:
        break;
    }
    return FALSE;
}

static gboolean
read_all_code(MoseRings *rings, const MoseRingSink *sink, gpointer data, guint64 *ret_n,
              GError **error)
{
    Part part;

    if (!look(rings, rings->n_vcpus, &part, error))
        return FALSE;
    *ret_n += left(&part);
    while (left(&part) > 0)
        if (!read_code(rings, &part, sink, data, error))
            return FALSE;
    give_back(rings, rings->n_vcpus, &part);
    return TRUE;
}

/* How far a ring goes is looked at before the code is read: what runs was told of
 * before.
 */
gboolean
mose_rings_read(MoseRings *rings, const MoseRingSink *sink, gpointer data,
                guint64 *ret_n, GError **error)
{
    *ret_n = 0;
    for (guint i = 0; i < rings->n_vcpus; i++) {
        Part part;

        if (!look(rings, i, &part, error) ||
            !read_all_code(rings, sink, data, ret_n, error))
            return FALSE;
        *ret_n += left(&part);
        while (left(&part) > 0)
            if (!read_event(rings, i, &part, sink, data))
                return broken("an event of no kind, or out of place", error);
        give_back(rings, i, &part);
    }
    return TRUE;
}
