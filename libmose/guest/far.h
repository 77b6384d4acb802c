/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other host of a guest that moves between two: how it is reached, and whether the
 * guest is there. Kept in guest.json; the switch itself is in the journal.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    char *life; /* of the guest, the same wherever it is: a name can be taken again */
    char *id;   /* of the last switch between the two: random, the same on both */
    char *host; /* as ssh takes it; NULL: it reached us, and we cannot reach it */
    char *rsh;  /* the transport instead of ssh, or NULL */
    char *command; /* `mose` over there, or NULL */
    char *name;    /* what that host calls itself, for people; NULL: not known yet */
    char *boot_id; /* of its boot, or NULL */
    char **maps;   /* "HERE=THERE": paths that are spelled otherwise there; or NULL */
    gboolean away; /* the guest is there, and not here */
    /* While it is away its disks (exports.h), its network are still at home. */
    gboolean home_disks, home_net;
    gboolean locks_seen; /* the locks of the guest's images are seen by both */
    JsonArray *images;   /* those, as they were when the guest was given away: objects
                            {"path", "size", "mtime-ns"}; or NULL */
} MoseFar;

/* @host may be NULL. Life and id are made anew. */
MoseFar *mose_far_new(const char *host);
void mose_far_free(MoseFar *far);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseFar, mose_far_free)

MoseFar *mose_far_copy(const MoseFar *far);

/* Put a copy of @far in the place of *@old, which may be NULL: it is the same guest's.
 */
void mose_far_replace(MoseFar **old, const MoseFar *far);

/* A new id for a new switch. */
void mose_far_renew(MoseFar *far);

/* Whether it needs its home while it is away. */
gboolean mose_far_needs_home(const MoseFar *far);

/* What people call it. */
const char *mose_far_label(const MoseFar *far);

JsonObject *mose_far_to_json(const MoseFar *far);
/* NULL where @object is NULL or has no id or life. */
MoseFar *mose_far_from_json(JsonObject *object);

/* FALSE and INVALID where one of @maps is not "/HERE=/THERE". */
gboolean mose_far_check_maps(const char *const *maps, GError **error);

/*
 * @text with each path of @maps as the other host spells it, or, @back, as this one
 * does. A path begins at the text's start, or behind one of "=:,'\"", and ends with a
 * whole component; the longest that fits counts. Free with g_free().
 */
char *mose_far_map(const char *text, char **maps, gboolean back);
