/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose trace: what a guest in the emulator executes, into a file; and what is in such a
 * file (trace-show.c). */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analysis/recorder.h"
#include "analysis/session.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/look.h"
#include "cli/trace.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vmi/linux/modules.h"

#define KERNEL_FIRST G_GUINT64_CONSTANT(0xffff800000000000)
#define USER_LAST G_GUINT64_CONSTANT(0x00ffffffffffffff)
#define POLL_US 1000
#define TELL_US 500000
#define MB (1u << 20)

static gboolean only_kernel, only_user, memory, no_values, drop;
static char *output, *function, *module, *range, *task;
static double seconds;
static gint64 instructions;
static int buffer_mb = 16, patience_ms = 1000, level = 1;
static MoseTraceShow show = { .vcpu = -1 };

static const GOptionEntry entries[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
      "the file (default: NAME.trace); there must be none", "FILE" },
    { "kernel", 'k', 0, G_OPTION_ARG_NONE, &only_kernel, "the kernel's code alone",
      NULL },
    { "user", 'u', 0, G_OPTION_ARG_NONE, &only_user, "the code of processes alone",
      NULL },
    { "function", 0, 0, G_OPTION_ARG_STRING, &function,
      "the code of a function of the kernel's, or of a module's (MODULE:NAME)",
      "NAME" },
    { "module", 0, 0, G_OPTION_ARG_STRING, &module, "a kernel module's code", "NAME" },
    { "range", 0, 0, G_OPTION_ARG_STRING, &range, "the code at these addresses",
      "FIRST-LAST" },
    { "pid", 0, 0, G_OPTION_ARG_STRING, &task,
      "what a process, or a thread, executes alone, in the kernel too: its pid or its "
      "name",
      "PID|COMM" },
    { "memory", 'm', 0, G_OPTION_ARG_NONE, &memory,
      "and each access of memory: address and value", NULL },
    { "no-values", 0, 0, G_OPTION_ARG_NONE, &no_values, "addresses alone", NULL },
    { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds,
      "for so long (default: until Ctrl-C)", "N" },
    { "instructions", 'n', 0, G_OPTION_ARG_INT64, &instructions,
      "until so many were executed", "N" },
    { "drop", 0, 0, G_OPTION_ARG_NONE, &drop,
      "the guest waits for nobody: what cannot be written in time is lost", NULL },
    { "patience", 0, 0, G_OPTION_ARG_INT, &patience_ms,
      "how long it waits at most (default 1000)", "MS" },
    { "buffer", 0, 0, G_OPTION_ARG_INT, &buffer_mb,
      "memory for what waits to be written, for each vCPU (default 16)", "MB" },
    { "level", 0, 0, G_OPTION_ARG_INT, &level,
      "how hard to pack it: 1 (the default) to 19, as zstd has them", "N" },
    { "vcpu", 0, 0, G_OPTION_ARG_INT, &show.vcpu,
      "show: of one vCPU (default: of all, by time)", "N" },
    { "from", 0, 0, G_OPTION_ARG_INT64, &show.from,
      "show: begin at its instruction with this number", "N" },
    { "blocks", 'b', 0, G_OPTION_ARG_NONE, &show.blocks, "show: a line for each block",
      NULL },
    { "info", 'i', 0, G_OPTION_ARG_NONE, &show.info,
      "show: what the trace says of itself alone", NULL },
    { NULL },
};

/* --- what is wanted --- */

static gboolean
add_range(MosePlan *plan, guint64 first, guint64 last)
{
    MoseRange entry = { first, last };

    g_array_append_val(plan->ranges, entry);
    return TRUE;
}

static gboolean
parse_range(MosePlan *plan, GError **error)
{
    g_auto(GStrv) ends = g_strsplit(range, "-", 2);
    guint64 first, last;

    if (ends[0] && ends[1] &&
        g_ascii_string_to_unsigned(ends[0] + (g_str_has_prefix(ends[0], "0x") ? 2 : 0),
                                   16, 0, G_MAXUINT64, &first, NULL) &&
        g_ascii_string_to_unsigned(ends[1] + (g_str_has_prefix(ends[1], "0x") ? 2 : 0),
                                   16, first, G_MAXUINT64, &last, NULL))
        return add_range(plan, first, last);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "--range %s: not two addresses with a '-' between them", range);
    return FALSE;
}

