/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of a switch before anything moves; what follows is in move-connect.c,
 * move-migrate.c and move-commit.c. */
#include "switch/move.h"

#include <string.h>

#include "qemu/frozen.h"
#include "switch/image-locks.h"
#include "switch/resume.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

/* Over TCP: one fills a processor on either side. */
#define MOSE_TCP_CHANNELS 4
/* What a guest is kept still for while it is merged: some 0.9 s (bench/fork). */
#define MOSE_MERGE_MAX ((guint64)2 << 30)

MoseMove *
mose_move_new(MoseGuest *guest, const MoseSwitchOptions *options)
{
    MoseMove *move = g_new0(MoseMove, 1);

    move->guest = guest;
    move->from = guest->side;
    move->options = options;
    move->far = options->far;
    move->ram_fd = MOSE_FD_NONE;
    g_mutex_init(&move->stop_lock);
    g_cond_init(&move->stop_cond);
    move->wake_fd = MOSE_FD_NONE;
    move->listener = MOSE_FD_NONE;
    move->copied.phase = "move";
    move->changed = g_ptr_array_new();
    move->writes = mose_writes_new();
    move->begun_us = g_get_monotonic_time();
    move->tsc = mose_tsc_sample();
    move->clock = guest->clock;
    return move;
}

void
mose_move_free(MoseMove *move)
{
    if (!move)
        return;
    mose_relay_free(move->relay);
    mose_tcp_relay_free(move->tcp);
    mose_guardian_stop(move->guardian);
    mose_journal_free(move->journal);
    mose_launch_free(move->destination);
    mose_exports_free(move->exports);
    mose_writes_free(move->writes);
    mose_facts_half_free(move->before);
    mose_facts_free(move->facts);
    mose_ram_free(move->written);
    mose_ram_free(move->ram);
    mose_fd_close(move->ram_fd);
    mose_fd_close(move->wake_fd);
    mose_fd_close(move->listener);
    g_free(move->run_state);
    g_free(move->own_state);
    mose_qmp_free(move->source_qmp);
    mose_process_free(move->source);
    g_clear_pointer(&move->changed, g_ptr_array_unref);
    g_clear_pointer(&move->images, g_ptr_array_unref);
    g_mutex_clear(&move->stop_lock);
    g_cond_clear(&move->stop_cond);
    g_clear_error(&move->late);
    g_free(move);
}

gboolean
mose_move_interrupted(const MoseMove *move, GError **error)
{
    if (!mose_fd_is_readable(move->options->interrupt_fd))
        return FALSE;
    g_clear_error(error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; the guest stays where it is");
    return TRUE;
}

gboolean
mose_move_guarded(const MoseMove *move, GError **error)
{
    if (mose_guardian_alive(move->guardian))
        return TRUE;
    g_clear_error(error);
    g_set_error(
        error, MOSE_ERROR, MOSE_ERROR_FAILED,
        "the guardians have ended: nobody would see to the guest if this command "
        "ended, too");
    return FALSE;
}

/* --- the memory's way --- */

/* QEMU's own sockets have short names: without them there is one channel, which has
 * none. */
static gboolean
choose_names(MoseMove *move, GError **error)
{
    const char *dir = move->guest->dir;

    if (strlen(dir) + strlen("/incoming.4294967295") <= MOSE_UNIX_PATH_MAX)
        return TRUE;
    move->channels = 1;
    if (!move->options->tcp.address)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the name of directory %s is too long for --tcp: a shorter "
                "MOSE_RUNTIME_DIR will do",
                dir);
    return FALSE;
}

