/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process: its command line, its sockets, its loop. See fakeqemu.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakeqemu/fakeqemu.h"
#include "qemu/command.h"
#include "qemu/ram.h"
#include "util/fd.h"
#include "util/json.h"

/* A search for leaks at its end is done by a second process with the same command
 * line, which outlives it: a test that looks for remains would find that. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* As QEMU does, refuse what it does not know. */
static void
read_arguments(FakeQemu *qemu, int argc, char **argv)
{
    qemu->run_state = "prelaunch";
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        int monitor, fd;

        if (strcmp(argv[i], "-pidfile") == 0) {
            g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

            /* As QEMU: in place, with no other file that a SIGKILL could leave. */
            g_file_set_contents_full(value, text, -1, G_FILE_SET_CONTENTS_NONE, 0666,
                                     NULL);
            qemu->name = g_path_get_basename(value);
        } else if (strcmp(argv[i], "-incoming") == 0) {
            qemu->run_state = "inmigrate";
        } else if (sscanf(value, "socket,id=mose-qmp%d,fd=%d,server=on,wait=off",
                          &monitor, &fd) == 2) {
            g_assert_cmpint(monitor, <, FAKE_N_MONITORS);
            qemu->listeners[monitor] = fd;
        }
    }
}

static void
greet(FakeQemu *qemu, int monitor)
{
    int fd = accept(qemu->listeners[monitor], NULL, NULL);
    int major = 10, minor = 0, micro = 2;
    const FakeAct *act;
    g_autofree char *text = NULL;
    FakeClient *client = qemu->clients;

    if (fd < 0)
        return;
    while (client->used)
        client++;
    g_assert_cmpint(client - qemu->clients, <, FAKE_MAX_CLIENTS);
    fake_line_init(&client->line, fd);
    client->used = TRUE;
    client->monitor = monitor;
    client->commands = 0;
    fake_script_load(qemu);
    act = fake_script_find(qemu, "greeting");
    if (act)
        sscanf(act->what, "%d.%d.%d", &major, &minor, &micro);
    text = g_strdup_printf("{\"QMP\": {\"version\": {\"qemu\": {\"micro\": %d, "
                           "\"minor\": %d, \"major\": %d}, \"package\": \"\"}, "
                           "\"capabilities\": [\"oob\"]}}\r\n",
                           micro, minor, major);
    fake_line_send(&client->line, text);
}

static void
hang_up(FakeClient *client)
{
    fake_line_clear(&client->line);
    client->used = FALSE;
}

static void
note_command(const FakeQemu *qemu, const char *command, JsonObject *object)
{
    const char *human =
        mose_json_string(mose_json_child(object, "arguments"), "command-line", "");
    g_autofree char *text = g_strconcat(command, *human ? " " : "", human, NULL);

    fake_note(qemu, text);
}

static void
serve_line(FakeQemu *qemu, FakeClient *client, const char *line)
{
    g_autoptr(JsonObject) object = mose_json_parse(line, -1, "command", NULL);
    const char *command = mose_json_string(object, "execute", "");
    g_autofree char *answer = NULL;
    gboolean close = FALSE;

    g_assert_nonnull(object);
    note_command(qemu, command, object);
    client->commands++;
    answer = fake_answer(qemu, client, command, mose_json_child(object, "arguments"),
                         &close);
    if (answer) {
        g_autofree char *text = g_strconcat(answer, "\r\n", NULL);

        fake_line_send(&client->line, text);
    } else if (close) {
        hang_up(client);
    }
    if (strcmp(command, "quit") == 0)
        exit(0);
    /* A copy goes on until enough has been told of it. */
    if (strcmp(command, qemu->rounds ? "query-migrate" : "migrate") == 0 &&
        qemu->channel >= 0 && !qemu->incoming && !qemu->sent && !fake_copies(qemu))
        fake_migration_send(qemu);
}

static void
serve(FakeQemu *qemu, FakeClient *client)
{
    char *line;

    if (!fake_line_fill(&client->line)) {
        hang_up(client);
        return;
    }
    while (client->used && (line = fake_line_take(&client->line))) {
        serve_line(qemu, client, line);
        g_free(line);
    }
}

/* Wait, and serve whoever wants something. */
static void
turn(FakeQemu *qemu)
{
    struct pollfd fds[FAKE_N_MONITORS + FAKE_MAX_CLIENTS + 1];
    struct pollfd *channel = &fds[FAKE_N_MONITORS + FAKE_MAX_CLIENTS];

    for (int i = 0; i < FAKE_N_MONITORS; i++)
        fds[i] = (struct pollfd){ qemu->listeners[i], POLLIN, 0 };
    for (int i = 0; i < FAKE_MAX_CLIENTS; i++)
        fds[FAKE_N_MONITORS + i] =
            (struct pollfd){ qemu->clients[i].used ? qemu->clients[i].line.fd : -1,
                             POLLIN, 0 };
    *channel = (struct pollfd){ qemu->channel, POLLIN, 0 };
    if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
        return;
    if (channel->revents)
        fake_migration_input(qemu);
    for (int i = 0; i < FAKE_MAX_CLIENTS; i++)
        if (fds[FAKE_N_MONITORS + i].revents)
            serve(qemu, &qemu->clients[i]);
    for (int i = 0; i < FAKE_N_MONITORS; i++)
        if (fds[i].revents)
            greet(qemu, i);
}

int
main(int argc, char **argv)
{
    FakeQemu qemu = { .given = MOSE_FD_NONE, .channel = MOSE_FD_NONE };
    struct stat ram;

    /* A test that ends early leaves nothing behind. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    qemu.dir = g_strdup(g_getenv("FAKEQEMU_DIR"));
    read_arguments(&qemu, argc, argv);
    if (!qemu.dir || !qemu.name || fstat(MOSE_RAM_FD, &ram) < 0) {
        fprintf(stderr, "fakeqemu: no $FAKEQEMU_DIR, -pidfile or RAM\n");
        return 2;
    }
    qemu.ram_size = ram.st_size;
    fake_script_load(&qemu);
    fake_script_act(fake_script_find(&qemu, "start"));
    for (;;)
        turn(&qemu);
}