static gboolean
need_kernel(const MoseLook *look, GError **error)
{
    if (look->kernel)
        return mose_linux_modules(look->kernel, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s: no Linux was found in it: its functions are not known",
                look->name);
    return FALSE;
}

static gboolean
add_function(MosePlan *plan, const MoseLook *look, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(function, ":", 2);
    const MoseSymbol *symbol;

    if (!need_kernel(look, error))
        return FALSE;
    symbol = parts[1] ? mose_linux_symbol_named(look->kernel, parts[0], parts[1])
                      : mose_linux_symbol_named(look->kernel, NULL, function);
    if (symbol && symbol->size > 0)
        return add_range(plan, symbol->address, symbol->address + symbol->size - 1);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s: %s %s", look->name,
                symbol ? "nobody knows the size of" : "its kernel has no function",
                function);
    return FALSE;
}

static gboolean
add_module(MosePlan *plan, const MoseLook *look, GError **error)
{
    if (!need_kernel(look, error))
        return FALSE;
    for (guint i = 0; i < look->kernel->modules->len; i++) {
        const MoseModule *found = look->kernel->modules->pdata[i];

        if (strcmp(found->name, module) != 0)
            continue;
        for (guint k = 0; k < found->n_parts; k++)
            if (found->parts[k].text_size > 0)
                add_range(plan, found->parts[k].base,
                          found->parts[k].base + found->parts[k].text_size - 1);
        return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s: no module %s is loaded",
                look->name, module);
    return FALSE;
}

/* Where the kernel goes from task to task; 0: they are not known. */
static guint64
switch_address(const MoseLook *look)
{
    guint64 address;

    return look->kernel && look->kernel->types &&
                   mose_linux_symbol(look->kernel, "__switch_to_asm", &address, NULL)
               ? address
               : 0;
}

static gboolean
make_plan(MosePlan *plan, const MoseLook *look, GError **error)
{
    plan->ranges = g_array_new(FALSE, FALSE, sizeof(MoseRange));
    plan->accesses = memory;
    plan->values = memory && !no_values;
    plan->patience_ms = drop ? 0 : (guint)patience_ms;
    plan->switch_address = switch_address(look);
    if (only_kernel)
        return add_range(plan, KERNEL_FIRST, G_MAXUINT64);
    if (only_user)
        return add_range(plan, 0, USER_LAST);
    if (range)
        return parse_range(plan, error);
    if (function)
        return add_function(plan, look, error);
    if (module)
        return add_module(plan, look, error);
    return add_range(plan, 0, G_MAXUINT64);
}

/* What is wrong with the options; NULL: nothing. */
static const char *
wrong_use(void)
{
    if (only_kernel + only_user + !!range + !!function + !!module > 1)
        return "one of --kernel, --user, --range, --function and --module";
    if (no_values && !memory)
        return "--no-values is for --memory";
    if (seconds < 0 || instructions < 0 || patience_ms < 0)
        return "no number may be negative";
    if (buffer_mb < 1 || buffer_mb > 512 || (buffer_mb & (buffer_mb - 1)))
        return "--buffer takes a power of two, from 1 to 512";
    if (show.vcpu >= 0 || show.from || show.blocks || show.info)
        return "--vcpu, --from, --blocks and --info are for `mose trace show`";
    if (level < 1 || level > 19)
        return "--level takes 1 to 19";
    return NULL;
}

/* --- the work --- */

typedef struct {
    MoseLook look;
    MoseSession *session;
    MoseTraceWriter *writer;
    MoseRecorder *recorder;
    gint64 begin_us, end_us;
    guint64 bytes;
} Work;

