/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a switch does about the guest's disks; see disks.h. */
#include <string.h>

#include "guest/disks.h"
#include "switch/move.h"
#include "util/error.h"
#include "util/json.h"

static void
tell(guint64 done, guint64 total, gpointer data)
{
    const MoseMove *move = data;
    const MoseSwitchProgress progress = { .phase = "disks",
                                          .total = total,
                                          .left = total - MIN(done, total) };

    if (move->options->progress)
        move->options->progress(&progress, move->options->data);
}

/*
 * A guest that stands still because a disk failed: there was no room for an overlay,
 * most likely, and its disks are others now. QEMU does the request again; if that
 * fails, too, the guest stops by itself, which the switch minds.
 */
static gboolean
go_on(MoseMove *move, GError **error)
{
    if (g_strcmp0(move->run_state, "io-error") != 0)
        return TRUE;
    if (!mose_qmp_run(move->source_qmp, "cont", NULL, error))
        return FALSE;
    g_clear_pointer(&move->run_state, g_free);
    move->was_running = TRUE;
    mose_journal_set_running(move->journal, TRUE);
    return mose_journal_advance(move->journal, MOSE_PHASE_PREPARE, error);
}

static gboolean
commit(MoseMove *move, GError **error)
{
    MoseDisksCommit how = { move->options->interrupt_fd, tell, move };
    gboolean done = mose_disks_commit(move->guest, move->source_qmp, &how,
                                      &move->disks_committed, error);

    if (move->disks_committed == 0)
        return done;
    mose_guest_note(move->guest, "disks",
                    mose_json_object("reason", "s", "overlays put into their images",
                                     "overlays", "i", (gint64)move->disks_committed,
                                     NULL));
    return done && (!move->far || mose_move_far_images(move, error)) &&
           go_on(move, error);
}

/* Overlays of overlays would have to be put into their images in one go. */
gboolean
mose_move_has_no_overlays(const MoseGuest *guest, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, error);

    if (overlays && overlays->len > 0)
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_REFUSED,
            "guest %s works on overlays of its disks; `mose virtualize %s` puts "
            "them into the images, after which it can be forked",
            guest->name, guest->name);
    return overlays && overlays->len == 0;
}

gboolean
mose_move_disks(MoseMove *move, GError **error)
{
    const MoseSwitchOptions *options = move->options;

    if ((options->side == MOSE_SIDE_VIRTUALIZER || move->frozen) && !options->freeze &&
        !commit(move, error))
        return FALSE;
    if (!options->freeze && (options->disks != MOSE_DISKS_OVERLAY ||
                             options->side == MOSE_SIDE_VIRTUALIZER))
        return TRUE;
    if (options->freeze && !mose_move_has_no_overlays(move->guest, error))
        return FALSE;
    if (move->far)
        return mose_move_far_overlay(move, error);
    return mose_disks_overlay(move->guest, move->destination->generation,
                              move->destination->qmp, options->overlay_dir, error);
}
