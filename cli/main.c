/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands, and the way into one of them. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const MoseCommand mose_commands[] = {
    { "host", "", "what this host offers: QEMU, KVM and its fitness, the portable CPU",
      mose_cmd_host },
    { "run", "NAME [OPTIONS] -- QEMU OPTIONS", "start a guest", mose_cmd_run },
    { "list", "", "the guests of this user", mose_cmd_list },
    { "status", "NAME", "one guest: where it runs, and its timeline", mose_cmd_status },
    { "stop", "NAME", "end a guest", mose_cmd_stop },
    { "check", "NAME", "can this guest be switched, and why not", mose_cmd_check },
    { "emulate", "NAME", "switch a guest into the emulator", mose_cmd_emulate },
    { "virtualize", "NAME", "switch a guest back to the virtualizer",
      mose_cmd_virtualize },
    { "stream", "show|diff FILE ...", "look into migration streams", mose_cmd_stream },
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

int
main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    /* A QEMU or a reader of our output that goes away is an error, not a death. */
    signal(SIGPIPE, SIG_IGN);

    if (argc < 2) {
        print_usage(stderr);
        return MOSE_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("mose %s\n", MOSE_VERSION);
        return MOSE_EXIT_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return MOSE_EXIT_DONE;
    }
    for (const MoseCommand *c = mose_commands; c->name; c++)
        if (strcmp(argv[1], c->name) == 0)
            return c->run(argc - 1, argv + 1);

    fprintf(stderr, "mose: no command '%s'; `mose --help` lists them\n", argv[1]);
    return MOSE_EXIT_USAGE;
}
