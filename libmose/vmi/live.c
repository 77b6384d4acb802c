/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory and the registers of a guest of MOSE's that is there: mapped, or read out
 * of its QEMU's memory, or, at the worst, asked of QEMU. See memory.h. */
#include <string.h>
#include <unistd.h>

#include "guest/journal.h"
#include "qemu/command.h"
#include "qemu/ram.h"
#include "util/error.h"
#include "vmi/exact.h"
#include "vmi/memory.h"
#include "vmi/saved.h"

/* While a switch settles: its source has ended, and the destination is not written down
 * yet (switch/move-commit.c). Some milliseconds are usual. */
#define SETTLE_TRIES 200
#define SETTLE_WAIT_US 10000

typedef struct {
    MoseGuest *guest; /* the caller's */
    MoseQmp *qmp;     /* NULL while there is nothing to ask */
    gboolean still;   /* the guest stands still until this monitor lets it run */
    MoseRam *ram;     /* or NULL, and then */
    MoseSaved *saved; /* this one */
} Live;

static void
live_free(gpointer data)
{
    Live *live = data;

    mose_saved_free(live->saved);
    mose_ram_free(live->ram);
    mose_qmp_free(live->qmp);
    g_free(live);
}

static gboolean
live_read(gpointer data, guint64 address, void *to, gsize len)
{
    Live *live = data;

    return live->ram ? mose_ram_read(live->ram, address, to, len)
                     : mose_saved_read(live->saved, address, to, len);
}

static MoseQmp *
monitor(Live *live, GError **error)
{
    if (!live->qmp)
        live->qmp = mose_guest_connect(live->guest, MOSE_MONITOR_QUERY, error);
    return live->qmp;
}

/* A monitor has one client: who looks for long must not keep it from the others. */
static void
live_forget(gpointer data)
{
    Live *live = data;

    if (live->saved)
        mose_saved_forget(live->saved);
    else if (!live->still)
        g_clear_pointer(&live->qmp, mose_qmp_free);
}

/* Of a vCPU that KVM runs the registers are of one moment, of one that TCG runs some
 * may be older than others, by as much as a translation block; where the tables are is
 * set by instructions that end one (target/i386/tcg/translate.c), and always right. */
static GArray *
live_vcpus(gpointer data, gboolean exact, GError **error)
{
    Live *live = data;
    g_autofree char *text = NULL;

    if (!monitor(live, error))
        return NULL;
    text = exact ? mose_exact_registers(live->guest, live->qmp, error)
                 : mose_qmp_hmp(live->qmp, "info registers -a", error);
    return text ? mose_vcpus_parse(text, error) : NULL;
}

typedef struct {
    MoseStillFunc func;
    gpointer data;
    GError *error;
} Still;

static void
tell_still(const char *text, gpointer data)
{
    Still *still = data;
    g_autoptr(GArray) vcpus = mose_vcpus_parse(text, &still->error);

    if (vcpus)
        still->func(vcpus, still->data);
}

static gboolean
live_still(gpointer data, MoseStillFunc func, gpointer told, GError **error)
{
    Live *live = data;
    Still still = { func, told, NULL };
    g_autofree char *text = NULL;

    live_forget(live);
    if (!monitor(live, error))
        return FALSE;
    live->still = TRUE;
    text = mose_exact_still(live->guest, live->qmp, tell_still, &still, error);
    live->still = FALSE;
    live_forget(live);
    if (text && !still.error)
        return TRUE;
    if (still.error)
        g_propagate_error(text ? error : NULL, still.error);
    return FALSE;
}

static const MoseMemorySource live_source = {
    .read = live_read,
    .vcpus = live_vcpus,
    .still = live_still,
    .forget = live_forget,
    .free = live_free,
};

static gboolean
is_settling(const MoseGuest *guest)
{
    MoseJournalEntry entry;

    return mose_journal_read(guest->dir, &entry, NULL) &&
           entry.phase == MOSE_PHASE_COMMIT;
}

static MoseProcess *
settled_process(MoseGuest *guest, GError **error)
{
    for (int i = 0;; i++) {
        /* The journal goes last: it is read first. */
        gboolean settling = is_settling(guest);
        g_autoptr(GError) cause = NULL;
        MoseProcess *process = mose_guest_process(guest, &cause);

        if (process)
            return process;
        if (!settling || i == SETTLE_TRIES) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        g_usleep(SETTLE_WAIT_US);
        if (!mose_guest_reload(guest, error))
            return NULL;
    }
}

static GArray *
ranges_of(const Live *live)
{
    const GArray *ranges =
        live->ram ? mose_ram_ranges(live->ram) : mose_saved_ranges(live->saved);
    GArray *ret = g_array_new(FALSE, FALSE, sizeof(MoseMemoryRange));

    for (guint i = 0; i < ranges->len; i++) {
        const MoseRamRange *range = &g_array_index(ranges, MoseRamRange, i);

        g_array_append_val(ret, ((MoseMemoryRange){ range->address, range->size }));
    }
    return ret;
}

/* @process may not be traced: QEMU itself has to tell. */
static gboolean
open_memory(Live *live, const MoseProcess *process, GError **error)
{
    g_autoptr(GError) cause = NULL;

    live->ram = mose_ram_of(process, live->qmp, &cause);
    if (live->ram)
        return TRUE;
    live->saved = mose_saved_new(live->guest->dir, live->qmp, NULL);
    if (live->saved)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

MoseMemory *
mose_memory_of_guest(MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = settled_process(guest, error);
    g_autoptr(GArray) ranges = NULL;
    Live *live;

    if (!process)
        return NULL;
    live = g_new0(Live, 1);
    live->guest = guest;
    if (!monitor(live, error) || !open_memory(live, process, error)) {
        live_free(live);
        return NULL;
    }
    ranges = ranges_of(live);
    return mose_memory_new(&live_source, live, guest->name, ranges, TRUE);
}
