/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fuzz target as a test: each file of the corpus (the directory named first) once,
 * whole and cut short at some places. */
#include "fuzz/fuzz.h"

static void
test_file(gconstpointer data)
{
    g_autofree char *bytes = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    g_file_get_contents(data, &bytes, &len, &error);
    g_assert_no_error(error);
    LLVMFuzzerTestOneInput((const guint8 *)bytes, len);
    for (gsize cut = 1; cut < len; cut = cut * 2 + 1) {
        /* In memory of its own, so that a sanitizer sees a read behind the end. */
        g_autofree guint8 *copy = g_memdup2(bytes, len - cut);

        LLVMFuzzerTestOneInput(copy, len - cut);
    }
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = NULL;
    const char *name;

    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 2);
    dir = g_dir_open(argv[1], 0, NULL);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *test = g_strdup_printf("/corpus/%s", name);

        g_ptr_array_add(paths, g_build_filename(argv[1], name, NULL));
        g_test_add_data_func(test, paths->pdata[paths->len - 1], test_file);
    }
    g_assert_cmpuint(paths->len, >, 0);
    return g_test_run();
}
