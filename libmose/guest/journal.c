/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal of one switch; see journal.h. */
#include "guest/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/process.h"

struct MoseJournal {
    MoseFd fd;
    char *path;
    goffset size; /* of the whole lines */
    MoseJournalEntry entry;
};

static const char *const phase_names[MOSE_N_PHASES] = { "start", "take",  "prepare",
                                                        "move",  "doubt", "commit" };

static const char *const role_names[MOSE_N_ROLES] = { "both", "giver", "taker" };

static const char *const writes_names[MOSE_N_WRITES_STATES] = { "none", "planned",
                                                                "done" };

const char *
mose_phase_name(MosePhase phase)
{
    return phase_names[phase];
}

static char *
journal_path(const char *dir)
{
    return g_build_filename(dir, "journal", NULL);
}

static char *
entry_line(const MoseJournalEntry *entry)
{
    g_autoptr(JsonObject) object = mose_json_object(
        "phase", "s", phase_names[entry->phase], "role", "s", role_names[entry->role],
        "since-us", "i", mose_boottime_us(), "generation", "i",
        (gint64)entry->generation, "source", "i", (gint64)entry->source, "side", "s",
        mose_side_name(entry->side), "was-running", "b", entry->was_running, "writes",
        "s", writes_names[entry->writes], "time-us", "i", g_get_real_time(), NULL);
    g_autofree char *text = mose_json_text(object, FALSE);

    return g_strconcat(text, "\n", NULL);
}

static gboolean
write_entry(MoseJournal *journal, GError **error)
{
    g_autofree char *line = entry_line(&journal->entry);

    if (mose_fd_write_all(journal->fd, line, strlen(line), journal->path, error)) {
        journal->size += strlen(line);
        return TRUE;
    }
    /* The next line must not be joined to the part of one that fitted the disk. */
    if (ftruncate(journal->fd, journal->size) < 0)
        g_debug("cannot cut %s: %s", journal->path, g_strerror(errno));
    return FALSE;
}

MoseJournal *
mose_journal_begin(const char *dir, const MoseJournalEntry *entry, GError **error)
{
    g_autoptr(MoseJournal) journal = g_new0(MoseJournal, 1);

    journal->entry = *entry;
    journal->path = journal_path(dir);
    journal->fd =
        open(journal->path,
             O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (journal->fd < 0) {
        mose_error_set_errno(error, errno, "cannot begin %s", journal->path);
        return NULL;
    }
    if (!write_entry(journal, error)) {
        unlink(journal->path);
        return NULL;
    }
    return g_steal_pointer(&journal);
}

void
mose_journal_set_running(MoseJournal *journal, gboolean was_running)
{
    journal->entry.was_running = was_running;
}

void
mose_journal_set_writes(MoseJournal *journal, MoseWritesState writes)
{
    journal->entry.writes = writes;
}

gboolean
mose_journal_advance(MoseJournal *journal, MosePhase phase, GError **error)
{
    MosePhase before = journal->entry.phase;

    journal->entry.phase = phase;
    if (write_entry(journal, error))
        return TRUE;
    journal->entry.phase = before;
    return FALSE;
}

gboolean
mose_journal_rewrite(const char *dir, const MoseJournalEntry *entry, GError **error)
{
    g_autofree char *path = journal_path(dir);
    g_autofree char *line = entry_line(entry);

    return mose_guest_dir_write(path, line, error);
}

gboolean
mose_journal_end(const char *dir, GError **error)
{
    g_autofree char *path = journal_path(dir);

    if (unlink(path) < 0 && errno != ENOENT) {
        mose_error_set_errno(error, errno, "cannot end %s", path);
        return FALSE;
    }
    return TRUE;
}

void
mose_journal_free(MoseJournal *journal)
{
    if (!journal)
        return;
    mose_fd_close(journal->fd);
    g_free(journal->path);
    g_free(journal);
}

/* The number of @name among @n @names; @n if it is none. */
static guint
index_of(const char *name, const char *const *names, guint n)
{
    guint i = 0;

    while (i < n && strcmp(name, names[i]) != 0)
        i++;
    return i;
}

static gboolean
read_entry(const char *line, const char *path, MoseJournalEntry *ret, GError **error)
{
    g_autoptr(JsonObject) object = mose_json_parse(line, -1, path, error);
    const char *phase = mose_json_string(object, "phase", "");

    if (!object)
        return FALSE;
    ret->phase = index_of(phase, phase_names, MOSE_N_PHASES);
    ret->writes =
        index_of(mose_json_string(object, "writes", writes_names[MOSE_WRITES_NONE]),
                 writes_names, MOSE_N_WRITES_STATES);
    ret->role = index_of(mose_json_string(object, "role", role_names[MOSE_ROLE_BOTH]),
                         role_names, MOSE_N_ROLES);
    if (ret->phase == MOSE_N_PHASES || ret->role == MOSE_N_ROLES ||
        ret->writes == MOSE_N_WRITES_STATES ||
        !mose_side_from_name(mose_json_string(object, "side", NULL), &ret->side)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: no phase, role, side or writes in '%s'", path, line);
        return FALSE;
    }
    ret->generation = mose_json_int(object, "generation", 0);
    ret->source = mose_json_int(object, "source", 0);
    ret->since_us = mose_json_int(object, "since-us", 0);
    ret->was_running = mose_json_bool(object, "was-running", TRUE);
    return TRUE;
}

gboolean
mose_journal_read(const char *dir, MoseJournalEntry *ret, GError **error)
{
    g_autofree char *path = journal_path(dir);
    g_autofree char *text = mose_guest_dir_read(path, error);
    char *end, *line;

    if (!text)
        return FALSE;
    /* What follows the last newline was cut off while it was written. */
    end = strrchr(text, '\n');
    if (!end) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s holds no record",
                    path);
        return FALSE;
    }
    *end = '\0';
    line = strrchr(text, '\n');
    return read_entry(line ? line + 1 : text, path, ret, error);
}
