/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host in a report; see machine.h. */
#include "evidence/machine.h"

#include <string.h>
#include <sys/utsname.h>

#include "host/fitness.h"
#include "qemu/cpu-query.h"
#include "util/json.h"

static const char *const processor_facts[] = {
    "vendor_id", "cpu family", "model",     "model name", "stepping",
    "microcode", "flags",      "vmx flags", "bugs",       "address sizes",
};

/* The first processor's "name : value" lines that are facts. */
static JsonObject *
processor(void)
{
    JsonObject *object = json_object_new();
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL))
        return object;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line && **line; line++) {
        char *colon = strchr(*line, ':');

        if (!colon)
            continue;
        *colon = '\0';
        g_strchomp(*line);
        for (gsize i = 0; i < G_N_ELEMENTS(processor_facts); i++)
            if (strcmp(*line, processor_facts[i]) == 0)
                json_object_set_string_member(object, *line, g_strstrip(colon + 1));
    }
    return object;
}

static JsonObject *
parameters(const char *module)
{
    g_autofree char *path = g_strdup_printf("/sys/module/%s/parameters", module);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    JsonObject *object = json_object_new();
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *value = NULL;

        if (g_file_get_contents(file, &value, NULL, NULL))
            json_object_set_string_member(object, name, g_strstrip(value));
    }
    return object;
}

/* KVM's modules, built in or not. */
static JsonObject *
modules(void)
{
    g_autoptr(GDir) dir = g_dir_open("/sys/module", 0, NULL);
    JsonObject *object = json_object_new();
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        if (g_str_has_prefix(name, "kvm"))
            json_object_set_object_member(object, name, parameters(name));
    return object;
}

static JsonObject *
kvm(void)
{
    const MoseKvmFitness *fitness = mose_kvm_fitness();
    JsonObject *probes = json_object_new();

    for (gsize i = 0; i < fitness->n_probes; i++) {
        const MoseProbeOutcome *outcome = &fitness->outcomes[i];
        g_autofree char *text = g_strdup_printf(
            "%s: %s", mose_probe_status_name(outcome->status), outcome->detail);

        json_object_set_string_member(probes, fitness->probes[i].name, text);
    }
    return mose_json_object("presence", "s", mose_kvm_presence_name(fitness->presence),
                            "fit", "b", fitness->fit, "verdict", "s", fitness->verdict,
                            "probes", "o", probes, NULL);
}

/* 100002 for 10.0.2; 0 where there is none. */
static gint64
qemu_version(void)
{
    g_autofree char *path = g_find_program_in_path("qemu-system-x86_64");
    g_autoptr(MoseCpuQuery) query =
        path ? mose_cpu_query_start(path, "tcg", NULL) : NULL;

    return query ? mose_cpu_query_version(query, NULL) : 0;
}

JsonObject *
mose_report_machine(void)
{
    struct utsname name;

    uname(&name);
    return mose_json_object("processor", "o", processor(), "kernel", "s", name.release,
                            "kernel-version", "s", name.version, "modules", "o",
                            modules(), "kvm", "o", kvm(), "qemu", "i", qemu_version(),
                            NULL);
}
