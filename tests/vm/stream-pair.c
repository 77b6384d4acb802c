/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pair: starting, the relay's thread, waiting for both to be done. */
#include "vm/stream-pair.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define LIMIT_MS 60000

void
pair_write_boot_sector(const char *path)
{
    /* In real mode: say so by way of pvpanic (event GUEST_CRASHLOADED), then add one to
     * a byte in each KiB of the 64 KiB at 0x20000, for ever. */
    static const guint8 code[] = {
        0xba, 0x05, 0x05,       /* mov $0x505, %dx */
        0xb0, 0x02,             /* mov $2, %al */
        0xee,                   /* out %al, (%dx) */
        0xb8, 0x00, 0x20,       /* mov $0x2000, %ax */
        0x8e, 0xd8,             /* mov %ax, %ds */
        0x31, 0xdb,             /* xor %bx, %bx */
        0xfe, 0x07,             /* 1: incb (%bx) */
        0x81, 0xc3, 0x00, 0x04, /* add $0x400, %bx */
        0xeb, 0xf8,             /* jmp 1b */
    };
    guint8 sector[512] = { 0 };
    g_autoptr(GError) error = NULL;

    memcpy(sector, code, sizeof(code));
    sector[510] = 0x55;
    sector[511] = 0xaa;
    g_file_set_contents(path, (const char *)sector, sizeof(sector), &error);
    g_assert_no_error(error);
}

void
vm_do(Vm *vm, const char *command, const char *json)
{
    g_autoptr(GError) error = NULL;
    JsonObject *arguments = NULL;

    if (json) {
        arguments = mose_json_parse(json, -1, command, &error);
        g_assert_no_error(error);
    }
    mose_qmp_run(vm->qmp, command, arguments, &error);
    g_assert_no_error(error);
}

char *
vm_hmp(Vm *vm, const char *line)
{
    g_autoptr(GError) error = NULL;
    char *text = mose_qmp_hmp(vm->qmp, line, &error);

    g_assert_no_error(error);
    return text;
}

static gboolean
set_capabilities(Vm *vm, const char *const *caps, GError **error)
{
    JsonArray *list = json_array_new();

    json_array_add_object_element(
        list, mose_json_object("capability", "s", "events", "state", "b", TRUE, NULL));
    for (; caps && *caps; caps++)
        json_array_add_object_element(
            list, mose_json_object("capability", "s", *caps, "state", "b", TRUE, NULL));
    return mose_qmp_run(vm->qmp, "migrate-set-capabilities",
                        mose_json_object("capabilities", "a", list, NULL), error);
}

/* Connect once QEMU has made its monitor, or has ended. */
static MoseQmp *
connect_to(const Vm *vm, const char *path, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + LIMIT_MS * (gint64)1000;
    MoseQmp *qmp = NULL;

    while (!qmp && g_get_monotonic_time() < deadline) {
        g_clear_error(error);
        qmp = mose_qmp_connect(path, LIMIT_MS, error);
        if (!qmp && mose_process_wait(vm->process, 10))
            break;
    }
    return qmp;
}

static gboolean
vm_start(Vm *vm, const Pair *pair, const char *name, const char *const *args,
         gboolean incoming, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s.qmp", pair->dir, name);
    g_autofree char *monitor = g_strdup_printf("unix:%s,server=on,wait=off", path);
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    /* Should an assertion end the test, they end, too. */
    const char *const first[] = {
        "setpriv",     "--pdeathsig", "KILL",    "qemu-system-x86_64",
        "-nodefaults", "-display",    "none",    "-accel",
        "tcg",         "-device",     "pvpanic", "-qmp",
        monitor
    };

    for (gsize i = 0; i < G_N_ELEMENTS(first); i++)
        g_ptr_array_add(argv, g_strdup(first[i]));
    for (; *args; args++) {
        g_auto(GStrv) parts = g_strsplit(*args, "%d", -1);

        g_ptr_array_add(argv, g_strjoinv(pair->dir, parts));
    }
    if (incoming) {
        g_ptr_array_add(argv, g_strdup("-incoming"));
        g_ptr_array_add(argv, g_strdup("defer"));
    }
    g_ptr_array_add(argv, NULL);
    vm->log = g_strdup_printf("%s/%s.log", pair->dir, name);
    vm->process = mose_process_spawn((const char *const *)argv->pdata, NULL, vm->log,
                                     NULL, 0, error);
    if (!vm->process)
        return FALSE;
    vm->qmp = connect_to(vm, path, error);
    if (!vm->qmp) {
        g_autofree char *said = mose_log_tail(vm->log, 0, 1000);

        g_prefix_error(error, "%s: ", said);
        return FALSE;
    }
    return TRUE;
}