static gboolean
choose_way(MoseMove *move, GError **error)
{
    const MoseSwitchOptions *options = move->options;

    if (options->way == MOSE_WAY_IN_PLACE && move->far) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "to another host memory can only be copied; leave --in-place out");
        return FALSE;
    }
    if (options->way == MOSE_WAY_IN_PLACE && !move->shared) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s has private memory (--ram-private), which can only be "
                    "copied; leave --in-place out",
                    move->guest->name);
        return FALSE;
    }
    if (options->channels > 1 && move->far && !options->tcp.address) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_INVALID,
            "to another host all goes through one channel; leave --channels out, "
            "or say --tcp for more of them beside ssh");
        return FALSE;
    }
    /* One that was shared for its forks' sake only is QEMU's own again; much that was
     * written over frozen memory would keep the guest still for too long. */
    move->copy =
        options->way == MOSE_WAY_COPY || move->far || !move->shared ||
        (move->guest->spec->ram_private && !options->freeze) ||
        (move->much_to_merge && mose_ram_has_room(move->guest->spec->ram_size, NULL));
    if (move->copy && options->freeze) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "guest %s has private memory (--ram-private), which cannot be "
                    "frozen",
                    move->guest->name);
        return FALSE;
    }
    if (!move->copy &&
        (options->channels || options->max_downtime_ms || options->overcommit)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s has shared memory, which stays where it is: --channels, "
                    "--downtime-limit and --overcommit are for a copy; add --copy",
                    move->guest->name);
        return FALSE;
    }
    /* More of them are faster, but where one breaks in an unlucky moment QEMU can
     * migrate no more (resume.h:mose_source_hangs): for those who ask for it. */
    move->channels = options->channels      ? options->channels
                     : options->tcp.address ? MOSE_TCP_CHANNELS
                                            : 1;
    return choose_names(move, error);
}

void
mose_move_limit(const MoseMove *move, MoseQmp *qmp, int ms)
{
    mose_qmp_set_timeout(qmp, move->options->reply_ms ? move->options->reply_ms : ms);
}

/* What is frozen cannot be frozen again, and what forks still use is not written. */
static gboolean
look_at_memory(MoseMove *move, GError **error)
{
    MoseFrozen state;

    if (!mose_frozen_look(move->source, TRUE, &state, error))
        return FALSE;
    move->shared = state.shared;
    move->frozen = state.frozen;
    move->much_to_merge = state.own_bytes > MOSE_MERGE_MAX;
    if (!state.frozen || !move->options->freeze)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                "guest %s stands on the memory of an earlier moment, which is frozen",
                move->guest->name);
    return FALSE;
}

static gboolean
open_source(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) status = NULL;

    move->source = mose_guest_process(move->guest, error);
    if (!move->source || !look_at_memory(move, error))
        return FALSE;
    move->source_qmp = mose_guest_connect(move->guest, MOSE_MONITOR_SWITCH, error);
    if (!move->source_qmp)
        return FALSE;
    mose_move_limit(move, move->source_qmp, MOSE_MOVE_QMP_TIMEOUT_MS);
    status = mose_qmp_query(move->source_qmp, "query-status", NULL, error);
    if (!status)
        return FALSE;
    move->was_running = mose_status_is_live(status);
    if (!mose_json_bool(status, "running", FALSE))
        move->run_state = g_strdup(mose_json_string(status, "status", NULL));
    if (move->shared)
        move->ram_fd = mose_ram_open(move->source, error);
    return !move->shared || move->ram_fd >= 0;
}

gboolean
mose_move_begin(MoseMove *move, GError **error)
{
    MoseGuest *guest = move->guest;
    MoseJournalEntry entry = { .phase = MOSE_PHASE_PREPARE,
                               .source = guest->generation,
                               .side = move->options->side };

    if (move->far && mose_guest_hangs_on_home(guest) &&
        !mose_far_needs_home(move->options->far_record)) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_REFUSED,
            "guest %s still hangs on %s, its home; from here it can only go back "
            "there (`mose virtualize` on that host)",
            guest->name, mose_far_label(guest->far));
        return FALSE;
    }
    if (move->far) {
        mose_far_replace(&guest->far, move->options->far_record);
        guest->far->boot_id = g_strdup(move->far->boot_id);
        guest->far->home_disks |= move->options->disks == MOSE_DISKS_HOME;
        guest->far->home_net |= move->options->home_net;
        entry.role = MOSE_ROLE_GIVER;
    }
    if (!open_source(move, error) || !choose_way(move, error))
        return FALSE;
    entry.generation = ++guest->generations;
    entry.was_running = move->was_running;
    /* Before anything has this number: it is not used again, whatever becomes of us. */
    if (!mose_guest_save(guest, error))
        return FALSE;
    move->guardian = mose_guardian_start(guest, error);
    if (!move->guardian)
        return FALSE;
    move->journal = mose_journal_begin(guest->dir, &entry, error);
    return move->journal != NULL;
}

