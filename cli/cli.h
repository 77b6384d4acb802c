/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands share: their table's row, their options, and the one place
 * that reports. A command file parses, calls the library, and reports once.
 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* Exit statuses of every command. */
enum {
    MOSE_EXIT_DONE = 0,
    MOSE_EXIT_FAILED = 1, /* refused or failed; the reason is on stderr */
    MOSE_EXIT_USAGE = 2,  /* wrong use */
};

typedef struct {
    const char *name;
    const char *arguments; /* "NAME [OPTIONS]", for the usage line */
    const char *summary;   /* one line */
    int (*run)(int argc, char **argv);
} MoseCommand;

/* The commands, ended by a row without a name (main.c). */
extern const MoseCommand mose_commands[];

/*
 * Parse @argv with @entries (may be NULL) and the options that every command
 * has (--help, --json). What is left must be between @min and @max words
 * (@max < 0: no limit). Returns FALSE when the command is over, with *@ret as
 * its exit status (an error of use, reported). The row of mose_commands with
 * the name argv[0] gives the usage line.
 */
gboolean mose_cli_parse(int *argc, char ***argv, const GOptionEntry *entries, int min,
                        int max, int *ret);

/* The words behind "--", which are QEMU's, hidden from the option parser; NULL where
 * there is no "--". */
const char *const *mose_cli_split_dashes(int *argc, char **argv);

/* TRUE when --json was given. */
gboolean mose_cli_json(void);

/* Print @error with the next step to take (`hint` may be NULL); returns
 * MOSE_EXIT_FAILED. With --json the error is an object on standard output. */
int mose_cli_fail(const GError *error, const char *hint);

/* The object that --json has for it, for a command that has more to tell beside it
 * (under "error"). */
JsonObject *mose_cli_error_json(const GError *error, const char *hint);

/* The same for an error on guest @name: where it is unknown, or has ended, the hint
 * is what to do about that, else @hint. */
int mose_cli_fail_guest(const GError *error, const char *name, const char *hint);

/* Print a JSON object that was built with @builder, and a newline. */
void mose_cli_print_json(JsonBuilder *builder);

/* One function a command, in the file of its name. */
int mose_cmd_host(int argc, char **argv);
int mose_cmd_receive(int argc, char **argv);
int mose_cmd_run(int argc, char **argv);
int mose_cmd_list(int argc, char **argv);
int mose_cmd_status(int argc, char **argv);
int mose_cmd_stop(int argc, char **argv);
int mose_cmd_plug(int argc, char **argv);
int mose_cmd_unplug(int argc, char **argv);
int mose_cmd_bt(int argc, char **argv);
int mose_cmd_check(int argc, char **argv);
int mose_cmd_emulate(int argc, char **argv);
int mose_cmd_virtualize(int argc, char **argv);
int mose_cmd_fork(int argc, char **argv);
int mose_cmd_discard(int argc, char **argv);
int mose_cmd_dump(int argc, char **argv);
int mose_cmd_modules(int argc, char **argv);
int mose_cmd_dmesg(int argc, char **argv);
int mose_cmd_net(int argc, char **argv);
int mose_cmd_cat(int argc, char **argv);
int mose_cmd_objects(int argc, char **argv);
int mose_cmd_ps(int argc, char **argv);
int mose_cmd_cpus(int argc, char **argv);
int mose_cmd_irq(int argc, char **argv);
int mose_cmd_read(int argc, char **argv);
int mose_cmd_stream(int argc, char **argv);
int mose_cmd_sym(int argc, char **argv);
int mose_cmd_trace(int argc, char **argv);
int mose_cmd_type(int argc, char **argv);
int mose_cmd_files(int argc, char **argv);
int mose_cmd_mounts(int argc, char **argv);
int mose_cmd_maps(int argc, char **argv);
int mose_cmd_write(int argc, char **argv);
