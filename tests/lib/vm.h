/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests with real guests share: a runtime directory of their own, the
 * `mose` command, the demo guest (guest/linux), its console, its web server.
 *
 * Environment: MOSE (the command), MOSE_GUEST_BUILD (guest/linux/build).
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    char *name;
    char *console;       /* file that the guest's first serial port is written to */
    char *shell;         /* socket of the second one */
    guint port;          /* of its web server; 0: none */
    const char *address; /* and where that is */
    gboolean forwarded;  /* through user networking */
    char *images;        /* its kernel and initrd; NULL: vm_image()'s */
} VmGuest;

/*
 * Set the world up: a runtime directory below a new temporary one. FALSE (and
 * g_test_skip() in every test) is the caller's business: vm_why_not() says why
 * no guest can run here, or NULL.
 */
void vm_setup(void);
const char *vm_why_not(void);

/* The usual business: g_test_skip() with that reason, and TRUE, where none can. */
gboolean vm_cannot_run(void);

/* g_test_run(), then end every guest that is left and remove the temporary
 * directory, which is kept, and named, if a test has failed. */
int vm_run_tests(void);

/* The same end for a program that is no test. */
void vm_teardown(void);

/* Path of @name in the temporary directory; in the guest's image directory. */
char *vm_path(const char *name);
char *vm_image(const char *name);

/* A new directory of mode 0700 for the guests of one more host; the caller removes it.
 * Remove a file, or a directory with all that is in it. */
char *vm_make_runtime_dir(void);
void vm_remove_tree(const char *path);

/*
 * Run `mose` with these words (NULL-terminated). Returns its exit status; what
 * it wrote goes to *@ret_out and *@ret_err (both may be NULL: shown by
 * --verbose only).
 */
int vm_mose(char **ret_out, char **ret_err, const char *word,
            ...) G_GNUC_NULL_TERMINATED;
int vm_mosev(char **ret_out, char **ret_err, const char *const *words);

/* The same, which must succeed, with --json; the object it printed. */
JsonObject *vm_mose_json(const char *word, ...) G_GNUC_NULL_TERMINATED;

/*
 * Describe a demo guest called @name. vm_run() starts it: @options are for `mose
 * run` before the "--", @extra QEMU options behind it; each a string split as a
 * shell would, or NULL. @append goes behind "console=ttyS0" on the kernel's
 * command line.
 */
VmGuest *vm_guest_new(const char *name);
void vm_guest_free(VmGuest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmGuest, vm_guest_free)
void vm_run(VmGuest *guest, const char *options, const char *extra, const char *append);

/* Wait until the console holds @text; fails the test after @seconds. */
void vm_wait_console(const VmGuest *guest, const char *text, int seconds);
gboolean vm_console_has(const VmGuest *guest, const char *text);

/* The status page, which the guest makes anew at each request; NULL when it
 * does not answer within @seconds. *@ret_host_ns is the host's CLOCK_MONOTONIC at
 * about the time of the guest's reading. */
JsonObject *vm_status_page(const VmGuest *guest, int seconds, gint64 *ret_host_ns);

/* The guest serves and has found no damage; returns its page. */
JsonObject *vm_assert_healthy(const VmGuest *guest);

/* Guest's CLOCK_MONOTONIC minus the host's, in ns: the best of several readings. */
gint64 vm_clock_difference(const VmGuest *guest);

/* Have the shell on the guest's second serial port run @command. */
void vm_shell(const VmGuest *guest, const char *command);

/* The same; what it printed. */
char *vm_shell_output(const VmGuest *guest, const char *command);

/*
 * The same of a long output, with its errors: it comes through the guest's web server
 * and is checked against its length and SHA-256 in the guest, where it takes as much
 * memory for the while. Its length, without the NUL behind it, goes to *@ret_len (may
 * be NULL).
 */
char *vm_guest_output(const VmGuest *guest, const char *command, gsize *ret_len);

/* "running", "paused", ... of the guest, from `mose status`. */
char *vm_state(const VmGuest *guest);
