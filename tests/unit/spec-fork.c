/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fork's description: nothing of the host's in it but files to read. */
#include <string.h>

#include "qemu/spec-fork.h"
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
    spec->cwd = g_strdup("/");
    spec->ram_private = TRUE;
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        spec->accel[side] = g_strdup("tcg");
        spec->cpu[side] = g_strdup("qemu64");
    }
    return spec;
}

/* All of a fork's options in one line. */
static char *
forked(const char *line, const char *dir, GError **error)
{
    g_autoptr(MoseSpec) spec = make_spec(line);
    g_autoptr(MoseSpec) fork = mose_spec_fork(spec, "f", dir, error);
    GString *text = g_string_new(NULL);

    if (!fork) {
        g_string_free(text, TRUE);
        return NULL;
    }
    g_assert_cmpstr(fork->name, ==, "f");
    g_assert_false(fork->ram_private);
    for (guint i = 0; i < fork->options->len; i++) {
        const MoseOption *option = fork->options->pdata[i];

        g_string_append_printf(text, "%s%s%s%s", i ? " " : "", option->name,
                               option->value ? " " : "",
                               option->value ? option->value : "");
    }
    return g_string_free(text, FALSE);
}

static void
test_replaced(void)
{
    static const struct {
        const char *guest, *fork;
    } cases[] = {
        { "-nodefaults -kernel /k", "-nodefaults -kernel /k" },
        { "-serial file:/tmp/log",
          "-chardev ringbuf,size=65536,id=mose-serial0 -serial chardev:mose-serial0" },
        { "-chardev socket,path=/run/x,id=c,server=on,wait=off -serial chardev:c",
          "-chardev socket,path=/run/mose/f/chardev.c,server=on,wait=off,id=c -serial "
          "chardev:c" },
        { "-chardev file,id=m,path=/x,mux=on",
          "-chardev ringbuf,size=65536,id=m,mux=on" },
        { "-netdev "
          "user,id=n,hostfwd=tcp::80-:80,guestfwd=tcp:10.0.2.9:1-cmd:cat,net=10.0.3.0/"
          "24",
          "-netdev user,id=n,net=10.0.3.0/24,restrict=on" },
        { "-netdev user,id=n,restrict=off", "-netdev user,id=n,restrict=on" },
        { "-netdev user,id=n,restrict=off,restrict=off,norestrict",
          "-netdev user,id=n,restrict=on" },
        { "-netdev tap,id=n,ifname=t0,script=no,downscript=no",
          "-netdev tap,id=n,ifname=t0,script=no,downscript=no" },
        { "-netdev socket,id=n,mcast=230.0.0.1:1234", "-netdev hubport,hubid=0,id=n" },
        { "-audiodev pa,id=a", "-audiodev none,id=a" },
        { "-drive file=/d,format=raw,if=virtio",
          "-drive file=/d,format=raw,if=virtio" },
        { "-object rng-random,id=r,filename=/dev/urandom -device virtio-rng-pci,rng=r",
          "-object rng-random,id=r,filename=/dev/urandom -device "
          "virtio-rng-pci,rng=r" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *line = forked(cases[i].guest, "/run/mose/f", &error);

        g_assert_no_error(error);
        g_assert_cmpstr(line, ==, cases[i].fork);
    }
}

/* A directory whose name leaves no room for a socket's. */
static void
test_long(void)
{
    g_autofree char *dir = g_strnfill(100, 'd');
    g_autofree char *line =
        forked("-chardev socket,path=/run/x,id=c,server=on,wait=off", dir, NULL);

    g_assert_cmpstr(line, ==, "-chardev ringbuf,size=65536,id=c");
}

static void
test_refused(void)
{
    static const char *const lines[] = {
        "-device vfio-pci,host=01:00.0",
        "-device {\"driver\":\"vfio-pci\",\"host\":\"01:00.0\"}",
        "-device usb-host,vendorid=1",
        "-device usb-mtp,rootdir=/home",
        "-overcommit mem-lock=on",
        "-audio pa,model=hda",
        "-device vhost-vsock-pci,guest-cid=3",
        "-device virtio-9p-pci,fsdev=f",
        "-device ivshmem-plain,memdev=m",
        "-device scsi-generic,drive=d",
        "-device tpm-tis,tpmdev=t",
        "-tpmdev passthrough,id=t",
        "-fsdev local,id=f,path=/,security_model=none",
        "-virtfs local,path=/,mount_tag=m,security_model=none",
        "-object input-linux,id=i,evdev=/dev/input/event0",
        "-object filter-dump,id=d,netdev=n,file=/tmp/x",
        "-netdev vhost-vdpa,id=n,vhostdev=/dev/vhost-vdpa-0",
        "-netdev tap,id=n,ifname=t0,script=no,downscript=no,vhost=on",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *line = forked(lines[i], "/run/mose/f", &error);

        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED);
        g_assert_nonnull(strstr(error->message, "a fork can't have"));
        g_assert_null(line);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spec-fork/replaced", test_replaced);
    g_test_add_func("/spec-fork/long", test_long);
    g_test_add_func("/spec-fork/refused", test_refused);
    return g_test_run();
}
