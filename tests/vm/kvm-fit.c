/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fitness probes on a full KVM: Linux's kvm_amd on the SVM of a CPU under
 * TCG, which works on any machine. Every probe must pass there, or a fit host
 * would be called unfit.
 */
#include <string.h>

#include "util/json.h"

/* The directory of the demo guest (guest/linux/build makes it), or NULL. */
static char *
guest_directory(void)
{
    const char *const argv[] = { g_getenv("MOSE_GUEST_BUILD"), NULL };
    char *out = NULL;
    int status = 1;

    if (argv[0] == NULL ||
        !g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out,
                      NULL, &status, NULL) ||
        status != 0)
        return NULL;
    return g_strchomp(out);
}

/* What the program printed, between the lines BEGIN and END. */
static char *
run_inside(const char *guest)
{
    const char *const argv[] = {
        g_getenv("KVM_IN_TCG"), guest, g_getenv("MOSE"), "host", "--json", NULL
    };
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    const char *begin, *end;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err,
                 &status, &error);
    g_assert_no_error(error);
    g_strdelimit(out, "\r", ' ');
    begin = strstr(out, "BEGIN");
    end = strstr(out, "END ");
    if (begin == NULL || end == NULL)
        g_test_message("%s%s", out, err);
    g_assert_nonnull(begin);
    g_assert_nonnull(end);
    return g_strndup(begin + strlen("BEGIN"), (gsize)(end - begin) - strlen("BEGIN"));
}

static void
check_fit(JsonObject *kvm)
{
    JsonArray *probes = mose_json_array(kvm, "probes");

    g_assert_cmpstr(mose_json_string(kvm, "presence", ""), ==, "present");
    g_assert_cmpuint(json_array_get_length(probes), >=, 16);
    for (guint i = 0; i < json_array_get_length(probes); i++) {
        JsonObject *probe = json_array_get_object_element(probes, i);

        g_test_message("%s: %s %s", mose_json_string(probe, "name", ""),
                       mose_json_string(probe, "status", ""),
                       mose_json_string(probe, "detail", ""));
        g_assert_cmpstr(mose_json_string(probe, "status", ""), ==, "pass");
    }
    g_assert_true(mose_json_bool(kvm, "fit", FALSE));
}

static void
test_full_kvm(void)
{
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");
    g_autofree char *guest = guest_directory();
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) report = NULL;
    g_autoptr(GError) error = NULL;

    if (qemu == NULL) {
        g_test_skip("qemu-system-x86_64 is not installed");
        return;
    }
    if (guest == NULL) {
        g_test_skip("guest/linux/build cannot make the demo guest here");
        return;
    }
    text = run_inside(guest);
    report = mose_json_parse(text, -1, "mose host in the guest", &error);
    g_assert_no_error(error);
    check_fit(mose_json_child(report, "kvm"));
    g_assert_cmpstr(mose_json_string(report, "accel-auto", ""), ==, "kvm");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/full-kvm", test_full_kvm);
    return g_test_run();
}
