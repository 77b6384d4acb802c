/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command lines of both sides, made from one description. */
#include <string.h>

#include "qemu/command.h"
#include "util/error.h"

static MoseSpec *
make_spec(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;
    MoseSpec *spec = mose_spec_parse((const char *const *)words, &error);

    g_assert_no_error(error);
    spec->name = g_strdup("g");
    spec->qemu = g_strdup("/usr/bin/qemu-system-x86_64");
    spec->cwd = g_strdup("/home/u");
    spec->accel[MOSE_SIDE_VIRTUALIZER] = g_strdup("kvm");
    spec->accel[MOSE_SIDE_EMULATOR] = g_strdup("tcg");
    spec->cpu[MOSE_SIDE_VIRTUALIZER] = g_strdup("qemu64,-x2apic");
    spec->cpu[MOSE_SIDE_EMULATOR] = g_strdup("qemu64");
    return spec;
}

static const MoseCommandFor first = { MOSE_SIDE_VIRTUALIZER, 1, FALSE, "/r/g/pid.1",
                                      .ram_shared = TRUE };
static const MoseCommandFor second = {
    MOSE_SIDE_EMULATOR, 2, TRUE, "/r/g/pid.2", "pc-i440fx-10.0", .ram_shared = TRUE
};

static MoseCommandLine *
build(const char *line, const MoseCommandFor *what)
{
    g_autoptr(MoseSpec) spec = make_spec(line);
    g_autoptr(GError) error = NULL;
    MoseCommandLine *command = mose_command_build(spec, what, &error);

    g_assert_no_error(error);
    return command;
}

static char *
joined(const MoseCommandLine *command)
{
    return g_strjoinv(" ", (char **)command->argv->pdata);
}

/* The arguments of option @name, in their order, with a space between. */
static char *
values(const MoseCommandLine *command, const char *name)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i + 1 < command->argv->len; i++)
        if (strcmp(command->argv->pdata[i], name) == 0)
            g_string_append_printf(text, "%s%s", text->len ? " " : "",
                                   (char *)command->argv->pdata[i + 1]);
    return g_string_free(text, FALSE);
}

static void
expect(const MoseCommandLine *command, const char *name, const char *wanted)
{
    g_autofree char *got = values(command, name);

    g_assert_cmpstr(got, ==, wanted);
}

/* All of it, once, for either side. */
static void
test_whole(void)
{
    static const char line[] = "-m 1G -nodefaults -device virtio-rng-pci";
    g_autoptr(MoseCommandLine) one = build(line, &first);
    g_autoptr(MoseCommandLine) two = build(line, &second);
    g_autofree char *text_one = joined(one);
    g_autofree char *text_two = joined(two);

#define IOAPIC "-global ioapic.version=0x11 "
#define MONITORS                                                                       \
    "-chardev socket,id=mose-qmp0,fd=4,server=on,wait=off "                            \
    "-mon chardev=mose-qmp0,mode=control "                                             \
    "-chardev socket,id=mose-qmp1,fd=5,server=on,wait=off "                            \
    "-mon chardev=mose-qmp1,mode=control "                                             \
    "-chardev socket,id=mose-qmp2,fd=6,server=on,wait=off "                            \
    "-mon chardev=mose-qmp2,mode=control -monitor none -display none "
#define RAM                                                                            \
    "-object memory-backend-file,id=mose-ram,size=1073741824,"                         \
    "mem-path=/proc/self/fd/3,share=on -m 1073741824B "
    g_assert_cmpstr(text_one, ==,
                    "/usr/bin/qemu-system-x86_64 -name g -pidfile /r/g/pid.1 -sandbox "
                    "on -S -accel kvm -cpu qemu64,-x2apic " RAM
                    "-machine pc,memory-backend=mose-ram " IOAPIC MONITORS
                    "-nodefaults -device virtio-rng-pci");
    g_assert_cmpstr(text_two, ==,
                    "/usr/bin/qemu-system-x86_64 -name g -pidfile /r/g/pid.2 -sandbox "
                    "on -S -accel tcg -cpu qemu64 " RAM
                    "-machine pc-i440fx-10.0,memory-backend=mose-ram " IOAPIC MONITORS
                    "-nodefaults -device virtio-rng-pci -incoming defer");
}

/* An alias may mean another type after an upgrade of QEMU. */
static void
test_machine(void)
{
    static const struct {
        const char *line;
        const char *first, *second;
    } cases[] = {
        { "-M q35,smm=off", "q35,smm=off,memory-backend=mose-ram",
          "pc-i440fx-10.0,smm=off,memory-backend=mose-ram" },
        { "-M smm=off,type=q35", "smm=off,type=q35,memory-backend=mose-ram",
          "pc-i440fx-10.0,smm=off,memory-backend=mose-ram" },
        { "-M type=q35", "type=q35,memory-backend=mose-ram",
          "pc-i440fx-10.0,memory-backend=mose-ram" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseCommandLine) one = build(cases[i].line, &first);
        g_autoptr(MoseCommandLine) two = build(cases[i].line, &second);

        expect(one, "-machine", cases[i].first);
        expect(two, "-machine", cases[i].second);
    }
}

