/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the rules change in the guest's memory, within the transaction. See move.h.
 *
 * Nothing is written before the commit record: until then the source may have to run on
 * with that memory. The record comes with the journal's word "planned", and "done"
 * before the destination is let run, so that recovery knows whether it may have to
 * write once more: what the guest has written itself since must never be overwritten.
 */
#include "switch/move.h"

gboolean
mose_move_plan_writes(MoseMove *move, GError **error)
{
    if (mose_writes_count(move->writes) == 0)
        return TRUE;
    move->written =
        mose_ram_of(move->destination->process, move->destination->qmp, error);
    if (!move->written || !mose_writes_save(move->writes, move->guest,
                                            move->destination->generation, error))
        return FALSE;
    mose_journal_set_writes(move->journal, MOSE_WRITES_PLANNED);
    return TRUE;
}

gboolean
mose_move_do_writes(MoseMove *move, GError **error)
{
    if (!move->written)
        return TRUE;
    if (!mose_writes_do(move->writes, move->written, error))
        return FALSE;
    mose_journal_set_writes(move->journal, MOSE_WRITES_DONE);
    return mose_journal_advance(move->journal, MOSE_PHASE_COMMIT, error);
}

gboolean
mose_move_undo_writes(MoseMove *move, GError **error)
{
    if (!move->written)
        return TRUE;
    /* Whoever finishes this switch after a death here has to write again. */
    mose_journal_set_writes(move->journal, MOSE_WRITES_PLANNED);
    if (!mose_journal_advance(move->journal, MOSE_PHASE_COMMIT, error))
        return FALSE;
    /* Copied memory is the destination's own, and ends with it. */
    if (!move->copy && !mose_writes_undo(move->writes, move->written, error))
        return FALSE;
    mose_journal_set_writes(move->journal, MOSE_WRITES_NONE);
    return TRUE;
}
