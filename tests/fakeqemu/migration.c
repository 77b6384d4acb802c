/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both sides of a migration, as far as it can be seen from outside: states,
 * events, the stream, and the message on the return path by which a destination
 * says that it has everything (QEMU migration/migration.c, MIG_RP_MSG_SHUT).
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakeqemu/fakeqemu.h"
#include "util/fd.h"

static const guint8 shut[8] = { 0, 1, 0, 4, 0, 0, 0, 0 };

static void
set_status(FakeQemu *qemu, const char *status)
{
    g_autofree char *data = g_strdup_printf("{\"status\": \"%s\"}", status);

    qemu->migration = status;
    fake_event(qemu, "MIGRATION", data);
}

/* A source that cannot migrate goes on by itself, a destination exits. */
static void
failed(FakeQemu *qemu, const char *reason)
{
    mose_fd_close(mose_fd_steal(&qemu->channel));
    if (qemu->incoming) {
        fprintf(stderr, "fakeqemu: load of migration failed: %s\n", reason);
        exit(1);
    }
    g_free(qemu->reason);
    qemu->reason = g_strdup(reason);
    set_status(qemu, "failed");
    fake_set_running(qemu, qemu->was_running, qemu->old_state);
}

gboolean
fake_migrate(FakeQemu *qemu, gboolean incoming)
{
    if (qemu->given < 0)
        return FALSE;
    qemu->channel = mose_fd_steal(&qemu->given);
    qemu->incoming = incoming;
    qemu->sent = FALSE;
    set_status(qemu, "setup");
    return TRUE;
}

static gboolean
send_all(int fd, const char *data, gsize len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return FALSE;
        data += n;
        len -= n;
    }
    return TRUE;
}

void
fake_migration_send(FakeQemu *qemu)
{
    g_autofree char *path = g_build_filename(qemu->dir, "stream", NULL);
    g_autofree char *data = NULL;
    const FakeAct *act = fake_script_find(qemu, "send");
    gsize len;
    gboolean sent;

    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    qemu->sent = TRUE;
    qemu->was_running = qemu->running;
    qemu->old_state = qemu->run_state;
    set_status(qemu, "active");
    fake_set_running(qemu, FALSE, "finish-migrate");
    sent = send_all(qemu->channel, data, len / 2);
    fake_script_act(act);
    if (act)
        failed(qemu, act->text);
    else if (!sent || !send_all(qemu->channel, data + len / 2, len - len / 2))
        failed(qemu, "Unable to write to socket: Broken pipe");
}

static void
source_input(FakeQemu *qemu)
{
    guint8 message[sizeof(shut)];

    if (recv(qemu->channel, message, sizeof(message), MSG_WAITALL) != sizeof(message) ||
        memcmp(message, shut, sizeof(shut)) != 0) {
        failed(qemu, "Channel error: Input/output error");
        return;
    }
    mose_fd_close(mose_fd_steal(&qemu->channel));
    set_status(qemu, "completed");
    qemu->run_state = "postmigrate";
}

static void
keep_loaded(FakeQemu *qemu, const guint8 *data, gsize len)
{
    g_autofree char *path = fake_path(qemu, ".loaded");
    FILE *file = fopen(path, "a");

    g_assert_nonnull(file);
    fwrite(data, 1, len, file);
    fclose(file);
}

static void
destination_input(FakeQemu *qemu)
{
    g_autoptr(GError) error = NULL;
    const FakeAct *act = fake_script_find(qemu, "load");
    guint8 data[4096];
    ssize_t n = recv(qemu->channel, data, sizeof(data), 0);
    gsize pass;

    fake_script_act(act);
    if (act && strcmp(act->what, "close") == 0) {
        mose_fd_close(mose_fd_steal(&qemu->channel));
        return;
    }
    if (act)
        failed(qemu, act->text);
    if (n <= 0)
        failed(qemu, "Input/output error");
    keep_loaded(qemu, data, n);
    if (!qemu->reader) {
        qemu->reader = mose_reader_new();
        set_status(qemu, "active");
    }
    if (!mose_reader_push(qemu->reader, data, n, &pass, &error))
        failed(qemu, error->message);
    if (!mose_reader_doc(qemu->reader))
        return;
    qemu->run_state = "paused";
    send_all(qemu->channel, (const char *)shut, sizeof(shut));
    mose_fd_close(mose_fd_steal(&qemu->channel));
    set_status(qemu, "completed");
}

void
fake_migration_input(FakeQemu *qemu)
{
    if (qemu->incoming)
        destination_input(qemu);
    else
        source_input(qemu);
}
