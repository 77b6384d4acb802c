/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The litmus guest on a user's host; see litmus.h. */
#include "evidence/litmus.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "switch/start.h"
#include "switch/stop.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define POLL_US 5000
/* What it may take to come up, and to come to its verdicts. */
#define WAIT_SECONDS 20
#define SLOW_WAIT_SECONDS 90
/* A KVM in software shows the host's CPUID and fails at these, whatever -cpu says. */
#define SLOW_CPU "qemu64,-cx16,-svm,-kvm-asyncpf"

struct MoseLitmus {
    MoseGuest *guest; /* locked */
    char *dir, *console, *input;
    gsize seen; /* of the console: lines read so far, in bytes */
    gboolean slow, begun;
    int interrupt_fd;
};

static gboolean
wait_failed(const char *what, const char *line, GError **error)
{
    if (line)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "the litmus guest: %s", line);
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "the litmus guest has not said %s in time", what);
    return FALSE;
}

/* The next whole line of the console, or NULL if there is none yet. */
static char *
next_line(MoseLitmus *litmus)
{
    g_autofree char *text = NULL;
    const char *end;
    gsize len;
    char *line;

    if (!g_file_get_contents(litmus->console, &text, &len, NULL) || len <= litmus->seen)
        return NULL;
    end = memchr(text + litmus->seen, '\n', len - litmus->seen);
    if (!end)
        return NULL;
    line = g_strndup(text + litmus->seen, end - text - litmus->seen);
    litmus->seen = end - text + 1;
    return g_strchomp(line);
}

/* "PASS name", "FAIL name: detail" */
static void
add_verdict(JsonObject *verdicts, const char *line)
{
    const char *name = strchr(line, ' '), *detail;
    g_autofree char *key = NULL;
    g_autofree char *verdict = NULL;

    if (!name)
        return;
    detail = strstr(++name, ": ");
    key = detail ? g_strndup(name, detail - name) : g_strdup(name);
    verdict = g_strdup_printf("%.4s%s", line, detail ? detail : "");
    json_object_set_string_member(verdicts, key, verdict);
}

/* The next line that begins with @one or @other; verdicts before it go to @verdicts
 * (may be NULL). A guest that faults says nothing more. */
static char *
wait_line(MoseLitmus *litmus, const char *one, const char *other, JsonObject *verdicts,
          GError **error)
{
    gint64 seconds = litmus->slow ? SLOW_WAIT_SECONDS : WAIT_SECONDS;
    gint64 deadline = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

    while (g_get_monotonic_time() < deadline) {
        g_autofree char *line = next_line(litmus);

        if (!line) {
            g_usleep(POLL_US);
            continue;
        }
        if (g_str_has_prefix(line, one) || g_str_has_prefix(line, other))
            return g_steal_pointer(&line);
        if (g_str_has_prefix(line, "FAULT ")) {
            wait_failed(one, line, error);
            return NULL;
        }
        if (verdicts)
            add_verdict(verdicts, line);
    }
    wait_failed(one, NULL, error);
    return NULL;
}

/* Have it go on. The connection is to be kept until it has: QEMU forgets what it has
 * not read of one that is closed. */
static int
send_byte(const MoseLitmus *litmus, GError **error)
{
    g_auto(MoseFd) fd = mose_unix_connect(litmus->input, error);

    if (fd < 0 || !mose_fd_write_all(fd, "x", 1, litmus->input, error))
        return -1;
    return mose_fd_steal(&fd);
}

static char *
kernel_line(const MoseLitmusSetup *setup)
{
    GString *line = g_string_new(setup->slow ? "slow" : "");

    if (setup->only)
        g_string_append_printf(line, " only=%s", setup->only);
    if (setup->rounds)
        g_string_append_printf(line, " rounds=%u", setup->rounds);
    return g_string_free(line, FALSE);
}

