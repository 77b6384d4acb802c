/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's option strings, taken apart, changed, and put together again. */
#include "qemu/optstr.h"

static void
test_split_join(void)
{
    static const struct {
        const char *text;
        guint n;
        const char *last; /* part, unescaped */
    } cases[] = {
        { "", 1, "" },
        { "pc", 1, "pc" },
        { "tap,id=n,ifname=t", 3, "ifname=t" },
        { "file,path=/a,,b", 2, "path=/a,b" },
        { "a,,,b", 2, "b" },
        { "a,,,,b", 1, "a,,b" },
        { "a,", 2, "" },
        { ",,", 1, "," },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) parts = mose_optstr_split(cases[i].text);
        g_autofree char *text = mose_optstr_join(parts);

        g_assert_cmpuint(parts->len, ==, cases[i].n);
        g_assert_cmpstr(parts->pdata[parts->len - 1], ==, cases[i].last);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void
test_get(void)
{
    g_autoptr(GPtrArray) parts =
        mose_optstr_split("socket,path=a,server,wait=off,path=b,paths=c");

    g_assert_cmpstr(mose_optstr_get(parts, "path"), ==, "b");
    g_assert_cmpstr(mose_optstr_get(parts, "server"), ==, "");
    g_assert_cmpstr(mose_optstr_get(parts, "pat"), ==, NULL);
    g_assert_true(mose_optstr_is_on(parts, "server", FALSE));
    g_assert_false(mose_optstr_is_on(parts, "wait", TRUE));
    g_assert_true(mose_optstr_is_on(parts, "reconnect", TRUE));
    g_assert_false(mose_optstr_is_on(parts, "reconnect", FALSE));
}

static void
test_change(void)
{
    g_autoptr(GPtrArray) parts =
        mose_optstr_split("socket,server,nowait,path=a,hostfwd=1,hostfwd=2");
    g_autofree char *text = NULL;

    mose_optstr_set(parts, "path", "x,y");
    mose_optstr_set(parts, "server", "on");
    mose_optstr_drop(parts, "wait");
    mose_optstr_drop(parts, "hostfwd");
    mose_optstr_drop(parts, "absent");
    mose_optstr_set(parts, "wait", "off");
    text = mose_optstr_join(parts);
    g_assert_cmpstr(text, ==, "socket,server=on,path=x,,y,wait=off");
}

static void
test_size(void)
{
    static const struct {
        const char *text;
        guint64 size; /* 0: none */
    } cases[] = {
        { "128", 128 * G_GUINT64_CONSTANT(0x100000) },
        { "4G", 4 * G_GUINT64_CONSTANT(0x40000000) },
        { "4g", 4 * G_GUINT64_CONSTANT(0x40000000) },
        { "512k", 512 * 1024 },
        { "4096B", 4096 },
        { "1E", G_GUINT64_CONSTANT(1) << 60 },
        { "0", 0 },
        { "", 0 },
        { "-1", 0 },
        { " 1", 0 },
        { "1.5G", 0 },
        { "1GB", 0 },
        { "0x10", 0 },
        { "16E", 0 },
        { "99999999999999999999", 0 },
        { "18446744073709551615", 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 size = 0;
        gboolean good = mose_optstr_size(cases[i].text, 1 << 20, &size);

        g_test_message("%s", cases[i].text);
        g_assert_cmpint(good, ==, cases[i].size != 0);
        if (good)
            g_assert_cmpuint(size, ==, cases[i].size);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/optstr/split-join", test_split_join);
    g_test_add_func("/optstr/get", test_get);
    g_test_add_func("/optstr/change", test_change);
    g_test_add_func("/optstr/size", test_size);
    return g_test_run();
}
