/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch between two processes that only look like QEMU: whatever goes wrong
 * before the commit, the guest runs on in its source, nothing is left of the
 * destination, and the error says what it was.
 */
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "qemu/command.h"
#include "switch/guest-dir.h"
#include "switch/journal.h"
#include "switch/recover.h"
#include "switch/start.h"
#include "switch/switch.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* A guest in a fake QEMU, and the directories around it. */
typedef struct {
    char *runtime;
    char *fake; /* $FAKEQEMU_DIR */
    MoseGuest *guest;
    char *state; /* guest.json as it was, without the timeline */
} Stage;

static void
remove_all(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, NULL);

        if (unlink(below) < 0)
            remove_all(below);
    }
    rmdir(path);
}

/* Directories of this test's own; the runtime directory is below the other, so
 * that a guardian that comes late cannot make it again. */
static Stage
make_stage(void)
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

static void
write_file(const Stage *stage, const char *name, const char *data, gssize len)
{
    g_autofree char *path = g_build_filename(stage->fake, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, data, len, &error);
    g_assert_no_error(error);
}

/* What the process of @generation has written down, "" if nothing. */
static char *
read_file(const Stage *stage, guint generation, const char *suffix, gsize *ret_len)
{
    g_autofree char *name = g_strdup_printf("pid.%u.%s", generation, suffix);
    g_autofree char *path = g_build_filename(stage->fake, name, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, ret_len, NULL))
        return g_strdup("");
    return text;
}