static JsonObject *
describe(const Work *work, const MosePlan *plan)
{
    JsonArray *ranges = json_array_new();

    for (guint i = 0; i < plan->ranges->len; i++) {
        const MoseRange *entry = &g_array_index(plan->ranges, MoseRange, i);
        g_autofree char *text =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER "x",
                            entry->first, entry->last);

        json_array_add_string_element(ranges, text);
    }
    return mose_json_object(
        "guest", "s", work->look.name, "mose", "s", MOSE_VERSION, "begun-us", "i",
        g_get_real_time(), "ranges", "a", ranges, "kernel", "s",
        work->look.kernel ? work->look.kernel->release : "", "build-id", "s",
        work->look.kernel && work->look.kernel->build_id ? work->look.kernel->build_id
                                                         : "",
        NULL);
}

/* The session first: it starts guardians, the writer a thread. */
static gboolean
begin_with(Work *work, const MosePlan *plan, const char *path, int *fd, GError **error)
{
    g_autoptr(JsonObject) about = describe(work, plan);
    MoseTraceInfo info = { .memory = plan->accesses,
                           .values = plan->values,
                           .about = about };

    work->session =
        mose_session_begin(work->look.guest, plan, (guint)buffer_mb * (MB / 8), error);
    if (!work->session)
        return FALSE;
    info.n_vcpus = mose_session_vcpus(work->session);
    work->begin_us = g_get_monotonic_time();
    work->writer = mose_trace_writer_new(mose_fd_steal(fd), path, &info, level, error);
    if (!work->writer)
        return FALSE;
    work->recorder =
        mose_recorder_new(work->writer, info.n_vcpus, (guint64)work->begin_us * 1000);
    return !plan->switch_address ||
           mose_recorder_watch_tasks(work->recorder, work->look.kernel, task, error);
}

static gboolean
can_tell_tasks(const Work *work, const MosePlan *plan, GError **error)
{
    if (!task || plan->switch_address)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s: its tasks are not known: --pid needs a Linux with BTF",
                work->look.name);
    return FALSE;
}

/* What can be refused is, before anything of the guest's is touched. */
static gboolean
begin(Work *work, const char *path, GError **error)
{
    MosePlan plan;
    g_autoptr(GArray) ranges = NULL;
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    gboolean good = make_plan(&plan, &work->look, error);

    ranges = plan.ranges;
    if (!good || !can_tell_tasks(work, &plan, error))
        return FALSE;
    fd = mose_trace_make_file(path, error);
    if (fd < 0)
        return FALSE;
    good = begin_with(work, &plan, path, &fd, error);
    if (!good)
        unlink(path);
    return good;
}

static gboolean
is_over(const Work *work, int interrupt_fd)
{
    struct pollfd fd = { interrupt_fd > 0 ? interrupt_fd : -1, POLLIN, 0 };
    gint64 passed = g_get_monotonic_time() - work->begin_us;

    return (seconds > 0 && (double)passed >= seconds * G_USEC_PER_SEC) ||
           (instructions > 0 && mose_recorder_counts(work->recorder).instructions >=
                                    (guint64)instructions) ||
           poll(&fd, 1, 0) > 0;
}

static void
show_progress(const Work *work)
{
    MoseRecorderCounts counts = mose_recorder_counts(work->recorder);

    fprintf(stderr, "\r%" G_GUINT64_FORMAT " million instructions%s ",
            counts.instructions / 1000000, counts.lost > 0 ? ", some are lost" : "");
}

static gboolean
record(Work *work, int interrupt_fd, GError **error)
{
    gint64 next = work->begin_us;

    while (!is_over(work, interrupt_fd)) {
        guint64 n;

        if (!mose_session_read(work->session, &mose_recorder_sink, work->recorder, &n,
                               error) ||
            !mose_trace_writer_check(work->writer, error))
            return FALSE;
        if (g_get_monotonic_time() >= next) {
            next += TELL_US;
            if (!mose_session_check(work->session, error))
                return FALSE;
            if (isatty(STDERR_FILENO))
                show_progress(work);
        }
        if (n == 0)
            g_usleep(POLL_US);
    }
    return TRUE;
}

