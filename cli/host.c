/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose host`: what this host offers. It starts QEMUs without a machine to ask
 * them, runs the KVM probes, and changes nothing.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/host-report.h"
#include "host/facts.h"
#include "host/fitness.h"
#include "qemu/cpu-query.h"
#include "qemu/cpu.h"
#include "util/error.h"

#define MIN_QEMU 100000 /* 10.0.0 */

static char *qemu_name;
static char *accel_name;
static char *report_file;
static gboolean only_cpu;

static const GOptionEntry entries[] = {
    { "cpu", 0, 0, G_OPTION_ARG_NONE, &only_cpu,
      "print the portable CPU of both sides alone", NULL },
    { "accel", 0, 0, G_OPTION_ARG_STRING, &accel_name,
      "the virtualizer's accelerator: auto, kvm or tcg", "ACCEL" },
    { "report", 0, 0, G_OPTION_ARG_FILENAME, &report_file,
      "test how KVM and TCG differ here, for MOSE's authors (\"-\": standard output)",
      "FILE" },
    { "qemu", 0, 0, G_OPTION_ARG_FILENAME, &qemu_name, "the QEMU to ask", "PROGRAM" },
    { NULL },
};

static const char *const tools[] = { "qemu-img", "ip", "ssh" };

/* All that is reported. What could not be found out has its error instead. */
typedef struct {
    char *qemu_path; /* NULL: not found */
    int qemu_version;
    GError *qemu_error;
    const MoseKvmFitness *kvm;
    gboolean auto_kvm;
    gboolean with_kvm; /* the portable CPU is for this accelerator */
    MosePortableCpu *cpu;
    GError *cpu_error;
    MoseHostFacts *facts;
} Report;

static void
report_clear(Report *report)
{
    g_free(report->qemu_path);
    g_clear_error(&report->qemu_error);
    mose_portable_cpu_free(report->cpu);
    g_clear_error(&report->cpu_error);
    mose_host_facts_free(report->facts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Report, report_clear)

static void
find_qemu(Report *report)
{
    const char *name = qemu_name != NULL ? qemu_name : "qemu-system-x86_64";
    g_autoptr(MoseCpuQuery) query = NULL;

    report->qemu_path = g_find_program_in_path(name);
    if (report->qemu_path == NULL) {
        g_set_error(&report->qemu_error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "%s is not installed: apt install qemu-system-x86", name);
        return;
    }
    query = mose_cpu_query_start(report->qemu_path, "tcg", &report->qemu_error);
    if (query != NULL)
        report->qemu_version = mose_cpu_query_version(query, &report->qemu_error);
    if (report->qemu_version != 0 && report->qemu_version < MIN_QEMU)
        g_set_error(&report->qemu_error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s is %d.%d: MOSE needs 10.0 (Debian 12 has it in "
                    "bookworm-backports)",
                    report->qemu_path, report->qemu_version / 10000,
                    report->qemu_version / 100 % 100);
}

static void
find_cpu(Report *report)
{
    if (report->qemu_error != NULL)
        report->cpu_error = g_error_copy(report->qemu_error);
    else
        report->cpu = mose_portable_cpu_new(report->qemu_path, report->with_kvm,
                                            &report->cpu_error);
}

static void
find_all(Report *report)
{
    gboolean is_auto = accel_name == NULL || strcmp(accel_name, "auto") == 0;

    find_qemu(report);
    report->kvm = mose_kvm_fitness();
    report->auto_kvm = report->kvm->fit;
    report->with_kvm = is_auto ? report->auto_kvm : strcmp(accel_name, "kvm") == 0;
    find_cpu(report);
    report->facts = mose_host_facts_new();
}

static const char *
auto_accel(const Report *report)
{
    return report->auto_kvm ? "kvm" : "tcg";
}

/* ---- for people ---- */

static void
print_qemu(const Report *report)
{
    int v = report->qemu_version;

    if (report->qemu_error != NULL)
        printf("QEMU         %s\n", report->qemu_error->message);
    else
        printf("QEMU         %d.%d.%d, %s\n", v / 10000, v / 100 % 100, v % 100,
               report->qemu_path);
}

static void
print_kvm(const Report *report)
{
    const MoseKvmFitness *kvm = report->kvm;

    printf("KVM          %s: %s\n", kvm->fit ? "fit" : "not fit", kvm->verdict);
    for (gsize i = 0; i < kvm->n_probes; i++) {
        const MoseProbeOutcome *outcome = &kvm->outcomes[i];

        printf("             %-10s  %-4s  %8.3f ms  %s\n", kvm->probes[i].name,
               mose_probe_status_name(outcome->status), outcome->time_us / 1000.0,
               *outcome->detail != '\0' ? outcome->detail : kvm->probes[i].what);
    }
    printf("--accel auto %s: %s\n", auto_accel(report),
           kvm->fit ? "KVM is fit" : "KVM is not fit");
}

static void
print_memory(const MoseHostFacts *facts)
{
    printf("memory       %" G_GUINT64_FORMAT " MB available",
           facts->mem_available >> 20);
    if (facts->mem_limit != G_MAXUINT64)
        printf(", of this cgroup's %" G_GUINT64_FORMAT " MB", facts->mem_limit >> 20);
    printf("\nhuge pages   ");
    if (facts->shmem_huge_pages == NULL)
        printf("not for shared memory in this kernel\n");
    else if (strcmp(facts->shmem_huge_pages, "never") == 0)
        printf("never for shared memory: a guest that switches in place goes without. "
               "`echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled` "
               "gives it them\n");
    else
        printf("%s for shared memory\n", facts->shmem_huge_pages);
}

static void
print_facts(const MoseHostFacts *facts)
{
    printf("TSC          %" G_GUINT64_FORMAT " kHz, %s, %s; clocksource %s\n",
           facts->tsc_khz, facts->tsc_constant ? "constant" : "not constant",
           facts->tsc_nonstop ? "nonstop" : "stops in deep sleep",
           facts->clocksource != NULL ? facts->clocksource : "unknown");
    print_memory(facts);
    if (facts->runtime_dir != NULL)
        printf("guests in    %s\n", facts->runtime_dir);
    else
        printf("guests in    nowhere: %s\n", facts->no_runtime->message);
    for (gsize i = 0; i < G_N_ELEMENTS(tools); i++) {
        g_autofree char *path = g_find_program_in_path(tools[i]);

        printf("%-12s %s\n", tools[i], path != NULL ? path : "not found");
    }
}

static void
print_cpu(const Report *report)
{
    if (report->cpu == NULL) {
        printf("CPU          %s\n", report->cpu_error->message);
        return;
    }
    printf("virtualizer  -accel %s -cpu %s\n", report->with_kvm ? "kvm" : "tcg",
           report->cpu->virtualizer);
    printf("emulator     -accel tcg -cpu %s\n", report->cpu->emulator);
}

/* ---- --json ---- */

static void
add_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value != NULL)
        json_builder_add_string_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

static void
add_bool(JsonBuilder *builder, const char *name, gboolean value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

static void
add_int(JsonBuilder *builder, const char *name, guint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)value);
}

static void
add_qemu(JsonBuilder *builder, const Report *report)
{
    json_builder_set_member_name(builder, "qemu");
    json_builder_begin_object(builder);
    add_string(builder, "path", report->qemu_path);
    add_int(builder, "version", (guint64)report->qemu_version);
    add_bool(builder, "usable", report->qemu_error == NULL);
    add_string(builder, "error",
               report->qemu_error != NULL ? report->qemu_error->message : NULL);
    json_builder_end_object(builder);
}

static void
add_probe(JsonBuilder *builder, const MoseProbe *probe, const MoseProbeOutcome *outcome)
{
    json_builder_begin_object(builder);
    add_string(builder, "name", probe->name);
    add_string(builder, "what", probe->what);
    add_string(builder, "status", mose_probe_status_name(outcome->status));
    add_string(builder, "detail", outcome->detail);
    add_int(builder, "time-us", outcome->time_us);
    json_builder_end_object(builder);
}

static void
add_kvm(JsonBuilder *builder, const MoseKvmFitness *kvm)
{
    json_builder_set_member_name(builder, "kvm");
    json_builder_begin_object(builder);
    add_string(builder, "presence", mose_kvm_presence_name(kvm->presence));
    add_int(builder, "api-version", (guint64)kvm->api_version);
    add_bool(builder, "fit", kvm->fit);
    add_string(builder, "verdict", kvm->verdict);
    add_int(builder, "time-us", kvm->time_us);
    json_builder_set_member_name(builder, "probes");
    json_builder_begin_array(builder);
    for (gsize i = 0; i < kvm->n_probes; i++)
        add_probe(builder, &kvm->probes[i], &kvm->outcomes[i]);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

static void
add_cpu(JsonBuilder *builder, const Report *report)
{
    const MosePortableCpu *cpu = report->cpu;

    json_builder_set_member_name(builder, "cpu");
    json_builder_begin_object(builder);
    add_string(builder, "error", cpu == NULL ? report->cpu_error->message : NULL);
    add_string(builder, "virtualizer-accel", report->with_kvm ? "kvm" : "tcg");
    if (cpu != NULL) {
        add_string(builder, "vendor", cpu->vendor);
        add_string(builder, "virtualizer", cpu->virtualizer);
        add_string(builder, "emulator", cpu->emulator);
        json_builder_set_member_name(builder, "features");
        json_builder_begin_array(builder);
        for (guint i = 0; i < cpu->features->len; i++)
            json_builder_add_string_value(builder, cpu->features->pdata[i]);
        json_builder_end_array(builder);
    }
    json_builder_end_object(builder);
}

static void
add_facts(JsonBuilder *builder, const MoseHostFacts *facts)
{
    json_builder_set_member_name(builder, "tsc");
    json_builder_begin_object(builder);
    add_bool(builder, "constant", facts->tsc_constant);
    add_bool(builder, "nonstop", facts->tsc_nonstop);
    add_int(builder, "khz", facts->tsc_khz);
    add_string(builder, "clocksource", facts->clocksource);
    json_builder_end_object(builder);
    json_builder_set_member_name(builder, "memory");
    json_builder_begin_object(builder);
    add_int(builder, "available", facts->mem_available);
    if (facts->mem_limit != G_MAXUINT64)
        add_int(builder, "cgroup-limit", facts->mem_limit);
    add_string(builder, "shmem-huge-pages", facts->shmem_huge_pages);
    json_builder_end_object(builder);
    add_string(builder, "runtime-dir", facts->runtime_dir);
    json_builder_set_member_name(builder, "tools");
    json_builder_begin_object(builder);
    for (gsize i = 0; i < G_N_ELEMENTS(tools); i++) {
        g_autofree char *path = g_find_program_in_path(tools[i]);

        add_string(builder, tools[i], path);
    }
    json_builder_end_object(builder);
}

static void
print_json(const Report *report)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    if (!only_cpu) {
        add_qemu(builder, report);
        add_kvm(builder, report->kvm);
        add_string(builder, "accel-auto", auto_accel(report));
    }
    add_cpu(builder, report);
    if (!only_cpu)
        add_facts(builder, report->facts);
    json_builder_end_object(builder);
    mose_cli_print_json(builder);
}

static gboolean
accel_is_known(void)
{
    return accel_name == NULL || strcmp(accel_name, "auto") == 0 ||
           strcmp(accel_name, "kvm") == 0 || strcmp(accel_name, "tcg") == 0;
}

int
mose_cmd_host(int argc, char **argv)
{
    g_auto(Report) report = { 0 };
    int status;

    if (!mose_cli_parse(&argc, &argv, entries, 0, 0, &status))
        return status;
    if (!accel_is_known()) {
        fprintf(stderr, "%s: --accel is auto, kvm or tcg, not '%s'\n", g_get_prgname(),
                accel_name);
        return MOSE_EXIT_USAGE;
    }
    if (report_file)
        return mose_host_report(report_file, mose_kvm_fitness()->fit);
    find_all(&report);
    if (only_cpu && report.cpu == NULL)
        return mose_cli_fail(report.cpu_error, NULL);
    if (mose_cli_json()) {
        print_json(&report);
    } else if (only_cpu) {
        print_cpu(&report);
    } else {
        print_qemu(&report);
        print_kvm(&report);
        print_facts(report.facts);
        if (report.cpu == NULL)
            print_cpu(&report);
    }
    return report.qemu_error == NULL ? MOSE_EXIT_DONE : MOSE_EXIT_FAILED;
}
