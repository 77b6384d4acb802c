/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which forks a guest has, and what they keep it from; see forks.h. */
#include "guest/forks.h"

#include "util/error.h"

char *
mose_guest_fork_state(const MoseGuest *guest)
{
    return g_build_filename(guest->dir, "fork-state", NULL);
}

char **
mose_guest_forks(const char *name, GError **error)
{
    g_auto(GStrv) names = mose_guest_names(error);
    g_autoptr(GStrvBuilder) forks = g_strv_builder_new();

    if (!names)
        return NULL;
    for (char **other = names; *other; other++) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(MoseGuest) guest = mose_guest_open(*other, MOSE_GUEST_LOOK, &cause);

        /* One that was ended meanwhile, or has only begun. */
        if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
            continue;
        if (!guest) {
            g_propagate_prefixed_error(
                error, g_steal_pointer(&cause),
                "whether %s is a fork of %s cannot be read: ", *other, name);
            return NULL;
        }
        if (g_strcmp0(guest->fork_of, name) == 0)
            g_strv_builder_add(forks, *other);
    }
    return g_strv_builder_end(forks);
}

/* FALSE and BUSY with their names where there are some. */
static gboolean
has_none(const MoseGuest *guest, const char *cannot, GError **error)
{
    g_auto(GStrv) forks = mose_guest_forks(guest->name, error);
    g_autofree char *names = forks ? g_strjoinv(" ", forks) : NULL;

    if (forks && *forks)
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_BUSY,
            "guest %s has forks, and %s while they are there; `mose discard %s` "
            "ends them",
            guest->name, cannot, names);
    return forks && !*forks;
}

static gboolean
is_no_fork(const MoseGuest *guest, const char *cannot, GError **error)
{
    if (!guest->fork_of)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s is a fork of guest %s, and %s; `mose discard %s` ends it",
                guest->name, guest->fork_of, cannot, guest->name);
    return FALSE;
}

gboolean
mose_guest_may_move(const MoseGuest *guest, gboolean freeze, GError **error)
{
    return is_no_fork(guest, "cannot be switched", error) &&
           (freeze || has_none(guest, "cannot be switched", error));
}

gboolean
mose_guest_may_change(const MoseGuest *guest, const char *what, GError **error)
{
    g_autofree char *cannot = g_strdup_printf("cannot be %s", what);

    return is_no_fork(guest, cannot, error) && has_none(guest, cannot, error);
}
