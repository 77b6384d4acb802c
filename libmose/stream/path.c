/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths. The recursion is as deep as the structs, which the description limits. */
#include "stream/path.h"

#include <string.h>

/* All fields in a row that have one name: one array, however it is described. */
typedef struct {
    const MoseField *const *fields;
    guint n;
} Run;

static gboolean find(const MoseSection *section, gsize base, const char *path,
                     MosePlace *ret);

/* The run that begins with field @i. */
static Run
run_at(const MoseSection *section, guint i)
{
    Run run = { (const MoseField *const *)section->fields->pdata + i, 1 };

    while (i + run.n < section->fields->len &&
           strcmp(run.fields[run.n]->name, run.fields[0]->name) == 0)
        run.n++;
    return run;
}

static MosePlace
whole_run(Run run, gsize base)
{
    MosePlace place = { run.fields[0], base + run.fields[0]->start, 0, 0 };

    for (guint i = 0; i < run.n; i++) {
        place.len += run.fields[i]->size * run.fields[i]->count;
        place.count += run.fields[i]->count;
    }
    return place;
}

static gboolean
run_element(Run run, gsize base, guint64 index, MosePlace *ret)
{
    for (guint i = 0; i < run.n; i++) {
        const MoseField *field = run.fields[i];

        if (index < field->count) {
            *ret = (MosePlace){ field, base + field->start + index * field->size,
                                field->size, 1 };
            return TRUE;
        }
        index -= field->count;
    }
    return FALSE;
}

/* "[12]" at @p; returns what follows it, or NULL. */
static const char *
parse_index(const char *p, guint64 *ret)
{
    char *end;

    if (p[0] != '[' || !g_ascii_isdigit(p[1]))
        return NULL;
    *ret = g_ascii_strtoull(p + 1, &end, 10);
    return *end == ']' ? end + 1 : NULL;
}

/* What is left of the path once the name of @run is matched. */
static gboolean
find_in_run(Run run, gsize base, const char *rest, MosePlace *ret)
{
    MosePlace place = whole_run(run, base);
    const char *after;
    guint64 index;

    after = parse_index(rest, &index);
    if (after) {
        if (!run_element(run, base, index, &place))
            return FALSE;
        rest = after;
    }
    if (*rest == '\0') {
        *ret = place;
        return TRUE;
    }
    if (*rest != '.' || place.count != 1 || !place.field->inner)
        return FALSE;
    /* The tree describes the first element; the others are as far apart. */
    return find(place.field->inner, place.start - place.field->start, rest + 1, ret);
}

static gboolean
find(const MoseSection *section, gsize base, const char *path, MosePlace *ret)
{
    gsize best = 0;
    Run run;

    for (guint i = 0; i < section->fields->len; i += run.n) {
        gsize len;
        MosePlace place;

        run = run_at(section, i);
        len = strlen(run.fields[0]->name);
        if (len <= best || strncmp(path, run.fields[0]->name, len) != 0 ||
            !find_in_run(run, base, path + len, &place))
            continue;
        best = len;
        *ret = place;
    }
    return best > 0;
}

gboolean
mose_path_find(const MoseSection *section, const char *path, MosePlace *ret)
{
    return find(section, 0, path, ret);
}
