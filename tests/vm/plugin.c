/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin in a real emulator: what it tells is what is in the guest; it comes and
 * goes while the guest works, and whoever asks for it, and dies, leaves a guest that
 * runs. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analysis/session.h"
#include "lib/plugin.h"
#include "lib/vm.h"
#include "util/error.h"
#include "vmi/linux/linux.h"

#define WORDS (1u << 20)
#define KERNEL_FIRST G_GUINT64_CONSTANT(0xffff800000000000)
#define MAX_BLOCKS 200000

/* --- what is told --- */

typedef struct {
    guint64 address;
    guint n;
} Block;

typedef struct {
    GArray *blocks; /* Block, by number */
    GByteArray *code;
    GArray *offsets; /* of each block's bytes in it */
    guint64 n_blocks, n_cut, n_accesses, n_stores, n_lost, n_ends, n_times;
    guint last[MOSE_RING_MAX_VCPUS]; /* block; plus 1 */
    guint64 executed;                /* instructions */
    guint64 last_time;
} Told;

static void
told_code(gpointer data, guint32 number, guint64 address, guint n, const guint8 *sizes,
          const guint8 *bytes, gsize len)
{
    Told *told = data;
    guint offset = told->code->len;
    Block block = { address, n };

    g_assert_cmpuint(number, ==, told->blocks->len);
    g_array_append_val(told->blocks, block);
    g_array_append_val(told->offsets, offset);
    g_byte_array_append(told->code, bytes, len);
}

static void
told_executed(Told *told, guint vcpu, guint executed)
{
    if (executed == 0)
        return;
    g_assert_cmpuint(told->last[vcpu], >, 0);
    g_assert_cmpuint(executed, <=,
                     g_array_index(told->blocks, Block, told->last[vcpu] - 1).n);
    told->executed += executed;
    told->n_cut +=
        executed < g_array_index(told->blocks, Block, told->last[vcpu] - 1).n;
}

static void
told_block(gpointer data, guint vcpu, guint32 number, guint executed)
{
    Told *told = data;

    told_executed(told, vcpu, executed);
    told->last[vcpu] = number + 1;
    told->n_blocks++;
}

static void
told_access(gpointer data, guint vcpu, guint insn, guint shift, gboolean store,
            guint64 address, const guint64 *value)
{
    Told *told = data;

    g_assert_cmpuint(told->last[vcpu], >, 0);
    g_assert_cmpuint(insn, <,
                     g_array_index(told->blocks, Block, told->last[vcpu] - 1).n);
    told->n_accesses++;
    told->n_stores += store;
}

static void
told_lost(gpointer data, guint vcpu, guint executed, guint64 blocks)
{
    Told *told = data;

    told_executed(told, vcpu, executed);
    told->last[vcpu] = 0;
    told->n_lost += blocks;
}

static void
told_end(gpointer data, guint vcpu, guint executed)
{
    Told *told = data;

    told_executed(told, vcpu, executed);
    told->last[vcpu] = 0;
    told->n_ends++;
}

static void
told_time(gpointer data, guint vcpu, guint64 ns)
{
    ((Told *)data)->n_times++;
}

static void
told_task(gpointer data, guint vcpu, guint64 task)
{
    g_assert_not_reached(); /* nobody has asked for it */
}

static const MoseRingSink sink = {
    .code = told_code,
    .block = told_block,
    .access = told_access,
    .lost = told_lost,
    .end = told_end,
    .task = told_task,
    .time = told_time,
};

static Told *
told_new(void)
{
    Told *told = g_new0(Told, 1);

    told->blocks = g_array_new(FALSE, FALSE, sizeof(Block));
    told->offsets = g_array_new(FALSE, FALSE, sizeof(guint));
    told->code = g_byte_array_new();
    return told;
}

static void
told_free(Told *told)
{
    g_array_unref(told->blocks);
    g_array_unref(told->offsets);
    g_byte_array_unref(told->code);
    g_free(told);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Told, told_free)

/* --- sessions --- */

static MosePlan
plan_of(guint64 first, guint64 last, gboolean accesses)
{
    MosePlan plan = { .ranges = g_array_new(FALSE, FALSE, sizeof(MoseRange)),
                      .accesses = accesses,
                      .values = accesses };
    MoseRange range = { first, last };

    g_array_append_val(plan.ranges, range);
    return plan;
}

static VmGuest *
emulated(const char *name, const char *extra)
{
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, "--accel tcg", extra, "tsc=reliable");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", name, NULL), ==, 0);
    return guest;
}

