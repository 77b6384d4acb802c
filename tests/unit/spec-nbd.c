/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which disks are exported and how; what becomes of a description without its images.
 */
#include <string.h>

#include "qemu/export.h"
#include "qemu/spec-nbd.h"
#include "util/error.h"
#include "util/json.h"

/* A drive as QEMU 10.0 tells of it, as far as it matters. */
#define DRIVE(device, node, driver, file, more)                                        \
    "{\"device\":\"" device "\",\"inserted\":{\"node-name\":\"" node                   \
    "\",\"drv\":\"" driver "\",\"ro\":false,\"encrypted\":false,\"cache\":{"           \
    "\"writeback\":true,\"direct\":true,\"no-flush\":false},"                          \
    "\"image\":{\"filename\":\"" file "\",\"virtual-size\":4194304}" more "}}"

static GPtrArray *
plan(const char *drives, GError **error)
{
    g_autofree char *text = g_strdup_printf("{\"return\":[%s]}", drives);
    g_autoptr(JsonObject) answer = mose_json_parse(text, -1, "query-block", error);

    g_assert_nonnull(answer);
    return mose_exports_plan(mose_json_array(answer, "return"), "/home/u", error);
}

static void
assert_options(const MoseExport *export, const char *wanted)
{
    g_autofree char *text = mose_json_text(export->options, FALSE);

    g_assert_cmpstr(text, ==, wanted);
}

static void
test_plan(void)
{
    static const char drives[] =
        DRIVE("d0", "#block1", "qcow2", "rel/a.img", "") ",{\"device\":\"cd\"},"
        /* The same by a second device, an image with options, a disk without a format.
         */
        DRIVE("", "#block1", "qcow2", "rel/a.img", "") "," DRIVE(
            "", "n", "raw",
            "json:{\\\"driver\\\":\\\"raw\\\",\\\"offset\\\":512,\\\"file\\\":{"
            "\\\"driver\\\":\\\"file\\\",\\\"filename\\\":\\\"/v/b\\\"}}",
            "") "," DRIVE("", "f", "file", "/v/c", "");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) exports = plan(drives, &error);
    const MoseExport *export;

    g_assert_no_error(error);
    g_assert_cmpuint(exports->len, ==, 3);
    export = exports->pdata[0];
    g_assert_cmpstr(export->name, ==, "mose-disk0");
    g_assert_cmpstr(export->drive, ==, "d0");
    g_assert_cmpstr(export->node, ==, "#block1");
    g_assert_cmpstr(export->file, ==, "/home/u/rel/a.img");
    g_assert_cmpuint(export->size, ==, 4194304);
    g_assert_false(export->read_only);
    assert_options(export,
                   "{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":"
                   "\"/home/u/rel/a.img\",\"active\":false},\"node-name\":"
                   "\"mose-disk0\",\"read-only\":false,\"discard\":\"unmap\","
                   "\"cache\":{\"direct\":true,\"no-flush\":false},\"active\":false}");
    assert_options(exports->pdata[1],
                   "{\"driver\":\"raw\",\"offset\":512,\"file\":{\"driver\":\"file\","
                   "\"filename\":\"/v/b\",\"active\":false},\"node-name\":"
                   "\"mose-disk1\",\"read-only\":false,\"discard\":\"unmap\","
                   "\"cache\":{\"direct\":true,\"no-flush\":false},\"active\":false}");
    assert_options(exports->pdata[2],
                   "{\"driver\":\"file\",\"filename\":\"/v/c\",\"node-name\":"
                   "\"mose-disk2\",\"read-only\":false,\"discard\":\"unmap\","
                   "\"cache\":{\"direct\":true,\"no-flush\":false},\"active\":false}");
}