static MoseSpec *
make_spec(const MoseLitmus *litmus, const MoseLitmusSetup *setup, GError **error)
{
    g_autofree char *console = g_strdup_printf("file:%s", litmus->console);
    g_autofree char *input =
        g_strdup_printf("unix:%s,server=on,wait=off", litmus->input);
    g_autofree char *append = kernel_line(setup);
    const char *words[] = { "-nodefaults", "-m",
                            "64",          "-smp",
                            "2",           "-serial",
                            console,       "-serial",
                            input,         "-kernel",
                            setup->kernel, "-append",
                            append,        setup->slow ? "-cpu" : NULL,
                            SLOW_CPU,      NULL };
    g_autoptr(MoseSpec) spec = mose_spec_parse(words, error);

    if (!spec)
        return NULL;
    spec->cwd = g_get_current_dir();
    spec->qemu = g_find_program_in_path("qemu-system-x86_64");
    if (spec->qemu)
        return g_steal_pointer(&spec);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "no qemu-system-x86_64");
    return NULL;
}

MoseLitmus *
mose_litmus_start(const MoseLitmusSetup *setup, GError **error)
{
    const MoseStartOptions options = { .accel = setup->accel,
                                       .emulator_cpu = setup->slow ? "max" : NULL,
                                       .interrupt_fd = setup->interrupt_fd };
    g_autoptr(MoseLitmus) litmus = g_new0(MoseLitmus, 1);
    g_autofree char *name = g_strdup_printf("litmus-%d", (int)getpid());
    g_autofree char *reason = NULL;
    g_autofree char *line = NULL;
    MoseSpec *spec;

    litmus->slow = setup->slow;
    litmus->interrupt_fd = setup->interrupt_fd;
    litmus->dir = g_dir_make_tmp("mose-litmus-XXXXXX", error);
    if (!litmus->dir)
        return NULL;
    litmus->console = g_build_filename(litmus->dir, "console", NULL);
    litmus->input = g_build_filename(litmus->dir, "input", NULL);
    spec = make_spec(litmus, setup, error);
    if (!spec)
        return NULL;
    litmus->guest = mose_start(name, spec, &options, &reason, error);
    if (!litmus->guest)
        return NULL;
    line = wait_line(litmus, "LITMUS ", "LITMUS ", NULL, error);
    return line ? g_steal_pointer(&litmus) : NULL;
}

void
mose_litmus_free(MoseLitmus *litmus)
{
    g_autoptr(GError) error = NULL;

    if (!litmus)
        return;
    if (litmus->guest && !mose_stop(litmus->guest, &error))
        g_debug("ending the litmus guest: %s", error->message);
    mose_guest_free(litmus->guest);
    if (litmus->dir) {
        g_unlink(litmus->console);
        g_unlink(litmus->input);
        g_rmdir(litmus->dir);
    }
    g_free(litmus->dir);
    g_free(litmus->console);
    g_free(litmus->input);
    g_free(litmus);
}

gboolean
mose_litmus_arm(MoseLitmus *litmus, char **ret, GError **error)
{
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    g_autofree char *line = NULL;

    *ret = NULL;
    if (litmus->begun && (fd = send_byte(litmus, error)) < 0)
        return FALSE;
    litmus->begun = TRUE;
    line = wait_line(litmus, "ARMED ", "END", NULL, error);
    if (!line)
        return FALSE;
    if (g_str_has_prefix(line, "ARMED "))
        *ret = g_strdup(strrchr(line, ' ') + 1);
    return TRUE;
}

gboolean
mose_litmus_switch(MoseLitmus *litmus, const char *without,
                   gboolean (*observe)(MoseDoc *doc, gpointer data, GError **error),
                   gpointer data, MoseSwitchReport *ret, GError **error)
{
    MoseSwitchOptions options = { .side = !litmus->guest->side,
                                  .interrupt_fd = litmus->interrupt_fd,
                                  .tamper = observe,
                                  .data = data };

    /* The emulator's CPU has more than the guest was started with. */
    options.without_rule = without ? without : litmus->slow ? "cpu-features" : NULL;
    return mose_switch(litmus->guest, &options, ret, error);
}

JsonObject *
mose_litmus_check(MoseLitmus *litmus, GError **error)
{
    g_auto(MoseFd) fd = send_byte(litmus, error);
    g_autoptr(JsonObject) verdicts = json_object_new();
    g_autofree char *line = NULL;

    if (fd < 0)
        return NULL;
    line = wait_line(litmus, "DONE ", "DONE ", verdicts, error);
    return line ? g_steal_pointer(&verdicts) : NULL;
}

const char *
mose_litmus_accel(const MoseLitmus *litmus)
{
    return litmus->guest->spec->accel[litmus->guest->side];
}
