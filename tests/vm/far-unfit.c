/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another host that cannot take a guest: the switch is refused in words, the guest runs
 * on, and nothing is left on either host.
 */
#include <string.h>

#include "vm/far-guest.h"

/* `mose emulate --on` with @rsh, and one option more; it says @words. */
static void
assert_refused(const VmGuest *guest, const char *rsh, const char *option,
               const char *value, const char *words)
{
    g_autofree char *err = NULL;
    int status = vm_mose(NULL, &err, "emulate", guest->name, "--on",
                         hosts_address(far_hosts, HOST_THERE), "--rsh", rsh, option,
                         value, NULL);

    far_assert_refused(guest, status, err, words);
}

/* There, @path shows @instead. */
static void
assert_refused_with(const VmGuest *guest, const char *instead, const char *path,
                    const char *words)
{
    g_assert_cmpint(hosts_run(far_hosts, HOST_THERE, NULL, NULL, "mount", "--bind",
                              instead, path, NULL),
                    ==, 0);
    assert_refused(guest, hosts_rsh(far_hosts), NULL, NULL, words);
    g_assert_cmpint(hosts_run(far_hosts, HOST_THERE, NULL, NULL, "umount", path, NULL),
                    ==, 0);
}

/* A file with @text. */
static char *
write_file(const char *name, const char *text, int mode)
{
    char *path = vm_path(name);
    g_autoptr(GError) error = NULL;

    g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, mode, &error);
    g_assert_no_error(error);
    return path;
}

/* Another key is known of that host than the one it has. */
static void
wrong_host_key(const VmGuest *guest)
{
    g_autofree char *config = g_strdup(strstr(hosts_rsh(far_hosts), "-F ") + 3);
    g_autofree char *dir = g_path_get_dirname(config);
    g_autofree char *pub = g_build_filename(dir, "key.pub", NULL);
    g_autofree char *key = NULL, *line = NULL, *known = NULL, *rsh = NULL;

    g_assert_true(g_file_get_contents(pub, &key, NULL, NULL));
    line = g_strdup_printf("[%s]:%s %s", hosts_ip(HOST_THERE), HOST_SSHD_PORT, key);
    known = write_file("known_hosts", line, 0600);
    rsh = g_strdup_printf("%s -o UserKnownHostsFile=%s", hosts_rsh(far_hosts), known);
    assert_refused(guest, rsh, NULL, NULL, "Host key verification failed");
}

/* A program that speaks another version of the link. */
static void
other_version(const VmGuest *guest)
{
    g_autofree char *program =
        write_file("other-mose", "#!/bin/sh\necho MOSE-LINK 2 far\nsleep 5\n", 0700);

    assert_refused(guest, hosts_rsh(far_hosts), "--mose-path", program,
                   "it says 'MOSE-LINK 2 far', and this one speaks version 1");
}

static void
no_qemu(const VmGuest *guest)
{
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");
    g_autofree char *nothing = write_file("no-qemu", "", 0600);

    assert_refused_with(guest, nothing, qemu, "there is no qemu-system-x86_64 here");
}

static void
no_room(const VmGuest *guest)
{
    g_autofree char *little = write_file(
        "meminfo", "MemTotal: 2000000 kB\nMemAvailable: 100000 kB\nSwapFree: 0 kB\n",
        0600);

    assert_refused_with(guest, little, "/proc/meminfo", "no room for");
}

static void
no_host(const VmGuest *guest)
{
    g_autofree char *err = NULL;
    int status = far_go(guest, "nobody@127.0.0.9", NULL, &err);

    far_assert_refused(guest, status, err, "127.0.0.9");
}

static void
test_unfit(void)
{
    VmGuest *guest;

    if (far_cannot_run())
        return;
    guest = far_start("far-unfit", NULL);
    no_host(guest);
    wrong_host_key(guest);
    other_version(guest);
    no_qemu(guest);
    no_room(guest);
    assert_refused(guest, hosts_rsh(far_hosts), "--mose-path", "/no/mose", "/no/mose");
    assert_refused(guest, hosts_rsh(far_hosts), "--channels", "4", "one channel");
    far_stop(guest);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    far_setup();
    g_test_add_func("/far-unfit/refused", test_unfit);
    return far_run_tests();
}
