/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands, and the way into one of them. */
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

const MoseCommand mose_commands[] = {
    { "host", "", "what this host offers: QEMU, KVM and its fitness, the portable CPU",
      mose_cmd_host },
    { "run", "NAME -- QEMU OPTIONS", "start a guest", mose_cmd_run },
    { "list", "", "the guests of this user", mose_cmd_list },
    { "status", "NAME", "one guest: where it runs, and its timeline", mose_cmd_status },
    { "stop", "NAME", "end a guest", mose_cmd_stop },
    { "plug", "NAME -- QEMU OPTIONS", "give a guest that runs one more device",
      mose_cmd_plug },
    { "unplug", "NAME ID ...", "take devices away from a guest", mose_cmd_unplug },
    { "check", "NAME", "can this guest be switched, and why not", mose_cmd_check },
    { "emulate", "NAME", "switch a guest into the emulator", mose_cmd_emulate },
    { "virtualize", "NAME", "switch a guest back to the virtualizer",
      mose_cmd_virtualize },
    { "fork", "NAME FORK ...", "make throw-away copies of a guest", mose_cmd_fork },
    { "discard", "FORK ...", "end forks", mose_cmd_discard },
    { "dump", "NAME FILE", "write a core file of a guest", mose_cmd_dump },
    { "receive", "", "the far end of a switch between two hosts", mose_cmd_receive },
    { "stream", "show|diff FILE ...", "look into migration streams", mose_cmd_stream },
    { "ps", "NAME|CORE [PID|COMMAND ...]", "the tasks of a guest", mose_cmd_ps },
    { "cpus", "NAME|CORE", "what each processor of a guest does", mose_cmd_cpus },
    { "bt", "NAME|CORE [TASK ...]", "where tasks and CPUs of a guest are: their stacks",
      mose_cmd_bt },
    { "modules", "NAME|CORE", "the modules of a guest's kernel", mose_cmd_modules },
    { "dmesg", "NAME|CORE", "a kernel's log", mose_cmd_dmesg },
    { "irq", "NAME|CORE", "the interrupts of a guest", mose_cmd_irq },
    { "net", "NAME|CORE", "the sockets and network interfaces of a guest",
      mose_cmd_net },
    { "mounts", "NAME|CORE [PID|COMM]", "the mounts that a process sees",
      mose_cmd_mounts },
    { "files", "NAME|CORE [PID|COMM]", "what processes have open", mose_cmd_files },
    { "maps", "NAME|CORE PID|COMM", "the mappings of a process", mose_cmd_maps },
    { "objects", "NAME|CORE PID|COMM", "the ELF objects in a process of a guest",
      mose_cmd_objects },
    { "cat", "NAME|CORE PATH", "a file of a guest, as far as it is in memory",
      mose_cmd_cat },
    { "sym", "NAME|CORE SYMBOL|ADDRESS ...", "a kernel's symbols, both ways",
      mose_cmd_sym },
    { "trace", "NAME [OPTIONS], or: show FILE [OPTIONS]",
      "what a guest in the emulator executes, into a file; and what is in one",
      mose_cmd_trace },
    { "type", "NAME|CORE EXPRESSION ...", "a kernel's structs, by type and path",
      mose_cmd_type },
    { "read", "NAME|CORE ADDRESS|SYMBOL[+OFFSET] [LENGTH]",
      "a guest's memory: in hex, as text, as instructions", mose_cmd_read },
    { "write", "NAME ADDRESS|SYMBOL[+OFFSET] [HEX]", "change a guest's memory",
      mose_cmd_write },
    { NULL },
};

static void
print_usage(FILE *to)
{
    fprintf(to, "usage: mose COMMAND [...]\n\n"
                "Demand emulation for running QEMU/KVM guests.\n\ncommands:\n");
    for (const MoseCommand *c = mose_commands; c->name; c++)
        fprintf(to, "  %-12s %s\n", c->name, c->summary);
    fprintf(to, "\n`mose COMMAND --help` and mose-COMMAND(1) tell more.\n");
}

static int
run_command(int argc, char **argv)
{
    for (const MoseCommand *c = mose_commands; c->name; c++)
        if (strcmp(argv[0], c->name) == 0)
            return c->run(argc, argv);
    fprintf(stderr, "mose: no command '%s'; `mose --help` lists them\n", argv[0]);
    return MOSE_EXIT_USAGE;
}

/* A standard descriptor that was closed would be taken by the first file we open, and
 * what we print would be written into it. */
static void
open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int
run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return MOSE_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("mose %s\n", MOSE_VERSION);
        return MOSE_EXIT_DONE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) {
        char *words[] = { argv[2], (char *)"--help", NULL };

        return run_command(2, words);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return MOSE_EXIT_DONE;
    }
    return run_command(argc - 1, argv + 1);
}

/* A reader that has gone (`| head`) wanted no more. */
static gboolean
reader_is_gone(void)
{
    struct pollfd out = { STDOUT_FILENO, 0, 0 };

    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* What was done is done; but who is not told of it must not take silence for an answer.
 */
static int
finish(int status)
{
    gboolean lost = fflush(stdout) != 0 || ferror(stdout);

    if (!lost || status != MOSE_EXIT_DONE || reader_is_gone())
        return status;
    fprintf(stderr,
            "mose: cannot write to standard output: what was to be said is lost\n");
    return MOSE_EXIT_FAILED;
}

int
main(int argc, char **argv)
{
    open_standard_fds();
    setlocale(LC_ALL, "");
    /* A QEMU or a reader of our output that goes away is an error, not a death. */
    signal(SIGPIPE, SIG_IGN);
    return finish(run(argc, argv));
}
