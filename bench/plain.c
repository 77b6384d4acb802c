/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU without MOSE; see plain.h. */
#include "bench/plain.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/vm.h"
#include "qemu/command.h"
#include "qemu/ram.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define START_TIMEOUT_MS 30000
#define TIMEOUT_MS 60000

static char *
replaced(const char *text, const char *from, const char *to)
{
    g_auto(GStrv) parts = g_strsplit(text, from, -1);

    return g_strjoinv(to, parts);
}

/* Whether option @name with @value is there for MOSE's sake only. */
static gboolean
is_moses(const char *name, const char *value, PlainRole role)
{
    static const char monitor[] = "socket,id=mose-qmp", mode[] = "chardev=mose-qmp";
    const char *number = NULL;

    if (strcmp(name, "-pidfile") == 0 || strcmp(name, "-sandbox") == 0)
        return TRUE;
    if (strcmp(name, "-incoming") == 0)
        return role != PLAIN_DESTINATION;
    if (strcmp(name, "-chardev") == 0 && g_str_has_prefix(value, monitor))
        number = value + strlen(monitor);
    if (strcmp(name, "-mon") == 0 && g_str_has_prefix(value, mode))
        number = value + strlen(mode);
    return number && (role == PLAIN_ALONE || *number != '0');
}

static char *
ram_option(const char *value, PlainRole role)
{
    g_autofree char *anonymous = NULL;
    const char *end;

    if (role != PLAIN_ALONE || !g_str_has_prefix(value, "memory-backend-file,"))
        return g_strdup(value);
    end = strstr(value, ",mem-path=");
    g_assert_nonnull(end);
    anonymous = g_strndup(value, end - value);
    return replaced(anonymous, "memory-backend-file", "memory-backend-ram");
}

GPtrArray *
plain_argv(pid_t pid, PlainRole role, const char *from, const char *to)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    g_file_get_contents(path, &text, &len, &error);
    g_assert_no_error(error);
    for (const char *word = text; word < text + len; word += strlen(word) + 1) {
        const char *value = word + strlen(word) + 1;
        g_autofree char *ram = NULL;

        if (role == PLAIN_ALONE && strcmp(word, "-S") == 0)
            continue;
        if (value < text + len && is_moses(word, value, role)) {
            word = value;
            continue;
        }
        ram = ram_option(word, role);
        g_ptr_array_add(argv, replaced(ram, from, to));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* MOSE's guests are stopped by tests/lib/vm.c when a measurement aborts; this one is
 * nobody's. */
static pid_t
start_janitor(const MoseProcess *process)
{
    g_auto(MoseFd) parent = pidfd_open(getpid(), 0);
    pid_t pid = fork();

    g_assert_cmpint(parent, >=, 0);
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        struct pollfd ends[2] = { { parent, POLLIN, 0 },
                                  { process->pidfd, POLLIN, 0 } };

        setsid();
        while (poll(ends, 2, -1) < 0)
            ;
        pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
        _exit(0);
    }
    return pid;
}

Plain *
plain_start(const GPtrArray *argv, PlainRole role, int ram_fd)
{
    Plain *plain = g_new0(Plain, 1);
    g_autofree char *monitor = vm_path("plain.qmp");
    g_autofree char *log = vm_path("plain.log");
    g_auto(MoseFd) listener = MOSE_FD_NONE;
    g_autoptr(GError) error = NULL;
    MoseInheritedFd fds[2];
    gsize n_fds = 0;

    if (role != PLAIN_ALONE) {
        listener = mose_unix_listen(monitor, &error);
        g_assert_no_error(error);
        fds[n_fds++] = (MoseInheritedFd){ listener, MOSE_MONITOR_FD };
    }
    if (ram_fd >= 0)
        fds[n_fds++] = (MoseInheritedFd){ ram_fd, MOSE_RAM_FD };
    plain->process = mose_process_spawn((const char *const *)argv->pdata, NULL, log,
                                        fds, n_fds, &error);
    g_assert_no_error(error);
    plain->janitor = start_janitor(plain->process);
    if (role == PLAIN_ALONE)
        return plain;
    mose_fd_close(mose_fd_steal(&listener));
    plain->qmp = mose_qmp_connect(monitor, START_TIMEOUT_MS, &error);
    g_assert_no_error(error);
    return plain;
}

void
plain_free(Plain *plain)
{
    if (!plain)
        return;
    mose_process_kill(plain->process);
    waitpid(plain->janitor, NULL, 0);
    mose_process_free(plain->process);
    mose_qmp_free(plain->qmp);
    g_free(plain);
}

void
plain_command(MoseQmp *qmp, const char *command, JsonObject *arguments)
{
    g_autoptr(GError) error = NULL;

    mose_qmp_run(qmp, command, arguments, &error);
    g_assert_no_error(error);
}

gint64
plain_wait_event(MoseQmp *qmp, const char *name)
{
    g_autoptr(GError) error = NULL;
    MoseQmpEvent event;

    mose_qmp_wait_event(qmp, name, TIMEOUT_MS, -1, &event, &error);
    g_assert_no_error(error);
    return event.time_us;
}

static gboolean
completed(const MoseQmpEvent *event, gpointer data)
{
    return strcmp(event->name, "MIGRATION") == 0 &&
           strcmp(mose_json_string(event->data, "status", ""), "completed") == 0;
}

void
plain_wait_completed(MoseQmp *qmp)
{
    g_autoptr(GError) error = NULL;

    mose_qmp_wait(qmp, completed, NULL, TIMEOUT_MS, -1, NULL, &error);
    g_assert_no_error(error);
}

void
plain_set_capability(MoseQmp *qmp, const char *name, gboolean on)
{
    JsonArray *list = json_array_new();

    json_array_add_object_element(
        list, mose_json_object("capability", "s", name, "state", "b", on, NULL));
    plain_command(qmp, "migrate-set-capabilities",
                  mose_json_object("capabilities", "a", list, NULL));
}

double
cpu_seconds(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    g_assert_cmpint(clock_getcpuclockid(pid, &clock), ==, 0);
    g_assert_cmpint(clock_gettime(clock, &used), ==, 0);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

pid_t
guest_pid(const char *name)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", name, NULL);

    return (pid_t)mose_json_int(status, "pid", 0);
}
