/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU options read into a description: what is kept, what is refused and why. */
#include <string.h>

#include "qemu/spec.h"
#include "util/error.h"
#include "util/json.h"

static MoseSpec *
parse(const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    if (*line == '\0')
        g_clear_pointer(&words[0], g_free);
    return mose_spec_parse((const char *const *)words, error);
}

/* The options kept, as one line. */
static char *
kept(const MoseSpec *spec)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < spec->options->len; i++) {
        const MoseOption *option = spec->options->pdata[i];

        g_string_append_printf(text, "%s%s%s%s", i ? " " : "", option->name,
                               option->value ? " " : "",
                               option->value ? option->value : "");
    }
    return g_string_free(text, FALSE);
}

/* Each stands for what two processes cannot share, or MOSE gives itself. */
static void
test_refused(void)
{
    static const struct {
        const char *line;
        MoseErrorCode code;
        const char *text;
    } cases[] = {
        { "-accel kvm", MOSE_ERROR_UNSUPPORTED, "-accel kvm: use `mose run --accel`" },
        { "-enable-kvm", MOSE_ERROR_UNSUPPORTED, "-enable-kvm: use `mose run --accel" },
        { "-machine pc,accel=kvm", MOSE_ERROR_UNSUPPORTED, "--accel` instead of" },
        { "-M q35,kernel_irqchip=off", MOSE_ERROR_UNSUPPORTED, "--accel` instead of" },
        { "-M pc,memory-backend=m", MOSE_ERROR_UNSUPPORTED, "RAM itself; use -m" },
        { "-m 0", MOSE_ERROR_UNSUPPORTED, "-m 0: not a size; try -m 1G" },
        { "-m lots", MOSE_ERROR_UNSUPPORTED, "not a size" },
        { "-m 1G,slots=2,maxmem=4G", MOSE_ERROR_UNSUPPORTED, "plugged in later" },
        { "-m", MOSE_ERROR_INVALID, "-m needs an argument" },
        { "disk.img", MOSE_ERROR_INVALID, "'disk.img' is no option; name a disk" },
        { "-chardev socket,id=c,host=h,port=1,server=on", MOSE_ERROR_UNSUPPORTED,
          "one process only; use a unix socket" },
        { "-chardev socket,id=c,path=p", MOSE_ERROR_UNSUPPORTED, "two processes" },
        { "-chardev socket,id=c,path=p,server=off", MOSE_ERROR_UNSUPPORTED,
          "two processes" },
        { "-chardev stdio,id=c", MOSE_ERROR_UNSUPPORTED, "can't take this along" },
        { "-chardev pty,id=c", MOSE_ERROR_UNSUPPORTED, "can't take this along" },
        { "-serial stdio", MOSE_ERROR_UNSUPPORTED, "no terminal; use file:PATH" },
        { "-serial mon:stdio", MOSE_ERROR_UNSUPPORTED, "no terminal" },
        { "-serial unix:p", MOSE_ERROR_UNSUPPORTED, "two processes" },
        { "-netdev tap,id=n", MOSE_ERROR_UNSUPPORTED, "name an existing tap" },
        { "-netdev tap,id=n,ifname=t", MOSE_ERROR_UNSUPPORTED, "runs no scripts" },
        { "-netdev tap,id=n,ifname=t,script=/up", MOSE_ERROR_UNSUPPORTED,
          "runs no scripts" },
        { "-netdev tap,id=n,fd=3", MOSE_ERROR_UNSUPPORTED, "descriptors end with" },
        { "-netdev tap,id=n,ifname=t,script=no,queues=2", MOSE_ERROR_UNSUPPORTED,
          "several queues" },
        { "-netdev type=tap,id=n,ifname=t,script=no", MOSE_ERROR_UNSUPPORTED,
          "begin with the back end's name" },
        { "-netdev {\"type\":\"tap\",\"id\":\"n\"}", MOSE_ERROR_UNSUPPORTED,
          "begin with the back end's name" },
        { "-object memory-backend-ram,id=m,size=1G", MOSE_ERROR_UNSUPPORTED,
          "RAM itself; use -m" },
        { "-object qom-type=memory-backend-ram,id=m", MOSE_ERROR_UNSUPPORTED,
          "begin with the object's type" },
        { "-object {\"qom-type\":\"memory-backend-ram\"}", MOSE_ERROR_UNSUPPORTED,
          "begin with the object's type" },
        { "-display gtk", MOSE_ERROR_UNSUPPORTED, "a screen belongs to one process" },
        { "-vnc :0", MOSE_ERROR_UNSUPPORTED, "a screen belongs to one process" },
        { "-monitor stdio", MOSE_ERROR_UNSUPPORTED, "start the guest twice" },
        { "-qmp unix:q,server=on", MOSE_ERROR_UNSUPPORTED, "start the guest twice" },
        { "--qmp unix:q,server=on", MOSE_ERROR_UNSUPPORTED, "start the guest twice" },
        { "-s", MOSE_ERROR_UNSUPPORTED, "start the guest twice" },
        { "-nic user", MOSE_ERROR_UNSUPPORTED, "say it as -netdev and -device" },
        { "-net nic", MOSE_ERROR_UNSUPPORTED, "say it as -netdev and -device" },
        { "-debugcon stdio", MOSE_ERROR_UNSUPPORTED, "-device isa-debugcon" },
        { "-parallel stdio", MOSE_ERROR_UNSUPPORTED, "-device isa-parallel" },
        { "-add-fd fd=3,set=1", MOSE_ERROR_UNSUPPORTED, "descriptors end with" },
        { "-nographic", MOSE_ERROR_UNSUPPORTED, "no terminal" },
        { "-incoming defer", MOSE_ERROR_UNSUPPORTED, "MOSE gives this option itself" },
        { "-numa node", MOSE_ERROR_UNSUPPORTED, "RAM of several backends" },
        { "-mem-path /x", MOSE_ERROR_UNSUPPORTED, "RAM itself" },
        { "-snapshot", MOSE_ERROR_UNSUPPORTED, "use an overlay" },
        { "-drive file=d,snapshot=on", MOSE_ERROR_UNSUPPORTED, "use an overlay" },
        { "-drive file=d,snapshot", MOSE_ERROR_UNSUPPORTED, "use an overlay" },
        { "-set drive.d.snapshot=on", MOSE_ERROR_UNSUPPORTED, "in the option" },
        { "-daemonize", MOSE_ERROR_UNSUPPORTED, "comes back by itself" },
        { "-icount 1", MOSE_ERROR_UNSUPPORTED, "KVM cannot count" },
        { "-help", MOSE_ERROR_UNSUPPORTED, "qemu-system-x86_64 -help" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseSpec) spec = parse(cases[i].line, &error);

        g_test_message("%s", cases[i].line);
        g_assert_null(spec);
        g_assert_error(error, MOSE_ERROR, (int)cases[i].code);
        if (!strstr(error->message, cases[i].text))
            g_error("\"%s\" does not say \"%s\"", error->message, cases[i].text);
    }
}