/* How often the process of @generation was told @command. */
static int
count_command(const Stage *stage, guint generation, const char *command)
{
    g_autofree char *text = read_file(stage, generation, "seen", NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    int n = 0;

    for (char **line = lines; *line; line++)
        n += strcmp(*line, command) == 0;
    return n;
}

/* guest.json, of which a failed switch may change nothing but the timeline. */
static char *
read_state(const Stage *stage)
{
    g_autofree char *path = g_build_filename(stage->guest->dir, "guest.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = mose_guest_dir_read(path, &error);
    g_autoptr(JsonObject) object = NULL;

    g_assert_no_error(error);
    object = mose_json_parse(text, -1, path, &error);
    g_assert_no_error(error);
    json_object_remove_member(object, "timeline");
    return mose_json_text(object, TRUE);
}

static MoseSpec *
make_spec(const char *const *options)
{
    g_autoptr(GError) error = NULL;
    MoseSpec *spec = mose_spec_parse(options, &error);

    g_assert_no_error(error);
    spec->qemu = g_strdup(g_getenv("FAKEQEMU"));
    spec->cwd = g_strdup("/");
    return spec;
}

static const char *const plain_options[] = {
    "-m", "4M", "-netdev", "user,id=net0,hostfwd=tcp::8080-:80", NULL,
};

static void
begin_with(Stage *stage, const char *source, const char *const *options)
{
    MoseStartOptions how = { "tcg", "qemu64", NULL, TRUE };
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;

    *stage = make_stage();
    write_file(stage, "stream", (const char *)stream->data, stream->len);
    if (source)
        write_file(stage, "pid.1.script", source, -1);
    stage->guest = mose_start("g", make_spec(options), &how, &reason, &error);
    g_assert_no_error(error);
    stage->state = read_state(stage);
}

static void
begin(Stage *stage, const char *source)
{
    begin_with(stage, source, plain_options);
}

static void
end(Stage *stage)
{
    g_autoptr(GError) error = NULL;

    mose_stop(stage->guest, &error);
    g_assert_no_error(error);
    mose_guest_free(stage->guest);
    remove_all(stage->fake);
    g_free(stage->runtime);
    g_free(stage->fake);
    g_free(stage->state);
}

static gboolean
source_runs(const Stage *stage)
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

static void
assert_no_switch_under_way(const Stage *stage)
{
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;

    g_assert_false(mose_journal_read(stage->guest->dir, &entry, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

/* No process, socket, log or pidfile of @generation. */
static void
assert_nothing_left(const Stage *stage, guint generation)
{
    g_autoptr(GDir) dir = g_dir_open(stage->guest->dir, 0, NULL);
    g_autofree char *suffix = g_strdup_printf(".%u", generation);
    const char *name;

    g_assert_null(mose_find_generation(stage->guest, generation));
    while ((name = g_dir_read_name(dir)))
        g_assert_false(g_str_has_suffix(name, suffix));
}

/* The last event on the timeline is @event; returns its @member. */
static const char *
last_event(const Stage *stage, const char *event, const char *member)
{
    JsonArray *timeline = stage->guest->timeline;
    JsonObject *last =
        json_array_get_object_element(timeline, json_array_get_length(timeline) - 1);

    g_assert_cmpstr(mose_json_string(last, "event", NULL), ==, event);
    return mose_json_string(last, member, NULL);
}

static void
assert_says(const GError *error, MoseErrorCode code, const char *text)
{
    g_assert_error(error, MOSE_ERROR, (int)code);
    if (!strstr(error->message, text))
        g_error("\"%s\" does not say \"%s\"", error->message, text);
}

static gboolean
switch_to(Stage *stage, MoseSide side, GError **error)
{
    MoseSwitchOptions options = { .side = side };
    MoseSwitchReport report = { 0 };
    gboolean done = mose_switch(stage->guest, &options, &report, error);

    mose_switch_report_clear(&report);
    return done;
}

typedef struct {
    const char *name;
    const char *source;      /* script of the source */
    const char *destination; /* and of the destination */
    MoseErrorCode code;
    const char *text; /* of the error */
    gboolean big;     /* the stream does not fit the sockets' buffers */
    gboolean moved;   /* the source had been told to migrate */
    int conts;        /* that it got for it */
} Case;

static const Case cases[] = {
    { .name = "destination-exits",
      .destination = "start exit -device virtio-net-pci: Device not found",
      .code = MOSE_ERROR_CLOSED,
      .text = "QEMU (emulator) did not start: fakeqemu: -device virtio-net-pci: Device "
              "not found" },
    { .name = "destination-too-old",
      .destination = "greeting 9.2.0",
      .code = MOSE_ERROR_UNSUPPORTED,
      .text = "fakeqemu is QEMU 9.2.0; MOSE needs 10.0 or later" },
    { .name = "destination-refuses-greeting",
      .destination = "qmp_capabilities fail no",
      .code = MOSE_ERROR_QMP,
      .text = "qmp_capabilities: no (GenericError)" },
    { .name = "feature-lost",
      .source = "features sse2 avx2",
      .code = MOSE_ERROR_REFUSED,
      .text = "rule cpu-features: the guest's CPU has features that the destination "
              "lacks: avx2" },
    { .name = "device-lost",
      .source = "device virtio-balloon-pci",
      .code = MOSE_ERROR_REFUSED,
      .text = "rule devices: the guest has devices that the destination lacks: "
              "virtio-balloon-pci" },
    { .name = "facts-missing",
      .destination = "query-cpus-fast say {\"return\": []}",
      .code = MOSE_ERROR_QMP,
      .text = "query-cpus-fast: no CPU" },
    { .name = "capability-unknown",
      .destination = "migrate-set-capabilities fail Parameter 'capability' does not "
                     "accept value 'x-ignore-shared'",
      .code = MOSE_ERROR_QMP,
      .text = "migrate-set-capabilities: Parameter 'capability' does not accept" },
    { .name = "source-refuses-descriptor",
      .source = "getfd fail No file descriptor supplied via SCM_RIGHTS",
      .code = MOSE_ERROR_QMP,
      .text = "qmp0.1: getfd: No file descriptor" },
    { .name = "incoming-refused",
      .destination = "migrate-incoming fail The incoming migration has already been "
                     "started",
      .code = MOSE_ERROR_QMP,
      .text = "migrate-incoming: The incoming migration has already been started" },
    { .name = "incoming-hangs",
      .destination = "migrate-incoming hang",
      .code = MOSE_ERROR_TIMEOUT,
      .text = "migrate-incoming: monitor" },
    { .name = "incoming-dies",
      .destination = "migrate-incoming exit Segmentation fault",
      .code = MOSE_ERROR_CLOSED,
      .text = "migrate-incoming: monitor" },
    { .name = "migrate-refused",
      .source = "migrate fail Migration is disabled when VirtFS export path is mounted",
      .code = MOSE_ERROR_QMP,
      .text = "migrate: Migration is disabled when VirtFS",
      .moved = TRUE },
    { .name = "destination-dies-loading",
      .destination = "load exit Unknown savevm section or instance 'kvmclock' 0",
      .code = MOSE_ERROR_FAILED,
      .text = "the destination did not load the guest; it said: fakeqemu: Unknown "
              "savevm section",
      .moved = TRUE },
    { .name = "destination-closes",
      .destination = "load close",
      .code = MOSE_ERROR_FAILED,
      .text = "the move failed: ",
      .moved = TRUE },
    { .name = "destination-dies-early",
      .destination = "load exit Configuration mismatch",
      .code = MOSE_ERROR_FAILED,
      .text = "it said: fakeqemu: Configuration mismatch",
      .big = TRUE,
      .moved = TRUE },
    { .name = "destination-closes-early",
      .destination = "load close",
      .code = MOSE_ERROR_FAILED,
      .text = "the move failed: the destination closed the migration stream",
      .big = TRUE,
      .moved = TRUE },
    { .name = "source-fails",
      .source = "send fail Channel error: disk on fire",
      .code = MOSE_ERROR_FAILED,
      .text = "the source did not send the guest: Channel error: disk on fire",
      .moved = TRUE },
    { .name = "destination-runs-too-early",
      .destination =
          "query-status say {\"return\": {\"status\": \"running\", \"running\": true}}",
      .code = MOSE_ERROR_FAILED,
      .text = "the destination runs where it should stand still (status running)",
      .moved = TRUE,
      .conts = 1 },
    { .name = "cont-refused",
      .destination = "cont fail Failed to get \"write\" lock",
      .code = MOSE_ERROR_QMP,
      .text = "cont: Failed to get \"write\" lock (GenericError)",
      .moved = TRUE,
      .conts = 1 },
};

static GByteArray *
big_stream(void)
{
    const int n_pages = 512;
    GByteArray *out = g_byte_array_new();

    mk_begin(out);
    mk_ram_start(out);
    mk(out, "qsq", (guint64)n_pages << 12 | 4, "a", (guint64)n_pages << 12);
    mk_ram_end(out);
    mk_ram_begin(out, 2);
    for (int i = 0; i < n_pages; i++)
        mk(out, "qsz", (guint64)i << 12 | 8, "a", 4096);
    mk_ram_end(out);
    mk_ram_begin(out, 3);
    mk_ram_end(out);
    mk_end(out, "");
    return out;
}

static void
test_source_kept(gconstpointer data)
{
    const Case *c = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *state = NULL;
    Stage stage;

    begin(&stage, c->source);
    if (c->big) {
        g_autoptr(GByteArray) stream = big_stream();

        write_file(&stage, "stream", (const char *)stream->data, stream->len);
    }
    if (c->destination)
        write_file(&stage, "pid.2.script", c->destination, -1);
    g_assert_false(switch_to(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, c->code, c->text);
    g_assert_cmpstr(last_event(&stage, "failed", "reason"), ==, error->message);

    g_assert_true(source_runs(&stage));
    g_assert_cmpint(count_command(&stage, 1, "migrate"), ==, c->moved);
    /* One from the start. */
    g_assert_cmpint(count_command(&stage, 1, "cont"), ==, 1 + c->conts);
    assert_no_switch_under_way(&stage);
    assert_nothing_left(&stage, 2);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_VIRTUALIZER);
    state = read_state(&stage);
    g_assert_cmpstr(state, ==, stage.state);

    /* The next try is as good as the first. */
    if (c->destination) {
        g_clear_error(&error);
        write_file(&stage, "pid.2.script", "", -1);
        switch_to(&stage, MOSE_SIDE_EMULATOR, &error);
        g_assert_no_error(error);
    }
    end(&stage);
}

static void
test_there_and_back(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) sent = mk_small_stream();
    g_autofree char *got = NULL;
    gsize len = 0;
    pid_t first;
    Stage stage;

    begin(&stage, NULL);
    first = stage.guest->pid;
    switch_to(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    /* No rule has anything to do with these devices. */
    got = read_file(&stage, 2, "loaded", &len);
    g_assert_cmpmem(got, len, sent->data, sent->len);
    g_assert_cmpuint(mose_process_start_time(first), ==, 0);
    g_assert_cmpuint(stage.guest->generation, ==, 2);
    g_assert_true(source_runs(&stage));
    g_assert_cmpint(count_command(&stage, 2, "cont"), ==, 1);
    g_assert_cmpint(count_command(&stage, 1, "cont"), ==, 1);
    g_assert_cmpint(count_command(&stage, 2,
                                  "human-monitor-command hostfwd_add net0 "
                                  "tcp::8080-:80"),
                    ==, 1);
    g_assert_cmpstr(last_event(&stage, "emulate", "side"), ==, "emulator");
    assert_no_switch_under_way(&stage);
    assert_nothing_left(&stage, 1);
    mose_guest_reload(stage.guest, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_EMULATOR);

    switch_to(&stage, MOSE_SIDE_VIRTUALIZER, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(stage.guest->generation, ==, 3);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_VIRTUALIZER);
    assert_nothing_left(&stage, 2);
    end(&stage);
}

/* A guest that stood still arrives so, and goes back so. */
static void
test_paused(void)
{
    static const char *const options[] = { "-m", "4M", "-S", NULL };
    g_autoptr(GError) error = NULL;
    Stage stage;

    begin_with(&stage, NULL, options);
    g_assert_false(source_runs(&stage));
    write_file(&stage, "pid.2.script", "load exit no", -1);
    g_assert_false(switch_to(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_FAILED, "it said: fakeqemu: no");
    g_clear_error(&error);
    g_assert_false(source_runs(&stage));
    write_file(&stage, "pid.2.script", "", -1);
    switch_to(&stage, MOSE_SIDE_EMULATOR, &error);
    g_assert_no_error(error);
    g_assert_false(source_runs(&stage));
    g_assert_cmpint(count_command(&stage, 1, "cont"), ==, 0);
    g_assert_cmpint(count_command(&stage, 2, "cont"), ==, 0);
    end(&stage);
}

static void
test_there_already(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    begin(&stage, NULL);
    g_assert_false(switch_to(&stage, MOSE_SIDE_VIRTUALIZER, &error));
    assert_says(error, MOSE_ERROR_INVALID, "guest g is in the virtualizer already");
    end(&stage);
}

static gboolean
refuse_rewrite(MoseDoc *doc, gpointer data, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM, "section dev: %s", (char *)data);
    return FALSE;
}

/* What a rule says of the stream comes out, and not what follows from it. */
static void
test_rule_fails(void)
{
    MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                  .tamper = refuse_rewrite,
                                  .data = (gpointer) "no field a" };
    MoseSwitchReport report = { 0 };
    g_autoptr(GError) error = NULL;
    Stage stage;

    begin(&stage, NULL);
    g_assert_false(mose_switch(stage.guest, &options, &report, &error));
    assert_says(error, MOSE_ERROR_STREAM, "section dev: no field a");
    g_assert_true(source_runs(&stage));
    assert_nothing_left(&stage, 2);
    end(&stage);
}

/* A stream that MOSE cannot read: refused where it stands. */
static void
test_bad_stream(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    begin(&stage, NULL);
    write_file(&stage, "stream", "this is no migration stream", -1);
    g_assert_false(switch_to(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_STREAM, "0x0");
    g_assert_true(source_runs(&stage));
    assert_no_switch_under_way(&stage);
    assert_nothing_left(&stage, 2);
    end(&stage);
}

typedef struct {
    const char *phase;
    int fd;
} Interruption;

static void
interrupt(const char *phase, gpointer data)
{
    const Interruption *interruption = data;
    guint64 one = 1;

    if (strcmp(phase, interruption->phase) == 0)
        g_assert_cmpint(write(interruption->fd, &one, sizeof(one)), ==, sizeof(one));
}

/* The user can have the guest back until the commit. */
static void
test_interrupted(void)
{
    static const char *const phases[] = { "prepare", "check", "move", "commit" };

    for (gsize i = 0; i < G_N_ELEMENTS(phases); i++) {
        g_auto(MoseFd) fd = eventfd(0, EFD_CLOEXEC);
        Interruption interruption = { phases[i], fd };
        MoseSwitchOptions options = { .side = MOSE_SIDE_EMULATOR,
                                      .progress = interrupt,
                                      .interrupt_fd = fd,
                                      .data = &interruption };
        MoseSwitchReport report = { 0 };
        g_autoptr(GError) error = NULL;
        Stage stage;

        begin(&stage, NULL);
        g_test_message("%s", phases[i]);
        g_assert_false(mose_switch(stage.guest, &options, &report, &error));
        assert_says(error, MOSE_ERROR_INTERRUPTED, "the guest stays where it is");
        g_assert_true(source_runs(&stage));
        assert_no_switch_under_way(&stage);
        assert_nothing_left(&stage, 2);
        end(&stage);
    }
}

/* Once it was told to run, a destination that says nothing more has the guest. */
static void
test_lost_after_commit(void)
{
    g_autoptr(GError) error = NULL;
    pid_t first;
    Stage stage;

    begin(&stage, NULL);
    first = stage.guest->pid;
    write_file(&stage, "pid.2.script", "cont close", -1);
    g_assert_false(switch_to(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "the guest is in the emulator, but: cont: ");
    g_assert_cmpuint(mose_process_start_time(first), ==, 0);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_EMULATOR);
    end(&stage);
}

/* A source that dies takes the guest along; the error says both. */
static void
test_source_dies(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    begin(&stage, "send exit Aborted");
    g_assert_false(switch_to(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "the source ended while it sent the guest; it said: fakeqemu: Aborted; "
                "guest g has ended");
    assert_nothing_left(&stage, 2);
    end(&stage);
}

static void
test_start_fails(void)
{
    MoseStartOptions how = { "tcg", "qemu64", NULL, TRUE };
    Stage stage = make_stage();
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;
    g_auto(GStrv) names = NULL;

    write_file(&stage, "pid.1.script", "start exit drive: Could not open 'x'", -1);
    g_assert_null(mose_start("g", make_spec(plain_options), &how, &reason, &error));
    assert_says(error, MOSE_ERROR_CLOSED,
                "QEMU (virtualizer) did not start: fakeqemu: drive: Could "
                "not open 'x'");
    g_clear_error(&error);
    names = mose_guest_names(&error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(names), ==, 0);
    g_assert_cmpint(rmdir(stage.runtime), ==, 0);
    remove_all(stage.fake);
    g_free(stage.runtime);
    g_free(stage.fake);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("/switch/source-kept/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_source_kept);
    }
    g_test_add_func("/switch/there-and-back", test_there_and_back);
    g_test_add_func("/switch/paused", test_paused);
    g_test_add_func("/switch/there-already", test_there_already);
    g_test_add_func("/switch/rule-fails", test_rule_fails);
    g_test_add_func("/switch/bad-stream", test_bad_stream);
    g_test_add_func("/switch/interrupted", test_interrupted);
    g_test_add_func("/switch/lost-after-commit", test_lost_after_commit);
    g_test_add_func("/switch/source-dies", test_source_dies);
    g_test_add_func("/switch/start-fails", test_start_fails);
    return g_test_run();
}
