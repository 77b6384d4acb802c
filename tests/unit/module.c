/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What QEMU is to load: where it is, and whether it can. */
#include "qemu/module.h"

static void
test_takes_plugins(void)
{
    g_autofree char *path = g_find_program_in_path("qemu-system-x86_64");

    g_assert_false(mose_module_takes_plugins("qemu-img"));
    g_assert_false(mose_module_takes_plugins("/dev/null"));
    g_assert_false(mose_module_takes_plugins("no-such-qemu"));
    if (!mose_module_takes_plugins("qemu-system-x86_64")) {
        g_test_skip("this QEMU was built without plugins, or has another interface");
        return;
    }
    g_assert_true(mose_module_takes_plugins(path));
}

/* The environment's word comes first, if there is such a file. */
static void
test_path(void)
{
    const MoseModule module = { "MOSE_TEST_MODULE", "../nowhere.so", "/dev/null" };
    g_autofree char *installed = NULL, *named = NULL, *again = NULL;

    g_unsetenv("MOSE_TEST_MODULE");
    installed = mose_module_path(&module);
    g_assert_cmpstr(installed, ==, "/dev/null");
    g_setenv("MOSE_TEST_MODULE", "/proc/self/exe", TRUE);
    named = mose_module_path(&module);
    g_assert_cmpstr(named, ==, "/proc/self/exe");
    g_setenv("MOSE_TEST_MODULE", "/no/such/file", TRUE);
    again = mose_module_path(&module);
    g_assert_cmpstr(again, ==, "/dev/null");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/module/takes-plugins", test_takes_plugins);
    g_test_add_func("/module/path", test_path);
    return g_test_run();
}
