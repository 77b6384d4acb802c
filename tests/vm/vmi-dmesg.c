/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose dmesg` shows what the guest's own /dev/kmsg and dmesg(1) do: every record with
 * all that is known of it, after the ring has gone round, too, and with a ring that was
 * made at boot; while the guest writes, each record is whole and none is missing.
 */
#include <gio/gio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernels.h"
#include "util/json.h"
#include "vmi/linux/printk-ring.h"
#include "vm/vmi.h"

#define TRIES 20
#define FAST_LOOKS 8
#define FOLLOW_SECONDS 60

/* --- two accounts of the log --- */

/* A line for each record, as tests compare them. */
static char *
line_of(guint64 seq, guint priority, guint64 usec, const char *text)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT " <%u> %" G_GUINT64_FORMAT " %s", seq,
                           priority, usec, text);
}

static JsonObject *
look(const VmGuest *vm, const char *from)
{
    return vm_mose_json("dmesg", vm->name, "--from", from, NULL);
}

static JsonArray *
records_of(JsonObject *object)
{
    JsonArray *records = mose_json_array(object, "records");

    g_assert_nonnull(records);
    return records;
}

static void
append_record(GString *to, JsonObject *record)
{
    guint64 nsec = mose_json_int(record, "ts_nsec", -1);
    JsonArray *dictionary = mose_json_array(record, "dictionary");
    g_autofree char *line = line_of(
        mose_json_int(record, "seq", -1),
        mose_json_int(record, "facility", -1) << 3 | mose_json_int(record, "level", -1),
        nsec / 1000, mose_json_string(record, "text", "no text"));

    g_string_append_printf(to, "%s\n", line);
    for (guint i = 0; dictionary && i < json_array_get_length(dictionary); i++)
        g_string_append_printf(to, " %s\n",
                               json_array_get_string_element(dictionary, i));
}

static char *
seen_outside(const VmGuest *vm)
{
    g_autoptr(JsonObject) object = look(vm, "0");
    JsonArray *records = records_of(object);
    GString *ret = g_string_new(NULL);

    g_assert_cmpint(mose_json_int(object, "lost", -1), ==, 0);
    for (guint i = 0; i < json_array_get_length(records); i++)
        if (!mose_json_bool(mose_json_element(records, i), "partial", FALSE))
            append_record(ret, mose_json_element(records, i));
    return g_string_free(ret, FALSE);
}

/* What \xNN stands for in /dev/kmsg, and then as MOSE shows such bytes. */
static char *
unescape(const char *text)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    while (*text) {
        guint8 byte = (guint8)*text;

        if (text[0] == '\\') {
            g_assert_cmpint(text[1], ==, 'x');
            byte = g_ascii_xdigit_value(text[2]) << 4 | g_ascii_xdigit_value(text[3]);
            text += 3;
        }
        g_byte_array_append(bytes, &byte, 1);
        text++;
    }
    return mose_printk_text(bytes->data, bytes->len);
}

/* "PRIORITY,SEQ,USEC,FLAGS[,caller=...];TEXT", or " KEY=VALUE" (Linux
 * Documentation/ABI/testing/dev-kmsg). */
static void
append_kmsg(GString *to, const char *line)
{
    guint priority;
    guint64 seq, usec;
    char *end;

    if (*line == ' ') {
        g_string_append_printf(to, "%s\n", line);
        return;
    }
    priority = g_ascii_strtoull(line, &end, 10);
    g_assert_cmpint(*end, ==, ',');
    seq = g_ascii_strtoull(end + 1, &end, 10);
    usec = g_ascii_strtoull(end + 1, &end, 10);
    end = strchr(end, ';');
    g_assert_nonnull(end);
    g_autofree char *text = unescape(end + 1);
    g_autofree char *ours = line_of(seq, priority, usec, text);
    g_string_append_printf(to, "%s\n", ours);
}

/* It waits for more at the end, which is not to be waited for. */
static void
keep_inside(const VmGuest *vm)
{
    g_autofree char *said = vm_shell_output(
        vm, "timeout 3 cat /dev/kmsg >/tmp/kmsg; dmesg >/tmp/dmesg; dmesg -r "
            ">/tmp/dmesg-raw");

    g_assert_cmpstr(said, ==, "Terminated\n");
}

static char *
kept_inside(const VmGuest *vm)
{
    g_autofree char *kmsg = vm_guest_output(vm, "cat /tmp/kmsg", NULL);
    g_auto(GStrv) lines = g_strsplit(kmsg, "\n", -1);
    GString *ret = g_string_new(NULL);

    for (char **line = lines; **line; line++)
        append_kmsg(ret, *line);
    return g_string_free(ret, FALSE);
}

/* Where they differ. */
static void
assert_same(const char *inside, const char *outside)
{
    g_auto(GStrv) ours = g_strsplit(outside, "\n", -1);
    g_auto(GStrv) theirs = g_strsplit(inside, "\n", -1);

    for (guint i = 0; ours[i] || theirs[i]; i++) {
        if (g_strcmp0(ours[i], theirs[i]) != 0)
            g_error("line %u: inside '%s', outside '%s'", i, theirs[i], ours[i]);
        if (!ours[i])
            break;
    }
}

/* The log of one moment, seen both ways; it is in *@ret. */
static void
compare(const VmGuest *vm, char **ret)
{
    for (guint i = 0; i < TRIES; i++) {
        g_autofree char *before = seen_outside(vm);
        g_autofree char *after = NULL, *inside = NULL;

        keep_inside(vm);
        after = seen_outside(vm);
        if (strcmp(before, after) != 0)
            continue;
        inside = kept_inside(vm);
        assert_same(inside, after);
        *ret = g_steal_pointer(&after);
        return;
    }
    g_error("%s logs all the time", vm->name);
}

/* --- tests --- */

/* With its continued lines, its dictionaries, and its lines of several. */
static void
test_records(const KernelsGuest *guest)
{
    g_autofree char *log = NULL;

    compare(guest->vm, &log);
    g_assert_nonnull(strstr(log, " <6> "));
    g_assert_nonnull(strstr(log, "\n SUBSYSTEM="));
    g_assert_nonnull(strstr(log, "\n DEVICE="));
    g_assert_nonnull(strstr(log, "> "));
    g_assert_nonnull(strstr(log, "witness: first\nwitness: second\n"));
    g_assert_nonnull(strstr(log, "witness: tab\tescape\\x1bbell\\x07\\xff\n"));
    g_assert_nonnull(strstr(log, "sysrq: HELP : "));
}

static void
compare_text(const VmGuest *vm, const char *file, const char *option)
{
    g_autofree char *command = g_strdup_printf("cat %s", file);
    g_autofree char *outside = NULL, *printable = NULL;
    const char *words[] = { "dmesg", vm->name, option, NULL };
    gsize len;
    g_autofree char *inside = vm_guest_output(vm, command, &len);

    g_assert_cmpint(vm_mosev(&outside, NULL, words), ==, 0);
    printable = mose_printk_text((const guint8 *)inside, len);
    if (strlen(outside) > strlen(printable)) /* there are new ones by now */
        outside[strlen(printable)] = '\0';
    assert_same(printable, outside);
}

/* As dmesg(1) prints it. The witness's bytes that no terminal is to see come so out of
 * the kernel, and not out of mose. */
static void
test_text(const KernelsGuest *guest)
{
    g_autofree char *log = NULL;

    compare(guest->vm, &log);
    compare_text(guest->vm, "/tmp/dmesg", NULL);
    compare_text(guest->vm, "/tmp/dmesg-raw", "--raw");
}

static guint
count_levels(JsonObject *object, gboolean (*is_good)(gint64 level))
{
    JsonArray *records = records_of(object);

    for (guint i = 0; i < json_array_get_length(records); i++)
        g_assert_true(
            is_good(mose_json_int(mose_json_element(records, i), "level", -1)));
    return json_array_get_length(records);
}

static gboolean
is_grave(gint64 level)
{
    return level >= 0 && level <= 4;
}

static gboolean
is_light(gint64 level)
{
    return level >= 5 && level <= 7;
}

/* What is chosen and what is not are all together. */
static void
test_levels(const KernelsGuest *guest)
{
    g_autoptr(JsonObject) all = look(guest->vm, "0");
    g_autoptr(JsonObject) grave =
        vm_mose_json("dmesg", guest->vm->name, "--level", "warn+", NULL);
    g_autoptr(JsonObject) light =
        vm_mose_json("dmesg", guest->vm->name, "-l", "debug,info,notice", NULL);
    g_autoptr(JsonObject) user =
        vm_mose_json("dmesg", guest->vm->name, "-f", "user", NULL);

    g_assert_cmpuint(count_levels(grave, is_grave), >, 0);
    g_assert_cmpuint(count_levels(light, is_light), >, 0);
    g_assert_cmpuint(count_levels(grave, is_grave) + count_levels(light, is_light), ==,
                     json_array_get_length(records_of(all)));
    g_assert_cmpuint(json_array_get_length(records_of(user)), >=, 4);
}

/* Records of many lengths, so that the ring's end comes at all places in them; once
 * there are more records than descriptors, and once more text than room. */
static void
write_many(const VmGuest *vm, guint n, const char *text)
{
    g_autofree char *command = g_strdup_printf(
        "echo on >/proc/sys/kernel/printk_devkmsg; dmesg -n 1; t='%s'; i=0; "
        "while [ $i -lt %u ]; do i=$((i + 1)); echo \"<$((i %% 8))>$t $i\"; t=${t#?}; "
        "[ \"$t\" ] || t='%s'; done >/dev/kmsg",
        text, n, text);

    vm_shell(vm, command);
}

static guint64
first_seq(const char *log)
{
    return g_ascii_strtoull(log, NULL, 10);
}

static void
test_overflow(const KernelsGuest *guest)
{
    static const char text[] =
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz";
    g_autofree char *once = NULL, *again = NULL;

    write_many(guest->vm, 5000, text);
    compare(guest->vm, &once);
    g_assert_cmpuint(first_seq(once), >, 0);
    write_many(guest->vm, 9000, "x");
    compare(guest->vm, &again);
    g_assert_cmpuint(first_seq(again), >, first_seq(once));
}

/* --- while it writes --- */

/* Numbers without a hole; and the text "fast N" always is that of its record. *@ret:
 * the number of the last one. Returns how many there are. */
static guint
check_whole(JsonObject *object, gint64 *ret)
{
    JsonArray *records = records_of(object);
    guint n = json_array_get_length(records), fast = 0;
    gint64 before = -1, distance = 0, others = 0;

    g_assert_cmpint(mose_json_int(object, "lost", -1), ==, 0);
    for (guint i = 0; i < n; i++) {
        JsonObject *record = mose_json_element(records, i);
        gint64 seq = mose_json_int(record, "seq", -1), number;
        const char *text = mose_json_string(record, "text", "");
        char *end;

        g_assert_true(before < 0 || seq == before + 1);
        before = seq;
        /* The kernel may have something to say in between. */
        if (!g_str_has_prefix(text, "fast ")) {
            others++;
            continue;
        }
        number = g_ascii_strtoll(text + 5, &end, 10);
        g_assert_cmpstr(end, ==, " 0123456789abcdefghijklmnopqrstuvwxyz");
        g_assert_true(fast == 0 || seq - number - others == distance);
        distance = seq - number - others;
        fast++;
    }
    *ret = before;
    return fast;
}

static void
test_fast(const KernelsGuest *guest)
{
    gint64 last = 0, first = -1;
    guint fast = 0;

    vm_shell(guest->vm,
             "echo on >/proc/sys/kernel/printk_devkmsg; dmesg -n 1; "
             "(i=0; while [ ! -e /tmp/enough ]; do i=$((i + 1)); echo \"<6>fast $i "
             "0123456789abcdefghijklmnopqrstuvwxyz\"; done >/dev/kmsg) &");
    for (guint i = 0; i < FAST_LOOKS; i++) {
        g_autoptr(JsonObject) object = look(guest->vm, "0");

        fast += check_whole(object, &last);
        first = first < 0 ? last : first;
    }
    vm_shell(guest->vm, ": >/tmp/enough; wait $!; rm /tmp/enough");
    g_assert_cmpuint(fast, >, 100);
    g_assert_cmpint(last, >, first);
}

/* A line of the command's that has @text, within the time. */
static char *
wait_line(GDataInputStream *lines, const char *text)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        char *line = g_data_input_stream_read_line(lines, NULL, NULL, &error);

        g_assert_no_error(error);
        if (!line)
            g_error("mose dmesg -w ended before '%s'", text);
        if (strstr(line, text))
            return line;
        g_free(line);
    }
}

/* New records are shown as they come, each once; Ctrl-C is its usual end. */
static void
test_follow(const KernelsGuest *guest)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *limit = g_strdup_printf("%d", FOLLOW_SECONDS);
    g_autoptr(GSubprocess) process = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "timeout", "--foreground", limit,
        g_getenv("MOSE"), "dmesg", "-w", "--from", "1", guest->vm->name, NULL);
    g_autoptr(GDataInputStream) lines = NULL;

    g_assert_no_error(error);
    lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
    g_free(wait_line(lines, "] ")); /* what there is already */
    for (int i = 1; i <= 3; i++) {
        g_autofree char *command =
            g_strdup_printf("echo '<5>follow %d begins\nand ends' >/dev/kmsg", i);
        g_autofree char *text = g_strdup_printf("] follow %d begins", i);
        g_autofree char *line = NULL;

        vm_shell(guest->vm, command);
        line = wait_line(lines, "] follow");
        if (!g_str_has_suffix(line, text))
            g_error("'%s' instead of '%s'", line, text);
    }
    g_subprocess_send_signal(process, SIGINT);
    g_subprocess_wait(process, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(process));
    g_assert_cmpint(g_subprocess_get_exit_status(process), ==, 0);
}

/* log_buf_len= has Linux make another ring while it boots, and move to it. */
static void
test_dynamic(void)
{
    g_autoptr(VmGuest) vm = kernels_guest("log-large", "6.12", 1, "log_buf_len=2M");
    g_autofree char *log = NULL;
    const char *words[] = { "stop", "log-large", NULL };

    if (!vm)
        return;
    write_many(vm, 8000, "the usual ring would have gone round");
    compare(vm, &log);
    g_assert_cmpuint(first_seq(log), ==, 0);
    g_assert_cmpint(vm_mosev(NULL, NULL, words), ==, 0);
}

static void
test_refused(void)
{
    const char *level[] = { "dmesg", "none", "--level", "loud", NULL };
    const char *facility[] = { "dmesg", "none", "--facility", "cellar", NULL };
    const char *core[] = { "dmesg", "./core", "--follow", NULL };
    g_autofree char *out = NULL, *said = NULL, *more = NULL;

    g_assert_cmpint(vm_mosev(&out, &said, level), ==, 2);
    g_assert_nonnull(strstr(said, "'loud' is no level"));
    g_assert_cmpint(vm_mosev(NULL, NULL, facility), ==, 2);
    g_assert_cmpint(vm_mosev(NULL, &more, core), ==, 2);
    g_assert_nonnull(strstr(more, "nothing is added to a core file"));
}

void
vmi_dmesg_add(void)
{
    kernels_add("/vmi-dmesg/records", test_records);
    kernels_add("/vmi-dmesg/text", test_text);
    kernels_add("/vmi-dmesg/levels", test_levels);
    kernels_add("/vmi-dmesg/follow", test_follow);
    kernels_add("/vmi-dmesg/overflow", test_overflow);
    kernels_add("/vmi-dmesg/fast", test_fast);
    kernels_add_once("/vmi-dmesg/dynamic", test_dynamic);
    kernels_add_once("/vmi-dmesg/refused", test_refused);
}
