/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch between two processes that only look like QEMU: whatever goes wrong
 * before the commit, the guest runs on in its source, nothing is left of the
 * destination, and the error says what it was.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "lib/stage.h"
#include "util/fd.h"

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
    { .name = "feature-lost/once",
      .source = "features sse2 vme sse4.1 sse4-1",
      .code = MOSE_ERROR_REFUSED,
      .text = "that the destination lacks: sse4.1; start the guest" },
    { .name = "device-lost",
      .source = "device virtio-balloon-pci",
      .code = MOSE_ERROR_REFUSED,
      .text = "rule devices: the guest has devices that the destination lacks: "
              "virtio-balloon-pci" },
    { .name = "device-appears",
      .destination = "device virtio-balloon-pci",
      .code = MOSE_ERROR_REFUSED,
      .text = "rule devices: the guest lacks devices that the destination has: "
              "virtio-balloon-pci" },
    { .name = "blocked",
      .source = "query-migrate say {\"return\": {\"blocked-reasons\": [\"vvfat\"]}}",
      .code = MOSE_ERROR_REFUSED,
      .text = "rule blocked: QEMU does not migrate this guest: vvfat" },
    { .name = "migration-hangs",
      .source = "query-yank say {\"return\": [{\"type\": \"chardev\", \"id\": \"c\"}, "
                "{\"type\": \"migration\"}]}",
      .code = MOSE_ERROR_REFUSED,
      .text = "this QEMU's migration thread hangs" },
    { .name = "facts-missing",
      .destination = "query-cpus-fast say {\"return\": []}",
      .code = MOSE_ERROR_QMP,
      .text = "query-cpus-fast: no CPU" },
    { .name = "facts-senseless",
      .source = "qom-list say {\"return\": 1}",
      .code = MOSE_ERROR_QMP,
      .text = "qom-list /machine/peripheral: no list" },
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
    { .name = "destination-dies-before-it-runs",
      .destination = "cont exit Aborted",
      .code = MOSE_ERROR_CLOSED,
      .text = "the destination ended before it ran the guest; it said: fakeqemu: "
              "Aborted",
      .moved = TRUE,
      .conts = 1 },
    { .name = "reset",
      .source = "query-status tell RESET",
      .code = MOSE_ERROR_FAILED,
      .text = "the guest was reset in the moment at which it was to move",
      .moved = TRUE,
      .conts = 1 },
    { .name = "source-monitor-cut",
      .source = "migrate close",
      .code = MOSE_ERROR_CLOSED,
      .text = "migrate: monitor",
      .moved = TRUE },
    { .name = "cont-refused",
      .destination = "cont fail Failed to get \"write\" lock",
      .code = MOSE_ERROR_QMP,
      .text = "cont: Failed to get \"write\" lock (GenericError)",
      .moved = TRUE,
      .conts = 1 },
};

static void
test_source_kept(gconstpointer data)
{
    const Case *c = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *state = NULL;
    Stage stage;

    stage_begin(&stage, c->source);
    if (c->big) {
        g_autoptr(GByteArray) stream = mk_big_stream();

        stage_write(&stage, "stream", (const char *)stream->data, stream->len);
    }
    if (c->destination)
        stage_write(&stage, "pid.2.script", c->destination, -1);
    g_assert_false(stage_switch(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, c->code, c->text);
    g_assert_cmpstr(stage_last_event(&stage, "failed", "reason"), ==, error->message);

    g_assert_true(stage_guest_runs(&stage));
    g_assert_cmpint(stage_count(&stage, 1, "migrate"), ==, c->moved);
    /* One from the start. */
    g_assert_cmpint(stage_count(&stage, 1, "cont"), ==, 1 + c->conts);
    stage_assert_no_journal(&stage);
    stage_assert_nothing_left(&stage, 2);
    g_assert_cmpint(stage.guest->side, ==, MOSE_SIDE_VIRTUALIZER);
    state = stage_state(&stage);
    g_assert_cmpstr(state, ==, stage.state);

    /* The next try is as good as the first. */
    if (c->destination) {
        g_clear_error(&error);
        stage_switch(&stage, MOSE_SIDE_EMULATOR, &error);
        g_assert_no_error(error);
    }
    stage_end(&stage);
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

    stage_begin(&stage, NULL);
    g_assert_false(mose_switch(stage.guest, &options, &report, &error));
    assert_says(error, MOSE_ERROR_STREAM, "section dev: no field a");
    g_assert_true(stage_guest_runs(&stage));
    stage_assert_nothing_left(&stage, 2);
    stage_end(&stage);
}

/* A stream that MOSE cannot read: refused where it stands. */
static void
test_bad_stream(void)
{
    g_autoptr(GError) error = NULL;
    Stage stage;

    stage_begin(&stage, NULL);
    stage_write(&stage, "stream", "this is no migration stream", -1);
    g_assert_false(stage_switch(&stage, MOSE_SIDE_EMULATOR, &error));
    assert_says(error, MOSE_ERROR_STREAM, "0x0");
    g_assert_true(stage_guest_runs(&stage));
    stage_assert_no_journal(&stage);
    stage_assert_nothing_left(&stage, 2);
    stage_end(&stage);
}

typedef struct {
    const char *phase;
    int fd;
} Interruption;

static void
interrupt(const MoseSwitchProgress *progress, gpointer data)
{
    const Interruption *interruption = data;
    guint64 one = 1;

    if (strcmp(progress->phase, interruption->phase) == 0)
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

        stage_begin(&stage, NULL);
        g_test_message("%s", phases[i]);
        g_assert_false(mose_switch(stage.guest, &options, &report, &error));
        assert_says(error, MOSE_ERROR_INTERRUPTED, "the guest stays where it is");
        g_assert_true(stage_guest_runs(&stage));
        stage_assert_no_journal(&stage);
        stage_assert_nothing_left(&stage, 2);
        stage_end(&stage);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("/fake-switch/source-kept/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_source_kept);
    }
    g_test_add_func("/fake-switch/rule-fails", test_rule_fails);
    g_test_add_func("/fake-switch/bad-stream", test_bad_stream);
    g_test_add_func("/fake-switch/interrupted", test_interrupted);
    return g_test_run();
}
