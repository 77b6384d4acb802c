/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose trace show: what is in a trace, instruction by instruction. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/trace-texts.h"
#include "cli/trace.h"
#include "trace/reader.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/space.h"

static const MoseTraceShow *options;

typedef struct {
    const MoseTrace *trace;
    const MoseTraceStep *step;
    guint64 shown;
    guint32 *tasks; /* the last one that was shown, of each vCPU */
    MoseTraceTexts *texts;
    guint access; /* the next one of the step's */
    guint instruction;
} Show;

/* "name+0x12", or nothing. What is in a file may be a stranger's. */
static char *
name_of(const Show *show, guint64 address)
{
    MoseTraceFound found;
    g_autofree char *name = NULL;

    if (!mose_trace_name(show->trace, show->step->task, address, &found) ||
        !found.symbol)
        return g_strdup("");
    name = mose_vmi_printable(found.symbol->name);
    return address == found.symbol->start
               ? g_steal_pointer(&name)
               : g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", name,
                                 address - found.symbol->start);
}

static char *
comm_of(const MoseTraceTask *task)
{
    g_autofree char *name = g_strndup(task->name, sizeof(task->name));

    return mose_vmi_printable(name);
}

static gboolean
is_wanted(const MoseTrace *trace, const MoseTraceStep *step)
{
    MoseTraceFound found;

    return !options->function ||
           (mose_trace_name(trace, step->task,
                            mose_trace_block(trace, step->block)->address, &found) &&
            found.symbol && strcmp(found.symbol->name, options->function) == 0);
}

static gboolean
is_enough(const Show *show)
{
    return options->instructions > 0 && show->shown >= (guint64)options->instructions;
}

/* --- accesses --- */

