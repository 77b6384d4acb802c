/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest of the tests of debug sessions; see debug-guest.h. */
#include "vm/debug-guest.h"

#include <stdlib.h>
#include <string.h>

#include "qemu/command.h"
#include "util/json.h"

VmGuest *debug_guest;
guint64 debug_functions[DEBUG_N_FUNCTIONS];
guint64 debug_jiffies;
guint64 debug_halt;

static const char *const function_names[DEBUG_N_FUNCTIONS] = { "schedule",
                                                               "update_process_times" };

static guint64
symbol(const char *name)
{
    g_autofree char *command = g_strdup_printf("grep ' %s$' /proc/kallsyms", name);
    g_autofree char *said = vm_shell_output(debug_guest, command);
    guint64 address = g_ascii_strtoull(said, NULL, 16);

    g_assert_cmphex(address >> 40, ==, 0xffffff);
    return address;
}

gboolean
debug_cannot_run(void)
{
    if (vm_why_not()) {
        g_test_skip(vm_why_not());
        return TRUE;
    }
    if (!debug_guest) {
        debug_guest = vm_guest_new("debug");
        /* TCG gives each vCPU the same TSC, whatever Linux thinks when it tries. */
        vm_run(debug_guest, NULL, "-smp 2", "mose.work=1 tsc=reliable");
        vm_wait_console(debug_guest, "MOSE-GUEST READY", 60);
        for (int i = 0; i < DEBUG_N_FUNCTIONS; i++)
            debug_functions[i] = symbol(function_names[i]);
        debug_jiffies = symbol("jiffies");
        debug_halt = symbol(".*native_safe_halt"); /* pv_native_safe_halt since 6.2 */
    }
    return FALSE;
}

MoseGuest *
debug_open(MoseGuestAccess access)
{
    g_autoptr(GError) error = NULL;
    MoseGuest *opened = mose_guest_open(debug_guest->name, access, &error);

    g_assert_no_error(error);
    return opened;
}

MoseQmp *
debug_ask(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) opened = debug_open(MOSE_GUEST_LOOK);
    MoseQmp *qmp = mose_guest_connect(opened, MOSE_MONITOR_QUERY, &error);

    g_assert_no_error(error);
    return qmp;
}

static char *
run_state(MoseQmp *qmp)
{
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, NULL);

    return g_strdup(mose_json_string(status, "status", "no answer"));
}

/* By QEMU's own word. The monitor that QEMU makes for any stub stays ("gdb", without a
 * socket); a second one would be a leak. */
static gboolean
has_stub(MoseQmp *qmp)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-chardev", NULL, NULL);
    JsonArray *list = mose_json_node_array(answer);
    int monitors = 0, stubs = 0;

    g_assert_nonnull(list);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *one = mose_json_element(list, i);

        stubs += strcmp(mose_json_string(one, "label", ""), "mose-gdb") == 0;
        monitors += strcmp(mose_json_string(one, "filename", ""), "gdb") == 0;
    }
    g_assert_cmpint(monitors, <=, 1);
    return stubs > 0;
}

gboolean
debug_has_file(void)
{
    g_autoptr(MoseGuest) opened = debug_open(MOSE_GUEST_LOOK);
    g_autoptr(GDir) dir = g_dir_open(opened->dir, 0, NULL);
    const char *name;
    gboolean found = FALSE;

    while ((name = g_dir_read_name(dir)))
        found |= g_str_has_prefix(name, "debug");
    return found;
}

GArray *
debug_guardians(void)
{
    GArray *pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(proc))) {
        g_autofree char *comm = g_strdup_printf("/proc/%s/comm", name);
        g_autofree char *environment = g_strdup_printf("/proc/%s/environ", name);
        g_autofree char *text = NULL, *words = NULL;
        pid_t pid = atoi(name);
        gsize len;

        if (pid > 0 && g_file_get_contents(comm, &text, NULL, NULL) &&
            strcmp(text, "mose-guardian\n") == 0 &&
            g_file_get_contents(environment, &words, &len, NULL) &&
            memmem(words, len, g_getenv("MOSE_RUNTIME_DIR"),
                   strlen(g_getenv("MOSE_RUNTIME_DIR"))))
            g_array_append_val(pids, pid);
    }
    return pids;
}

static gboolean
has_guardian(void)
{
    g_autoptr(GArray) pids = debug_guardians();

    return pids->len > 0;
}

static gboolean
is_healed(const char *wanted)
{
    g_autoptr(MoseQmp) qmp = NULL;
    g_autofree char *state = NULL;

    if (debug_has_file())
        return FALSE;
    qmp = debug_ask();
    state = run_state(qmp);
    return strcmp(state, wanted) == 0 && !has_stub(qmp);
}

void
debug_assert_runs_on(void)
{
    g_autoptr(MoseQmp) qmp = debug_ask();

    for (int i = 0; i < 20; i++) {
        g_autofree char *state = run_state(qmp);

        g_assert_cmpstr(state, ==, "running");
        g_usleep(10000);
    }
    json_object_unref(vm_assert_healthy(debug_guest));
}

/* Who has the guest's lock open, and what it does. */
static void
describe_lock(const char *lock)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *pid;

    while ((pid = g_dir_read_name(proc))) {
        g_autofree char *fds = g_strdup_printf("/proc/%s/fd", pid);
        g_autofree char *stat = g_strdup_printf("/proc/%s/stat", pid);
        g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
        g_autofree char *text = NULL;
        const char *fd;

        while (dir && (fd = g_dir_read_name(dir))) {
            g_autofree char *link = g_build_filename(fds, fd, NULL);
            g_autofree char *path = g_file_read_link(link, NULL);

            if (g_strcmp0(path, lock) == 0 && !text &&
                g_file_get_contents(stat, &text, NULL, NULL))
                g_test_message("the lock is open in: %s", text);
        }
    }
}

/* What a guardian that is still there does, and what it has said. */
static void
describe_guardians(void)
{
    g_autoptr(GArray) pids = debug_guardians();
    g_autoptr(MoseGuest) opened = debug_open(MOSE_GUEST_LOOK);
    g_autofree char *log = g_build_filename(opened->dir, "guardian.log", NULL);
    g_autofree char *said = NULL;
    g_autofree char *lock = g_build_filename(opened->dir, "lock", NULL);

    describe_lock(lock);
    g_file_get_contents(log, &said, NULL, NULL);
    g_test_message("guardian.log: %s", said ? said : "none");
    for (guint i = 0; i < pids->len; i++) {
        int pid = (int)g_array_index(pids, pid_t, i);
        g_autofree char *path = g_strdup_printf("/proc/%d/syscall", pid);
        g_autofree char *text = NULL;

        g_file_get_contents(path, &text, NULL, NULL);
        g_test_message("guardian %d is in: %s", pid, text ? text : "nothing");
    }
}

gint64
debug_assert_healed(const char *wanted)
{
    gint64 start = g_get_monotonic_time(), healed;

    while (!is_healed(wanted) && g_get_monotonic_time() < start + DEBUG_LIMIT_US)
        g_usleep(5000);
    healed = g_get_monotonic_time();
    while (has_guardian() && g_get_monotonic_time() < healed + DEBUG_LEAVE_US)
        g_usleep(5000);
    if (!is_healed(wanted) || has_guardian()) {
        g_autoptr(MoseQmp) qmp = debug_ask();
        g_autofree char *state = run_state(qmp);

        describe_guardians();
        g_error("state %s, stub %d, file %d, guardians %d", state, has_stub(qmp),
                debug_has_file(), has_guardian());
    }
    return healed - start;
}