static void
test_plan_refusals(void)
{
    static const struct {
        const char *drive;
        const char *wanted;
    } cases[] = {
        { DRIVE("d", "n", "raw", "nbd://h/x", ""), "disk nbd://h/x can't be offered to "
                                                   "another host: it is no file" },
        { DRIVE("d", "n", "raw",
                "json:{\\\"driver\\\":\\\"raw\\\",\\\"file\\\":{\\\"driver\\\":"
                "\\\"rbd\\\"}}",
                ""),
          "it is no file of this one" },
        { DRIVE("d", "n", "throttle", "/v/a", ""), "its driver is none of raw" },
        { DRIVE("d", "n", "vmdk", "/v/a", ""), "its driver is none of raw" },
        { DRIVE("d", "mose-overlay0", "qcow2", "/v/a", ""), "`mose virtualize`" },
        { DRIVE("d", "n", "qcow2", "/v/a", ",\"encrypted\":true"), "it is encrypted" },
        { "{\"inserted\":{\"node-name\":\"a\",\"image\":{\"filename\":\"/v/a\"}}}",
          "does not tell its size" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(plan(cases[i].drive, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED);
        g_assert_nonnull(strstr(error->message, cases[i].wanted));
    }
}

static void
test_record(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) exports = plan(DRIVE("d", "n", "raw", "/v/a", ""), &error);
    g_autoptr(JsonArray) record = mose_exports_to_json(exports);
    g_autoptr(GPtrArray) read = mose_exports_from_json(record, &error);
    g_autoptr(JsonArray) broken = json_array_new();
    const MoseExport *export;

    g_assert_no_error(error);
    g_assert_cmpuint(read->len, ==, 1);
    export = read->pdata[0];
    g_assert_cmpstr(export->name, ==, "mose-disk0");
    g_assert_cmpstr(export->file, ==, "/v/a");
    assert_options(export, "{\"driver\":\"raw\",\"file\":{\"driver\":\"file\","
                           "\"filename\":\"/v/a\",\"active\":false},\"node-name\":"
                           "\"mose-disk0\",\"read-only\":false,\"discard\":\"unmap\","
                           "\"cache\":{\"direct\":true,\"no-flush\":false},\"active\":"
                           "false}");
    json_array_add_object_element(broken, json_object_new());
    g_assert_null(mose_exports_from_json(broken, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_null(mose_exports_from_json(NULL, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
}

/* --- the description --- */

static MoseSpec *
spec_of(const char *options)
{
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    MoseSpec *spec;

    g_assert_true(g_shell_parse_argv(options, NULL, &argv, NULL));
    spec = mose_spec_parse((const char *const *)argv, &error);
    g_assert_no_error(error);
    spec->name = g_strdup("g");
    spec->qemu = g_strdup("/usr/bin/qemu");
    spec->cwd = g_strdup("/home/u");
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        spec->accel[side] = g_strdup("tcg");
        spec->cpu[side] = g_strdup("max");
    }
    return spec;
}

static char *
words_of(const MoseSpec *spec)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < spec->options->len; i++) {
        const MoseOption *option = spec->options->pdata[i];

        g_string_append_printf(text, "%s%s %s", i ? "\n" : "", option->name,
                               option->value ? option->value : "");
    }
    return g_string_free(text, FALSE);
}

#define NBD(number)                                                                    \
    "file.driver=nbd,file.server.type=unix,file.server.path=/far/s,file.export="       \
    "mose-disk" number ",file.reconnect-delay=7"

static const struct {
    const char *options;
    const char *drives;
    gboolean stop;
    const char *wanted;
} rewritten[] = {
    /* What is the image's goes, what is the device's stays. */
    { "-drive file=a.img,format=qcow2,if=none,id=d0,cache=none,aio=native,"
      "file.locking=off,l2-cache-size=1M,discard=unmap,werror=report,iops=100 "
      "-device virtio-blk-pci,drive=d0,serial=x,bootindex=1",
      DRIVE("d0", "#block1", "qcow2", "a.img", ""), TRUE,
      "-drive "
      "if=none,id=d0,cache=none,discard=unmap,werror=report,iops=100,format=raw," NBD(
          "0") ",rerror=stop\n"
               "-device virtio-blk-pci,drive=d0,serial=x,bootindex=1" },
    /* Without an id: by its image. An empty drive stays. */
    { "-drive file=a,,b.img,if=virtio,readonly=on -drive if=none,id=cd "
      "-hda /v/c,d.img -cdrom /v/cd.iso",
      DRIVE("virtio0", "#b1", "raw", "a,b.img",
            "") "," DRIVE("ide0-hd0", "#b2", "raw", "/v/c,d.img",
                          "") "," DRIVE("ide1-cd0", "#b3", "raw", "/v/cd.iso", ""),
      FALSE,
      "-drive if=virtio,readonly=on,format=raw," NBD(
          "0") "\n"
               "-drive if=none,id=cd\n"
               "-drive index=0,media=disk,format=raw," NBD(
                   "1") "\n"
                        "-drive index=2,media=cdrom,format=raw," NBD("2") },
    /* Nodes below go; flash has no werror=. */
    { "-blockdev driver=file,filename=a.img,node-name=f,cache.direct=on "
      "-blockdev driver=qcow2,file=f,node-name=d,cache.direct=on,backing=b "
      "-blockdev driver=file,filename=b.img,node-name=b "
      "-device scsi-hd,drive=d -drive if=pflash,file=/v/vars",
      DRIVE("", "d", "qcow2", "a.img", "") "," DRIVE("pflash0", "#b1", "raw", "/v/vars",
                                                     ""),
      TRUE,
      "-blockdev node-name=d,cache.direct=on,driver=raw," NBD(
          "0") "\n"
               "-device scsi-hd,drive=d,werror=stop,rerror=stop\n"
               "-drive if=pflash,format=raw," NBD("1") },
    { "-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"d\",\"discard\":\"unmap\","
      "\"cache\":{\"direct\":true},\"file\":{\"driver\":\"file\",\"filename\":\"a\"}}' "
      "-device '{\"driver\":\"virtio-blk-pci\",\"drive\":\"d\",\"rerror\":\"report\"}'",
      DRIVE("", "d", "qcow2", "a", ""), TRUE,
      "-blockdev "
      "{\"node-name\":\"d\",\"discard\":\"unmap\",\"cache\":{\"direct\":true},"
      "\"driver\":\"raw\",\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\","
      "\"path\":\"/far/s\"},\"export\":\"mose-disk0\",\"reconnect-delay\":7}}\n"
      "-device {\"driver\":\"virtio-blk-pci\",\"drive\":\"d\",\"rerror\":\"report\","
      "\"werror\":\"stop\"}" },
};

static void
test_rewrite(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rewritten); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) exports = plan(rewritten[i].drives, &error);
        g_autoptr(MoseSpec) spec = spec_of(rewritten[i].options);
        g_autofree char *before = words_of(spec);
        MoseSpecNbd how = { "/far/s", 7, rewritten[i].stop };
        g_autoptr(MoseSpec) far = mose_spec_with_nbd(spec, exports, &how, &error);
        g_autofree char *after = words_of(spec);
        g_autofree char *words = NULL;

        g_assert_no_error(error);
        words = words_of(far);
        g_assert_cmpstr(words, ==, rewritten[i].wanted);
        g_assert_cmpstr(after, ==, before);
    }
}