static MoseGuest *
locked(const VmGuest *guest)
{
    g_autoptr(GError) error = NULL;
    MoseGuest *ret = mose_guest_open(guest->name, MOSE_GUEST_LOCK, &error);

    g_assert_no_error(error);
    return ret;
}

static void
read_for(MoseSession *session, Told *told, int ms)
{
    gint64 end = g_get_monotonic_time() + (gint64)ms * 1000;
    g_autoptr(GError) error = NULL;

    while (g_get_monotonic_time() < end) {
        guint64 n;

        mose_session_read(session, &sink, told, &n, &error);
        g_assert_no_error(error);
        if (n == 0)
            g_usleep(1000);
    }
}

static Told *
tell(MoseGuest *opened, const MosePlan *plan, int ms)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseSession) session = mose_session_begin(opened, plan, WORDS, &error);
    Told *told = told_new();

    g_assert_no_error(error);
    read_for(session, told, ms);
    mose_session_end(session, &sink, told, &error);
    g_assert_no_error(error);
    return told;
}

/* --- tests --- */

/* What was told to be the kernel's code is what lies in the guest's memory; what was
 * executed, and accessed, makes sense; nothing is missing. */
static void
test_kernel(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(Told) told = NULL;
    g_autoptr(MoseMemory) memory = NULL;
    g_autoptr(MoseLinux) kernel = NULL;
    MosePlan plan = plan_of(KERNEL_FIRST, G_MAXUINT64, TRUE);
    guint same = 0, other = 0;

    if (plugin_cannot_run())
        return;
    guest = emulated("plugin-kernel", "");
    opened = locked(guest);
    plan.patience_ms = 1000;
    told = tell(opened, &plan, 500);
    g_assert_cmpuint(told->n_lost, ==, 0);
    g_assert_cmpuint(told->n_ends, ==, 1);
    g_assert_cmpuint(told->n_blocks, >, 1000);
    g_assert_cmpuint(told->executed, >, told->n_blocks);
    g_assert_cmpuint(told->n_accesses, >, told->n_stores);
    g_assert_cmpuint(told->n_stores, >, 100);
    g_assert_cmpuint(told->n_times, >, 0);
    memory = mose_memory_of_guest(opened, &error);
    g_assert_no_error(error);
    kernel = mose_linux_find(memory, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < told->blocks->len; i++) {
        const Block *block = &g_array_index(told->blocks, Block, i);
        guint from = g_array_index(told->offsets, guint, i);
        guint to = i + 1 < told->blocks->len
                       ? g_array_index(told->offsets, guint, i + 1)
                       : told->code->len;
        g_autofree guint8 *bytes = g_malloc(to - from);

        g_assert_cmphex(block->address, >=, KERNEL_FIRST);
        if (!mose_space_read(kernel->space, block->address, bytes, to - from, NULL,
                             NULL))
            other++;
        else if (memcmp(bytes, told->code->data + from, to - from) == 0)
            same++;
        else
            other++;
    }
    g_test_message("%u blocks as in memory, %u not", same, other);
    g_assert_cmpuint(same, >, 500);
    /* Code that patches itself (static calls, jump labels) may differ. */
    g_assert_cmpuint(other, <=, same / 100);
    json_object_unref(vm_assert_healthy(guest));
    g_array_unref(plan.ranges);
}

