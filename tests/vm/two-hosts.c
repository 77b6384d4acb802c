/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * two-hosts COMMAND...: make the two hosts of the tests (tests/lib/hosts.h), and a tap
 * on this one, and run a command here. It finds in its environment, beside what a test
 * has:
 *
 *   MOSE_DEMO_THERE    USER@ADDRESS of the other host
 *   MOSE_DEMO_RSH      the command that leads there
 *   MOSE_DEMO_DIR      a directory that the other host has not got
 *   MOSE_DEMO_CONSOLE  a file that both may write: a guest's console
 *
 * Exit status: the command's; 1 where hosts cannot be made.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/hosts.h"
#include "lib/vm-net.h"

static const char *
why_not(const Hosts *hosts)
{
    return vm_why_not() ? vm_why_not() : hosts ? vm_net_why_not() : hosts_why_not();
}

/* A launcher with what the command finds in its environment. */
static GSubprocessLauncher *
prepare(Hosts *hosts)
{
    GSubprocessLauncher *launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autofree char *dir = vm_path("at-home");
    g_autofree char *elsewhere = vm_path("elsewhere");
    g_autofree char *console = vm_path("console");
    const struct {
        const char *name, *value;
    } settings[] = { { "MOSE_DEMO_THERE", hosts_address(hosts, HOST_THERE) },
                     { "MOSE_DEMO_RSH", hosts_rsh(hosts) },
                     { "MOSE_DEMO_DIR", dir },
                     { "MOSE_DEMO_CONSOLE", console } };

    g_mkdir_with_parents(dir, 0700);
    g_mkdir_with_parents(elsewhere, 0700);
    hosts_map(hosts, dir, elsewhere);
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++)
        g_subprocess_launcher_setenv(launcher, settings[i].name, settings[i].value,
                                     TRUE);
    return launcher;
}

/* Its output is @out, which is taken over: ours has only what tests say. */
static int
run(GSubprocessLauncher *launcher, char **words, int out)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) command = NULL;

    g_subprocess_launcher_take_stdout_fd(launcher, out);
    command =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)words, &error);
    if (!command) {
        fprintf(stderr, "two-hosts: %s\n", error->message);
        return 1;
    }
    g_subprocess_wait(command, NULL, NULL);
    return g_subprocess_get_if_exited(command) ? g_subprocess_get_exit_status(command)
                                               : 1;
}

/* What tests say goes nowhere from here on; the descriptor of our output before. */
static int
be_quiet(void)
{
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

    if (!freopen("/dev/null", "w", stdout))
        exit(1);
    return out;
}

int
main(int argc, char **argv)
{
    char *quiet[] = { argv[0], NULL }, **none = quiet;
    int one = 1, ret = 1, out;
    Hosts *hosts;

    if (argc < 2) {
        fputs("usage: two-hosts COMMAND...\n", stderr);
        return 2;
    }
    out = be_quiet();
    g_test_init(&one, &none, NULL);
    vm_setup();
    hosts = vm_why_not() ? NULL : hosts_new();
    if (hosts)
        vm_net_setup();
    if (why_not(hosts)) {
        fprintf(stderr, "two-hosts: %s\n", why_not(hosts));
    } else {
        g_autoptr(GSubprocessLauncher) launcher = prepare(hosts);

        ret = run(launcher, argv + 1, out);
    }
    hosts_free(hosts);
    vm_teardown();
    return ret;
}