static void
test_taps(void)
{
    g_autoptr(MoseCommandLine) command =
        build("-netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off "
              "-netdev user,id=n1 "
              "-netdev tap,ifname=tap1,script=no,id=n2,vnet_hdr=off",
              &second);
    const MoseTap *tap;

    expect(command, "-netdev", "tap,id=n0,vhost=off,fd=16 user,id=n1 tap,id=n2,fd=17");
    g_assert_cmpuint(command->taps->len, ==, 2);
    tap = command->taps->pdata[0];
    g_assert_cmpstr(tap->ifname, ==, "tap0");
    g_assert_cmpint(tap->number, ==, MOSE_TAP_FD);
    g_assert_true(tap->vnet_hdr);
    tap = command->taps->pdata[1];
    g_assert_cmpstr(tap->ifname, ==, "tap1");
    g_assert_cmpint(tap->number, ==, MOSE_TAP_FD + 1);
    g_assert_false(tap->vnet_hdr);
}

/* The ports are still the other process's: for the incoming side they wait. */
static void
test_forwards(void)
{
    static const char line[] =
        "-netdev user,id=n,hostfwd=tcp::8080-:80,restrict=on,hostfwd=udp::5-:6";
    g_autoptr(MoseCommandLine) one = build(line, &first);
    g_autoptr(MoseCommandLine) two = build(line, &second);
    const MoseForward *forward;

    expect(one, "-netdev", line + strlen("-netdev "));
    g_assert_cmpuint(one->forwards->len, ==, 0);
    expect(two, "-netdev", "user,id=n,restrict=on");
    g_assert_cmpuint(two->forwards->len, ==, 2);
    forward = two->forwards->pdata[0];
    g_assert_cmpstr(forward->netdev, ==, "n");
    g_assert_cmpstr(forward->rule, ==, "tcp::8080-:80");
    forward = two->forwards->pdata[1];
    g_assert_cmpstr(forward->rule, ==, "udp::5-:6");
}

static void
test_chardevs(void)
{
    static const char line[] = "-chardev socket,id=c,path=/s/a,,b,server=on "
                               "-chardev file,id=f,path=out -chardev null,id=n "
                               "-chardev socket,path=rel,server,nowait,id=d";
    g_autoptr(MoseCommandLine) one = build(line, &first);
    g_autoptr(MoseCommandLine) two = build(line, &second);
    g_autofree char *chardevs_one = values(one, "-chardev");
    g_autofree char *chardevs_two = values(two, "-chardev");
    const MoseRename *socket;

    g_assert_true(g_str_has_suffix(
        chardevs_one, " socket,id=c,path=/s/a,,b.mose-1,server=on,wait=off "
                      "file,id=f,path=out null,id=n "
                      "socket,path=rel.mose-1,server,nowait,id=d,wait=off"));
    /* What the first process wrote stays. */
    g_assert_true(g_str_has_suffix(
        chardevs_two, " socket,id=c,path=/s/a,,b.mose-2,server=on,wait=off "
                      "file,id=f,path=out,append=on null,id=n "
                      "socket,path=rel.mose-2,server,nowait,id=d,wait=off"));
    g_assert_cmpuint(two->renames->len, ==, 2);
    socket = two->renames->pdata[0];
    g_assert_cmpstr(socket->bound, ==, "/s/a,b.mose-2");
    g_assert_cmpstr(socket->wanted, ==, "/s/a,b");
    socket = two->renames->pdata[1];
    g_assert_cmpstr(socket->bound, ==, "/home/u/rel.mose-2");
    g_assert_cmpstr(socket->wanted, ==, "/home/u/rel");
}

/* 107 bytes are QEMU's limit, MOSE's suffix ".mose-2" included. */
static void
test_socket_path_length(void)
{
    g_autofree char *fits = g_strnfill(107 - 8, 'x');
    g_autofree char *line =
        g_strdup_printf("-chardev socket,id=c,path=/%s,server=on", fits);
    g_autofree char *longer =
        g_strdup_printf("-chardev socket,id=c,path=/%sx,server=on", fits);
    g_autoptr(MoseCommandLine) command = build(line, &second);
    g_autoptr(MoseSpec) spec = make_spec(longer);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(command);
    g_assert_null(mose_command_build(spec, &second, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_true(g_str_has_prefix(error->message, "socket path too long: /xxx"));
    g_assert_nonnull(strstr(error->message, "108 bytes, at most 107"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/command/whole", test_whole);
    g_test_add_func("/command/machine", test_machine);
    g_test_add_func("/command/taps", test_taps);
    g_test_add_func("/command/forwards", test_forwards);
    g_test_add_func("/command/chardevs", test_chardevs);
    g_test_add_func("/command/socket-path-length", test_socket_path_length);
    return g_test_run();
}