static void
test_rewrite_refusals(void)
{
    static const struct {
        const char *options;
        const char *drives;
        const char *wanted;
    } cases[] = {
        { "-drive file=/v/a,if=none,id=d0", DRIVE("d1", "n", "raw", "/v/a", ""),
          "-drive file=/v/a,if=none,id=d0: this image is not in the guest's drive "
          "now" },
        { "-cdrom /v/a.iso", DRIVE("ide1-cd0", "n", "raw", "/v/b.iso", ""),
          "file=/v/a.iso: this image is not in the guest's drive now" },
        { "-drive file=/v/a,if=none,id=d0 -blockdev driver=file,filename=x,node-name=x",
          DRIVE("d0", "n", "raw", "/v/a", ""),
          "-blockdev driver=file,filename=x,node-name=x: no device of the guest has" },
        { "-nodefaults", DRIVE("d0", "n", "raw", "/v/a", ""),
          "the guest has the disk /v/a, but its description says nothing of it" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) exports = plan(cases[i].drives, &error);
        g_autoptr(MoseSpec) spec = spec_of(cases[i].options);
        MoseSpecNbd how = { "/far/s", 7, TRUE };

        g_assert_null(mose_spec_with_nbd(spec, exports, &how, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED);
        g_assert_nonnull(strstr(error->message, cases[i].wanted));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spec-nbd/plan", test_plan);
    g_test_add_func("/spec-nbd/plan-refusals", test_plan_refusals);
    g_test_add_func("/spec-nbd/record", test_record);
    g_test_add_func("/spec-nbd/rewrite", test_rewrite);
    g_test_add_func("/spec-nbd/rewrite-refusals", test_rewrite_refusals);
    return g_test_run();
}
