/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a guest, handled so that nobody else can put theirs in their
 * place: directories checked for owner and mode, no links followed, files
 * replaced whole. What is in the files is guest.h's and journal.h's.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* @dir is a directory of ours with mode 0700, or an error (NOT_FOUND, INVALID). */
gboolean mose_guest_dir_check(const char *dir, GError **error);

/* Take the guest's lock; the descriptor holds it. BUSY names the holder's pid
 * where that is known. */
int mose_guest_dir_lock(const char *dir, GError **error);

/* Who holds the lock, as he wrote it there; 0: not known. */
pid_t mose_guest_dir_holder(const char *dir);

/* A whole text file, at most 16 MB. */
char *mose_guest_dir_read(const char *path, GError **error);

/* Replace @path by @text in one step. RESOURCES when the disk is full. */
gboolean mose_guest_dir_write(const char *path, const char *text, GError **error);

/* Remove what mose_guest_dir_write() left in a MOSE that died. The guest is locked. */
void mose_guest_dir_tidy(const char *dir);

/* Remove @dir, a flat one that may be anywhere, and the files in it; one that is not
 * there is no error. */
gboolean mose_guest_dir_discard(const char *dir, GError **error);

/* Remove all files but the lock; remove the directory itself too. */
gboolean mose_guest_dir_clear(const char *dir, GError **error);
gboolean mose_guest_dir_remove(const char *dir, GError **error);
