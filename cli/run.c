/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose run: start a guest. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "host/fitness.h"
#include "switch/start.h"
#include "util/json.h"

static char *accel, *cpu, *emulator_cpu, *qemu;
static gboolean overcommit, ram_shared, ram_private;

static const GOptionEntry entries[] = {
    { "accel", 0, 0, G_OPTION_ARG_STRING, &accel,
      "of the virtualizer: auto (KVM where it is fit), kvm, tcg", "ACCEL" },
    { "cpu", 0, 0, G_OPTION_ARG_STRING, &cpu,
      "portable (what both accelerators offer), or as QEMU's -cpu", "CPU" },
    { "emulator-cpu", 0, 0, G_OPTION_ARG_STRING, &emulator_cpu,
      "of the emulator, where it must be named otherwise", "CPU" },
    { "qemu", 0, 0, G_OPTION_ARG_FILENAME, &qemu, "QEMU binary", "FILE" },
    { "overcommit", 0, 0, G_OPTION_ARG_NONE, &overcommit,
      "start even if the host has less memory than the guest wants", NULL },
    { "ram-shared", 0, 0, G_OPTION_ARG_NONE, &ram_shared,
      "memory that the other QEMU maps: no switch copies it (the default)", NULL },
    { "ram-private", 0, 0, G_OPTION_ARG_NONE, &ram_private,
      "QEMU's own memory: each switch copies it", NULL },
    { NULL },
};

/* Why `auto` took @kind, in a line that fits the screen; --json has all of it. */
static const char *
in_short(const char *kind)
{
    if (strcmp(kind, "kvm") == 0)
        return "KVM here is fit for a general guest";
    return mose_kvm_fitness()->presence == MOSE_KVM_PRESENT
               ? "KVM here is not fit for a general guest; `mose host` tells why"
               : "KVM cannot be used here; `mose host` tells why";
}

static void
report(const MoseGuest *guest, const char *reason)
{
    const char *kind = guest->spec->accel[MOSE_SIDE_VIRTUALIZER];

    if (mose_cli_json()) {
        g_autoptr(JsonObject) object = mose_json_object(
            "guest", "s", guest->name, "accel", "s", kind, "reason", "s", reason, "cpu",
            "s", guest->spec->cpu[MOSE_SIDE_VIRTUALIZER], "pid", "i",
            (gint64)guest->pid, "directory", "s", guest->dir, NULL);
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
        return;
    }
    printf("guest %s runs in the virtualizer (%s), pid %d\n", guest->name, kind,
           (int)guest->pid);
    if (!accel || strcmp(accel, "auto") == 0)
        printf("  %s\n", in_short(kind));
}

int
mose_cmd_run(int argc, char **argv)
{
    const char *const *words = mose_cli_split_dashes(&argc, argv);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = NULL;
    g_autofree char *reason = NULL;
    MoseStartOptions options;
    MoseSpec *spec;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (!words) {
        fprintf(stderr, "mose run: where are the guest's QEMU options? "
                        "mose run NAME -- -m 1G -drive file=disk.qcow2\n");
        return MOSE_EXIT_USAGE;
    }
    if (ram_shared && ram_private) {
        fprintf(stderr, "mose run: --ram-shared and --ram-private: give one of them\n");
        return MOSE_EXIT_USAGE;
    }
    spec = mose_spec_parse(words, &error);
    if (!spec)
        return mose_cli_fail(error, NULL);
    spec->cwd = g_get_current_dir();
    spec->qemu = g_find_program_in_path(qemu ? qemu : "qemu-system-x86_64");
    if (!spec->qemu) {
        fprintf(stderr, "mose run: no %s; install QEMU 10 or later (`mose host`)\n",
                qemu ? qemu : "qemu-system-x86_64");
        mose_spec_free(spec);
        return MOSE_EXIT_FAILED;
    }
    options = (MoseStartOptions){ .accel = accel ? accel : "auto",
                                  .cpu = cpu,
                                  .emulator_cpu = emulator_cpu,
                                  .overcommit = overcommit,
                                  .ram_private = ram_private,
                                  .interrupt_fd = mose_cli_catch_interrupts() };
    guest = mose_start(argv[1], spec, &options, &reason, &error);
    if (!guest)
        return mose_cli_fail(error, NULL);
    report(guest, reason);
    return MOSE_EXIT_DONE;
}
