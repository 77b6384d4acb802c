/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests on two hosts; see far-guest.h. */
#include "vm/far-guest.h"

#include <string.h>

#include "lib/disk-image.h"
#include "util/json.h"

Hosts *far_hosts;

void
far_setup(void)
{
    vm_setup();
    far_hosts = vm_why_not() ? NULL : hosts_new();
}

int
far_run_tests(void)
{
    int ret = vm_run_tests();

    hosts_free(far_hosts);
    return ret;
}

gboolean
far_cannot_run(void)
{
    return vm_cannot_run() || hosts_cannot_run();
}

VmGuest *
far_start(const char *name, const char *extra)
{
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, "--accel tcg", extra, "mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    return guest;
}

void
far_stop(VmGuest *guest)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    vm_guest_free(guest);
}

char *
far_image(const char *name)
{
    g_autofree char *elsewhere_name = g_strconcat(name, "-elsewhere", NULL);
    g_autofree char *dir = vm_path(name);
    g_autofree char *elsewhere = vm_path(elsewhere_name);
    char *image = g_build_filename(dir, "disk.qcow2", NULL);

    g_mkdir_with_parents(dir, 0700);
    g_mkdir_with_parents(elsewhere, 0700);
    hosts_map(far_hosts, dir, elsewhere);
    disk_image_make(image, "qcow2");
    return image;
}

int
far_go(const VmGuest *guest, const char *host, char **ret_out, char **ret_err)
{
    return vm_mose(ret_out, ret_err, "emulate", guest->name, "--on", host, "--rsh",
                   hosts_rsh(far_hosts), NULL);
}

char *
far_listed(HostSide side, const char *name)
{
    g_autofree char *out = NULL;
    g_autoptr(JsonObject) object = NULL;
    JsonArray *guests;

    g_assert_cmpint(
        hosts_run(far_hosts, side, &out, NULL, "mose", "list", "--json", NULL), ==, 0);
    object = mose_json_parse(out, -1, "list", NULL);
    guests = mose_json_array(object, "guests");
    for (guint i = 0; i < json_array_get_length(guests); i++) {
        JsonObject *guest = mose_json_element(guests, i);

        if (strcmp(mose_json_string(guest, "guest", ""), name) == 0)
            return g_strdup(mose_json_string(guest, "state", ""));
    }
    return g_strdup("");
}

void
far_assert_listed(const VmGuest *guest, const char *here, const char *there)
{
    g_autofree char *at_home = far_listed(HOST_HERE, guest->name);
    g_autofree char *away = far_listed(HOST_THERE, guest->name);

    g_assert_cmpstr(at_home, ==, here);
    g_assert_cmpstr(away, ==, there);
}

void
far_assert_answers(const VmGuest *guest)
{
    g_autofree char *said = vm_shell_output(guest, "echo so-$((40+2))");

    g_assert_nonnull(strstr(said, "so-42"));
}

/* A process that has @word in its words; NULL: there is none. */
static char *
find_process(const char *word)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(proc))) {
        g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", name);
        g_autofree char *words = NULL;
        gsize len;

        if (g_ascii_isdigit(*name) && g_file_get_contents(path, &words, &len, NULL) &&
            memmem(words, len, word, strlen(word)))
            return g_strdup(name);
    }
    return NULL;
}

static void
assert_nothing_there(const VmGuest *guest)
{
    g_autofree char *dir =
        g_build_filename(hosts_runtime_dir(far_hosts, HOST_THERE), guest->name, NULL);
    g_autofree char *process = find_process(dir);

    g_assert_cmpint(
        hosts_run(far_hosts, HOST_THERE, NULL, NULL, "test", "-e", dir, NULL), ==, 1);
    g_assert_null(process);
}

void
far_assert_refused(const VmGuest *guest, int status, const char *err, const char *words)
{
    g_assert_cmpint(status, ==, 1);
    if (!strstr(err, words))
        g_error("'%s' is not in: %s", words, err);
    far_assert_listed(guest, "running", "");
    far_assert_answers(guest);
    assert_nothing_there(guest);
}
