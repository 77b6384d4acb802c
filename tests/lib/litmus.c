/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The litmus guest, from outside. See litmus.h. */
#include "lib/litmus.h"

#include <stdio.h>
#include <string.h>

#include "switch/recover.h"
#include "switch/switch.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define POLL_US 5000
#define SECONDS 120
#define BOOT_SECONDS 120
#define STOP_TRIES 100
#define STOP_WAIT_US 200000
/* A KVM in software: what it cannot do in ring 0 is left out, and the emulator has
 * all, since the guest may have seen the host's CPUID whatever -cpu says. */
#define SOFTWARE_KVM_OPTIONS "--emulator-cpu max"
#define SOFTWARE_KVM_CPU "-cpu qemu64,-cx16,-svm,-kvm-asyncpf"

struct Litmus {
    VmGuest *vm;
    guint seconds;
    gsize seen; /* of its console: lines read so far, in bytes */
    gboolean
        cpu_lost; /* the emulator's CPU is another: rule cpu-features would refuse */
    gboolean begun;
    char *exclusive;
};

static void
add(GPtrArray *words, const char *text)
{
    g_auto(GStrv) split = NULL;

    if (!text || !g_shell_parse_argv(text, NULL, &split, NULL))
        return;
    for (char **word = split; *word; word++)
        g_ptr_array_add(words, g_strdup(*word));
}

static void
add_list(GString *append, const char *name, const char *list)
{
    if (list)
        g_string_append_printf(append, " %s=%s", name, list);
}

static char *
kernel_line(const LitmusSetup *setup, gboolean slow)
{
    GString *append = g_string_new(slow ? "slow" : "");

    add_list(append, "only", setup->only);
    add_list(append, "bg", setup->background);
    if (setup->rounds)
        g_string_append_printf(append, " rounds=%u", setup->rounds);
    if (setup->wait_ms)
        g_string_append_printf(append, " wait=%u", setup->wait_ms);
    if (setup->append)
        g_string_append_printf(append, " %s", setup->append);
    return g_string_free(append, FALSE);
}

static void
run(Litmus *litmus, const LitmusSetup *setup, gboolean slow)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *begin = g_strdup_printf(
        "run %s --accel %s %s %s -- -nodefaults -m 64 -machine %s -smp %u %s",
        litmus->vm->name, setup->accel, slow ? SOFTWARE_KVM_OPTIONS : "",
        setup->options ? setup->options : "", setup->machine ? setup->machine : "pc",
        MAX(setup->vcpus, 1), slow ? SOFTWARE_KVM_CPU : "");
    g_autofree char *end =
        g_strdup_printf("-serial file:%s -serial unix:%s,server=on,wait=off -kernel %s",
                        litmus->vm->console, litmus->vm->shell, g_getenv("LITMUS"));

    add(words, begin);
    add(words, end);
    add(words, setup->qemu);
    g_ptr_array_add(words, g_strdup("-append"));
    g_ptr_array_add(words, kernel_line(setup, slow));
    g_ptr_array_add(words, NULL);
    g_assert_cmpint(vm_mosev(NULL, NULL, (const char *const *)words->pdata), ==, 0);
}

/* The next whole line of the console, or NULL if there is none yet. */
static char *
next_line(Litmus *litmus)
{
    g_autofree char *text = NULL;
    const char *end;
    gsize len;
    char *line;

    if (!g_file_get_contents(litmus->vm->console, &text, &len, NULL) ||
        len <= litmus->seen)
        return NULL;
    end = memchr(text + litmus->seen, '\n', len - litmus->seen);
    if (!end)
        return NULL;
    line = g_strndup(text + litmus->seen, end - text - litmus->seen);
    litmus->seen = end - text + 1;
    g_test_message("%s: %s", litmus->vm->name, line);
    return line;
}

/* Wait for a line that begins with @one or @other (may be NULL); @each gets those
 * before it. NULL after @seconds. */
static char *
wait_line(Litmus *litmus, const char *one, const char *other, guint seconds,
          GHashTable *each)
{
    gint64 deadline = g_get_monotonic_time() + seconds * (gint64)G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *line = next_line(litmus);
        const char *name, *detail;

        if (!line) {
            if (g_get_monotonic_time() > deadline)
                return NULL;
            g_usleep(POLL_US);
            continue;
        }
        if (g_str_has_prefix(line, one) || (other && g_str_has_prefix(line, other)))
            return g_steal_pointer(&line);
        name = strchr(line, ' ');
        if (!each || !name)
            continue;
        detail = strstr(++name, ": ");
        g_hash_table_insert(each,
                            detail ? g_strndup(name, detail - name) : g_strdup(name),
                            g_strdup_printf("%.4s%s", line, detail ? detail : ""));
    }
}

/* The same, which must come; a FAULT fails the test. */
static char *
must_have_line(Litmus *litmus, const char *one, const char *other, guint seconds)
{
    char *line = wait_line(litmus, one, other, seconds, NULL);
    g_autofree char *console = NULL;

    if (line)
        return line;
    g_file_get_contents(litmus->vm->console, &console, NULL, NULL);
    g_error("no '%s' within %u s:\n%s", one, seconds, console);
    return NULL;
}

Litmus *
litmus_start(const LitmusSetup *setup)
{
    Litmus *litmus = g_new0(Litmus, 1);
    gboolean slow = strcmp(setup->accel, "kvm") == 0 && !setup->full_kvm;
    g_autofree char *line = NULL;

    g_assert_nonnull(g_getenv("LITMUS"));
    litmus->vm = vm_guest_new(setup->name ? setup->name : "litmus");
    litmus->seconds = setup->seconds ? setup->seconds : SECONDS;
    litmus->cpu_lost = slow;
    run(litmus, setup, slow);
    line = must_have_line(litmus, "LITMUS ", NULL, BOOT_SECONDS);
    return litmus;
}

