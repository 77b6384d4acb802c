/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU 10.0.2 answers to the commands that MOSE uses (recorded with -M pc,
 * shortened), for the state that the process is in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakeqemu/fakeqemu.h"
#include "util/fd.h"
#include "util/json.h"

#define OK "{\"return\": {}}"
#define CPU "/machine/unattached/device[0]"

static const char *const known_features[] = { "sse2",   "avx2",   "avx512f", "vme",
                                              "sse4.1", "sse4-1", NULL };

static char *
failure(const char *text)
{
    g_autoptr(JsonObject) object = mose_json_object(
        "error", "o",
        mose_json_object("class", "s", "GenericError", "desc", "s", text, NULL), NULL);

    return mose_json_text(object, FALSE);
}

/* --- events --- */

void
fake_event(FakeQemu *qemu, const char *name, const char *data)
{
    gint64 now = g_get_real_time();
    g_autofree char *text = g_strdup_printf(
        "{\"timestamp\": {\"seconds\": %" G_GINT64_FORMAT
        ", \"microseconds\": %" G_GINT64_FORMAT "}, \"event\": \"%s\"%s%s}\r\n",
        now / G_USEC_PER_SEC, now % G_USEC_PER_SEC, name, data ? ", \"data\": " : "",
        data ? data : "");

    for (int i = 0; i < FAKE_MAX_CLIENTS; i++)
        if (qemu->clients[i].used)
            fake_line_send(&qemu->clients[i].line, text);
}

void
fake_set_running(FakeQemu *qemu, gboolean running, const char *state)
{
    gboolean before = qemu->running;

    qemu->running = running;
    qemu->run_state = state;
    if (before != running)
        fake_event(qemu, running ? "RESUME" : "STOP", NULL);
}

/* --- the machine --- */

static gboolean
has_feature(const FakeQemu *qemu, const char *name)
{
    for (guint i = 0; i < qemu->script->len; i++) {
        const FakeAct *act = qemu->script->pdata[i];

        if (strcmp(act->point, "features") == 0)
            return strcmp(act->what, name) == 0 || strstr(act->text, name) != NULL;
    }
    return strcmp(name, "sse2") == 0;
}

static char *
feature_words(const FakeQemu *qemu)
{
    int bits = 0;

    for (int i = 0; known_features[i]; i++)
        if (has_feature(qemu, known_features[i]))
            bits |= 1 << i;
    return g_strdup_printf("{\"return\": [{\"cpuid-register\": \"EBX\", "
                           "\"cpuid-input-ecx\": 0, \"cpuid-input-eax\": 7, "
                           "\"features\": %d}]}",
                           bits);
}

static char *
qom_get(const FakeQemu *qemu, JsonObject *arguments)
{
    const char *property = mose_json_string(arguments, "property", "");

    if (strcmp(property, "type") == 0)
        return g_strdup("{\"return\": \"pc-i440fx-10.0-machine\"}");
    if (strcmp(property, "feature-words") == 0)
        return feature_words(qemu);
    if (g_strv_contains(known_features, property))
        return g_strdup_printf("{\"return\": %s}",
                               has_feature(qemu, property) ? "true" : "false");
    return failure("Property not found");
}

