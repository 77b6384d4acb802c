/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks made; see fork.h. How they end: discard.c. */
#include "fork/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fork/keeper.h"
#include "fork/newborn.h"
#include "guest/forks.h"
#include "qemu/frozen.h"
#include "qemu/ram.h"
#include "qemu/spec-fork.h"
#include "switch/move.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

typedef struct {
    MoseForkSource source;
    GPtrArray *forks; /* MoseNewborn */
    gint64 begun_us;
} Making;

static void
making_clear(Making *making)
{
    g_clear_pointer(&making->forks, g_ptr_array_unref);
    mose_process_free(making->source.process);
    mose_fd_close(making->source.state_fd);
    mose_facts_free(making->source.facts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Making, making_clear)

static gboolean
interrupted(const Making *making, GError **error)
{
    if (!mose_fd_is_readable(making->source.options->interrupt_fd))
        return FALSE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; there are no new forks");
    return TRUE;
}

static void
tell(const Making *making, const char *phase)
{
    const MoseSwitchProgress progress = { phase };

    if (making->source.options->progress)
        making->source.options->progress(&progress, making->source.options->data);
}

/* --- before anything --- */

static gboolean
check_names(const MoseGuest *guest, const char *const *names, GError **error)
{
    for (guint i = 0; names[i]; i++) {
        gboolean twice = strcmp(names[i], guest->name) == 0;

        if (!mose_guest_name_valid(names[i], error))
            return FALSE;

        for (guint k = 0; k < i; k++)
            twice |= strcmp(names[i], names[k]) == 0;
        if (!twice)
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "a fork needs a name of its own, and %s is another's", names[i]);
        return FALSE;
    }
    return TRUE;
}

/* What a fork would be refused for is found before anything is copied. */
static gboolean
check_description(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseSpec) spec =
        mose_spec_fork(guest->spec, guest->name, guest->dir, error);

    return spec && (guest->fork_of || mose_move_has_no_overlays(guest, error));
}

/* Each may write so much more than it shares with the guest. */
static gboolean
check_room(const Making *making, guint n, GError **error)
{
    const MoseForkOptions *options = making->source.options;
    guint64 each = options->room ? options->room : MOSE_FORK_ROOM;
    guint64 wanted, left = mose_ram_available();

    /* None writes more than all of it. */
    each = MIN(each, making->source.guest->spec->ram_size) + MOSE_FORK_COST;
    /* The guest itself writes apart from now on, too. */
    wanted = n * each + (options->same_moment ? 0 : each - MIN(each, MOSE_FORK_COST));
    if (options->overcommit || wanted <= left)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                "no room for %u fork%s of %" G_GUINT64_FORMAT " MB each: this host has "
                "%" G_GUINT64_FORMAT " MB left; --room says what each may write, "
                "--overcommit makes them all the same",
                n, n == 1 ? "" : "s", each >> 20, left >> 20);
    return FALSE;
}

static gboolean
check_guest(const Making *making, gboolean frozen, GError **error)
{
    const MoseGuest *guest = making->source.guest;
    g_auto(GStrv) forks = NULL;

    if (guest->fork_of) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is a fork of guest %s; make another one of that, with "
                    "--same-moment",
                    guest->name, guest->fork_of);
        return FALSE;
    }
    forks = mose_guest_forks(guest->name, error);
    if (!forks)
        return FALSE;
    if (*forks && !making->source.options->same_moment) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                    "guest %s has forks of an earlier moment (%s, ...); --same-moment "
                    "makes another one of that moment, and one of now is possible when "
                    "they are discarded",
                    guest->name, *forks);
        return FALSE;
    }
    if (making->source.options->same_moment && !(*forks && frozen)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s has no forks yet: leave --same-moment out", guest->name);
        return FALSE;
    }
    return TRUE;
}

/* --- their processes --- */

static gboolean
prepare_all(Making *making, const char *const *names, GError **error)
{
    for (const char *const *name = names; *name; name++) {
        MoseNewborn *newborn = mose_newborn_new(*name, &making->source, error);

        if (!newborn)
            return FALSE;
        g_ptr_array_add(making->forks, newborn);
    }
    return TRUE;
}

static gboolean
begin_all(Making *making, GError **error)
{
    g_auto(MoseFd) ram = mose_ram_open(making->source.process, error);

    for (guint i = 0; ram >= 0 && i < making->forks->len; i++)
        if (!mose_newborn_begin(making->forks->pdata[i], &making->source, ram, error))
            return FALSE;
    return ram >= 0;
}

/* --- the guest's moment --- */

static int
open_state(const MoseGuest *guest, int flags, GError **error)
{
    g_autofree char *path = mose_guest_fork_state(guest);
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        mose_error_set_errno(error, errno, "cannot open %s", path);
    return fd;
}

static void
pass_on(const MoseSwitchProgress *progress, gpointer data)
{
    tell(data, progress->phase);
}

/* The guest's next process starts as they do. */
static gboolean
get_ready(gpointer data, GError **error)
{
    Making *making = data;

    for (guint i = 0; i < making->forks->len; i++)
        if (!mose_newborn_get_ready(making->forks->pdata[i], &making->source, error))
            return FALSE;
    return TRUE;
}

