/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tasks as a tree. See ps-tree.h. A guest says who is whose parent, so there is no
 * recursion here, and each row is visited once. */
#include "cli/ps-tree.h"

typedef struct {
    GPtrArray *rows;
    gint *first, *next; /* of each row: its first child, its next sibling; -1: none */
    gint *last;         /* its last child so far */
    gint *parent;
    gboolean *done;
    GArray *order; /* guint: rows */
} Tree;

static gint
parent_pid(const MoseTask *task)
{
    return task->pid == task->tgid ? task->ppid : task->tgid;
}

static void
link_rows(Tree *tree)
{
    g_autoptr(GHashTable) by_pid = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < tree->rows->len; i++) {
        const MosePsRow *row = tree->rows->pdata[i];

        g_hash_table_insert(by_pid, GINT_TO_POINTER(row->task->pid),
                            GUINT_TO_POINTER(i + 1));
        tree->first[i] = tree->next[i] = tree->last[i] = tree->parent[i] = -1;
    }
    for (guint i = 0; i < tree->rows->len; i++) {
        const MosePsRow *row = tree->rows->pdata[i];
        gint at = (gint)GPOINTER_TO_UINT(g_hash_table_lookup(
                      by_pid, GINT_TO_POINTER(parent_pid(row->task)))) -
                  1;

        if (at < 0 || at == (gint)i)
            continue;
        tree->parent[i] = at;
        if (tree->last[at] < 0)
            tree->first[at] = i;
        else
            tree->next[tree->last[at]] = i;
        tree->last[at] = i;
    }
}

/* Row @top and what is below it: down, else aside, else up until there is an aside. */
static void
visit(Tree *tree, gint top)
{
    guint depth = 0;
    gint at = top;

    while (at >= 0) {
        MosePsRow *row = tree->rows->pdata[at];

        if (!tree->done[at]) {
            tree->done[at] = TRUE;
            row->depth = depth;
            g_array_append_val(tree->order, at);
            if (tree->first[at] >= 0 && !tree->done[tree->first[at]]) {
                at = tree->first[at];
                depth++;
                continue;
            }
        }
        while (at != top && (tree->next[at] < 0 || tree->done[tree->next[at]])) {
            at = tree->parent[at];
            depth--;
        }
        at = at == top ? -1 : tree->next[at];
    }
}

static gboolean
is_top(const Tree *tree, gint i, GHashTable *wanted)
{
    return wanted ? g_hash_table_contains(wanted, tree->rows->pdata[i])
                  : tree->parent[i] < 0;
}

/* What is not in the tree goes. */
static void
reorder(Tree *tree)
{
    g_autofree gpointer *before =
        g_memdup2(tree->rows->pdata, tree->rows->len * sizeof(gpointer));
    guint count = tree->rows->len;

    for (guint i = 0; i < tree->order->len; i++)
        tree->rows->pdata[i] = before[g_array_index(tree->order, gint, i)];
    for (guint i = 0, at = tree->order->len; i < count; i++)
        if (!tree->done[i])
            tree->rows->pdata[at++] = before[i];
    g_ptr_array_set_size(tree->rows, tree->order->len);
}

void
mose_ps_tree(GPtrArray *rows, GHashTable *wanted)
{
    g_autofree gint *numbers = g_new(gint, rows->len * 4 + 1);
    g_autofree gboolean *done = g_new0(gboolean, rows->len + 1);
    g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(gint));
    Tree tree = { .rows = rows,
                  .first = numbers,
                  .next = numbers + rows->len,
                  .last = numbers + rows->len * 2,
                  .parent = numbers + rows->len * 3,
                  .done = done,
                  .order = order };

    link_rows(&tree);
    for (guint i = 0; i < rows->len; i++)
        if (!done[i] && is_top(&tree, i, wanted))
            visit(&tree, i);
    for (guint i = 0; i < rows->len && !wanted; i++)
        if (!done[i])
            visit(&tree, i);
    reorder(&tree);
}
