/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `mose host --report`: how KVM and TCG of this host differ, for those who write the
 * rules. */
#include "cli/host-report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "evidence/report.h"
#include "util/error.h"
#include "util/json.h"

static void
show_progress(const char *without, const char *property, guint done, guint of,
              gpointer data)
{
    fprintf(stderr, "\r\033[K%u/%u: %s%s%s", done + 1, of, property,
            without ? " without rule " : "", without ? without : "");
}

/* How many of the report's verdicts begin with "FAIL", and rounds that have none. */
static void
count(JsonObject *run, guint *ret_failed, guint *ret_harmed)
{
    JsonArray *rounds = mose_json_array(run, "rounds");

    *ret_failed = *ret_harmed = 0;
    for (guint i = 0; rounds && i < json_array_get_length(rounds); i++) {
        JsonObject *verdicts =
            mose_json_child(mose_json_element(rounds, i), "verdicts");
        g_autoptr(GList) names = verdicts ? json_object_get_members(verdicts) : NULL;

        *ret_harmed += verdicts == NULL;
        for (GList *name = names; name; name = name->next)
            *ret_failed +=
                g_str_has_prefix(mose_json_string(verdicts, name->data, ""), "FAIL");
    }
}

/* A line a run, and what to do with the file. */
static void
print_summary(JsonObject *report, const char *file)
{
    JsonArray *runs = mose_json_array(report, "runs");

    for (guint i = 0; i < json_array_get_length(runs); i++) {
        JsonObject *run = mose_json_element(runs, i);
        const char *without = mose_json_string(run, "without", "");
        guint failed, harmed;

        count(run, &failed, &harmed);
        printf("%-16s %-20s %u rounds, %u failures, %u guests harmed\n",
               mose_json_string(run, "name", ""), without,
               json_array_get_length(mose_json_array(run, "rounds")), failed, harmed);
    }
    printf("%s tells of this host's processor, kernel and KVM, and of no guest of "
           "yours:\nread it, and attach it to an issue of MOSE's\n",
           file);
}

/* Before minutes are spent on what cannot be written. */
static gboolean
can_write(const char *file, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(file);

    if (strcmp(file, "-") == 0 || access(dir, W_OK | X_OK) == 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot write to %s", dir);
    return FALSE;
}

int
mose_host_report(const char *file, gboolean kvm_fit)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *kernel = mose_report_find_kernel(&error);
    MoseReportSetup setup = { .kernel = kernel,
                              .slow = !kvm_fit,
                              .interrupt_fd = mose_cli_catch_interrupts() };
    g_autoptr(JsonObject) report = NULL;
    g_autofree char *text = NULL;

    if (!kernel || !can_write(file, &error))
        return mose_cli_fail(error, NULL);
    if (isatty(STDERR_FILENO))
        setup.progress = show_progress;
    report = mose_report_make(&setup, &error);
    if (setup.progress)
        fprintf(stderr, "\r\033[K");
    if (!report)
        return mose_cli_fail(error, NULL);
    text = mose_json_text(report, TRUE);
    if (strcmp(file, "-") == 0 || mose_cli_json())
        puts(text);
    if (strcmp(file, "-") == 0)
        return MOSE_EXIT_DONE;
    if (!g_file_set_contents(file, text, -1, &error))
        return mose_cli_fail(error, NULL);
    if (!mose_cli_json())
        print_summary(report, file);
    return MOSE_EXIT_DONE;
}
