/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest in a fake QEMU, made, looked at and taken away; see stage.h. */
#include "lib/stage.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "qemu/command.h"
#include "guest/guest-dir.h"
#include "guest/journal.h"
#include "guest/generation.h"
#include "switch/recover.h"
#include "switch/start.h"
#include "switch/stop.h"
#include "util/json.h"

void
stage_remove(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, NULL);

        if (unlink(below) < 0)
            stage_remove(below);
    }
    rmdir(path);
}

/* Directories of this test's own; the runtime directory is below the other, so
 * that a guardian that comes late cannot make it again. */
Stage
stage_make(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage = { 0 };

    stage.fake = g_dir_make_tmp("mose-switch-XXXXXX", &error);
    g_assert_no_error(error);
    stage.runtime = g_build_filename(stage.fake, "run", NULL);
    g_assert_cmpint(mkdir(stage.runtime, 0700), ==, 0);
    g_setenv("MOSE_RUNTIME_DIR", stage.runtime, TRUE);
    g_setenv("FAKEQEMU_DIR", stage.fake, TRUE);
    return stage;
}

void
stage_write(const Stage *stage, const char *name, const char *data, gssize len)
{
    g_autofree char *path = g_build_filename(stage->fake, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, data, len, &error);
    g_assert_no_error(error);
}

/* What the process of @generation has written down, "" if nothing. */
char *
stage_read(const Stage *stage, guint generation, const char *suffix, gsize *ret_len)
{
    g_autofree char *name = g_strdup_printf("pid.%u.%s", generation, suffix);
    g_autofree char *path = g_build_filename(stage->fake, name, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, ret_len, NULL))
        return g_strdup("");
    return text;
}

/* How often the process of @generation was told @command. */
int
stage_count(const Stage *stage, guint generation, const char *command)
{
    g_autofree char *text = stage_read(stage, generation, "seen", NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    int n = 0;

    for (char **line = lines; *line; line++)
        n += strcmp(*line, command) == 0;
    return n;
}

/* guest.json, of which a failed switch may change nothing but the timeline and
 * the count of processes that there have been. */
char *
stage_state(const Stage *stage)
{
    g_autofree char *path = g_build_filename(stage->guest->dir, "guest.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = mose_guest_dir_read(path, &error);
    g_autoptr(JsonObject) object = NULL;

    g_assert_no_error(error);
    object = mose_json_parse(text, -1, path, &error);
    g_assert_no_error(error);
    json_object_remove_member(object, "timeline");
    json_object_remove_member(object, "generations");
    return mose_json_text(object, TRUE);
}

MoseSpec *
stage_spec(const char *const *options)
{
    g_autoptr(GError) error = NULL;
    MoseSpec *spec = mose_spec_parse(options, &error);

    g_assert_no_error(error);
    spec->qemu = g_strdup(g_getenv("FAKEQEMU"));
    spec->cwd = g_strdup("/");
    return spec;
}

const char *const stage_plain_options[] = {
    "-m", "4M", "-netdev", "user,id=net0,hostfwd=tcp::8080-:80", NULL,
};

void
stage_begin_with(Stage *stage, const char *source, const char *const *options)
{
    MoseStartOptions how = { "tcg", "qemu64", NULL, TRUE };
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;

    *stage = stage_make();
    stage_write(stage, "stream", (const char *)stream->data, stream->len);
    if (source)
        stage_write(stage, "pid.1.script", source, -1);
    stage->guest = mose_start("g", stage_spec(options), &how, &reason, &error);
    g_assert_no_error(error);
    stage->state = stage_state(stage);
}

void
stage_begin(Stage *stage, const char *source)
{
    stage_begin_with(stage, source, stage_plain_options);
}

void
stage_end(Stage *stage)
{
    g_autoptr(GError) error = NULL;

    mose_stop(stage->guest, &error);
    g_assert_no_error(error);
    mose_guest_free(stage->guest);
    stage_remove(stage->fake);
    g_free(stage->runtime);
    g_free(stage->fake);
    g_free(stage->state);
}

gboolean
stage_guest_runs(const Stage *stage)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseQmp) qmp =
        mose_guest_connect(stage->guest, MOSE_MONITOR_QUERY, &error);
    g_autoptr(JsonObject) status = NULL;

    g_assert_no_error(error);
    status = mose_qmp_query(qmp, "query-status", NULL, &error);
    g_assert_no_error(error);
    return mose_json_bool(status, "running", FALSE);
}

void
stage_assert_no_journal(const Stage *stage)
{
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;

    g_assert_false(mose_journal_read(stage->guest->dir, &entry, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

/* No process, socket, log or pidfile of @generation. */
void
stage_assert_nothing_left(const Stage *stage, guint generation)
{
    g_autoptr(GDir) dir = g_dir_open(stage->guest->dir, 0, NULL);
    g_autofree char *suffix = g_strdup_printf(".%u", generation);
    const char *name;

    g_assert_null(mose_find_generation(stage->guest, generation));
    while ((name = g_dir_read_name(dir)))
        g_assert_false(g_str_has_suffix(name, suffix));
}

/* The last event on the timeline is @event; returns its @member. */
const char *
stage_last_event(const Stage *stage, const char *event, const char *member)
{
    JsonArray *timeline = stage->guest->timeline;
    JsonObject *last =
        json_array_get_object_element(timeline, json_array_get_length(timeline) - 1);

    g_assert_cmpstr(mose_json_string(last, "event", NULL), ==, event);
    return mose_json_string(last, member, NULL);
}

gboolean
stage_switch(Stage *stage, MoseSide side, GError **error)
{
    MoseSwitchOptions options = { .side = side };
    MoseSwitchReport report = { 0 };
    gboolean done = mose_switch(stage->guest, &options, &report, error);

    mose_switch_report_clear(&report);
    return done;
}