Pair *
pair_new(const char *const *args, const char *const *caps, GError **error)
{
    Pair *pair = g_new0(Pair, 1);
    g_autofree char *boot = NULL;

    pair->dir = g_dir_make_tmp("mose-stream-XXXXXX", error);
    g_assert_no_error(*error);
    pair->in = g_byte_array_new();
    pair->out = g_byte_array_new();
    boot = g_build_filename(pair->dir, "boot", NULL);
    pair_write_boot_sector(boot);
    if (!vm_start(&pair->from, pair, "from", args, FALSE, error) ||
        !vm_start(&pair->to, pair, "to", args, TRUE, error) ||
        !set_capabilities(&pair->from, caps, error) ||
        !set_capabilities(&pair->to, caps, error) ||
        !mose_qmp_wait_event(pair->from.qmp, "GUEST_CRASHLOADED", LIMIT_MS, -1, NULL,
                             error)) {
        pair_free(pair);
        return NULL;
    }
    return pair;
}

static void
vm_stop(Vm *vm)
{
    if (vm->process)
        mose_process_kill(vm->process);
    mose_qmp_free(vm->qmp);
    mose_process_free(vm->process);
    g_free(vm->log);
}

void
pair_free(Pair *pair)
{
    g_autoptr(GDir) dir = g_dir_open(pair->dir, 0, NULL);
    const char *name;

    vm_stop(&pair->from);
    vm_stop(&pair->to);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(pair->dir, name, NULL);

        g_unlink(path);
    }
    g_rmdir(pair->dir);
    g_byte_array_unref(pair->in);
    g_byte_array_unref(pair->out);
    mose_rewriter_free(pair->rewriter);
    g_free(pair->dir);
    g_free(pair);
}

static void
rewrite_bytes(Pair *pair, const guint8 *data, gsize len, int to)
{
    g_autoptr(GError) error = NULL;
    guint before = pair->out->len;

    g_byte_array_append(pair->in, data, (guint)len);
    mk_rewrite(pair->rewriter, data, len, pair->out, &error);
    g_assert_no_error(error);
    mose_fd_write_all(to, pair->out->data + before, pair->out->len - before,
                      "destination", &error);
    g_assert_no_error(error);
}

static void
expect_outcome(Vm *vm, const char *name)
{
    g_autoptr(GError) error = NULL;
    const char *status = NULL;

    do {
        MoseQmpEvent event = { 0 };

        mose_qmp_wait_event(vm->qmp, "MIGRATION", LIMIT_MS, -1, &event, &error);
        if (error) {
            g_autofree char *said = mose_log_tail(vm->log, 0, 1000);

            g_error("%s: %s (%s)", name, error->message, said);
        }
        status = mose_json_string(event.data, "status", "none");
    } while (strcmp(status, "completed") != 0 && strcmp(status, "failed") != 0);
    g_assert_cmpstr(status, ==, "completed");
}