/* A QEMU into which the module does not go (it is linked statically, or has other
 * privileges: ld.so(8)) would write what others are to find unchanged. */
static gboolean
is_as_wanted(const MoseMove *move, GError **error)
{
    MoseFrozen state = { 0 };

    if (!move->options->freeze)
        return TRUE;
    if (!mose_frozen_look(move->destination->process, FALSE, &state, error))
        return FALSE;
    if (!state.frozen)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s does not load %s (LD_PRELOAD), so that its guest cannot be "
                    "forked",
                    move->guest->spec->qemu, MOSE_FROZEN_NAME);
    if (state.frozen && state.locked)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "QEMU locks its memory, which cannot be frozen then");
    return state.frozen && !state.locked &&
           mose_frozen_may_read(move->destination->process, error);
}

/* Whether the destination is to work on overlays. */
static gboolean
is_overlaid(const MoseMove *move)
{
    const MoseSwitchOptions *options = move->options;

    return options->freeze || (options->disks == MOSE_DISKS_OVERLAY &&
                               options->side == MOSE_SIDE_EMULATOR);
}

/* What is asked of the source, while the destination starts: its memory, which the
 * rules have to read; its machine; who else has its images. */
static gboolean
look_at_source(MoseMove *move, GError **error)
{
    move->ram = mose_ram_of(move->source, move->source_qmp, error);
    move->before = move->ram ? mose_facts_half(move->source_qmp, error) : NULL;
    return move->before &&
           mose_image_locks_check(move->source, is_overlaid(move), error);
}

static gboolean
meanwhile(const MoseMove *move, GError **error)
{
    const MoseSwitchOptions *options = move->options;

    return !options->meanwhile || options->meanwhile(options->data, error);
}

static gboolean
wait_for_destination(MoseMove *move, GError **error)
{
    if (mose_launch_wait(move->guest, move->destination, move->options->interrupt_fd,
                         error))
        return TRUE;
    mose_move_interrupted(move, error);
    return FALSE;
}

gboolean
mose_move_launch(MoseMove *move, GError **error)
{
    const MoseSpec *spec = move->guest->spec;
    MoseLaunchFor what = {
        .side = move->options->side,
        .generation = move->guest->generations,
        .ram_fd = move->ram_fd,
        .source = move->source,
        .frozen = move->options->freeze,
        .interrupt_fd = move->options->interrupt_fd,
        .ioapic_as_is = mose_rule_is_left_out(MOSE_RULE_IOAPIC_VERSION,
                                              move->options->without_rule),
    };
    gboolean private = spec->ram_private && !move->options->share;
    g_auto(MoseFd) memory = MOSE_FD_NONE;

    if (move->far)
        return look_at_source(move, error) && mose_move_far_launch(move, error);
    if (move->copy && private && !move->options->overcommit &&
        !mose_ram_has_room(spec->ram_size, error))
        return FALSE;
    if (move->copy && private)
        what.ram_fd = MOSE_FD_NONE;
    if (move->copy && !private) {
        memory = mose_ram_create(spec->name, spec->ram_size, move->options->overcommit,
                                 error);
        if (memory < 0)
            return FALSE;
        what.ram_fd = memory;
    }
    move->destination = mose_launch_begin(move->guest, &what, error);
    if (!move->destination || !look_at_source(move, error) || !meanwhile(move, error) ||
        !wait_for_destination(move, error))
        return FALSE;
    move->launched_us = g_get_monotonic_time();
    if (!is_as_wanted(move, error))
        return FALSE;
    mose_move_limit(move, move->destination->qmp, MOSE_MOVE_QMP_TIMEOUT_MS);
    return TRUE;
}

guint
mose_move_direction(const MoseMove *move)
{
    const MoseSpec *spec = move->guest->spec;

    return mose_direction(spec->accel[move->from], spec->accel[move->options->side]);
}

MoseFactSet *
mose_move_facts(MoseMove *move, GError **error)
{
    return mose_facts_gather(move->source_qmp, move->before, move->destination->qmp,
                             mose_move_direction(move), error);
}

gboolean
mose_move_check(MoseMove *move, GError **error)
{
    move->facts = mose_move_facts(move, error);
    return move->facts &&
           mose_facts_check(&move->facts->facts, move->options->without_rule, error);
}
