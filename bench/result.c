/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a measurement found, as lines of JSON; see result.h. */
#include "bench/result.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/vm.h"
#include "util/json.h"

static const char *results;

GArray *
bench_values_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(double));
}

void
bench_add(GArray *values, double value)
{
    g_array_append_val(values, value);
}

static int
compare(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value below which @share of them lie, the nearest that was measured. */
static double
quantile(const GArray *values, double share)
{
    g_autoptr(GArray) sorted = g_array_copy((GArray *)values);
    guint at = (guint)(share * (values->len - 1) + 0.5);

    g_array_sort(sorted, compare);
    return g_array_index(sorted, double, at);
}

/* Of two in the middle, what lies between them. */
double
bench_median(const GArray *values)
{
    g_autoptr(GArray) sorted = g_array_copy((GArray *)values);
    guint half = values->len / 2;
    double upper;

    g_array_sort(sorted, compare);
    upper = g_array_index(sorted, double, half);
    return values->len % 2 ? upper
                           : (g_array_index(sorted, double, half - 1) + upper) / 2;
}

static void
append(JsonObject *object)
{
    g_autofree char *text = mose_json_text(object, FALSE);
    FILE *file = fopen(results, "ae");

    g_print("%s\n", text);
    if (!file)
        g_error("cannot write %s", results);
    fprintf(file, "%s\n", text);
    fclose(file);
}

void
bench_result(const BenchResult *result)
{
    JsonArray *values = json_array_new();
    double median = bench_median(result->values);
    g_autoptr(JsonObject) object = mose_json_object(
        "figure", "s", result->figure, "what", "s", result->what, "unit", "s",
        result->unit, "n", "i", (gint64)result->values->len, "min", "f",
        quantile(result->values, 0), "median", "f", median, "p95", "f",
        quantile(result->values, 0.95), "max", "f", quantile(result->values, 1), NULL);

    for (guint i = 0; i < result->values->len; i++)
        json_array_add_double_element(values, g_array_index(result->values, double, i));
    json_object_set_array_member(object, "values", values);
    if (result->goal > 0) {
        json_object_set_double_member(object, "goal", result->goal);
        json_object_set_boolean_member(object, "met", median <= result->goal);
    }
    if (result->floor > 0) {
        json_object_set_double_member(object, "floor", result->floor);
        json_object_set_boolean_member(object, "met", median >= result->floor);
    }
    append(object);
}

void
bench_skipped(const char *figure, const char *what, const char *why)
{
    g_autoptr(JsonObject) object = mose_json_object("figure", "s", figure, "what", "s",
                                                    what, "skipped", "s", why, NULL);

    append(object);
}

void
bench_begin_alone(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    if (*argc != 2) {
        g_printerr("usage: %s RESULTS\n", (*argv)[0]);
        exit(2);
    }
    results = (*argv)[1];
}

void
bench_begin(int *argc, char ***argv)
{
    bench_begin_alone(argc, argv);
    vm_setup();
    if (vm_why_not())
        g_error("%s", vm_why_not());
}

void
bench_end(void)
{
    vm_teardown();
}