static void
expect_running(Vm *vm)
{
    g_autoptr(GError) error = NULL;
    JsonObject *status;

    mose_qmp_wait_event(vm->qmp, "RESUME", LIMIT_MS, -1, NULL, &error);
    g_assert_no_error(error);
    status = mose_qmp_query(vm->qmp, "query-status", NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(mose_json_string(status, "status", ""), ==, "running");
    json_object_unref(status);
}

static void
vm_uri(Vm *vm, const char *command, const char *kind, const char *path)
{
    g_autofree char *json = g_strdup_printf("{\"uri\": \"%s:%s\"}", kind, path);

    vm_do(vm, command, json);
}

/* Live. */

typedef struct {
    Pair *pair;
    int from;
    int to;
} Relay;

static gpointer
relay_thread(gpointer data)
{
    Relay *relay = data;
    g_autofree guint8 *chunk = g_malloc(65536);

    while (!mose_rewriter_done(relay->pair->rewriter)) {
        ssize_t n = TEMP_FAILURE_RETRY(read(relay->from, chunk, 65536));

        g_assert_cmpint(n, >, 0);
        rewrite_bytes(relay->pair, chunk, (gsize)n, relay->to);
    }
    shutdown(relay->to, SHUT_WR);
    return NULL;
}

void
pair_hold_return(Pair *pair)
{
    pair->held = TRUE;
}

void
pair_release_return(Pair *pair)
{
    g_mutex_lock(&pair->mutex);
    pair->held = FALSE;
    g_cond_signal(&pair->released);
    g_mutex_unlock(&pair->mutex);
}

/* The return path, where there is one, needs no understanding. */
static gpointer
return_thread(gpointer data)
{
    const Relay *relay = data;
    guint8 chunk[4096];
    ssize_t n;

    g_mutex_lock(&relay->pair->mutex);
    while (relay->pair->held)
        g_cond_wait(&relay->pair->released, &relay->pair->mutex);
    g_mutex_unlock(&relay->pair->mutex);
    while ((n = TEMP_FAILURE_RETRY(read(relay->to, chunk, sizeof(chunk)))) > 0)
        mose_fd_write_all(relay->from, chunk, (gsize)n, "source", NULL);
    shutdown(relay->from, SHUT_RDWR);
    return NULL;
}

static int
accept_main_channel(int listening)
{
    struct pollfd fd = { listening, POLLIN, 0 };

    g_assert_cmpint(poll(&fd, 1, LIMIT_MS), ==, 1);
    return accept(listening, NULL, NULL);
}

/* One way between two sockets, until one side ends it. */
typedef struct {
    int from;
    int to;
} Pump;

static gpointer
pump_thread(gpointer data)
{
    g_autofree Pump *pump = data;
    g_autofree guint8 *chunk = g_malloc(65536);
    ssize_t n;

    while ((n = TEMP_FAILURE_RETRY(read(pump->from, chunk, 65536))) > 0 &&
           mose_fd_write_all(pump->to, chunk, (gsize)n, "channel", NULL))
        ;
    shutdown(pump->to, SHUT_WR);
    return NULL;
}

static void
pump(int from, int to)
{
    Pump *way = g_new(Pump, 1);

    *way = (Pump){ from, to };
    g_thread_unref(g_thread_new("pump", pump_thread, way));
}

/* Channels that were quicker than the renaming below have come to us, too. */
typedef struct {
    int listening;
    const char *path; /* the destination's */
    gint over;        /* atomic */
} Strays;

static gpointer
strays_thread(gpointer data)
{
    Strays *strays = data;
    struct pollfd fd = { strays->listening, POLLIN, 0 };

    while (!g_atomic_int_get(&strays->over)) {
        int stray, to;

        if (poll(&fd, 1, 20) <= 0)
            continue;
        stray = accept(strays->listening, NULL, NULL);
        to = mose_unix_connect(strays->path, NULL);
        g_assert_cmpint(stray, >=, 0);
        g_assert_cmpint(to, >=, 0);
        pump(stray, to);
        pump(to, stray);
    }
    return NULL;
}

/* The source's main channel comes to us; its other channels (multifd) find the
 * destination's socket at the same path. */
static void
migrate_by_socket(Pair *pair, void (*meanwhile)(Pair *pair))
{
    g_autofree char *ours = g_build_filename(pair->dir, "s", NULL);
    g_autofree char *theirs = g_build_filename(pair->dir, "d", NULL);
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) listening = mose_unix_listen(ours, &error);
    g_auto(MoseFd) from = MOSE_FD_NONE;
    g_auto(MoseFd) to = MOSE_FD_NONE;
    Relay relay = { .pair = pair };
    Strays strays = { listening, ours, 0 };
    GThread *thread, *back, *other;

    g_assert_no_error(error);
    vm_uri(&pair->to, "migrate-incoming", "unix", theirs);
    vm_uri(&pair->from, "migrate", "unix", ours);
    relay.from = from = accept_main_channel(listening);
    relay.to = to = mose_unix_connect(theirs, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_rename(theirs, ours), ==, 0);
    other = g_thread_new("strays", strays_thread, &strays);
    thread = g_thread_new("relay", relay_thread, &relay);
    back = g_thread_new("return", return_thread, &relay);
    if (meanwhile)
        meanwhile(pair);
    expect_outcome(&pair->from, "source");
    g_thread_join(thread);
    g_thread_join(back);
    g_atomic_int_set(&strays.over, 1);
    g_thread_join(other);
}

/* By way of files. */

static void
migrate_by_file(Pair *pair)
{
    g_autofree char *from = g_build_filename(pair->dir, "from.stream", NULL);
    g_autofree char *to = g_build_filename(pair->dir, "to.stream", NULL);
    g_autofree char *bytes = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    vm_uri(&pair->from, "migrate", "file", from);
    expect_outcome(&pair->from, "source");
    g_file_get_contents(from, &bytes, &len, &error);
    g_assert_no_error(error);
    g_byte_array_append(pair->in, (const guint8 *)bytes, (guint)len);
    mk_rewrite(pair->rewriter, pair->in->data, len, pair->out, &error);
    g_assert_no_error(error);
    g_file_set_contents(to, (const char *)pair->out->data, pair->out->len, &error);
    g_assert_no_error(error);
    vm_uri(&pair->to, "migrate-incoming", "file", to);
}

void
pair_migrate(Pair *pair, PairWay way, MoseRewriteFunc rewrite, gpointer data,
             void (*meanwhile)(Pair *pair))
{
    g_autoptr(GError) error = NULL;

    pair->rewriter = mose_rewriter_new(rewrite, data);
    if (way == BY_SOCKET)
        migrate_by_socket(pair, meanwhile);
    else
        migrate_by_file(pair);
    mose_rewriter_finish(pair->rewriter, &error);
    g_assert_no_error(error);
    expect_outcome(&pair->to, "destination");
    expect_running(&pair->to);
}
