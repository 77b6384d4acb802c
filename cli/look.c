/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest, or a core file, opened to be looked at. See look.h. */
#include "cli/look.h"

#include <string.h>

#include "cli/cli.h"
#include "guest/journal.h"
#include "switch/recover.h"
#include "util/error.h"

/* While a guest is switched, the process that is asked may end. */
#define TRIES 20
#define WAIT_US 50000

static gboolean
open_memory(MoseLook *look, GError **error)
{
    if (strchr(look->name, '/')) {
        look->memory = mose_memory_of_core(look->name, error);
        return look->memory != NULL;
    }
    look->guest = mose_guest_open(look->name, MOSE_GUEST_LOOK, error);
    if (look->guest)
        look->memory = mose_memory_of_guest(look->guest, error);
    return look->memory != NULL;
}

static gboolean
open_linux(MoseLook *look, GError **error)
{
    if (open_memory(look, error))
        look->kernel = mose_linux_find(look->memory, error);
    return look->kernel != NULL;
}

/* Whether the guest is, or is about to be, in another process than the one that was
 * looked at. */
static gboolean
is_on_the_move(const MoseLook *look)
{
    g_autoptr(MoseGuest) now = mose_guest_open(look->name, MOSE_GUEST_LOOK, NULL);
    MoseJournalEntry entry;

    return now && look->guest &&
           (now->generation != look->guest->generation ||
            mose_journal_read(now->dir, &entry, NULL));
}

static gboolean
try_open(MoseLook *look, const char *name,
         gboolean (*open_it)(MoseLook *look, GError **error), GError **error)
{
    look->name = name;
    for (int i = 0;; i++) {
        g_autoptr(GError) cause = NULL;

        if (open_it(look, &cause))
            return TRUE;
        if (i == TRIES || !is_on_the_move(look)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        mose_look_clear(look);
        g_usleep(WAIT_US);
    }
}

gboolean
mose_look_open(MoseLook *look, const char *name, GError **error)
{
    return try_open(look, name, open_memory, error);
}

gboolean
mose_look_open_to_change(MoseLook *look, const char *name, GError **error)
{
    MoseRecovered recovered;

    look->name = name;
    if (strchr(name, '/')) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s is a core file: it is only read", name);
        return FALSE;
    }
    look->guest = mose_guest_open(name, MOSE_GUEST_LOCK, error);
    if (look->guest && mose_recover(look->guest, &recovered, error))
        look->memory = mose_memory_of_guest(look->guest, error);
    return look->memory != NULL;
}

gboolean
mose_look_open_linux(MoseLook *look, const char *name, GError **error)
{
    return try_open(look, name, open_linux, error);
}

void
mose_look_clear(MoseLook *look)
{
    g_clear_pointer(&look->kernel, mose_linux_free);
    g_clear_pointer(&look->memory, mose_memory_free);
    g_clear_pointer(&look->guest, mose_guest_free);
}

int
mose_look_fail(const MoseLook *look, const GError *error)
{
    /* What is not found in a guest is not the guest. */
    if (!look->name || look->memory || strchr(look->name, '/'))
        return mose_cli_fail(error, NULL);
    return mose_cli_fail_guest(error, look->name, NULL);
}