void
litmus_free(Litmus *litmus)
{
    int tries = STOP_TRIES;

    if (!litmus)
        return;
    /* Guardians may be busy yet with a switch that went as it had to. */
    while (vm_mose(NULL, NULL, "stop", litmus->vm->name, NULL) != 0 && tries-- > 0)
        g_usleep(STOP_WAIT_US);
    vm_guest_free(litmus->vm);
    g_free(litmus->exclusive);
    g_free(litmus);
}

const char *
litmus_name(const Litmus *litmus)
{
    return litmus->vm->name;
}

/* Have the kernel go on. The connection is to be kept until it has: QEMU forgets what
 * it has not read of one that is closed. */
static int
send_byte(const Litmus *litmus)
{
    g_autoptr(GError) error = NULL;
    int fd = mose_unix_connect(litmus->vm->shell, &error);

    g_assert_no_error(error);
    mose_fd_write_all(fd, "x", 1, litmus->vm->shell, &error);
    g_assert_no_error(error);
    return fd;
}

const char *
litmus_arm(Litmus *litmus)
{
    g_auto(MoseFd) held G_GNUC_UNUSED = litmus->begun ? send_byte(litmus) : -1;
    g_autofree char *line = must_have_line(litmus, "ARMED ", "END", litmus->seconds);

    litmus->begun = TRUE;
    g_clear_pointer(&litmus->exclusive, g_free);
    if (strcmp(line, "END") != 0)
        litmus->exclusive = g_strdup(strrchr(line, ' ') + 1);
    return litmus->exclusive;
}

/* Whether its kernel has said hello twice: what broke it has reset it. */
static gboolean
has_begun_anew(const Litmus *litmus)
{
    g_autofree char *console = NULL;
    const char *first;

    if (!g_file_get_contents(litmus->vm->console, &console, NULL, NULL))
        return FALSE;
    first = strstr(console, "LITMUS vcpus=");
    return first && strstr(first + 1, "LITMUS vcpus=");
}

GHashTable *
litmus_try_check(Litmus *litmus, guint seconds)
{
    g_auto(MoseFd) held G_GNUC_UNUSED = send_byte(litmus);
    g_autoptr(GHashTable) verdicts =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autofree char *line = wait_line(litmus, "DONE ", "FAULT ", seconds, verdicts);

    if (!line)
        return NULL;
    if (line[0] == 'F')
        g_hash_table_insert(verdicts, g_strdup("FAULT"), g_steal_pointer(&line));
    else if (has_begun_anew(litmus))
        g_hash_table_insert(verdicts, g_strdup("FAULT"), g_strdup("FAULT: reset"));
    return g_steal_pointer(&verdicts);
}

GHashTable *
litmus_check(Litmus *litmus)
{
    GHashTable *verdicts = litmus_try_check(litmus, litmus->seconds);

    if (!verdicts) {
        g_autofree char *console = NULL;

        g_file_get_contents(litmus->vm->console, &console, NULL, NULL);
        g_error("no verdicts within %u s:\n%s", litmus->seconds, console);
    }
    return verdicts;
}

void
litmus_assert(GHashTable *verdicts, const char *name, const char *verdict)
{
    const char *is = g_hash_table_lookup(verdicts, name);

    if (!is || !g_str_has_prefix(is, verdict))
        g_error("%s: %s, not %s", name, is ? is : "no verdict", verdict);
}

void
litmus_assert_no_failure(GHashTable *verdicts)
{
    GHashTableIter iter;
    gpointer name, verdict;

    g_hash_table_iter_init(&iter, verdicts);
    while (g_hash_table_iter_next(&iter, &name, &verdict))
        if (g_str_has_prefix(verdict, "FA"))
            g_error("%s: %s", (char *)name, (char *)verdict);
}

gboolean
litmus_try_switch(Litmus *litmus, LitmusTamper tamper, gpointer data,
                  const char *without, GError **error)
{
    g_autoptr(MoseGuest) guest =
        mose_guest_open(litmus->vm->name, MOSE_GUEST_LOCK, error);
    MoseSwitchOptions options = { .tamper = tamper, .data = data };
    g_autofree char *both = NULL;
    MoseSwitchReport report = { 0 };
    MoseRecovered recovered;
    gboolean done;

    if (!guest || !mose_recover(guest, &recovered, error))
        return FALSE;
    if (litmus->cpu_lost)
        without = both = g_strdup_printf("%s,cpu-features", without ? without : "");
    options.without_rule = without;
    options.side = guest->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                        : MOSE_SIDE_VIRTUALIZER;
    done = mose_switch(guest, &options, &report, error);
    for (guint i = 0; report.rules && i < report.rules->len; i++)
        g_test_message("rule %s", (char *)report.rules->pdata[i]);
    mose_switch_report_clear(&report);
    return done;
}

void
litmus_switch(Litmus *litmus, LitmusTamper tamper, const char *without)
{
    g_autoptr(GError) error = NULL;

    litmus_try_switch(litmus, tamper, NULL, without, &error);
    g_assert_no_error(error);
}

gboolean
litmus_in_kvm(const Litmus *litmus)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest =
        mose_guest_open(litmus->vm->name, MOSE_GUEST_LOOK, &error);

    g_assert_no_error(error);
    return strcmp(guest->spec->accel[guest->side], "kvm") == 0;
}
