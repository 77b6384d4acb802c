/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core file, and what crash says of it: see vmi-crash.c. */
#pragma once

#include <json-glib/json-glib.h>

#include "lib/crash.h"

#define CRASH_VCPUS 4

typedef struct {
    const char *kernel;
    char *why; /* there is nothing to compare with; NULL: there is */
    char *core;
    char *witness;
    GHashTable *answers; /* crash_ask()'s */
    gboolean has_tasks;  /* crash finds the tasks of that kernel */
} CrashWorld;

/* crash's answer to one of the commands below; NULL, and the test is skipped, where it
 * has none. */
const char *crash_answer(const CrashWorld *world, const char *command);
/* The same of what hangs on the tasks, which not each crash finds. */
const char *crash_task_answer(const CrashWorld *world, const char *command);

/* The members that @names has (with blanks between them) of each object in @array, as
 * crash prints such: numbers without 0x, no quotes. */
char *crash_row(JsonObject *row, const char *names);
GPtrArray *crash_rows(JsonArray *array, const char *names);

/* `mose COMMAND CORE --json`, and its array @name. */
JsonObject *crash_mose(const CrashWorld *world, const char *command,
                       const char *option);
JsonArray *crash_array(JsonObject *object, const char *name);

/* With what a boot's witness has told in the place of @WITNESS and @INSIDE (processes)
 * and @MEMORY (the first one's) in one of the commands. */
char *crash_fill_in(const CrashWorld *world, const char *command);

/* crash_lines() of what `foreach` printed of each of these processes (of `mose ps`),
 * behind its pid. */
GPtrArray *crash_lines_of_each(const char *text, JsonArray *processes,
                               const char *pattern, const char *format);

/* vmi-crash-kernel.c; what it has to be asked for: NULL-terminated, or added to it. */
extern const char *const crash_kernel_commands[];
void test_crash_modules(const CrashWorld *world);
void test_crash_log(const CrashWorld *world);
void test_crash_irq(const CrashWorld *world);
void test_crash_symbols(const CrashWorld *world);

/* vmi-crash-types.c */
void crash_type_commands(GPtrArray *commands);
void crash_memory_commands(GPtrArray *commands);
void test_crash_types(const CrashWorld *world);
void test_crash_memory(const CrashWorld *world);
void test_crash_user_memory(const CrashWorld *world);

/* vmi-crash-tasks.c */
extern const char *const crash_task_commands[];
void test_crash_ps(const CrashWorld *world);
void test_crash_cpus(const CrashWorld *world);
void test_crash_mounts(const CrashWorld *world);
void test_crash_files(const CrashWorld *world);
void test_crash_maps(const CrashWorld *world);

/* vmi-crash-net.c */
void test_crash_links(const CrashWorld *world);
void test_crash_sockets(const CrashWorld *world);

/* vmi-crash-bt.c */
void test_crash_bt(const CrashWorld *world);
