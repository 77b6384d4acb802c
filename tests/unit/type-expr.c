/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions: what they lead to, in how many rows, and what is said of those that make
 * no sense or lead nowhere. */
#include "vmi/linux/type-expr.h"

#include <string.h>

#include "lib/btf-world.h"
#include "util/error.h"
#include "vmi/linux/type-print.h"

/* All rows as text, one a line. */
static gboolean
add_row(const char *label, const MoseTypeColumn *columns, guint n, gpointer data,
        GError **error)
{
    struct {
        GString *text;
        const MoseTypeSource *source;
    } *to = data;

    if (*label)
        g_string_append_printf(to->text, "%s: ", label);
    for (guint i = 0; i < n; i++) {
        g_autoptr(GError) reason = NULL;
        const char *what = columns[i].error;

        if (columns[i].name)
            g_string_append_printf(to->text, "%s%s=", i ? " " : "", columns[i].name);
        if (columns[i].value &&
            mose_type_print(to->source, columns[i].value, &MOSE_TYPE_PRINT_DEFAULT, 0,
                            to->text, &reason))
            continue;
        if (reason && !*label) {
            g_propagate_error(error, g_steal_pointer(&reason));
            return FALSE;
        }
        g_string_append_printf(to->text, "<%s>", reason ? reason->message : what);
    }
    g_string_append_c(to->text, '\n');
    return TRUE;
}

static char *
evaluate(BtfWorld *world, const char *text, guint max, gboolean *ret_more,
         GError **error)
{
    g_autoptr(MoseTypeExpr) expr = mose_type_expr_parse(text, error);
    g_autoptr(GString) rows = g_string_new(NULL);
    struct {
        GString *text;
        const MoseTypeSource *source;
    } to = { rows, &world->source };

    if (!expr ||
        !mose_type_expr_eval(expr, &world->source, max, add_row, &to, ret_more, error))
        return NULL;
    return g_strdup(rows->str);
}

static void
check(BtfWorld *world, const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    gboolean more;
    g_autofree char *rows = evaluate(world, text, 100, &more, &error);
    g_autofree char *lines = g_strconcat(expected, "\n", NULL);

    if (error || strcmp(rows, lines) != 0)
        g_error("%s\ngives  %s\nnot    %s", text, error ? error->message : rows, lines);
    g_assert_false(more);
}

static void
check_fails(BtfWorld *world, const char *text, MoseErrorCode code, const char *says)
{
    g_autoptr(GError) error = NULL;
    gboolean more;
    g_autofree char *rows = evaluate(world, text, 100, &more, &error);

    if (rows || !g_error_matches(error, MOSE_ERROR, (int)code) ||
        !strstr(error->message, says))
        g_error("%s\ngives %s\nnot   %s", text, rows ? rows : error->message, says);
}

static void
test_values(void)
{
    static const char *const cases[][2] = {
        { "task@init_task.pid", "0" },
        { "struct task@init_task.comm", "\"swapper\"" },
        { "task@0xffff888000000200.pid", "1" },
        { " task @ init_task . tasks . next ",
          "(struct list_head *)0xffff888000000220" },
        { "task@(task@init_task.tasks.next).pid", "800" },
        { "container_of(task@init_task.tasks.next, task, tasks).pid", "1" },
        { "container_of(task@init_task.tasks.next, struct task, tasks)->pid", NULL },
        { "task@0xffff888000000200.parent->comm", "\"swapper\"" },
        { "(*task@0xffff888000000200.parent).comm", "\"swapper\"" },
        { "((task *)0xffff888000000200)->pid", "1" },
        { "((struct task *)0xffff888000000100)[2].low", "0" },
        { "(u_nknown *)0", NULL },
        { "(unsigned long)task@init_task.low", "5" },
        { "task@init_task.low", "5" },
        { "task@init_task.high", "-2" },
        { "(int)task@init_task.high", "-2" },
        { "(unsigned char)task@init_task.high", "254" },
        { "task@init_task.state", "STATE_DEAD" },
        { "task@init_task.flags", "FLAG_A | FLAG_C" },
        { "task@init_task.alive", "true" },
        { "task@init_task.word", "7" },
        { "task@init_task.big", "BIG_ONE" },
        { "task@init_task.func", "(void (*)(int))0xffffffff81000010 (do_it+0x10)" },
        { "task@init_task.comm[1]", "'w'" },
        { "&task@init_task.comm", "(char (*)[16])0xffff888000000110" },
        { "*&task@init_task.pid", "0" },
        { "(char)0x41", "'A'" },
        { "(char *)0xffff888000000110", "(char *)0xffff888000000110 \"swapper\"" },
        { "(char *)0xffff888000002ffe", "(char *)0xffff888000002ffe \"zz\"..." },
        { "(char *)0xffff888000003000", "(char *)0xffff888000003000" },
        { "(enum state)5", "STATE_SLEEPING" },
        { "(void *)0xffffffff81000000", "(void *)0xffffffff81000000 (do_it)" },
        { "0xffffffff81000004", "0xffffffff81000004 (do_it+0x4)" },
        { "task@init_task.more[1]", "0" },
        { "counter%0", "10" },
        { "counter%1", "11" },
        { "\"counter\"%1", "11" },
        { "unsigned int@counter%1", "11" },
        { "(&counter)%1", "11" },
    };
    g_autoptr(BtfWorld) world = btf_world_new();

    /* Text that runs into the hole. */
    btf_world_poke(world, BTF_WORLD_BASE + BTF_WORLD_HOLE * 4096 - 2, 2, 0x7a7a);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        if (cases[i][1])
            check(world, cases[i][0], cases[i][1]);
    check_fails(world, cases[6][0], MOSE_ERROR_INVALID,
                "'->' follows what is no pointer");
    check_fails(world, "(u_nknown *)0", MOSE_ERROR_NOT_FOUND,
                "there is no type 'u_nknown'");
}

