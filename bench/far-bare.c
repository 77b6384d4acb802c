/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both QEMUs are started anew from MOSE's command line, with monitors of their own: the
 * hosts have their files in common, a unix socket's name works from here. */
#include "bench/far-bare.h"

#include <gio/gunixoutputstream.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "bench/plain.h"
#include "lib/vm.h"
#include "util/json.h"

#define START_TIMEOUT_MS 30000
#define FILL_SECONDS 120
#define PORT 4446
#define FIRST_DOWNTIME_MS 300 /* QEMU's own */

typedef struct {
    GSubprocess *process;
    MoseQmp *qmp;
} Qemu;

struct FarBare {
    Hosts *hosts;
    GPtrArray *argv;
    Qemu source;
};

/* It listens some time after its start. */
static MoseQmp *
connect_to(const char *monitor)
{
    gint64 limit = g_get_monotonic_time() + START_TIMEOUT_MS * 1000;

    for (;;) {
        g_autoptr(GError) error = NULL;
        MoseQmp *qmp = mose_qmp_connect(monitor, START_TIMEOUT_MS, &error);

        if (qmp)
            return qmp;
        if (g_get_monotonic_time() > limit)
            g_error("%s", error->message);
        g_usleep(10000);
    }
}

static Qemu
start(FarBare *bare, HostSide side, gboolean incoming)
{
    const char *name = incoming ? "bare.there" : "bare.here";
    g_autofree char *monitor = vm_path(name);
    g_autofree char *option = g_strdup_printf("unix:%s,server=on,wait=off", monitor);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    Qemu qemu;

    g_unlink(monitor);
    for (guint i = 0; i < bare->argv->len && bare->argv->pdata[i]; i++)
        g_ptr_array_add(argv, bare->argv->pdata[i]);
    g_ptr_array_add(argv, (gpointer) "-qmp");
    g_ptr_array_add(argv, option);
    if (incoming) {
        g_ptr_array_add(argv, (gpointer) "-incoming");
        g_ptr_array_add(argv, (gpointer) "defer");
    }
    g_ptr_array_add(argv, NULL);
    qemu.process = hosts_spawn(bare->hosts, side, G_SUBPROCESS_FLAGS_STDIN_PIPE,
                               (const char *const *)argv->pdata);
    qemu.qmp = connect_to(monitor);
    return qemu;
}

static void
end(Qemu *qemu)
{
    g_subprocess_force_exit(qemu->process);
    g_subprocess_wait(qemu->process, NULL, NULL);
    g_clear_object(&qemu->process);
    mose_qmp_free(qemu->qmp);
}

FarBare *
far_bare_new(Hosts *hosts, pid_t pid, const char *name)
{
    FarBare *bare = g_new0(FarBare, 1);
    VmGuest twin = { .console = vm_path("bare.console") };

    bare->hosts = hosts;
    bare->argv = plain_argv(pid, PLAIN_ALONE, name, "bare.");
    bare->source = start(bare, HOST_HERE, FALSE);
    vm_wait_console(&twin, "R", FILL_SECONDS);
    g_free(twin.console);
    return bare;
}

void
far_bare_free(FarBare *bare)
{
    end(&bare->source);
    g_ptr_array_unref(bare->argv);
    g_free(bare);
}

static void
set_up(MoseQmp *qmp, guint channels)
{
    plain_set_capability(qmp, "events", TRUE);
    plain_set_capability(qmp, "multifd", channels > 0);
    plain_command(qmp, "migrate-set-parameters",
                  mose_json_object("max-bandwidth", "i", (gint64)0, "downtime-limit",
                                   "i", (gint64)FIRST_DOWNTIME_MS, "multifd-channels",
                                   "i", (gint64)MAX(channels, 1), NULL));
}

static void
migrate(MoseQmp *qmp, const char *command, const char *uri)
{
    plain_command(qmp, command, mose_json_object("uri", "s", uri, NULL));
}

/* From `migrate` on. */
static gint64
finish(FarBare *bare, Qemu *there, const char *uri)
{
    gint64 begin = g_get_monotonic_time(), us;

    migrate(bare->source.qmp, "migrate", uri);
    plain_wait_completed(bare->source.qmp);
    plain_wait_completed(there->qmp);
    plain_command(there->qmp, "cont", NULL);
    plain_wait_event(there->qmp, "RESUME");
    us = g_get_monotonic_time() - begin;
    plain_command(bare->source.qmp, "cont", NULL);
    return us;
}

static gint64
by_tcp(FarBare *bare, Qemu *there)
{
    g_autofree char *uri = g_strdup_printf("tcp:%s:%d", hosts_ip(HOST_THERE), PORT);

    migrate(there->qmp, "migrate-incoming", uri);
    return finish(bare, there, uri);
}

/* The other side of @fifo is opened when the login is over. */
static GSubprocess *
start_ssh(FarBare *bare, const char *fifo)
{
    g_autofree char *line =
        g_strdup_printf("%s %s 'exec cat >%s'", hosts_rsh(bare->hosts),
                        hosts_address(bare->hosts, HOST_THERE), fifo);
    g_auto(GStrv) words = NULL;

    g_assert_true(g_shell_parse_argv(line, NULL, &words, NULL));
    return hosts_spawn(bare->hosts, HOST_HERE, G_SUBPROCESS_FLAGS_STDIN_PIPE,
                       (const char *const *)words);
}

static gint64
by_ssh(FarBare *bare, Qemu *there)
{
    g_autofree char *fifo = vm_path("bare.fifo");
    g_autofree char *uri = g_strdup_printf("exec:exec cat %s", fifo);
    g_autoptr(GSubprocess) ssh = NULL;
    g_autoptr(GError) error = NULL;
    GOutputStream *in;
    gint64 us;

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    ssh = start_ssh(bare, fifo);
    in = g_subprocess_get_stdin_pipe(ssh);
    migrate(there->qmp, "migrate-incoming", uri);
    g_usleep(G_USEC_PER_SEC); /* the login */
    mose_qmp_send_fd(bare->source.qmp, "ssh",
                     g_unix_output_stream_get_fd(G_UNIX_OUTPUT_STREAM(in)), &error);
    g_assert_no_error(error);
    g_output_stream_close(in, NULL, NULL);
    us = finish(bare, there, "fd:ssh");
    g_subprocess_wait(ssh, NULL, NULL);
    g_unlink(fifo);
    return us;
}

gint64
far_bare_migrate(FarBare *bare, guint channels)
{
    Qemu there = start(bare, HOST_THERE, TRUE);
    gint64 us;

    set_up(bare->source.qmp, channels);
    set_up(there.qmp, channels);
    us = channels > 0 ? by_tcp(bare, &there) : by_ssh(bare, &there);
    end(&there);
    return us;
}