static gboolean
freeze(Making *making, MoseForkReport *ret, GError **error)
{
    const MoseForkOptions *options = making->source.options;
    const MoseSwitchOptions how = { .side = making->source.guest->side,
                                    .freeze = TRUE,
                                    .keep_fd = making->source.state_fd,
                                    .overlay_dir = options->overlay_dir,
                                    .without_rule = options->without_rule,
                                    .progress = pass_on,
                                    .meanwhile = get_ready,
                                    .data = making,
                                    .interrupt_fd = options->interrupt_fd };

    return mose_switch(making->source.guest, &how, &ret->freeze, error);
}

static gboolean
finish_all(Making *making, MoseForkReport *ret, GError **error)
{
    for (guint i = 0; i < making->forks->len; i++) {
        if (interrupted(making, error) ||
            !mose_newborn_finish(making->forks->pdata[i], &making->source, error))
            return FALSE;
        ret->total_us = g_get_monotonic_time() - making->begun_us;
        if (i == 0)
            ret->ran_us = ret->total_us;
    }
    return TRUE;
}

/* None of them is left. */
static void
undo_all(Making *making)
{
    for (guint i = 0; i < making->forks->len; i++)
        mose_newborn_undo(making->forks->pdata[i]);
}

static gboolean
make(Making *making, const char *const *names, MoseForkReport *ret, GError **error)
{
    gboolean again = making->source.options->same_moment;

    if (!prepare_all(making, names, error))
        return FALSE;
    if (!mose_keeper_start(making->source.guest, names, making->source.options->owner,
                           error) ||
        !begin_all(making, error))
        return FALSE;
    making->source.state_fd = open_state(
        making->source.guest, again ? O_RDONLY : O_RDWR | O_CREAT | O_TRUNC, error);
    if (making->source.state_fd < 0 ||
        !(again ? get_ready(making, error) : freeze(making, ret, error)))
        return FALSE;
    tell(making, "load");
    return finish_all(making, ret, error);
}

/* The guest's process is another one. */
static gboolean
look_again(Making *making, GError **error)
{
    mose_process_free(making->source.process);
    making->source.process = mose_guest_process(making->source.guest, error);
    return making->source.process != NULL;
}

/* QEMU's own memory is copied, while the guest runs; what is left frozen of forks that
 * have gone is the guest's own first. */
static gboolean
make_freezable(Making *making, const MoseFrozen *state, MoseForkReport *ret,
               GError **error)
{
    const MoseForkOptions *options = making->source.options;
    const MoseSwitchOptions how = { .side = making->source.guest->side,
                                    .way = MOSE_WAY_COPY,
                                    .share = TRUE,
                                    .overcommit = options->overcommit,
                                    .progress = options->progress,
                                    .data = options->data,
                                    .interrupt_fd = options->interrupt_fd };

    if (state->frozen)
        return mose_fork_thaw(making->source.guest, options->interrupt_fd, NULL, NULL,
                              error) &&
               look_again(making, error);
    return state->shared ||
           (mose_switch(making->source.guest, &how, &ret->share, error) &&
            look_again(making, error));
}

gboolean
mose_fork(MoseGuest *guest, const char *const *names, const MoseForkOptions *options,
          MoseForkReport *ret, GError **error)
{
    g_auto(Making) making = {
        .source = { .guest = guest, .options = options, .state_fd = MOSE_FD_NONE },
        .forks = g_ptr_array_new_with_free_func((GDestroyNotify)mose_newborn_free),
        .begun_us = g_get_monotonic_time(),
    };
    g_autoptr(GError) cause = NULL, left = NULL;
    MoseFrozen state;

    *ret = (MoseForkReport){ 0 };
    making.source.process = mose_guest_process(guest, error);
    if (!making.source.process ||
        !mose_frozen_look(making.source.process, FALSE, &state, error) ||
        !check_names(guest, names, error) ||
        !check_guest(&making, state.frozen, error) ||
        (!state.frozen && !check_description(guest, error)) ||
        !check_room(&making, g_strv_length((char **)names), error))
        return FALSE;
    if (!options->same_moment && !make_freezable(&making, &state, ret, error))
        return FALSE;
    if (make(&making, names, ret, &cause)) {
        g_autofree char *all = g_strjoinv(" ", (char **)names);

        mose_guest_note(
            guest, "fork",
            mose_json_object("reason", "s", all, "us", "i", ret->total_us, NULL));
        /* They run, whether that is written down or not. */
        mose_guest_save(guest, NULL);
        return TRUE;
    }
    undo_all(&making);
    g_clear_pointer(&making.forks, g_ptr_array_unref);
    if (!options->same_moment && !ret->freeze.rules) {
        g_autofree char *kept = mose_guest_fork_state(guest);

        unlink(kept);
    }
    if (!mose_fork_thaw(guest, 0, NULL, NULL, &left))
        g_prefix_error(&cause, "(and the guest's memory is still frozen: %s) ",
                       left->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

void
mose_fork_report_clear(MoseForkReport *report)
{
    mose_switch_report_clear(&report->share);
    mose_switch_report_clear(&report->freeze);
}
