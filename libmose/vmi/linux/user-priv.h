/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of user.h share. */
#pragma once

#include "vmi/linux/user.h"

struct MoseUser {
    MoseLinux *kernel;
    const MoseTask *task;
    MoseSpace *space;
    GPtrArray *vmas;      /* MoseVma */
    GHashTable *files;    /* struct file -> MosePageCache */
    GPtrArray *objects;   /* MoseElfObject, or NULL until they are asked for */
    guint unreadable;     /* objects that were left out */
    MoseSymbols *symbols; /* the same */
    GHashTable *unwind;   /* user-unwind.c: object -> its index of .eh_frame */
};

/* The page cache of the struct file at @file, remembered. */
const MosePageCache *mose_user_file(MoseUser *user, guint64 file, GError **error);
