/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stranger's description may ask for: what real forks have, and nothing else. */
#include "fork/vet.h"

#include "util/error.h"

#define FILES "/x/g.files"

static MoseSpec *
make_spec(void)
{
    MoseSpec *spec = mose_spec_new();

    spec->name = g_strdup("g");
    spec->qemu = g_strdup("/usr/bin/qemu-system-x86_64");
    spec->cwd = g_strdup("/");
    spec->machine = g_strdup("pc");
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        spec->accel[side] = g_strdup("tcg");
        spec->cpu[side] = g_strdup("qemu64,-svm");
    }
    return spec;
}

static gboolean
is_good(const char *name, const char *value, GError **error)
{
    g_autoptr(MoseSpec) spec = make_spec();

    mose_spec_add_option(spec, name, value);
    return mose_fork_vet(spec, FILES, error);
}

static void
test_good(void)
{
    static const char *const cases[][2] = {
        { "-nodefaults", NULL },
        { "-kernel", FILES "/0-bzImage" },
        { "-append", "console=ttyS0 root=/dev/vda init=/bin/sh" },
        { "-smp", "4" },
        { "-serial", "chardev:c" },
        { "-chardev", "ringbuf,id=c,size=65536" },
        { "-chardev", "socket,id=c,path=/run/mose/f/chardev.c,server=on,wait=off" },
        { "-netdev", "user,id=n,restrict=on" },
        { "-netdev", "tap,id=n,ifname=t0,script=no,downscript=no" },
        { "-netdev", "hubport,id=n,hubid=1" },
        { "-device", "virtio-net-pci,netdev=n,romfile=" },
        { "-device", "virtio-net-pci,netdev=n,romfile=efi-virtio.rom" },
        { "-device", "{\"driver\":\"virtio-blk-pci\",\"drive\":\"d\"}" },
        { "-drive", "file=" FILES "/1-disk.qcow2,format=qcow2,if=virtio" },
        { "-drive", "if=none,id=cd,media=cdrom" },
        { "-blockdev", "driver=file,filename=" FILES "/1-disk,node-name=f" },
        { "-blockdev", "driver=raw,file=f,node-name=d" },
        { "-blockdev", "{\"driver\":\"qcow2\",\"node-name\":\"d\",\"file\":{\"driver\":"
                       "\"file\",\"filename\":\"" FILES
                       "/1-disk\",\"locking\":\"on\"},\"cache\":{\"direct\":true}}" },
        { "-object", "rng-random,id=r,filename=/dev/urandom" },
        { "-object", "iothread,id=i" },
        { "-global", "PIIX4_PM.disable_s3=1" },
        { "-boot", "order=c,menu=off" },
        { "-drive", "file=" FILES "/d,format=qcow2,cache.direct=on,file.locking=on" },
        { "-device", "scsi-hd,bus=scsi.0,scsi-id=1,drive=d5" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        is_good(cases[i][0], cases[i][1], &error);
        g_assert_no_error(error);
    }
}

static void
test_bad(void)
{
    static const char *const cases[][2] = {
        { "-plugin", "/tmp/x.so" },
        { "-incoming", "exec:touch /tmp/x" },
        { "-qmp", "tcp:0.0.0.0:1,server=on" },
        { "-D", "/etc/passwd" },
        { "-d", "exec" },
        { "-L", "/tmp" },
        { "-netdev", NULL },
        { "-chardev", NULL },
        { "-nodefaults", "x" },
        { "-serial", "tcp:1.2.3.4:5" },
        { "-serial", "file:/etc/passwd" },
        { "-chardev", "file,id=c,path=/etc/passwd" },
        { "-chardev", "pty,id=c" },
        { "-netdev", "stream,id=n,addr.type=inet,addr.host=1.2.3.4,addr.port=5" },
        { "-kernel", "/etc/shadow" },
        { "-kernel", FILES "/../../../etc/shadow" },
        { "-kernel", FILES "/.." },
        { "-kernel", "x" },
        { "-drive", "file=/dev/sda,format=raw" },
        { "-drive", "file=nbd:1.2.3.4:10809,format=raw" },
        { "-drive", "file=relative,format=raw" },
        { "-drive", "file.filename=/dev/sda,format=raw" },
        { "-drive", "file.driver=nbd,file.host=1.2.3.4" },
        { "-drive", "/dev/sda" },
        { "-drive", "driver=host_device,filename=/dev/sda" },
        { "-blockdev", "driver=nbd,server.type=inet,node-name=n" },
        { "-blockdev", "driver=file,filename=/etc/passwd,node-name=n" },
        { "-blockdev", "{\"driver\":\"raw\",\"node-name\":\"d\",\"file\":{\"driver\":"
                       "\"host_device\",\"filename\":\"/dev/sda\"}}" },
        { "-blockdev", "{\"driver\":\"raw\",\"node-name\":\"d\",\"file\":{\"driver\":"
                       "\"file\",\"filename\":\"/etc/passwd\"}}" },
        { "-blockdev", "{" },
        { "-device", "loader,file=/etc/shadow,addr=0" },
        { "-device", "{\"driver\":\"loader\",\"file\":\"/etc/shadow\"}" },
        { "-device", "virtio-net-pci,romfile=/etc/shadow" },
        { "-object", "secret,id=s,file=/etc/shadow" },
        { "-object",
          "memory-backend-file,id=m,mem-path=/etc/passwd,share=on,size=4096" },
        { "-object", "rng-random,id=r,filename=/etc/shadow" },
        { "-fw_cfg", "name=opt/x,file=/etc/shadow" },
        { "-smbios", "file=/etc/shadow" },
        { "-cdrom", "/dev/sr0" },
        { "-nic", "user,guestfwd=tcp:10.0.2.100:80-cmd:sh" },
        { "-drive", "file.file.filename=/etc/passwd,file.driver=raw" },
        { "-drive", "file=" FILES "/d,format=qcow2,backing.file.filename=/etc/passwd" },
        { "-drive", "file=" FILES "/d,format=qcow2,data-file.filename=" FILES "/../x" },
        { "-drive", "file=" FILES "/d,format=qcow2,backing=n" },
        { "-drive", "file=" FILES "/d,format=vmdk" },
        { "-blockdev", "{\"driver\":\"qcow2\",\"node-name\":\"d\",\"backing\":\"x\"}" },
        { "-device", "usb-mtp,rootdir=/home,readonly=off" },
        { "-device", "usb-mtp,rootdir=home" },
        { "-device", "u2f-emulated,dir=/home" },
        { "-device", "ipmi-bmc-sim,id=b,frudatafile=x" },
        { "-device", "virtio-net-pci,romfile=relative" },
        { "-device", "vfio-pci,host=01:00.0" },
        { "-global", "virtio-net-pci.romfile=/etc/shadow" },
        { "-global", "virtio-net-pci.romfile=relative" },
        { "-boot", "splash=/etc/shadow" },
        { "-acpitable", "data=" FILES "/a:/etc/shadow" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        if (is_good(cases[i][0], cases[i][1], &error))
            g_error("%s %s is let through", cases[i][0], cases[i][1]);
        g_assert_nonnull(error);
    }
}

/* What is no option. */
static void
test_words(void)
{
    static const struct {
        gsize offset;
        const char *value;
    } cases[] = {
        { G_STRUCT_OFFSET(MoseSpec, machine), "pc,dumpdtb=/etc/passwd" },
        { G_STRUCT_OFFSET(MoseSpec, machine), "" },
        { G_STRUCT_OFFSET(MoseSpec, accel), "tcg -plugin x" },
        { G_STRUCT_OFFSET(MoseSpec, cpu), "-plugin" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseSpec) spec = make_spec();
        char **field = G_STRUCT_MEMBER_P(spec, cases[i].offset);
        g_autoptr(GError) error = NULL;

        g_free(*field);
        *field = g_strdup(cases[i].value);
        g_assert_false(mose_fork_vet(spec, FILES, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vet/good", test_good);
    g_test_add_func("/vet/bad", test_bad);
    g_test_add_func("/vet/words", test_words);
    return g_test_run();
}