static void
test_rows(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();

    check(world, "task@init_task.comm[0:3]", "[0]: 's'\n[1]: 'w'\n[2]: 'a'");
    check(world, "task@init_task.inners[1:3].v", "[1]: 0\n[2]: 0");
    check(world, "counter%*", "cpu 0: 10\ncpu 1: 11");
    check(world, "task@init_task.{pid, comm ,tasks.next, parent->pid}",
          "pid=0 comm=\"swapper\" "
          "tasks.next=(struct list_head *)0xffff888000000220 "
          "parent->pid=<a struct task * is NULL>");
    check(world, "list(task@init_task.tasks, task, tasks).{pid,parent->pid}",
          "0xffff888000000200: pid=1 parent->pid=0\n"
          "0xffff888000000300: pid=2 parent->pid=1\n"
          "0xffff888000000400: pid=3 parent->pid=2");
    check(world, "list(&task@init_task.tasks, task, tasks).comm[0:1]",
          "0xffff888000000200 [0]: 0\n0xffff888000000300 [0]: 0\n"
          "0xffff888000000400 [0]: 0");
    check(world, "hlist(hlist_head@head, task, hash).pid",
          "0xffff888000000200: 1\n0xffff888000000300: 2");
    check(world, "rbtree(root, task, rb).pid",
          "0xffff888000000200: 1\n0xffff888000000300: 2\n0xffff888000000400: 3");
    check(world, "chain(task@0xffff888000000400, parent).pid",
          "0xffff888000000400: 3\n0xffff888000000300: 2\n"
          "0xffff888000000200: 1\n0xffff888000000100: 0");
    /* A walk for each element of a walk. */
    check(world, "chain(list(task@init_task.tasks, task, tasks), parent).pid",
          "0xffff888000000200 0xffff888000000200: 1\n"
          "0xffff888000000200 0xffff888000000100: 0\n"
          "0xffff888000000300 0xffff888000000300: 2\n"
          "0xffff888000000300 0xffff888000000200: 1\n"
          "0xffff888000000300 0xffff888000000100: 0\n"
          "0xffff888000000400 0xffff888000000400: 3\n"
          "0xffff888000000400 0xffff888000000300: 2\n"
          "0xffff888000000400 0xffff888000000200: 1\n"
          "0xffff888000000400 0xffff888000000100: 0");
}

static void
test_max(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    g_autoptr(GError) error = NULL;
    gboolean more = FALSE;
    g_autofree char *rows = evaluate(
        world, "list(task@init_task.tasks, task, tasks).pid", 2, &more, &error);

    g_assert_no_error(error);
    g_assert_true(more);
    g_assert_cmpstr(rows, ==, "0xffff888000000200: 1\n0xffff888000000300: 2\n");
    g_free(rows);
    rows = evaluate(world, "list(task@init_task.tasks, task, tasks).pid", 3, &more,
                    &error);
    g_assert_no_error(error);
    g_assert_false(more);
}

