/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes found and hit, sockets found and cut; see victims.h. */
#include "faults/victims.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

/* Between two kills of one fault, at most. */
#define SECOND_KILL_US 20000
#define POLL_US 500

static const char *const names[N_VICTIMS] = {
    "source",
    "destination",
    "command",
    "guardian",
    "command, then guardian",
    "guardian, then command",
    "destination stopped",
    "command stopped",
    "stream cut at the source",
    "stream cut at the destination",
    "monitor of the source cut",
    "monitor of the destination cut",
};

const char *
victim_name(Victim victim)
{
    return names[victim];
}

/* --- processes --- */

/* The source's process, or the other one's; 0: there is none. */
static WorldProcess
find_qemu(World *world, const Command *command, gboolean source)
{
    g_autoptr(GArray) found = world_processes(world, WORLD_QEMU);

    for (guint i = 0; i < found->len; i++) {
        WorldProcess process = g_array_index(found, WorldProcess, i);

        if ((process.generation == command->source) == source)
            return process;
    }
    return (WorldProcess){ 0 };
}

/* One of them, by chance: they are equals. */
static pid_t
find_guardian(World *world)
{
    g_autoptr(GArray) found = world_processes(world, WORLD_GUARDIAN);

    return found->len == 0
               ? 0
               : g_array_index(found, WorldProcess, world_roll(world, found->len)).pid;
}

static gboolean
hit_guardian(World *world)
{
    pid_t pid = find_guardian(world);

    return pid > 0 && kill(pid, SIGKILL) == 0;
}

static gboolean
hit_command(const Command *command, int number)
{
    return pidfd_send_signal(command->process->pidfd, number, NULL, 0) == 0;
}

static gboolean
hit_qemu(World *world, const Command *command, gboolean source, int number,
         guint *ret_generation)
{
    WorldProcess process = find_qemu(world, command, source);

    *ret_generation = process.generation;
    return process.pid > 0 && kill(process.pid, number) == 0;
}

/* The second one may have ended by then, its work done. */
static gboolean
hit_both(World *world, const Command *command, gboolean command_first)
{
    if (!(command_first ? hit_command(command, SIGKILL) : hit_guardian(world)))
        return FALSE;
    g_usleep(world_roll(world, SECOND_KILL_US));
    if (command_first)
        hit_guardian(world);
    else
        hit_command(command, SIGKILL);
    return TRUE;
}

/* --- sockets --- */

/* The path that the unix socket @inode is bound to, "" for none; NULL: it is no
 * connected unix socket. */
static char *
socket_path(const char *table, const char *inode)
{
    g_auto(GStrv) lines = g_strsplit(table, "\n", -1);

    for (char **line = lines; *line; line++) {
        char state[8] = "", number[32] = "", path[256] = "";

        /* Num: RefCount Protocol Flags Type St Inode Path */
        if (sscanf(*line, "%*s %*s %*s %*s %*s %7s %31s %255s", state, number, path) >=
                2 &&
            strcmp(number, inode) == 0)
            return strcmp(state, "03") == 0 ? g_strdup(path) : NULL;
    }
    return NULL;
}

/* Shut the socket down that process @pid has open as @name, if it is the one: a
 * monitor's, by the path that it was accepted at, however its directory was named; or a
 * stream's, which is one of a pair, or of a copy's channels. */
static gboolean
cut_one(WorldProcess process, const char *name, const char *table, gboolean monitor)
{
    g_autofree char *link = g_strdup_printf("/proc/%d/fd/%s", (int)process.pid, name);
    g_autofree char *end =
        g_strdup_printf(monitor ? "/qmp0.%u" : "/incoming.%u", process.generation);
    g_autofree char *target = g_file_read_link(link, NULL);
    g_autofree char *path = NULL;
    g_auto(MoseFd) pidfd = MOSE_FD_NONE, fd = MOSE_FD_NONE;

    if (!target || !g_str_has_prefix(target, "socket:["))
        return FALSE;
    target[strlen(target) - 1] = '\0';
    path = socket_path(table, target + strlen("socket:["));
    if (!path || !(g_str_has_suffix(path, end) || (!monitor && *path == '\0')))
        return FALSE;
    pidfd = pidfd_open(process.pid, 0);
    fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, strtol(name, NULL, 10), 0);
    return fd >= 0 && shutdown(fd, SHUT_RDWR) == 0;
}

static gboolean
cut(World *world, const Command *command, gboolean source, gboolean monitor)
{
    WorldProcess process = find_qemu(world, command, source);
    g_autofree char *dir = g_strdup_printf("/proc/%d/fd", (int)process.pid);
    g_autofree char *table = NULL;
    g_autoptr(GDir) fds = NULL;
    gboolean done = FALSE;
    const char *name;

    if (process.pid == 0 || !(fds = g_dir_open(dir, 0, NULL)) ||
        !g_file_get_contents("/proc/net/unix", &table, NULL, NULL))
        return FALSE;
    while ((name = g_dir_read_name(fds)))
        done |= cut_one(process, name, table, monitor);
    return done;
}

/* --- all of them --- */

gboolean
victim_hit(World *world, const Command *command, Victim victim, guint *ret_generation)
{
    *ret_generation = 0;
    switch (victim) {
    case VICTIM_SOURCE:
        return hit_qemu(world, command, TRUE, SIGKILL, ret_generation);
    case VICTIM_DESTINATION:
        return hit_qemu(world, command, FALSE, SIGKILL, ret_generation);
    case VICTIM_COMMAND:
        return hit_command(command, SIGKILL);
    case VICTIM_GUARDIAN:
        return hit_guardian(world);
    case VICTIM_COMMAND_GUARDIAN:
    case VICTIM_GUARDIAN_COMMAND:
        return hit_both(world, command, victim == VICTIM_COMMAND_GUARDIAN);
    case VICTIM_STOPPED_DESTINATION: {
        guint generation;

        return hit_qemu(world, command, FALSE, SIGSTOP, &generation);
    }
    case VICTIM_STOPPED_COMMAND:
        return hit_command(command, SIGSTOP);
    case VICTIM_STREAM_SOURCE:
    case VICTIM_STREAM_DESTINATION:
        return cut(world, command, victim == VICTIM_STREAM_SOURCE, FALSE);
    case VICTIM_MONITOR_SOURCE:
    case VICTIM_MONITOR_DESTINATION:
        return cut(world, command, victim == VICTIM_MONITOR_SOURCE, TRUE);
    default:
        g_assert_not_reached();
    }
}

gboolean
victim_await(World *world, const Command *command, Victim victim, guint *ret_generation)
{
    while (mose_process_alive(command->process)) {
        if (victim_hit(world, command, victim, ret_generation))
            return TRUE;
        g_usleep(POLL_US);
    }
    return FALSE;
}
