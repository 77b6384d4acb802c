/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's other host: its record, and paths that have another name there. */
#include "guest/far.h"
#include "util/error.h"
#include "util/json.h"

static void
test_record(void)
{
    g_autoptr(MoseFar) far = mose_far_new("root@other");
    g_autoptr(MoseFar) copy = NULL, none = NULL;
    g_autofree char *id = g_strdup(far->id);

    far->rsh = g_strdup("ssh -p 22");
    far->maps = g_strsplit("/a=/b", ",", -1);
    far->away = far->locks_seen = TRUE;
    copy = mose_far_copy(far);
    g_assert_cmpstr(copy->id, ==, id);
    g_assert_cmpstr(copy->host, ==, "root@other");
    g_assert_cmpstr(copy->rsh, ==, "ssh -p 22");
    g_assert_null(copy->command);
    g_assert_cmpstr(copy->maps[0], ==, "/a=/b");
    g_assert_true(copy->away && copy->locks_seen);
    mose_far_renew(copy);
    g_assert_cmpstr(copy->id, !=, id);
    none = mose_far_from_json(NULL);
    g_assert_null(none);
}

static void
check_map(const char *text, const char *there)
{
    char *maps[] = { (char *)"/srv=/mnt/srv", (char *)"/srv/fast=/ssd", NULL };
    g_autofree char *to = mose_far_map(text, maps, FALSE);
    g_autofree char *back = mose_far_map(to, maps, TRUE);

    g_assert_cmpstr(to, ==, there);
    g_assert_cmpstr(back, ==, text);
}

static void
test_map(void)
{
    check_map("/srv", "/mnt/srv");
    check_map("/srv/a.img", "/mnt/srv/a.img");
    check_map("file=/srv/fast/a.img,if=virtio", "file=/ssd/a.img,if=virtio");
    check_map("{\"filename\":\"/srv/a\"}", "{\"filename\":\"/mnt/srv/a\"}");
    check_map("file:/srv/log", "file:/mnt/srv/log");
    /* neither a part of a name nor the middle of a path */
    check_map("file=/srv2/a,x=/opt/srv/b", "file=/srv2/a,x=/opt/srv/b");
}

static void
check_wrong(const char *map)
{
    const char *const maps[] = { map, NULL };
    g_autoptr(GError) error = NULL;

    g_assert_false(mose_far_check_maps(maps, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
}

static void
test_wrong(void)
{
    const char *const good[] = { "/a=/b", "/a/b/=/c", NULL };

    g_assert_true(mose_far_check_maps(good, NULL));
    g_assert_true(mose_far_check_maps(NULL, NULL));
    check_wrong("/a");
    check_wrong("a=/b");
    check_wrong("/a=b");
    check_wrong("/a=/b=/c");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/far-record/copied", test_record);
    g_test_add_func("/far-record/map", test_map);
    g_test_add_func("/far-record/wrong", test_wrong);
    return g_test_run();
}
