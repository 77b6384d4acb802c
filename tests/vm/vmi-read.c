/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of a guest's processes and of its kernel: what is read is what the witness has
 * written, and lies where the guest's own /proc/PID/pagemap says.
 */
#include <string.h>

#include "util/json.h"
#include "vm/vmi-user.h"

#define PAGE 4096
#define PRESENT (G_GUINT64_CONSTANT(1) << 63)
#define FRAME ((G_GUINT64_CONSTANT(1) << 55) - 1)

guint64
pattern_word(guint64 seed, guint64 index)
{
    return seed ^ ((index + 1) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15));
}

/* --- patterns --- */

static void
check_words(const guint8 *bytes, gsize size, guint64 seed, gsize first,
            const char *line)
{
    for (gsize i = 0; i < size / 8; i++) {
        guint64 word;

        memcpy(&word, bytes + i * 8, 8);
        if (word != pattern_word(seed, first + i))
            g_error("word %" G_GSIZE_FORMAT " of '%s' is 0x%" G_GINT64_MODIFIER "x",
                    first + i, line, word);
    }
}

/* A private mapping of a file, of which the process has written to a page. */
static void
check_private(const guint8 *bytes, gsize size, const char *line)
{
    guint64 seed = kernels_number(line, "seed");
    gsize own = kernels_number(line, "own_at"), len = kernels_number(line, "own_size");

    check_words(bytes, own, seed, 0, line);
    check_words(bytes + own, len, kernels_number(line, "own_seed"), 0, line);
    check_words(bytes + own + len, size - own - len, seed, (own + len) / 8, line);
}

static void
check_mapping(MoseUser *user, const char *line)
{
    gsize size = kernels_number(line, "size"), got;
    g_autofree guint8 *bytes = g_malloc(size);
    g_autofree char *kind = kernels_word(line, "kind");
    g_autoptr(GError) error = NULL;

    mose_user_read(user, kernels_number(line, "start"), bytes, size, &got, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(got, ==, size);
    if (strcmp(kind, "file-private") == 0)
        check_private(bytes, size, line);
    else
        check_words(bytes, size, kernels_number(line, "seed"), 0, line);
}

/* The same through the command, to a file. */
static void
check_command(const KernelsGuest *guest, const char *pid, const char *line)
{
    g_autofree char *start = kernels_word(line, "start");
    g_autofree char *size = kernels_word(line, "size");
    g_autofree char *path = vm_path("read");
    g_autofree char *bytes = NULL;
    g_autofree char *err = NULL;
    gsize len;

    if (vm_mose(NULL, &err, "read", guest->vm->name, "--pid", pid, start, size, "-o",
                path, NULL) != 0)
        g_error("mose read %s: %s", line, err);
    g_assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    g_assert_cmpuint(len, ==, kernels_number(line, "size"));
    check_words((const guint8 *)bytes, len, kernels_number(line, "seed"), 0, line);
}

void
test_read_patterns(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_auto(GStrv) lines = g_strsplit(guest->witness, "\n", -1);
    g_autofree char *pid = witness_pid(guest);
    g_autoptr(MoseTask) task = NULL;
    g_autoptr(MoseUser) user = NULL;
    guint n = 0;

    opened_begin(&opened, guest);
    task = opened_task(&opened, pid);
    user = opened_user(&opened, task);
    for (char **line = lines; *line; line++) {
        if (!g_str_has_prefix(*line, "mapping ") || !strstr(*line, " seed="))
            continue;
        check_mapping(user, *line);
        n++;
    }
    /* The command needs the monitor. */
    g_clear_pointer(&user, mose_user_free);
    opened_clear(&opened);
    for (char **line = lines; *line; line++)
        if (strstr(*line, " kind=anonymous ") || strstr(*line, " kind=protected "))
            check_command(guest, pid, *line);
    g_assert_cmpuint(n, >=, 6);
}

/* --- places --- */

/* Each page of the mapping: where the guest says it is, or nowhere. */
static guint
check_frames(const KernelsGuest *guest, MoseUser *user, const char *pid,
             const char *line)
{
    guint64 start = kernels_number(line, "start");
    gsize n = kernels_number(line, "size") / PAGE, len;
    g_autofree char *command =
        g_strdup_printf("dd if=/proc/%s/pagemap bs=8 skip=%" G_GUINT64_FORMAT
                        " count=%" G_GSIZE_FORMAT " 2>/dev/null",
                        pid, start / PAGE, n);
    g_autofree char *frames = vm_guest_output(guest->vm, command, &len);
    guint present = 0;

    g_assert_cmpuint(len, ==, n * 8);
    for (gsize i = 0; i < n; i++) {
        MosePageWalk walk;
        gboolean there =
            mose_space_page(mose_user_space(user), start + i * PAGE, &walk);
        guint64 frame;

        memcpy(&frame, frames + i * 8, 8);
        if (there != !!(frame & PRESENT) ||
            (there && walk.physical / PAGE != (frame & FRAME)))
            g_error("page %" G_GSIZE_FORMAT " of '%s': 0x%" G_GINT64_MODIFIER
                    "x inside, %d 0x%" G_GINT64_MODIFIER "x outside",
                    i, line, frame, there, walk.physical);
        present += there;
    }
    return present;
}

void
test_read_places(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_auto(GStrv) lines = g_strsplit(guest->witness, "\n", -1);
    g_autofree char *pid = witness_pid(guest);
    g_autoptr(MoseTask) task = NULL;
    g_autoptr(MoseUser) user = NULL;
    guint present = 0;

    opened_begin(&opened, guest);
    task = opened_task(&opened, pid);
    user = opened_user(&opened, task);
    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "mapping "))
            present += check_frames(guest, user, pid, *line);
    g_assert_cmpuint(present, >, 60);
}