/* One that nobody reads in time goes on, and what is missing is told. */
static void
test_slow_reader(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(MoseSession) session = NULL;
    g_autoptr(Told) told = told_new();
    MosePlan plan = plan_of(0, G_MAXUINT64, TRUE);

    if (plugin_cannot_run())
        return;
    guest = emulated("plugin-slow", "");
    opened = locked(guest);
    session = mose_session_begin(opened, &plan, MOSE_RING_MIN_WORDS * 16, &error);
    g_assert_no_error(error);
    for (int i = 0; i < 4; i++) {
        json_object_unref(vm_assert_healthy(guest));
        read_for(session, told, 1);
    }
    g_assert_true(mose_session_end(session, &sink, told, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(told->n_lost, >, 1000);
    g_assert_cmpuint(told->n_blocks, >, 1000);
    json_object_unref(vm_assert_healthy(guest));
    g_array_unref(plan.ranges);
}

/* One that stands still holds the guest up once, for as long as was said, and not at
 * each block. */
static void
test_stuck_reader(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(MoseSession) session = NULL;
    g_autoptr(Told) told = told_new();
    MosePlan plan = plan_of(KERNEL_FIRST, G_MAXUINT64, TRUE);
    gint64 begin;

    if (plugin_cannot_run())
        return;
    guest = emulated("plugin-stuck", "");
    opened = locked(guest);
    plan.patience_ms = 1000;
    session = mose_session_begin(opened, &plan, WORDS, &error);
    g_assert_no_error(error);
    begin = g_get_monotonic_time();
    for (int i = 0; i < 5; i++)
        json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 15 * G_USEC_PER_SEC);
    g_assert_true(mose_session_end(session, &sink, told, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(told->n_lost, >, 1000);
    json_object_unref(vm_assert_healthy(guest));
    g_array_unref(plan.ranges);
}

/* A vCPU that never idles has it come and go as well: with other plans each time. */
static void
test_often(void)
{
    static const char load[] = "sh -c 'while :; do :; done' & sh -c 'while :; do ls -l "
                               "/bin >/dev/null; done' &";
    g_autoptr(GError) error = NULL;
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseGuest) opened = NULL;
    MosePlan all = plan_of(0, G_MAXUINT64, TRUE),
             kernel = plan_of(KERNEL_FIRST, G_MAXUINT64, FALSE);
    int rounds = g_test_slow() ? 1000 : 100;
    gint64 still_us = 0;

    if (plugin_cannot_run())
        return;
    guest = emulated("plugin-often", "-smp 4");
    vm_shell(guest, load);
    opened = locked(guest);
    all.patience_ms = kernel.patience_ms = 100;
    for (int i = 0; i < rounds; i++) {
        g_autoptr(MoseSession) session =
            mose_session_begin(opened, i % 2 ? &all : &kernel, WORDS, &error);
        g_autoptr(Told) told = told_new();

        g_assert_no_error(error);
        if (i % 3)
            read_for(session, told, 5);
        g_assert_true(mose_session_end(session, &sink, told, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(told->n_ends, <=, 4);
        still_us = MAX(still_us, mose_session_still_us(session));
    }
    g_test_message("it stood still for at most %" G_GINT64_FORMAT " us", still_us);
    json_object_unref(vm_assert_healthy(guest));
    g_array_unref(all.ranges);
    g_array_unref(kernel.ranges);
}

/* In a process of its own, which is killed. */
static void
be_killed(const VmGuest *guest, const MosePlan *plan)
{
    g_autoptr(MoseGuest) opened = locked(guest);
    g_autoptr(MoseSession) session = mose_session_begin(opened, plan, WORDS, NULL);

    if (session)
        kill(getpid(), SIGKILL);
    _exit(1);
}

static void
test_killed(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(MoseSession) session = NULL;
    g_autoptr(Told) told = told_new();
    g_autoptr(GError) error = NULL;
    MosePlan plan = plan_of(0, G_MAXUINT64, TRUE);

    if (plugin_cannot_run())
        return;
    guest = emulated("plugin-killed", "");
    plan.patience_ms = 60000;
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
            be_killed(guest, &plan);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status));
        json_object_unref(vm_assert_healthy(guest));
    }
    opened = locked(guest);
    plan.patience_ms = 0;
    session = mose_session_begin(opened, &plan, WORDS, &error);
    g_assert_no_error(error);
    json_object_unref(vm_assert_healthy(guest));
    g_assert_true(mose_session_end(session, &sink, told, &error));
    g_assert_cmpuint(told->n_blocks, >, 1000);
    g_array_unref(plan.ranges);
}

static void
assert_refused(const VmGuest *guest, int code, const char *text)
{
    g_autoptr(MoseGuest) opened = locked(guest);
    MosePlan plan = plan_of(0, G_MAXUINT64, FALSE);
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_session_begin(opened, &plan, WORDS, &error));
    g_assert_error(error, MOSE_ERROR, code);
    g_assert_nonnull(strstr(error->message, text));
    g_array_unref(plan.ranges);
}

static void
test_refused(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GError) error = NULL;

    if (plugin_cannot_run())
        return;
    guest = vm_guest_new("plugin-refused");
    vm_run(guest, "--accel tcg", "", "");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    assert_refused(guest, MOSE_ERROR_UNSUPPORTED, "is not in the emulator");
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", guest->name, NULL), ==, 0);
    {
        g_autoptr(MoseGuest) opened =
            mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
        g_autoptr(MosePlugin) first = mose_plugin_connect(opened, &error);

        g_assert_no_error(error);
        assert_refused(guest, MOSE_ERROR_BUSY, "by another command");
    }
    json_object_unref(vm_assert_healthy(guest));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/plugin/kernel", test_kernel);
    g_test_add_func("/plugin/slow-reader", test_slow_reader);
    g_test_add_func("/plugin/stuck-reader", test_stuck_reader);
    g_test_add_func("/plugin/often", test_often);
    g_test_add_func("/plugin/killed", test_killed);
    g_test_add_func("/plugin/refused", test_refused);
    return vm_run_tests();
}
