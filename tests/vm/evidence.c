/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an owner of a host can send (`mose host --report`), of this host's KVM. In the
 * long form of all properties, by the command. */
#include <string.h>
#include <unistd.h>

#include "evidence/report.h"
#include "lib/vm.h"
#include "util/error.h"
#include "util/json.h"

#define PROPERTY "ipi-pending"

static gboolean
cannot_run(void)
{
    if (vm_cannot_run())
        return TRUE;
    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return FALSE;
    g_test_skip("/dev/kvm does not open");
    return TRUE;
}

/* A device part with its description, of KVM's. */
static void
assert_device_part(JsonObject *report)
{
    const char *text = mose_json_string(report, "device-part", "");
    gsize len = 0;
    g_autofree guchar *bytes = g_base64_decode(text, &len);

    g_assert_cmpuint(len, >, 10000);
    g_assert_nonnull(memmem(bytes, len, "kvmclock", strlen("kvmclock")));
    g_assert_nonnull(memmem(bytes, len, "vmsd_name", strlen("vmsd_name")));
}

/* The first round of @run is of PROPERTY, and has verdicts. */
static void
assert_run(JsonObject *run, const char *from, const char *to)
{
    JsonObject *round = mose_json_element(mose_json_array(run, "rounds"), 0);
    JsonObject *verdicts = mose_json_child(round, "verdicts");

    g_assert_cmpstr(mose_json_string(round, "property", ""), ==, PROPERTY);
    g_assert_cmpstr(mose_json_string(round, "from", ""), ==, from);
    g_assert_cmpstr(mose_json_string(round, "to", ""), ==, to);
    g_assert_nonnull(verdicts);
    g_assert_cmpstr(mose_json_string(verdicts, PROPERTY, ""), ==, "PASS");
    g_assert_cmpstr(mose_json_string(verdicts, "tsc", ""), ==, "PASS");
}

static void
test_report(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *kernel = mose_report_find_kernel(&error);
    MoseReportSetup setup = { .kernel = kernel, .slow = TRUE, .only = PROPERTY };
    g_autoptr(JsonObject) report = NULL;
    JsonObject *host;
    JsonArray *runs;

    if (cannot_run())
        return;
    g_assert_no_error(error);
    report = mose_report_make(&setup, &error);
    g_assert_no_error(error);
    host = mose_json_child(report, "host");
    g_assert_cmpint(mose_json_int(host, "qemu", 0), >=, 100000);
    g_assert_nonnull(mose_json_child(mose_json_child(host, "modules"), "kvm"));
    assert_device_part(report);
    runs = mose_json_array(report, "runs");
    g_assert_cmpuint(json_array_get_length(runs), ==, 2);
    assert_run(mose_json_element(runs, 0), "kvm", "kvm");
    assert_run(mose_json_element(runs, 1), "kvm", "tcg");
}

/* No minutes are spent on what cannot be written. */
static void
test_no_place(void)
{
    g_autofree char *said = NULL;

    if (cannot_run())
        return;
    g_assert_cmpint(vm_mose(NULL, &said, "host", "--report", "/no/such/place", NULL),
                    ==, 1);
    g_assert_nonnull(strstr(said, "cannot write to /no/such"));
}

static void
test_all(void)
{
    g_autofree char *file = vm_path("report.json");
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) report = NULL;

    if (cannot_run())
        return;
    g_assert_cmpint(vm_mose(NULL, NULL, "host", "--report", file, NULL), ==, 0);
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    report = mose_json_parse(text, -1, "report", NULL);
    assert_device_part(report);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/evidence/report", test_report);
    g_test_add_func("/evidence/no-place", test_no_place);
    if (g_test_slow())
        g_test_add_func("/evidence/all", test_all);
    return vm_run_tests();
}