static char *
qom_list(const FakeQemu *qemu, JsonObject *arguments)
{
    const char *path = mose_json_string(arguments, "path", "");
    g_autoptr(GString) text = g_string_new("{\"return\": [{\"name\": \"type\", "
                                           "\"type\": \"string\"}");

    for (int i = 0; strcmp(path, CPU) == 0 && known_features[i]; i++)
        g_string_append_printf(text, ", {\"name\": \"%s\", \"type\": \"bool\"}",
                               known_features[i]);
    for (guint i = 0; strcmp(path, "/machine/peripheral") == 0 && i < qemu->script->len;
         i++) {
        const FakeAct *act = qemu->script->pdata[i];

        if (strcmp(act->point, "device") == 0)
            g_string_append_printf(
                text, ", {\"name\": \"d%u\", \"type\": \"child<%s>\"}", i, act->what);
    }
    if (strcmp(path, "/machine/unattached") == 0)
        g_string_append(text, ", {\"name\": \"device[6]\", \"type\": \"child<hpet>\"}"
                              ", {\"name\": \"irq[0]\", \"type\": \"child<irq>\"}");
    g_string_append(text, "]}");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *
human(const FakeQemu *qemu, JsonObject *arguments)
{
    const char *line = mose_json_string(arguments, "command-line", "");

    if (strcmp(line, "info mtree -f") != 0)
        return g_strdup("{\"return\": \"\"}");
    return g_strdup_printf(
        "{\"return\": \"FlatView #0\\r\\n AS \\\"memory\\\", root: system\\r\\n AS "
        "\\\"cpu-memory-0\\\", root: system\\r\\n Root memory region: system\\r\\n  "
        "0000000000000000-%016" G_GINT64_MODIFIER
        "x (prio 0, ram): mose-ram\\r\\n\\r\\n\"}",
        qemu->ram_size - 1);
}

gboolean
fake_copies(const FakeQemu *qemu)
{
    const FakeAct *act = fake_script_find(qemu, "copy");

    return act && qemu->channel >= 0 && !qemu->incoming &&
           qemu->rounds < strtoul(act->what, NULL, 10);
}

/* One more round of a copy: all of it has gone, and half was written meanwhile. */
static void
tell_copy(FakeQemu *qemu, JsonObject *state)
{
    gint64 expected_ms =
        g_ascii_strtoll(fake_script_find(qemu, "copy")->text, NULL, 10);
    gint64 size = (gint64)qemu->ram_size;

    qemu->rounds++;
    json_object_set_string_member(state, "status", "active");
    json_object_set_int_member(state, "expected-downtime", expected_ms);
    json_object_set_int_member(state, "cpu-throttle-percentage", qemu->rounds);
    json_object_set_object_member(
        state, "ram",
        mose_json_object("transferred", "i", size * qemu->rounds, "remaining", "i",
                         size / 2, "total", "i", size, "dirty-sync-count", "i",
                         (gint64)qemu->rounds, NULL));
}

static char *
query_migrate(FakeQemu *qemu)
{
    g_autoptr(JsonObject) state = json_object_new();
    g_autoptr(JsonObject) object =
        mose_json_object("return", "o", json_object_ref(state), NULL);

    if (fake_copies(qemu))
        tell_copy(qemu, state);
    else if (qemu->migration)
        json_object_set_string_member(state, "status", qemu->migration);
    if (qemu->reason)
        json_object_set_string_member(state, "error-desc", qemu->reason);
    return mose_json_text(object, FALSE);
}

static char *
getfd(FakeQemu *qemu, FakeClient *client)
{
    if (client->line.passed < 0)
        return failure("No file descriptor supplied via SCM_RIGHTS");
    mose_fd_close(qemu->given);
    qemu->given = mose_fd_steal(&client->line.passed);
    return g_strdup(OK);
}

static char *
set_parameters(const FakeQemu *qemu, JsonObject *arguments)
{
    g_autofree char *text = g_strdup_printf(
        "downtime-limit %d", (int)mose_json_int(arguments, "downtime-limit", 0));

    fake_note(qemu, text);
    return g_strdup(OK);
}

static char *
cont(FakeQemu *qemu)
{
    /* A guest that is still to come only gets the wish noted. */
    if (strcmp(qemu->run_state, "inmigrate") != 0)
        fake_set_running(qemu, TRUE, "running");
    return g_strdup(OK);
}

static char *
by_state(FakeQemu *qemu, FakeClient *client, const char *command, JsonObject *arguments)
{
    if (strcmp(command, "query-status") == 0)
        return g_strdup_printf("{\"return\": {\"status\": \"%s\", \"running\": %s}}",
                               qemu->run_state, qemu->running ? "true" : "false");
    if (strcmp(command, "query-cpus-fast") == 0)
        return g_strdup("{\"return\": [{\"thread-id\": 1, \"qom-path\": \"" CPU "\", "
                        "\"cpu-index\": 0, \"target\": \"x86_64\"}]}");
    if (strcmp(command, "qom-get") == 0)
        return qom_get(qemu, arguments);
    if (strcmp(command, "qom-list") == 0)
        return qom_list(qemu, arguments);
    if (strcmp(command, "human-monitor-command") == 0)
        return human(qemu, arguments);
    if (strcmp(command, "query-migrate") == 0)
        return query_migrate(qemu);
    if (strcmp(command, "migrate-set-parameters") == 0)
        return set_parameters(qemu, arguments);
    if (strcmp(command, "getfd") == 0)
        return getfd(qemu, client);
    if (strcmp(command, "cont") == 0)
        return cont(qemu);
    if (strcmp(command, "migrate") == 0 || strcmp(command, "migrate-incoming") == 0)
        return fake_migrate(qemu, strcmp(command, "migrate-incoming") == 0)
                   ? g_strdup(OK)
                   : failure("File descriptor named 'mose' has not been found");
    return g_strdup(OK);
}

/* What is to happen at @command, by its name or its number. */
static const FakeAct *
act_of(const FakeQemu *qemu, const FakeClient *client, const char *command)
{
    g_autofree char *number = g_strdup_printf("#%u", client->commands);
    const FakeAct *act = fake_script_find(qemu, command);

    if (act || client->monitor != 0 || !(act = fake_script_find(qemu, number)))
        return act;
    fake_note(qemu, number);
    return act;
}

char *
fake_answer(FakeQemu *qemu, FakeClient *client, const char *command,
            JsonObject *arguments, gboolean *ret_close)
{
    const FakeAct *act = act_of(qemu, client, command);

    fake_script_act(act);
    if (!act)
        return by_state(qemu, client, command, arguments);
    if (strcmp(act->what, "fail") == 0)
        return failure(act->text);
    if (strcmp(act->what, "say") == 0)
        return g_strdup(act->text);
    if (strcmp(act->what, "tell") == 0) {
        fake_event(qemu, act->text, NULL);
        return by_state(qemu, client, command, arguments);
    }
    if (strcmp(act->what, "swallow") == 0 || strcmp(act->what, "do-close") == 0)
        g_free(by_state(qemu, client, command, arguments));
    if (strcmp(act->what, "do-exit") == 0) {
        g_free(by_state(qemu, client, command, arguments));
        fprintf(stderr, "fakeqemu: %s\n", act->text);
        exit(1);
    }
    *ret_close = strcmp(act->what, "close") == 0 || strcmp(act->what, "do-close") == 0;
    return NULL;
}
