/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * httpload: keeps HTTP connections busy and tells what became of them, as JSON,
 * when it ends: after --duration, at SIGTERM or SIGINT, or when a file appears.
 * Each line on its standard input begins a new phase of that name. It never
 * hides a broken connection: that is an error unless --reconnect allows it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

#define NS_PER_MS G_GINT64_CONSTANT(1000000)

static struct {
    int connections;
    double duration;
    double timeout;
    char *path;
    char *until_file;
    gboolean reconnect;
    gboolean same_body;
} options = { .connections = 8 };

static const GOptionEntry entries[] = {
    { "connections", 'c', 0, G_OPTION_ARG_INT, &options.connections,
      "how many connections (8)", "N" },
    { "duration", 'd', 0, G_OPTION_ARG_DOUBLE, &options.duration, "end after this time",
      "SECONDS" },
    { "until-file", 0, 0, G_OPTION_ARG_FILENAME, &options.until_file,
      "end when this file exists", "FILE" },
    { "timeout", 't', 0, G_OPTION_ARG_DOUBLE, &options.timeout,
      "a reply that takes longer is an error (never)", "SECONDS" },
    { "path", 'p', 0, G_OPTION_ARG_STRING, &options.path, "what to request (/)",
      "PATH" },
    { "reconnect", 'r', 0, G_OPTION_ARG_NONE, &options.reconnect,
      "make broken connections anew, and count them apart", NULL },
    { "same-body", 's', 0, G_OPTION_ARG_NONE, &options.same_body,
      "each reply must have the first one's body", NULL },
    { NULL },
};

enum { INPUT, SIGNALS, FIRST_CONNECTION };

typedef struct {
    Load load;
    Connection **connections;
    struct pollfd *fds;
    GString *marks; /* an unfinished line of standard input */
    gint64 end;
    gboolean stop;
} Run;

static gint64
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static gboolean
parse_address(const char *text, struct sockaddr_in *ret)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;
    guint64 port;

    if (!colon || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
        return FALSE;
    host = g_strndup(text, (gsize)(colon - text));
    ret->sin_family = AF_INET;
    ret->sin_port = htons((guint16)port);
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                     &ret->sin_addr) == 1;
}

static gboolean
parse(int argc, char **argv, Load *load)
{
    g_autoptr(GOptionContext) context = g_option_context_new("ADDRESS:PORT");
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, "Keeps HTTP connections busy and reports.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("httpload: %s\n", error->message);
        return FALSE;
    }
    if (argc != 2 || !parse_address(argv[1], &load->address) ||
        options.connections < 1 || options.connections > 1000) {
        g_printerr("usage: httpload [--connections 1..1000] [OPTIONS] IPV4:PORT\n");
        return FALSE;
    }
    load->request = g_strdup_printf("GET %s HTTP/1.1\r\nHost: guest\r\n\r\n",
                                    options.path ? options.path : "/");
    load->reconnect = options.reconnect;
    load->same_body = options.same_body;
    load->reply_limit = (gint64)(options.timeout * 1000) * NS_PER_MS;
    return TRUE;
}

static int
open_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* Each whole line of standard input begins a phase; its end is no event. */
static void
read_marks(Run *run, gint64 now)
{
    char buffer[4096];
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    char *newline;

    if (got <= 0) {
        run->fds[INPUT].fd = -1;
        return;
    }
    g_string_append_len(run->marks, buffer, got);
    while ((newline = strchr(run->marks->str, '\n'))) {
        *newline = '\0';
        tally_begin_phase(run->load.tally, run->marks->str, now);
        g_string_erase(run->marks, 0, newline - run->marks->str + 1);
    }
}

/* Fill in what to poll for; returns how long, in ms. */
static int
prepare(Run *run, gint64 now)
{
    gint64 deadline = run->end;

    for (int i = 0; i < options.connections; i++) {
        struct pollfd *fd = &run->fds[FIRST_CONNECTION + i];

        fd->fd = connection_fd(run->connections[i]);
        fd->events = connection_events(run->connections[i]);
        deadline = MIN(deadline, connection_deadline(run->connections[i]));
    }
    if (options.until_file)
        deadline = MIN(deadline, now + 100 * NS_PER_MS);
    if (deadline == G_MAXINT64)
        return -1;
    return (int)CLAMP((deadline - now) / NS_PER_MS + 1, 0, 3600 * 1000);
}

static void
dispatch(Run *run, gint64 now)
{
    if (run->fds[INPUT].fd >= 0 && run->fds[INPUT].revents)
        read_marks(run, now);
    for (int i = 0; i < options.connections; i++)
        connection_step(run->connections[i], run->fds[FIRST_CONNECTION + i].revents,
                        now);
    if (run->fds[SIGNALS].revents || now >= run->end ||
        (options.until_file && access(options.until_file, F_OK) == 0))
        run->stop = TRUE;
}

static int
report(const Run *run)
{
    int alive = 0;

    for (int i = 0; i < options.connections; i++)
        alive += connection_is_alive(run->connections[i]);
    printf("{\n  \"connections\": %d, \"connections_alive\": %d,\n",
           options.connections, alive);
    tally_print(run->load.tally, stdout);
    printf("\n}\n");
    return tally_is_clean(run->load.tally) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
run_start(Run *run)
{
    const gint64 now = now_ns();

    run->load.tally = tally_new(now);
    run->marks = g_string_new(NULL);
    run->end = options.duration > 0
                   ? now + (gint64)(options.duration * 1000) * NS_PER_MS
                   : G_MAXINT64;
    run->fds = g_new0(struct pollfd, FIRST_CONNECTION + options.connections);
    run->fds[INPUT] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    run->fds[SIGNALS] = (struct pollfd){ .fd = open_signals(), .events = POLLIN };
    run->connections = g_new0(Connection *, options.connections);
    for (int i = 0; i < options.connections; i++)
        run->connections[i] = connection_new(&run->load, (guint)i, now);
}

static void
run_clear(Run *run)
{
    for (int i = 0; i < options.connections; i++)
        connection_free(run->connections[i]);
    g_free(run->connections);
    close(run->fds[SIGNALS].fd);
    g_free(run->fds);
    g_string_free(run->marks, TRUE);
    tally_free(run->load.tally);
    g_clear_pointer(&run->load.body, g_byte_array_unref);
    g_free(run->load.request);
}

int
main(int argc, char **argv)
{
    Run run = { 0 };
    int status;

    if (!parse(argc, argv, &run.load))
        return 2;
    run_start(&run);
    while (!run.stop) {
        const int wait = prepare(&run, now_ns());

        if (poll(run.fds, (nfds_t)(FIRST_CONNECTION + options.connections), wait) >= 0)
            dispatch(&run, now_ns());
        else if (errno != EINTR)
            g_error("poll: %s", g_strerror(errno));
    }
    tally_end(run.load.tally, now_ns());
    status = report(&run);
    run_clear(&run);
    return status;
}