/* Of many rows one that cannot be read is told of; of one it is the error. */
static void
test_unreadable(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();

    check_fails(world, "task@0xffff888000003000.pid", MOSE_ERROR_NOT_FOUND,
                "0xffff888000003000 is not there");
    check_fails(world, "task@init_task.parent->pid", MOSE_ERROR_NOT_FOUND,
                "a struct task * is NULL");
    btf_world_poke(world, BTF_WORLD_TASK(2) + 48, 8, 0xffff888000003000);
    check(world, "list(task@init_task.tasks, task, tasks).parent->parent->pid",
          "0xffff888000000200: <a struct task * is NULL>\n"
          "0xffff888000000300: <0xffff888000003030 is not there>\n"
          "0xffff888000000400: <0xffff888000003000 is not there>");
}

static void
test_broken_lists(void)
{
    static const struct {
        guint64 address, number;
        const char *text;
        MoseErrorCode code;
        const char *says;
    } cases[] = {
        { BTF_WORLD_TASK(2) + 40, 0, "list(task@init_task.tasks, task, tasks).pid",
          MOSE_ERROR_AGAIN, "the list at 0xffff888000000120 changed" },
        { BTF_WORLD_TASK(3) + 32, BTF_WORLD_TASK(1) + 32,
          "list(task@init_task.tasks, task, tasks).pid", MOSE_ERROR_AGAIN, "the list" },
        { BTF_WORLD_TASK(2) + 112, BTF_WORLD_TASK(1) + 112,
          "hlist(hlist_head@head, task, hash).pid", MOSE_ERROR_AGAIN, "the hash list" },
        { BTF_WORLD_TASK(1) + 144, BTF_WORLD_TASK(1) + 128,
          "rbtree(root, task, rb).pid", MOSE_ERROR_AGAIN, "the tree" },
        { BTF_WORLD_TASK(1) + 32, 0xffff888000003000,
          "list(task@init_task.tasks, task, tasks).pid", MOSE_ERROR_NOT_FOUND,
          "is not there" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(BtfWorld) world = btf_world_new();

        btf_world_poke(world, cases[i].address, 8, cases[i].number);
        check_fails(world, cases[i].text, cases[i].code, cases[i].says);
    }
}

/* A chain that goes in circles, but not through its beginning, ends with the rows. */
static void
test_endless(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    g_autoptr(GError) error = NULL;
    gboolean more = FALSE;
    g_autofree char *rows = NULL;

    btf_world_poke(world, BTF_WORLD_TASK(0) + 48, 8, BTF_WORLD_TASK(1));
    rows = evaluate(world, "chain(task@0xffff888000000300, parent).pid", 100, &more,
                    &error);
    g_assert_no_error(error);
    g_assert_true(more);
    /* One without rows ends with the reads. */
    check_fails(world,
                "hlist(chain(task@0xffff888000000300, parent).more, task, hash).pid",
                MOSE_ERROR_INVALID, "gave up after");
}

static void
test_senseless(void)
{
    static const struct {
        const char *text;
        MoseErrorCode code;
        const char *says;
    } cases[] = {
        { "", MOSE_ERROR_INVALID, "type expected at ''" },
        { "task@", MOSE_ERROR_INVALID, "symbol, number or '(' expected" },
        { "task@init_task.", MOSE_ERROR_INVALID, "member expected" },
        { "task@init_task..pid", MOSE_ERROR_INVALID, "member expected at '.pid'" },
        { "task@init_task.pid)", MOSE_ERROR_INVALID, "end expected at ')'" },
        { "task@init_task[", MOSE_ERROR_INVALID, "number expected" },
        { "task@init_task.comm[1", MOSE_ERROR_INVALID, "']' expected" },
        { "task@init_task.comm[0x]", MOSE_ERROR_INVALID, "no number" },
        { "task@init_task.comm[16]", MOSE_ERROR_INVALID, "the array has 16 elements" },
        { "task@init_task.comm[0:17]", MOSE_ERROR_INVALID,
          "the array has 16 elements" },
        { "task@init_task.pid[0]", MOSE_ERROR_INVALID,
          "neither an array nor a pointer" },
        { "task@init_task.pid.x", MOSE_ERROR_NOT_FOUND, "no member 'x' in int" },
        { "task@init_task->pid", MOSE_ERROR_INVALID, "no pointer" },
        { "*task@init_task.pid", MOSE_ERROR_INVALID, "no pointer" },
        { "&task@init_task.low", MOSE_ERROR_INVALID, "it has no address" },
        { "&5", MOSE_ERROR_INVALID, "it has no address" },
        { "(task)0x1000", MOSE_ERROR_INVALID, "cannot be cast" },
        { "nobody@init_task", MOSE_ERROR_NOT_FOUND, "there is no type 'nobody'" },
        { "task@nowhere", MOSE_ERROR_NOT_FOUND, "no symbol nowhere" },
        { "init_task", MOSE_ERROR_INVALID, "its type is not known; say TYPE@SYMBOL" },
        { "init_task.pid", MOSE_ERROR_INVALID, "its type is not known" },
        { "struct task", MOSE_ERROR_INVALID, "a type has no value" },
        { "counter%2", MOSE_ERROR_INVALID, "CPUs 0 to 1" },
        { "task@init_task.pid%0", MOSE_ERROR_INVALID, "neither a per-CPU variable" },
        { "list(task@init_task.tasks, task)", MOSE_ERROR_INVALID, "',' expected" },
        { "list(task@init_task.tasks, task, nope)", MOSE_ERROR_NOT_FOUND, "nope" },
        { "chain(task@init_task, pid)", MOSE_ERROR_INVALID, "pid: no pointer" },
        { "chain(5, parent)", MOSE_ERROR_INVALID, "no struct" },
        { "task@init_task.{pid}.x", MOSE_ERROR_INVALID, "end expected" },
        { "&task@init_task.{pid}", MOSE_ERROR_INVALID, "braces are for the end" },
        { "task@init_task.{pid,}", MOSE_ERROR_INVALID, "member expected" },
        { "task@init_task.{comm[0:1]}", MOSE_ERROR_INVALID, "no slice" },
        { "task@init_task.{tasks.{next}}", MOSE_ERROR_INVALID, "braces within" },
        { "task@init_task.{nope}", MOSE_ERROR_NOT_FOUND, "no member 'nope'" },
        { "virtio:device@init_task", MOSE_ERROR_UNSUPPORTED, "types of modules" },
    };
    g_autoptr(BtfWorld) world = btf_world_new();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        check_fails(world, cases[i].text, cases[i].code, cases[i].says);
}

static void
test_deep(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    g_autofree char *stars = g_strnfill(1000, '*');
    g_autofree char *brackets = g_strnfill(1000, '(');
    g_autofree char *text = g_strconcat(stars, "counter%0", NULL);
    g_autoptr(GString) path = g_string_new("task@init_task");
    g_autofree char *long_text = g_strnfill(5000, 'x');

    for (guint i = 0; i < 200; i++)
        g_string_append(path, ".x");
    check_fails(world, text, MOSE_ERROR_INVALID, "nested too deeply");
    check_fails(world, path->str, MOSE_ERROR_INVALID, "too many steps");
    check_fails(world, brackets, MOSE_ERROR_INVALID, "nested too deeply");
    check_fails(world, long_text, MOSE_ERROR_INVALID, "too long");
}

static void
test_layout(void)
{
    static const struct {
        const char *text, *path;
        gboolean is_layout;
    } cases[] = {
        { "task", NULL, TRUE },
        { "struct task", NULL, TRUE },
        { "unsigned long", NULL, TRUE },
        { "task.tasks.next", "tasks.next", TRUE },
        { "task.inners[2].v", "inners[2].v", TRUE },
        { "task@init_task", NULL, FALSE },
        { "counter", NULL, FALSE },
        { "nobody", NULL, FALSE },
        { "*task", NULL, FALSE },
    };
    g_autoptr(BtfWorld) world = btf_world_new();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseTypeExpr) expr = mose_type_expr_parse(cases[i].text, &error);
        g_autofree char *path = NULL;
        MoseTypeRef type;

        g_assert_no_error(error);
        g_assert_cmpint(mose_type_expr_is_layout(expr, &world->source, &type, &path),
                        ==, cases[i].is_layout);
        g_assert_cmpstr(path, ==, cases[i].path);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/type-expr/values", test_values);
    g_test_add_func("/type-expr/rows", test_rows);
    g_test_add_func("/type-expr/max", test_max);
    g_test_add_func("/type-expr/unreadable", test_unreadable);
    g_test_add_func("/type-expr/broken-lists", test_broken_lists);
    g_test_add_func("/type-expr/endless", test_endless);
    g_test_add_func("/type-expr/senseless", test_senseless);
    g_test_add_func("/type-expr/deep", test_deep);
    g_test_add_func("/type-expr/layout", test_layout);
    return g_test_run();
}
