/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal: what a later reader learns, whatever became of its writer. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/says.h"
#include "guest/journal.h"

static char *dir, *path;

static const MoseJournalEntry prepare = { MOSE_PHASE_PREPARE, 7, 6, MOSE_SIDE_EMULATOR,
                                          TRUE };

static MoseJournal *
begin(const MoseJournalEntry *entry)
{
    g_autoptr(GError) error = NULL;
    MoseJournal *journal = mose_journal_begin(dir, entry, &error);

    g_assert_no_error(error);
    return journal;
}

static void
end(void)
{
    g_autoptr(GError) error = NULL;

    mose_journal_end(dir, &error);
    g_assert_no_error(error);
}

static void
expect(MosePhase phase)
{
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry = { 0 };

    mose_journal_read(dir, &entry, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(mose_phase_name(entry.phase), ==, mose_phase_name(phase));
    g_assert_cmpuint(entry.generation, ==, 7);
    g_assert_cmpuint(entry.source, ==, 6);
    g_assert_cmpint(entry.side, ==, MOSE_SIDE_EMULATOR);
    g_assert_true(entry.was_running);
}

static void
expect_error(MoseErrorCode code, const char *text)
{
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;

    g_assert_false(mose_journal_read(dir, &entry, &error));
    assert_says(error, code, text);
}

static void
write_text(const char *text)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

static void
test_phases(void)
{
    g_autoptr(MoseJournal) journal = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;

    expect_error(MOSE_ERROR_NOT_FOUND, "no file");
    journal = begin(&prepare);
    expect(MOSE_PHASE_PREPARE);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    for (MosePhase phase = MOSE_PHASE_MOVE; phase < MOSE_N_PHASES; phase++) {
        g_assert_true(mose_journal_advance(journal, phase, &error));
        expect(phase);
    }
    /* Back, too: a destination that QEMU refused to run. */
    g_assert_true(mose_journal_advance(journal, MOSE_PHASE_MOVE, &error));
    expect(MOSE_PHASE_MOVE);
    end();
    expect_error(MOSE_ERROR_NOT_FOUND, "no file");
    end(); /* nothing to end is no failure */
}

static void
test_paused(void)
{
    const MoseJournalEntry paused = { MOSE_PHASE_MOVE, 3, 2, MOSE_SIDE_VIRTUALIZER,
                                      FALSE };
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;

    mose_journal_free(begin(&paused));
    g_assert_true(mose_journal_read(dir, &entry, &error));
    g_assert_cmpint(entry.phase, ==, MOSE_PHASE_MOVE);
    g_assert_cmpuint(entry.generation, ==, 3);
    g_assert_cmpint(entry.side, ==, MOSE_SIDE_VIRTUALIZER);
    g_assert_false(entry.was_running);
    end();
}

/* Two switches at once: the second one does not begin. */
static void
test_exclusive(void)
{
    g_autoptr(GError) error = NULL;

    mose_journal_free(begin(&prepare));
    g_assert_null(mose_journal_begin(dir, &prepare, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(error->message, "cannot begin "));
    expect(MOSE_PHASE_PREPARE);
    end();
}

/* Its writer died within a write: the last whole line counts. */
static void
test_cut_off(void)
{
    g_autoptr(MoseJournal) journal = begin(&prepare);
    g_autofree char *whole = NULL;
    gsize len;

    g_assert_true(mose_journal_advance(journal, MOSE_PHASE_COMMIT, NULL));
    g_assert_true(g_file_get_contents(path, &whole, &len, NULL));
    for (gsize cut = 0; cut <= len; cut++) {
        g_autofree char *part = g_strndup(whole, cut);
        const char *newline = strchr(whole, '\n');

        write_text(part);
        if (cut <= (gsize)(newline - whole))
            expect_error(MOSE_ERROR_NOT_FOUND, "holds no record");
        else
            expect(cut < len ? MOSE_PHASE_PREPARE : MOSE_PHASE_COMMIT);
    }
    end();
}

static void
test_garbage(void)
{
    static const struct {
        const char *text;
        MoseErrorCode code;
        const char *says;
    } cases[] = {
        { "", MOSE_ERROR_NOT_FOUND, "holds no record" },
        { "\n", MOSE_ERROR_INVALID, "journal: not a JSON object" },
        { "what?\n", MOSE_ERROR_INVALID, "journal: " },
        { "[]\n", MOSE_ERROR_INVALID, "not a JSON object" },
        { "{}\n", MOSE_ERROR_INVALID, "no phase, role, side or writes in '{}'" },
        { "{\"phase\":\"move\"}\n", MOSE_ERROR_INVALID,
          "no phase, role, side or writes" },
        { "{\"phase\":\"away\",\"side\":\"emulator\"}\n", MOSE_ERROR_INVALID,
          "no phase, role, side or writes" },
        { "{\"phase\":1,\"side\":\"emulator\"}\n", MOSE_ERROR_INVALID,
          "no phase, role, side or writes" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        write_text(cases[i].text);
        expect_error(cases[i].code, cases[i].says);
    }
    end();
}

/* Somebody else's file behind our name is not read. */
static void
test_links(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(symlink("/etc/hostname", path), ==, 0);
    expect_error(MOSE_ERROR_FAILED, "cannot read ");
    g_assert_null(mose_journal_begin(dir, &prepare, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    end();
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    expect_error(MOSE_ERROR_INVALID, "is not a file of ours");
    end();
}

static void
limit_files(rlim_t size)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = size == RLIM_INFINITY ? limit.rlim_max : size;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* No room on the disk for the first line: there is no journal at all. */
static void
test_no_room_to_begin(void)
{
    g_autoptr(GError) error = NULL;
    MoseJournal *journal;

    limit_files(20);
    journal = mose_journal_begin(dir, &prepare, &error);
    limit_files(RLIM_INFINITY);
    g_assert_null(journal);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES);
    g_assert_nonnull(strstr(error->message, "cannot write "));
    expect_error(MOSE_ERROR_NOT_FOUND, "no file");
}

/* None for a later one: the phase before stands, and a line that fits later is not
 * joined to the part that did. */
static void
test_no_room_to_advance(void)
{
    g_autoptr(MoseJournal) journal = begin(&prepare);
    g_autoptr(GError) error = NULL;
    gboolean done;

    limit_files(150);
    done = mose_journal_advance(journal, MOSE_PHASE_COMMIT, &error);
    limit_files(RLIM_INFINITY);
    g_assert_false(done);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES);
    expect(MOSE_PHASE_PREPARE);
    g_assert_true(mose_journal_advance(journal, MOSE_PHASE_MOVE, NULL));
    expect(MOSE_PHASE_MOVE);
    end();
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    signal(SIGXFSZ, SIG_IGN);
    dir = g_dir_make_tmp("mose-journal-XXXXXX", &error);
    g_assert_no_error(error);
    path = g_build_filename(dir, "journal", NULL);
    g_test_add_func("/journal/phases", test_phases);
    g_test_add_func("/journal/paused", test_paused);
    g_test_add_func("/journal/exclusive", test_exclusive);
    g_test_add_func("/journal/cut-off", test_cut_off);
    g_test_add_func("/journal/garbage", test_garbage);
    g_test_add_func("/journal/links", test_links);
    g_test_add_func("/journal/no-room-to-begin", test_no_room_to_begin);
    g_test_add_func("/journal/no-room-to-advance", test_no_room_to_advance);
    ret = g_test_run();
    g_assert_cmpint(rmdir(dir), ==, 0);
    g_free(path);
    g_free(dir);
    return ret;
}