/* What was recorded until an error is kept, too. */
static gboolean
finish(Work *work, gboolean good, GError **error)
{
    work->end_us = g_get_monotonic_time();
    /* The end of the session may start guardians, too. */
    mose_trace_writer_rest(work->writer);
    good = mose_session_end(work->session, &mose_recorder_sink, work->recorder,
                            good ? error : NULL) &&
           good;
    if (work->look.kernel)
        mose_recorder_name(work->recorder, work->look.kernel);
    return mose_trace_writer_finish(work->writer, &work->bytes, good ? error : NULL) &&
           good;
}

static void
work_clear(Work *work)
{
    mose_recorder_free(work->recorder);
    mose_trace_writer_free(work->writer);
    mose_session_free(work->session);
    mose_look_clear(&work->look);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Work, work_clear)

static void
report(const Work *work, const char *path)
{
    MoseRecorderCounts counts = mose_recorder_counts(work->recorder);
    double passed = (double)(work->end_us - work->begin_us) / G_USEC_PER_SEC;
    gint64 still_us = mose_session_still_us(work->session);

    if (mose_cli_json()) {
        g_autoptr(JsonObject) object = mose_json_object(
            "guest", "s", work->look.name, "file", "s", path, "bytes", "i",
            (gint64)work->bytes, "instructions", "i", (gint64)counts.instructions,
            "blocks", "i", (gint64)counts.blocks, "accesses", "i",
            (gint64)counts.accesses, "lost-blocks", "i", (gint64)counts.lost, "seconds",
            "f", passed, "stood-us", "i", still_us, NULL);
        g_autofree char *text = mose_json_text(object, TRUE);

        puts(text);
        return;
    }
    printf("%s: %" G_GUINT64_FORMAT " instructions in %.1f s", path,
           counts.instructions, passed);
    if (memory)
        printf(", %" G_GUINT64_FORMAT " accesses", counts.accesses);
    printf("; %.1f MB, %.2f bytes an instruction\n", (double)work->bytes / MB,
           counts.instructions ? (double)work->bytes / counts.instructions : 0.0);
    if (counts.lost > 0)
        printf("  %" G_GUINT64_FORMAT
               " blocks are missing: they came faster than they could be written\n",
               counts.lost);
    if (still_us > 0)
        printf("  the guest stood still for %.1f ms\n", still_us / 1e3);
}

static int
trace_guest(const char *name)
{
    g_auto(Work) work = { 0 };
    g_autoptr(GError) error = NULL;
    g_autofree char *path =
        output ? g_strdup(output) : g_strconcat(name, ".trace", NULL);
    int interrupt_fd;
    gboolean good;

    if (!mose_look_open_to_change(&work.look, name, &error))
        return mose_look_fail(&work.look, error);
    /* Names are all that is missing where no Linux is found. */
    work.look.kernel = mose_linux_find(work.look.memory, NULL);
    interrupt_fd = mose_cli_catch_interrupts();
    if (!begin(&work, path, &error))
        return mose_look_fail(&work.look, error);
    good = record(&work, interrupt_fd, &error);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (!finish(&work, good, &error))
        return mose_look_fail(&work.look, error);
    report(&work, path);
    return MOSE_EXIT_DONE;
}

static const char *
wrong_use_of_show(void)
{
    if (output || task || only_kernel || only_user || range || module || memory ||
        drop || seconds != 0)
        return "a file is shown with --vcpu, --from, --instructions, --function, "
               "--blocks and --info";
    if (show.from > 0 && show.vcpu < 0)
        return "--from is of one vCPU: --vcpu says which";
    return show.from < 0 || instructions < 0 ? "no number may be negative" : NULL;
}

int
mose_cmd_trace(int argc, char **argv)
{
    gboolean is_show;
    const char *wrong;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 2, &ret))
        return ret;
    is_show = argc == 3;
    if (is_show && strcmp(argv[1], "show") != 0)
        wrong = "one guest at a time; or `show` and a file";
    else
        wrong = is_show ? wrong_use_of_show() : wrong_use();
    if (wrong) {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), wrong);
        return MOSE_EXIT_USAGE;
    }
    if (!is_show)
        return trace_guest(argv[1]);
    show.instructions = instructions;
    show.function = function;
    return mose_trace_show(argv[2], &show);
}
