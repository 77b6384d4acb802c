/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which disks get an overlay, where, and what the record of it tells. */
#include <string.h>

#include "qemu/overlay.h"
#include "util/error.h"
#include "util/json.h"

static const MoseOverlayPlace beside = { "g", "/home/u", NULL };
static const MoseOverlayPlace apart = { "g", "/home/u", "/big" };

/* A drive as QEMU 10.0 tells of it, as far as it matters. */
#define DRIVE(node, file, more)                                                        \
    "{\"device\":\"\",\"inserted\":{\"node-name\":\"" node                             \
    "\",\"drv\":\"qcow2\",\"ro\":false,\"encrypted\":false,\"image\":{\"filename\":"   \
    "\"" file "\",\"virtual-size\":4194304" more "}}}"

static GPtrArray *
plan(const char *drives, const MoseOverlayPlace *where, GError **error)
{
    g_autofree char *text = g_strdup_printf("{\"return\":[%s]}", drives);
    g_autoptr(JsonObject) answer = mose_json_parse(text, -1, "query-block", NULL);

    g_assert_nonnull(answer);
    return mose_overlay_plan(mose_json_array(answer, "return"), where, error);
}

static void
test_which(void)
{
    static const char drives[] = DRIVE("a", "/v/a.img", "") "," DRIVE(
        "b", "rel/b.img",
        "") ",{\"device\":\"cd\",\"removable\":true}"
            ",{\"device\":\"r\",\"inserted\":{\"node-name\":\"c\",\"drv\":\"raw\","
            "\"ro\":true,\"image\":{\"filename\":\"/v/c\",\"virtual-size\":512}}},"
        /* A second device of the first disk. */
        DRIVE("a", "/v/a.img", "");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) overlays = plan(drives, &beside, &error);
    const MoseOverlay *overlay;

    g_assert_no_error(error);
    g_assert_cmpuint(overlays->len, ==, 2);
    overlay = overlays->pdata[0];
    g_assert_cmpstr(overlay->id, ==, "mose-overlay0");
    g_assert_cmpstr(overlay->node, ==, "a");
    g_assert_cmpstr(overlay->image, ==, "/v/a.img");
    g_assert_cmpstr(overlay->format, ==, "qcow2");
    g_assert_cmpuint(overlay->size, ==, 4194304);
    g_assert_cmpstr(overlay->file, ==, "/v/a.img.mose-g");
    g_assert_cmpint(overlay->state, ==, MOSE_OVERLAY_PLANNED);
    overlay = overlays->pdata[1];
    g_assert_cmpstr(overlay->id, ==, "mose-overlay1");
    g_assert_cmpstr(overlay->image, ==, "/home/u/rel/b.img");
    g_assert_cmpstr(overlay->file, ==, "/home/u/rel/b.img.mose-g");
}

static void
test_apart(void)
{
    static const char drives[] =
        DRIVE("a", "/v/a:1.img", "") "," DRIVE("b", "nbd://h/x", "");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) overlays = plan(drives, &apart, &error);
    const MoseOverlay *overlay;

    g_assert_no_error(error);
    g_assert_cmpuint(overlays->len, ==, 2);
    overlay = overlays->pdata[0];
    g_assert_cmpstr(overlay->image, ==, "/v/a:1.img");
    g_assert_cmpstr(overlay->file, ==, "/big/a:1.img.mose-g");
    overlay = overlays->pdata[1];
    g_assert_cmpstr(overlay->image, ==, "nbd://h/x");
    g_assert_cmpstr(overlay->file, ==, "/big/disk.mose-g");
}

static void
test_refusals(void)
{
    static const struct {
        const char *drive;
        int code;
        const char *wanted;
    } cases[] = {
        { DRIVE("a", "nbd://h/x", ""), MOSE_ERROR_INVALID,
          "disk nbd://h/x is no file, beside which its overlay could be; name a "
          "directory with --overlay-dir" },
        { DRIVE("a", "/v/a", ",\"dirty-flag\":true"), MOSE_ERROR_UNSUPPORTED,
          "disk /v/a can have no overlay: it has lazy refcounts" },
        { DRIVE("a", "/v/a",
                ",\"format-specific\":{\"type\":\"qcow2\",\"data\":{"
                "\"lazy-refcounts\":true}}"),
          MOSE_ERROR_UNSUPPORTED, "it has lazy refcounts" },
        { "{\"inserted\":{\"node-name\":\"a\",\"drv\":\"luks\",\"encrypted\":true,"
          "\"image\":{\"filename\":\"/v/a\",\"virtual-size\":512}}}",
          MOSE_ERROR_UNSUPPORTED, "it is encrypted" },
        { "{\"inserted\":{\"node-name\":\"a\",\"image\":{\"filename\":\"/v/a\"}}}",
          MOSE_ERROR_UNSUPPORTED, "does not tell its size" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(plan(cases[i].drive, &beside, &error));
        g_assert_error(error, MOSE_ERROR, cases[i].code);
        g_assert_nonnull(strstr(error->message, cases[i].wanted));
    }
}

static void
test_record(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) overlays = plan(DRIVE("a", "/v/a", ""), &beside, &error);

    for (MoseOverlayState state = 0; state < MOSE_OVERLAY_N_STATES; state++) {
        g_autoptr(JsonObject) record = NULL, again = NULL;
        g_autoptr(GPtrArray) read = NULL;
        g_autofree char *one = NULL, *two = NULL;

        ((MoseOverlay *)overlays->pdata[0])->state = state;
        record = mose_overlays_to_json(overlays);
        read = mose_overlays_from_json(record, &error);
        g_assert_no_error(error);
        again = mose_overlays_to_json(read);
        one = mose_json_text(record, FALSE);
        two = mose_json_text(again, FALSE);
        g_assert_cmpstr(one, ==, two);
        g_assert_cmpint(((MoseOverlay *)read->pdata[0])->state, ==, state);
    }
}

/* What is not whole is not believed: files might be deleted for it. */
static void
test_damaged(void)
{
    static const char *const texts[] = {
        "{}",
        "{\"overlays\":[1]}",
        "{\"overlays\":[{\"id\":\"i\",\"node\":\"n\",\"image\":\"m\",\"format\":\"f\","
        "\"size\":1,\"file\":\"/x\",\"state\":\"gone\"}]}",
        "{\"overlays\":[{\"id\":\"i\",\"node\":\"n\",\"image\":\"m\",\"format\":\"f\","
        "\"size\":1,\"state\":\"open\"}]}",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) object = mose_json_parse(texts[i], -1, "test", &error);

        g_assert_no_error(error);
        g_assert_null(mose_overlays_from_json(object, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/overlay-plan/which", test_which);
    g_test_add_func("/overlay-plan/apart", test_apart);
    g_test_add_func("/overlay-plan/refusals", test_refusals);
    g_test_add_func("/overlay-plan/record", test_record);
    g_test_add_func("/overlay-plan/damaged", test_damaged);
    return g_test_run();
}