/* What two processes can share stays as it was written, in its order. */
static void
test_kept(void)
{
    static const struct {
        const char *line;
        const char *kept; /* NULL: the same */
    } cases[] = {
        { "-drive file=a.qcow2,if=virtio -device virtio-rng-pci -smp 2", NULL },
        { "-drive file=a,snapshot=off", NULL },
        { "-nodefaults -no-reboot -usb -append x", NULL },
        { "-netdev user,id=n,hostfwd=tcp::1-:2 -device virtio-net-pci,netdev=n", NULL },
        { "-netdev tap,id=n,ifname=t,script=no,downscript=no", NULL },
        { "-chardev socket,id=c,path=p,server=on,wait=off", NULL },
        { "-chardev socket,id=c,path=p,server,nowait", NULL },
        { "-chardev file,id=c,path=p -serial chardev:c", NULL },
        { "-object rng-random,id=r,filename=/dev/urandom", NULL },
        { "-serial none", NULL },
        { "-nic none", NULL },
        { "-display none -monitor none", "" },
        { "--device virtio-rng-pci", "-device virtio-rng-pci" },
        { "-serial file:out",
          "-chardev file,id=mose-serial0,path=out -serial chardev:mose-serial0" },
        { "-smp 2 -serial unix:p,server=on,wait=off",
          "-smp 2 -chardev socket,id=mose-serial1,path=p,server=on,wait=off -serial "
          "chardev:mose-serial1" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseSpec) spec = parse(cases[i].line, &error);
        g_autofree char *text = NULL;

        g_assert_no_error(error);
        text = kept(spec);
        g_assert_cmpstr(text, ==, cases[i].kept ? cases[i].kept : cases[i].line);
    }
}

static void
test_values(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseSpec) spec = parse("", &error);
    g_autoptr(MoseSpec) other =
        parse("-M pc -m 1G -machine q35,smm=off -m size=2G -cpu max -S", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(spec->machine, ==, "pc");
    g_assert_cmpuint(spec->ram_size, ==, 128 << 20);
    g_assert_null(spec->user_cpu);
    g_assert_false(spec->start_paused);
    g_assert_cmpstr(other->machine, ==, "q35,smm=off");
    g_assert_cmpuint(other->ram_size, ==, G_GUINT64_CONSTANT(2) << 30);
    g_assert_cmpstr(other->user_cpu, ==, "max");
    g_assert_true(other->start_paused);
    g_assert_cmpuint(other->options->len, ==, 0);
}