static char *
value_text(const MoseTraceAccess *access)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = (access->size + 7) / 8; i-- > 0;)
        g_string_append_printf(text, "%0*" G_GINT64_MODIFIER "x",
                               access->size < 8 ? access->size * 2 : 16,
                               access->value[i]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
print_access(const MoseTraceAccess *access)
{
    g_autofree char *value = access->has_value ? value_text(access) : NULL;

    printf("%*s%s 0x%016" G_GINT64_MODIFIER "x %u%s%s\n", 60, "",
           access->store ? "store" : "load ", access->address, access->size,
           value ? " 0x" : "", value ? value : "");
}

static JsonArray *
accesses_json(Show *show)
{
    JsonArray *list = json_array_new();

    for (; show->access < show->step->n_accesses &&
           show->step->accesses[show->access].instruction == show->instruction;
         show->access++) {
        const MoseTraceAccess *access = &show->step->accesses[show->access];
        g_autofree char *address =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", access->address);
        JsonObject *object =
            mose_json_object("store", "b", access->store, "address", "s", address,
                             "size", "i", (gint64)access->size, NULL);

        if (access->has_value) {
            g_autofree char *value = value_text(access);

            json_object_set_string_member(object, "value", value);
        }
        json_array_add_object_element(list, object);
    }
    return list;
}

static void
print_accesses(Show *show)
{
    for (; show->access < show->step->n_accesses &&
           show->step->accesses[show->access].instruction == show->instruction;
         show->access++)
        print_access(&show->step->accesses[show->access]);
}

/* --- instructions --- */

static void
add_task(const Show *show, JsonObject *object)
{
    const MoseTraceTask *task = mose_trace_task(show->trace, show->step->task);
    g_autofree char *name = task ? comm_of(task) : NULL;

    if (!task)
        return;
    json_object_set_int_member(object, "pid", task->pid);
    json_object_set_string_member(object, "comm", name);
}

/* What is missing before the step is said with the first of it. */
static void
add_lost(const Show *show, JsonObject *object)
{
    if (show->step->lost > 0 && show->instruction == 0)
        json_object_set_int_member(object, "lost", (gint64)show->step->lost);
}

static void
show_json(Show *show, guint64 at, const char *what, const char *name)
{
    g_autofree char *address = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", at);
    g_autoptr(JsonObject) object =
        mose_json_object("vcpu", "i", (gint64)show->step->vcpu, "number", "i",
                         (gint64)(show->step->instruction + show->instruction),
                         "time-ns", "i", (gint64)show->step->time, "address", "s",
                         address, "symbol", "s", name, "text", "s", what, NULL);
    g_autofree char *text = NULL;

    add_task(show, object);
    add_lost(show, object);
    if (mose_trace_info(show->trace)->memory)
        json_object_set_array_member(object, "accesses", accesses_json(show));
    text = mose_json_text(object, FALSE);
    puts(text);
}

static void
show_instruction(Show *show, guint64 at, const char *text)
{
    g_autofree char *name = name_of(show, at);

    if (mose_cli_json()) {
        show_json(show, at, text, name);
        return;
    }
    printf("%u %10" G_GUINT64_FORMAT " %016" G_GINT64_MODIFIER "x %-28s %s\n",
           show->step->vcpu, show->step->instruction + show->instruction, at, name,
           text);
    print_accesses(show);
}

static gboolean
show_instructions(Show *show, GError **error)
{
    const MoseTraceBlock *block = mose_trace_block(show->trace, show->step->block);
    const GPtrArray *texts = mose_trace_texts_of(show->texts, show->step->block, error);
    guint64 at = block->address;

    if (!texts)
        return FALSE;
    for (; show->instruction < show->step->executed && !is_enough(show);
         show->instruction++) {
        show_instruction(show, at, texts->pdata[show->instruction]);
        at += block->lengths[show->instruction];
        show->shown++;
    }
    return TRUE;
}

static void
show_block(Show *show)
{
    const MoseTraceBlock *block = mose_trace_block(show->trace, show->step->block);
    g_autofree char *name = name_of(show, block->address);

    if (mose_cli_json()) {
        g_autofree char *address =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", block->address);
        g_autoptr(JsonObject) object = mose_json_object(
            "vcpu", "i", (gint64)show->step->vcpu, "number", "i",
            (gint64)show->step->instruction, "time-ns", "i", (gint64)show->step->time,
            "address", "s", address, "symbol", "s", name, "instructions", "i",
            (gint64)block->n, "executed", "i", (gint64)show->step->executed, NULL);
        g_autofree char *text = NULL;

        add_task(show, object);
        add_lost(show, object);
        text = mose_json_text(object, FALSE);
        puts(text);
    } else {
        printf("%u %10" G_GUINT64_FORMAT " %016" G_GINT64_MODIFIER "x %-28s %u",
               show->step->vcpu, show->step->instruction, block->address, name,
               show->step->executed);
        printf(show->step->executed < block->n ? " of %u\n" : "\n", block->n);
    }
    show->shown += show->step->executed;
}

/* Where another task runs. */
static void
show_task(Show *show)
{
    const MoseTraceTask *task = mose_trace_task(show->trace, show->step->task);
    guint32 *last = &show->tasks[show->step->vcpu];
    g_autofree char *name = NULL;

    if (!task || show->step->task == *last || mose_cli_json())
        return;
    *last = show->step->task;
    name = comm_of(task);
    printf("%u --- %u %s\n", show->step->vcpu, task->pid, name);
}

static gboolean
show_step(Show *show, GError **error)
{
    if (!is_wanted(show->trace, show->step))
        return TRUE;
    if (show->step->lost > 0 && !mose_cli_json())
        printf("%u ... %" G_GUINT64_FORMAT " events are missing\n", show->step->vcpu,
               show->step->lost);
    show_task(show);
    show->access = show->instruction = 0;
    if (!options->blocks)
        return show_instructions(show, error);
    show_block(show);
    return TRUE;
}

/* --- all of it --- */

/* One vCPU's way, or all of them by time. */
typedef struct {
    MoseTraceCursor *cursor;
    MoseTraceMerge *merge;
} Way;

static void
way_clear(Way *way)
{
    mose_trace_cursor_free(way->cursor);
    mose_trace_merge_free(way->merge);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Way, way_clear)

static gboolean
way_begin(Way *way, const MoseTrace *trace, GError **error)
{
    if (options->vcpu < 0) {
        way->merge = mose_trace_merge_new(trace);
        return TRUE;
    }
    way->cursor = mose_trace_cursor_new(trace, (guint)options->vcpu);
    return options->from == 0 ||
           mose_trace_cursor_seek(way->cursor, (guint64)options->from, error);
}

static gboolean
way_next(const Way *way, MoseTraceStep *ret, GError **error)
{
    return way->cursor ? mose_trace_cursor_next(way->cursor, ret, error)
                       : mose_trace_merge_next(way->merge, ret, error);
}

static gboolean
show_steps(Show *show, GError **error)
{
    g_auto(Way) way = { 0 };
    g_autoptr(GError) cause = NULL;
    MoseTraceStep step;

    if (!way_begin(&way, show->trace, error))
        return FALSE;
    show->step = &step;
    while (!is_enough(show) && way_next(&way, &step, &cause))
        if (!show_step(show, error))
            return FALSE;
    if (!cause)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static void
show_info(const MoseTrace *trace)
{
    const MoseTraceInfo *info = mose_trace_info(trace);
    JsonArray *vcpus = json_array_new();
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *text = NULL;

    for (guint i = 0; i < info->n_vcpus; i++)
        json_array_add_int_element(vcpus, (gint64)mose_trace_instructions(trace, i));
    object = mose_json_object("instructions", "a", vcpus, "blocks", "i",
                              (gint64)mose_trace_n_blocks(trace), "memory", "b",
                              info->memory, "values", "b", info->values, "whole", "b",
                              mose_trace_is_whole(trace, NULL), NULL);
    if (info->about)
        json_object_set_object_member(object, "about", json_object_ref(info->about));
    text = mose_json_text(object, TRUE);
    puts(text);
}

static gboolean
show_file(const char *path, GError **error)
{
    g_autoptr(MoseTrace) trace = mose_trace_open(path, error);
    Show show = { .trace = trace };
    g_autofree guint32 *tasks = NULL;
    g_autoptr(MoseTraceTexts) texts = NULL;
    guint64 cut;

    if (!trace)
        return FALSE;
    if (options->info) {
        show_info(trace);
        return TRUE;
    }
    if (options->vcpu >= 0 && (guint)options->vcpu >= mose_trace_info(trace)->n_vcpus) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s has %u vCPUs", path,
                    mose_trace_info(trace)->n_vcpus);
        return FALSE;
    }
    if (!mose_trace_is_whole(trace, &cut))
        fprintf(stderr,
                "%s: %s has no end: it is read up to byte %" G_GUINT64_FORMAT "\n",
                g_get_prgname(), path, cut);
    tasks = g_new(guint32, mose_trace_info(trace)->n_vcpus);
    memset(tasks, 0xff, mose_trace_info(trace)->n_vcpus * sizeof(guint32));
    show.tasks = tasks;
    show.texts = texts = mose_trace_texts_new(trace);
    return show_steps(&show, error);
}

int
mose_trace_show(const char *path, const MoseTraceShow *what)
{
    g_autoptr(GError) error = NULL;

    options = what;
    return show_file(path, &error) ? MOSE_EXIT_DONE : mose_cli_fail(error, NULL);
}
