/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One option read and changed in either spelling; what may be plugged in. */
#include "lib/says.h"
#include "qemu/spec.h"

static void
expect(char *got, const char *wanted)
{
    g_assert_cmpstr(got, ==, wanted);
    g_free(got);
}

static void
test_read(void)
{
    g_autoptr(MoseOption) words =
        mose_option_new("-device", "e1000,netdev=n,id=a,,b,mac=x");
    g_autoptr(MoseOption) json =
        mose_option_new("-device", "{\"driver\":\"e1000\",\"id\":\"j\",\"lun\":3}");
    g_autoptr(MoseOption) node =
        mose_option_new("-blockdev", "driver=raw,file=f,node-name=d,id=x");
    g_autoptr(MoseOption) broken = mose_option_new("-device", "{\"driver\":");
    g_autoptr(MoseOption) bare = mose_option_new("-nodefaults", NULL);

    expect(mose_option_head(words), "e1000");
    expect(mose_option_id(words), "a,b");
    expect(mose_option_get(words, "mac"), "x");
    expect(mose_option_get(words, "bus"), NULL);
    expect(mose_option_head(json), "");
    expect(mose_option_id(json), "j");
    expect(mose_option_get(json, "lun"), "3");
    expect(mose_option_head(node), "");
    expect(mose_option_id(node), "d");
    expect(mose_option_id(broken), NULL);
    expect(mose_option_id(bare), NULL);
}

static void
test_set(void)
{
    g_autoptr(MoseOption) words = mose_option_new("-device", "scsi-hd,id=a");
    g_autoptr(MoseOption) json =
        mose_option_new("-device", "{\"driver\":\"scsi-hd\",\"id\":\"j\"}");

    mose_option_set(words, "lun", "3", TRUE);
    mose_option_set(words, "bus", "b,0", FALSE);
    g_assert_cmpstr(words->value, ==, "scsi-hd,id=a,lun=3,bus=b,,0");
    mose_option_set(json, "lun", "3", TRUE);
    mose_option_set(json, "addr", "05.0", FALSE);
    g_assert_cmpstr(
        json->value, ==,
        "{\"driver\":\"scsi-hd\",\"id\":\"j\",\"lun\":3,\"addr\":\"05.0\"}");
}

/* A name is used by what refers to it, not by what has it, or is of a type like it. */
static void
test_uses(void)
{
    static const struct {
        const char *name, *value;
        gboolean uses;
    } cases[] = {
        { "-device", "virtio-blk-pci,drive=d,id=x", TRUE },
        { "-device", "virtio-blk-pci,drive=dd,id=x", FALSE },
        { "-device", "virtio-blk-pci,drive=y,id=d", FALSE },
        { "-device", "{\"driver\":\"scsi-hd\",\"drive\":\"d\"}", TRUE },
        { "-device", "{\"driver\":\"d\",\"id\":\"d\"}", FALSE },
        { "-blockdev", "driver=raw,file=d,node-name=e", TRUE },
        { "-blockdev", "driver=d,node-name=d", FALSE },
        { "-serial", "chardev:d", TRUE },
        { "-nodefaults", NULL, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseOption) option = mose_option_new(cases[i].name, cases[i].value);

        g_test_message("%s %s", cases[i].name, cases[i].value);
        g_assert_true(mose_option_uses(option, "d") == cases[i].uses);
    }
}

static void
test_plug(void)
{
    static const struct {
        const char *line, *text;
    } refused[] = {
        { "-m 1G", "-m: it can't be plugged in" },
        { "-drive file=x,id=d", "say if=none,id=ID" },
        { "-drive file=x,if=none", "it needs an id=" },
        { "-blockdev driver=raw,file=f", "it needs a node-name=" },
        { "-device e1000", "it needs an id=" },
        { "-drive file=x,if=none,id=d,snapshot=on", "use an overlay" },
        { "-chardev pty,id=c", "can't take this along" },
        { "-netdev tap,id=n,fd=3", "name the tap with ifname=" },
        { "-object memory-backend-ram,id=m,size=1M", "RAM itself" },
    };
    g_auto(GStrv) good =
        g_strsplit("--drive file=x,if=none,id=d -device e1000,id=n", " ", -1);
    g_autoptr(MoseSpec) spec = NULL;
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_auto(GStrv) words = g_strsplit(refused[i].line, " ", -1);
        g_autoptr(GError) why = NULL;

        g_assert_null(mose_spec_parse_plug((const char *const *)words, &why));
        assert_says(why, MOSE_ERROR_UNSUPPORTED, refused[i].text);
    }
    spec = mose_spec_parse_plug((const char *const *)good, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(spec->options->len, ==, 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/option/read", test_read);
    g_test_add_func("/option/set", test_set);
    g_test_add_func("/option/uses", test_uses);
    g_test_add_func("/option/plug", test_plug);
    return g_test_run();
}
