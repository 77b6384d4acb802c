/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Litmus runs of a report; see report.h. */
#include "evidence/report.h"

#include <string.h>
#include <unistd.h>

#include "evidence/litmus.h"
#include "evidence/machine.h"
#include "util/error.h"
#include "util/json.h"

/* Each property there, and back. */
#define WAYS 2

typedef struct {
    const MoseReportSetup *setup;
    GPtrArray *properties; /* the exclusives' names */
    JsonArray *runs;
    GHashTable *seen;  /* rules that had something to do */
    char *device_part; /* of the first switch from KVM, base64 */
    guint done, of;    /* guests */
} Report;

char *
mose_report_find_kernel(GError **error)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *dir = g_path_get_dirname(program ? program : "");
    g_autofree char *built =
        g_build_filename(dir, "..", "guest", "litmus", "litmus.elf", NULL);
    const char *const places[] = { g_getenv("MOSE_LITMUS"), built, MOSE_LITMUS_PATH };

    for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
        if (places[i] && g_file_test(places[i], G_FILE_TEST_IS_REGULAR))
            return g_strdup(places[i]);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "no litmus.elf, the guest that checks itself, at %s; $MOSE_LITMUS may "
                "name it",
                MOSE_LITMUS_PATH);
    return NULL;
}

static void
tell(Report *report, const char *without, const char *property)
{
    const MoseReportSetup *setup = report->setup;

    if (setup->progress)
        setup->progress(without, property, report->done, report->of, setup->data);
    report->done++;
}

static MoseLitmus *
start(const Report *report, const char *only, guint rounds, GError **error)
{
    const MoseReportSetup *asked = report->setup;
    const MoseLitmusSetup setup = { .kernel = asked->kernel,
                                    .accel = "kvm",
                                    .only = only ? only : asked->only,
                                    .rounds = rounds,
                                    .slow = asked->slow,
                                    .interrupt_fd = asked->interrupt_fd };

    return mose_litmus_start(&setup, error);
}

static gboolean
keep_device_part(MoseDoc *doc, gpointer data, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Report *report = data;

    if (!report->device_part) {
        mose_doc_write(doc, bytes);
        report->device_part = g_base64_encode(bytes->data, bytes->len);
    }
    return TRUE;
}

static void
add_rules(Report *report, JsonObject *round, const GPtrArray *rules)
{
    JsonArray *names = json_array_new();

    for (guint i = 0; rules && i < rules->len; i++) {
        json_array_add_string_element(names, rules->pdata[i]);
        g_hash_table_add(report->seen, rules->pdata[i]);
    }
    json_object_set_array_member(round, "rules", names);
}

/* One round: armed, switched unless @alone, checked. *@ret_more is FALSE when that was
 * the last one, or nothing more is to be had from this guest. */
static gboolean
run_round(Report *report, MoseLitmus *litmus, const char *without, gboolean alone,
          JsonObject *round, gboolean *ret_more, GError **error)
{
    g_autofree char *property = NULL;
    JsonObject *verdicts;

    *ret_more = FALSE;
    if (!mose_litmus_arm(litmus, &property, error))
        return FALSE;
    if (!property)
        return TRUE;
    json_object_set_string_member(round, "property", property);
    json_object_set_string_member(round, "from", mose_litmus_accel(litmus));
    if (!alone) {
        MoseSwitchReport switched = { 0 };
        gboolean done = mose_litmus_switch(litmus, without, keep_device_part, report,
                                           &switched, error);

        add_rules(report, round, switched.rules);
        mose_switch_report_clear(&switched);
        if (!done)
            return FALSE;
    }
    json_object_set_string_member(round, "to", mose_litmus_accel(litmus));
    verdicts = mose_litmus_check(litmus, error);
    if (!verdicts)
        return FALSE;
    json_object_set_object_member(round, "verdicts", verdicts);
    *ret_more = TRUE;
    return TRUE;
}

/* The rounds of one guest into @rounds. What it comes to harm by is noted there. FALSE
 * only if the user wants no more. */
static gboolean
run_guest(Report *report, const char *only, const char *without, gboolean alone,
          JsonArray *rounds, GError **error)
{
    g_autoptr(GError) cause = NULL;
    guint n = alone ? 0 : only ? WAYS : WAYS * report->properties->len;
    g_autoptr(MoseLitmus) litmus = start(report, only, n, &cause);
    gboolean more = litmus != NULL;

    while (more) {
        g_autoptr(JsonObject) round = json_object_new();

        if (!run_round(report, litmus, without, alone, round, &more, &cause))
            json_object_set_string_member(round, "error", cause->message);
        if (json_object_has_member(round, "property"))
            json_array_add_object_element(rounds, json_object_ref(round));
        if (alone && more)
            g_ptr_array_add(report->properties,
                            g_strdup(mose_json_string(round, "property", "")));
    }
    if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_INTERRUPTED) && litmus)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static JsonArray *
add_run(Report *report, const char *name, const char *without)
{
    JsonArray *rounds = json_array_new();
    JsonObject *run = mose_json_object("name", "s", name, "rounds", "a", rounds, NULL);

    if (without)
        json_object_set_string_member(run, "without", without);
    json_array_add_object_element(report->runs, run);
    return rounds;
}

/* Each property in a guest of its own: one that comes to harm leaves the others be.
 * Under a KVM in software guests take too long to start, and one has to do. */
static gboolean
run_switched(Report *report, const char *without, GError **error)
{
    JsonArray *rounds =
        add_run(report, without ? "without a rule" : "switched", without);

    if (report->setup->slow) {
        tell(report, without, "all");
        return run_guest(report, NULL, without, FALSE, rounds, error);
    }
    for (guint i = 0; i < report->properties->len; i++) {
        const char *property = report->properties->pdata[i];

        tell(report, without, property);
        if (!run_guest(report, property, without, FALSE, rounds, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
is_wanted(const Report *report, const MoseRule *rule)
{
    return !report->setup->slow && rule->rewrite && rule->evidence != 'a' &&
           g_hash_table_contains(report->seen, rule->name);
}

static gboolean
run_all(Report *report, GError **error)
{
    report->of = 1;
    tell(report, NULL, "all");
    if (!run_guest(report, NULL, NULL, TRUE, add_run(report, "alone", NULL), error))
        return FALSE;
    report->of += report->setup->slow ? 1 : report->properties->len;
    if (!run_switched(report, NULL, error))
        return FALSE;
    for (const MoseRule *const *rule = mose_rules; *rule; rule++)
        if (is_wanted(report, *rule))
            report->of += report->properties->len;
    for (const MoseRule *const *rule = mose_rules; *rule; rule++)
        if (is_wanted(report, *rule) && !run_switched(report, (*rule)->name, error))
            return FALSE;
    return TRUE;
}

JsonObject *
mose_report_make(const MoseReportSetup *setup, GError **error)
{
    g_autoptr(GPtrArray) properties = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(JsonArray) runs = json_array_new();
    g_autofree char *device_part = NULL;
    Report report = { setup, properties, runs, seen, NULL, 0, 0 };
    gboolean done;

    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "/dev/kvm does not open: there is nothing to report");
        return NULL;
    }
    done = run_all(&report, error);
    device_part = report.device_part;
    if (!done)
        return NULL;
    return mose_json_object(
        "mose", "s", MOSE_VERSION, "host", "o", mose_report_machine(), "device-part",
        "s", device_part ? device_part : "", "runs", "a", json_array_ref(runs), NULL);
}