/* --- what is not there --- */

static void
assert_fails(const KernelsGuest *guest, const char *pid, const char *place,
             const char *says)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(
        vm_mose(NULL, &err, "read", guest->vm->name, "--pid", pid, place, "16", NULL),
        ==, 1);
    if (!strstr(err, says))
        g_error("mose read %s: %s", place, err);
}

void
test_read_empty(const KernelsGuest *guest)
{
    g_autofree char *pid = witness_pid(guest);
    g_autofree char *untouched =
        kernels_line(guest->witness, "mapping", "kind", "untouched");
    g_autofree char *none = kernels_line(guest->witness, "mapping", "kind", "none");
    g_autofree char *zero = kernels_line(guest->witness, "mapping", "kind", "zero");
    g_autofree char *at = kernels_word(untouched, "start");
    g_autofree char *at_none = kernels_word(none, "start");
    g_autofree char *at_zero = kernels_word(zero, "start");
    g_autoptr(JsonObject) zeros = NULL;
    g_autoptr(JsonObject) pages = NULL;

    assert_fails(guest, pid, at, "not touched yet");
    assert_fails(guest, pid, at_none, "not touched yet");
    assert_fails(guest, pid, "0x1000", "not mapped");
    zeros = vm_mose_json("read", guest->vm->name, "--pid", pid, at_zero, "8", NULL);
    g_assert_cmpstr(mose_json_string(zeros, "bytes", ""), ==, "0000000000000000");
    pages = vm_mose_json("read", guest->vm->name, "--pid", pid, "--pages", at, NULL);
    g_assert_nonnull(mose_json_string(pages, "why", NULL));
    g_assert_nonnull(mose_json_string(pages, "mapped", NULL));
}

/* --- the kernel --- */

static void
check_banner(const KernelsGuest *guest, const char *option, const char *value)
{
    g_autofree char *version =
        g_strchomp(vm_shell_output(guest->vm, "cat /proc/version"));
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;

    if (vm_mose(&out, &err, "read", guest->vm->name, option, value, "linux_banner",
                "512", "--strings", NULL) != 0)
        g_error("mose read linux_banner: %s", err);
    if (!strstr(out, version))
        g_error("%s is not in %s", version, out);
}

/* A name that kallsyms has for that address. */
static void
check_word(JsonObject *word, const char *kallsyms)
{
    const char *value = mose_json_string(word, "value", "");
    const char *symbol = mose_json_string(word, "symbol", "?");
    g_autofree char *upper = g_strdup_printf("\n%s T %s\n", value + 2, symbol);
    g_autofree char *lower = g_strdup_printf("\n%s t %s\n", value + 2, symbol);
    g_autofree char *weak = g_strdup_printf("\n%s W %s\n", value + 2, symbol);

    if (!strstr(kallsyms, upper) && !strstr(kallsyms, lower) && !strstr(kallsyms, weak))
        g_error("%s is %s, which kallsyms does not say", value, symbol);
}

void
test_read_kernel(const KernelsGuest *guest)
{
    g_autofree char *kallsyms = NULL;
    g_autoptr(JsonObject) table = NULL;
    JsonArray *words;

    check_banner(guest, "--min", "4");
    for (guint i = 0; i < guest->n_vcpus; i++) {
        g_autofree char *number = g_strdup_printf("%u", i);

        check_banner(guest, "--cpu", number);
    }
    vm_shell(guest->vm, "echo 0 >/proc/sys/kernel/kptr_restrict");
    kallsyms = vm_guest_output(guest->vm, "cat /proc/kallsyms", NULL);
    table = vm_mose_json("read", guest->vm->name, "sys_call_table", "2400", "--words",
                         NULL);
    words = mose_json_array(table, "words");
    g_assert_cmpuint(json_array_get_length(words), ==, 300);
    for (guint i = 0; i < 300; i++)
        check_word(mose_json_element(words, i), kallsyms);
}

/* --- an end --- */

void
test_read_partial(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    const MoseMemoryRange *last;
    const GArray *ranges;
    g_autofree char *place = NULL;
    g_autofree char *out = NULL;
    g_autoptr(JsonObject) object = NULL;

    opened_begin(&opened, guest);
    ranges = mose_memory_ranges(opened.memory);
    last = &g_array_index(ranges, MoseMemoryRange, ranges->len - 1);
    place =
        g_strdup_printf("0x%" G_GINT64_MODIFIER "x", last->address + last->size - 8);
    opened_clear(&opened);
    g_assert_cmpint(vm_mose(&out, NULL, "read", guest->vm->name, "--physical", place,
                            "64", "--json", NULL),
                    ==, 1);
    object = mose_json_parse(out, -1, "mose read", NULL);
    g_assert_nonnull(object);
    g_assert_cmpint(mose_json_int(object, "length", 0), ==, 8);
    g_assert_cmpuint(strlen(mose_json_string(object, "bytes", "")), ==, 16);
    g_assert_cmpstr(mose_json_string(mose_json_child(object, "error"), "code", ""), ==,
                    "not-found");
}
