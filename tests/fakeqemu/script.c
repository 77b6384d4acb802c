/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The script read, and what happened written down; see fakeqemu.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fakeqemu/fakeqemu.h"

char *
fake_path(const FakeQemu *qemu, const char *suffix)
{
    g_autofree char *name = g_strconcat(qemu->name, suffix, NULL);

    return g_build_filename(qemu->dir, name, NULL);
}

static void
act_free(gpointer data)
{
    FakeAct *act = data;

    g_free(act->point);
    g_free(act->what);
    g_free(act->text);
    g_free(act);
}

void
fake_script_load(FakeQemu *qemu)
{
    g_autofree char *path = fake_path(qemu, ".script");
    g_autofree char *next = g_build_filename(qemu->dir, "next.script", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    g_clear_pointer(&qemu->script, g_ptr_array_unref);
    qemu->script = g_ptr_array_new_with_free_func(act_free);
    if (!g_file_get_contents(path, &text, NULL, NULL) &&
        (strcmp(qemu->run_state, "inmigrate") != 0 ||
         !g_file_get_contents(next, &text, NULL, NULL)))
        return;
    lines = g_strsplit(g_strchomp(text), "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 3);
        guint n = g_strv_length(words);
        FakeAct *act = g_new0(FakeAct, 1);

        g_assert_cmpuint(n, >=, 2);
        act->point = g_strdup(words[0]);
        act->what = g_strdup(words[1]);
        act->text = g_strdup(n > 2 ? words[2] : "");
        g_ptr_array_add(qemu->script, act);
    }
}

const FakeAct *
fake_script_find(const FakeQemu *qemu, const char *point)
{
    for (guint i = 0; i < qemu->script->len; i++) {
        const FakeAct *act = qemu->script->pdata[i];

        if (strcmp(act->point, point) == 0)
            return act;
    }
    return NULL;
}

const char *
fake_script_text(const FakeQemu *qemu, const char *point, const char *what)
{
    const FakeAct *act = fake_script_find(qemu, point);

    return act && strcmp(act->what, what) == 0 ? act->text : NULL;
}

void
fake_script_act(const FakeAct *act)
{
    if (!act)
        return;
    if (strcmp(act->what, "exit") == 0) {
        fprintf(stderr, "fakeqemu: %s\n", act->text);
        exit(1);
    }
    while (strcmp(act->what, "hang") == 0)
        pause();
}

void
fake_note(const FakeQemu *qemu, const char *text)
{
    g_autofree char *path = fake_path(qemu, ".seen");
    FILE *file = fopen(path, "a");

    g_assert_nonnull(file);
    fprintf(file, "%s\n", text);
    fclose(file);
}