/* Options without an argument must be known as such, or they would swallow the
 * next one: ask QEMU itself. */
static void
test_bare_options(void)
{
    const char *argv[] = { "qemu-system-x86_64", "-help", NULL };
    g_autofree char *help = NULL;
    g_auto(GStrv) lines = NULL;
    int n = 0;

    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      &help, NULL, NULL, NULL)) {
        g_test_skip("no qemu-system-x86_64 to ask");
        return;
    }
    lines = g_strsplit(help, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *first = g_strndup(*line, strcspn(*line, " "));
        const char *rest = *line + strlen(first);
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseSpec) spec = NULL;

        /* "-S              freeze CPU at startup": an argument follows at one space,
         * but for -dtb's; "-hda/-hdb file" stands for two options. */
        if (*first != '-' || (*rest && !g_str_has_prefix(rest, "  ")) ||
            strchr(first, '/') || strcmp(first, "-dtb") == 0)
            continue;
        spec = parse(first, &error);
        if (error && strstr(error->message, "needs an argument"))
            g_error("%s takes no argument: %s", first, *line);
        n++;
    }
    g_assert_cmpint(n, >, 10);
}

static MoseSpec *
whole_spec(void)
{
    g_autoptr(GError) error = NULL;
    MoseSpec *spec = parse("-m 3G -M q35 -nodefaults -smp 2 -cpu max", &error);

    g_assert_no_error(error);
    spec->name = g_strdup("g");
    spec->qemu = g_strdup("/usr/bin/qemu-system-x86_64");
    spec->cwd = g_strdup("/");
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        spec->accel[side] = g_strdup(side == MOSE_SIDE_VIRTUALIZER ? "kvm" : "tcg");
        spec->cpu[side] = g_strdup("qemu64,+avx2");
    }
    return spec;
}

static void
test_json(void)
{
    g_autoptr(MoseSpec) spec = whole_spec();
    g_autoptr(JsonObject) object = mose_spec_to_json(spec);
    g_autoptr(JsonObject) again = NULL;
    g_autofree char *text = mose_json_text(object, TRUE);
    g_autofree char *text_again = NULL;
    g_autofree char *options = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseSpec) read = mose_spec_from_json(object, &error);

    g_assert_no_error(error);
    again = mose_spec_to_json(read);
    text_again = mose_json_text(again, TRUE);
    g_assert_cmpstr(text, ==, text_again);
    options = kept(read);
    g_assert_cmpstr(options, ==, "-nodefaults -smp 2");
    g_assert_cmpuint(read->ram_size, ==, G_GUINT64_CONSTANT(3) << 30);
}

/* Without any one of its members a description is not complete. */
static void
test_json_incomplete(void)
{
    static const char *const needed[] = { "name",        "qemu",     "cwd",
                                          "machine",     "ram-size", "options",
                                          "virtualizer", "emulator" };
    static const char *const bad_options[] = { "[1]",  "[[]]",     "[[1]]",
                                               "[{}]", "[[null]]", "{}" };

    for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
        g_autoptr(MoseSpec) spec = whole_spec();
        g_autoptr(JsonObject) object = mose_spec_to_json(spec);
        g_autoptr(GError) error = NULL;

        json_object_remove_member(object, needed[i]);
        g_assert_null(mose_spec_from_json(object, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad_options); i++) {
        g_autoptr(MoseSpec) spec = whole_spec();
        g_autoptr(JsonObject) object = mose_spec_to_json(spec);
        g_autoptr(GError) error = NULL;

        json_object_set_member(object, "options",
                               json_from_string(bad_options[i], NULL));
        g_assert_null(mose_spec_from_json(object, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    }
}

static void
test_sides(void)
{
    MoseSide side;

    for (MoseSide i = 0; i < MOSE_N_SIDES; i++) {
        g_assert_true(mose_side_from_name(mose_side_name(i), &side));
        g_assert_cmpint(side, ==, i);
    }
    g_assert_false(mose_side_from_name("nowhere", &side));
    g_assert_false(mose_side_from_name(NULL, &side));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spec/refused", test_refused);
    g_test_add_func("/spec/kept", test_kept);
    g_test_add_func("/spec/values", test_values);
    g_test_add_func("/spec/bare-options", test_bare_options);
    g_test_add_func("/spec/json", test_json);
    g_test_add_func("/spec/json-incomplete", test_json_incomplete);
    g_test_add_func("/spec/sides", test_sides);
    return g_test_run();
}
