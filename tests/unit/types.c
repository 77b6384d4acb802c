/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types out of BTF: what is found, how large it is, where members are; and BTF that was
 * made to do harm. */
#include "vmi/linux/types.h"

#include <string.h>

#include <bpf/btf.h>

#include "lib/btf-world.h"
#include "util/error.h"

static MoseTypes *
parse(struct btf *btf)
{
    g_autoptr(GError) error = NULL;
    MoseTypes *types = btf_world_parse(btf, NULL, &error);

    g_assert_no_error(error);
    btf__free(btf);
    return types;
}

static void
check_name(const MoseTypes *types, const char *name, const char *expected)
{
    g_autofree char *found = mose_types_name(types, mose_types_find(types, name));

    g_assert_cmpuint(mose_types_find(types, name), !=, 0);
    g_assert_cmpstr(found, ==, expected);
}

static void
test_find(void)
{
    g_autoptr(MoseTypes) types = parse(btf_world_btf());

    check_name(types, "task", "struct task");
    check_name(types, "struct task", "struct task");
    check_name(types, "pid_t", "pid_t");
    check_name(types, "enum state", "enum state");
    check_name(types, "big", "enum big");
    check_name(types, "long unsigned int", "long unsigned int");
    g_assert_cmpuint(mose_types_find(types, "union task"), ==, 0);
    g_assert_cmpuint(mose_types_find(types, "tas"), ==, 0);
    g_assert_cmpuint(mose_types_find(types, ""), ==, 0);
    g_assert_cmpuint(mose_types_find(types, "struct "), ==, 0);
    g_assert_cmpuint(mose_types_find(types, "counter"), ==, 0);
    g_assert_cmpuint(mose_types_variable(types, "counter"), ==,
                     mose_types_find(types, "unsigned int"));
    g_assert_cmpuint(mose_types_variable(types, "task"), ==, 0);
}

static void
test_many_names(void)
{
    struct btf *btf = btf_world_btf();
    g_autoptr(MoseTypes) types = NULL;

    for (guint i = 0; i < 5000; i++) {
        g_autofree char *name = g_strdup_printf("many_%u", i);

        g_assert_cmpint(btf__add_struct(btf, name, i), >, 0);
    }
    types = parse(btf);
    for (guint i = 0; i < 5000; i++) {
        g_autofree char *name = g_strdup_printf("many_%u", i);

        g_assert_cmpint(mose_types_size(types, mose_types_find(types, name)), ==, i);
    }
    g_assert_cmpuint(mose_types_find(types, "many_5000"), ==, 0);
}

static void
test_size(void)
{
    g_autoptr(MoseTypes) types = parse(btf_world_btf());
    guint32 pid = mose_types_find(types, "pid_t");
    guint32 integer = mose_types_find(types, "int");
    MoseMember member;

    g_assert_cmpuint(mose_types_strip(types, pid), ==, integer);
    g_assert_cmpint(mose_types_size(types, pid), ==, 4);
    g_assert_cmpint(mose_types_size(types, mose_types_find(types, "task")), ==,
                    BTF_WORLD_TASK_SIZE);
    g_assert_true(mose_types_member(types, mose_types_find(types, "task"), "inners",
                                    &member, NULL));
    g_assert_cmpint(mose_types_size(types, member.type), ==, 32);
    g_assert_cmpint(mose_types_size(types, 0), ==, -1);
    g_assert_cmpint(mose_types_size(types, 1000000), ==, -1);
    g_assert_cmpuint(mose_types_strip(types, 1000000), ==, 0);
    g_assert_true(mose_types_is_signed(types, pid));
    g_assert_true(mose_types_is_signed(types, mose_types_find(types, "state")));
    g_assert_false(mose_types_is_signed(types, mose_types_find(types, "flags")));
    g_assert_false(mose_types_is_signed(types, mose_types_find(types, "task")));
}

static void
test_member(void)
{
    static const struct {
        const char *path;
        guint64 offset, size;
        guint bit, bits;
    } cases[] = {
        { "pid", 0, 4, 0, 0 },          { "comm", 16, 16, 0, 0 },
        { "comm[3]", 19, 1, 0, 0 },     { "tasks.prev", 40, 8, 0, 0 },
        { "word", 56, 4, 0, 0 },        { "whole", 56, 8, 0, 0 },
        { "inners[2].w", 84, 4, 0, 0 }, { "inners[3]", 88, 8, 0, 0 },
        { "low", 4, 4, 0, 3 },          { "high", 4, 4, 3, 5 },
        { "more", 192, 0, 0, 0 },
    };
    g_autoptr(MoseTypes) types = parse(btf_world_btf());
    guint32 task = mose_types_find(types, "task");

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        MoseMember member;

        mose_types_member(types, task, cases[i].path, &member, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(member.offset, ==, cases[i].offset);
        g_assert_cmpuint(member.size, ==, cases[i].size);
        g_assert_cmpuint(member.bit, ==, cases[i].bit);
        g_assert_cmpuint(member.bits, ==, cases[i].bits);
    }
}

static void
test_no_member(void)
{
    static const struct {
        const char *path;
        MoseErrorCode code;
        const char *says;
    } cases[] = {
        { "nope", MOSE_ERROR_NOT_FOUND, "nope: no member 'nope' in struct task" },
        { "pi", MOSE_ERROR_NOT_FOUND, "no member 'pi'" },
        { "tasks.pid", MOSE_ERROR_NOT_FOUND, "no member 'pid' in struct list_head" },
        { "pid.x", MOSE_ERROR_NOT_FOUND, "no member 'x' in int" },
        { "parent.pid", MOSE_ERROR_NOT_FOUND, "no member 'pid'" },
        { "inners[4]", MOSE_ERROR_NOT_FOUND, "no element [4]: the array has less" },
        { "inners[18446744073709551615]", MOSE_ERROR_NOT_FOUND, "no element" },
        { "more[0]", MOSE_ERROR_NOT_FOUND, "no element [0]: the array has less" },
        { "pid[0]", MOSE_ERROR_NOT_FOUND, "no element [0]: no array" },
        { "inners[x]", MOSE_ERROR_INVALID, "no index in '[x]'" },
        { "inners[1", MOSE_ERROR_INVALID, "no index" },
        { "inners[-1]", MOSE_ERROR_INVALID, "no index" },
        { "inners[1]x", MOSE_ERROR_INVALID, "no member path" },
        { ".pid", MOSE_ERROR_NOT_FOUND, "no member ''" },
        { "tasks..next", MOSE_ERROR_NOT_FOUND, "no member ''" },
    };
    g_autoptr(MoseTypes) types = parse(btf_world_btf());
    guint32 task = mose_types_find(types, "task");

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        MoseMember member;

        g_assert_false(mose_types_member(types, task, cases[i].path, &member, &error));
        g_assert_error(error, MOSE_ERROR, (int)cases[i].code);
        if (!strstr(error->message, cases[i].says))
            g_error("%s: %s", cases[i].path, error->message);
    }
}

static void
test_enumerators(void)
{
    g_autoptr(MoseTypes) types = parse(btf_world_btf());
    gint64 value;

    g_assert_true(mose_types_enumerator(types, "STATE_DEAD", &value));
    g_assert_cmpint(value, ==, -1);
    g_assert_true(mose_types_enumerator(types, "FLAG_C", &value));
    g_assert_cmpint(value, ==, 4);
    g_assert_true(mose_types_enumerator(types, "BIG_ONE", &value));
    g_assert_cmpint(value, ==, 1LL << 40);
    g_assert_false(mose_types_enumerator(types, "FLAG_D", &value));
    g_assert_false(mose_types_enumerator(types, "task", &value));
}

static void
test_module(void)
{
    struct btf *base_btf = btf_world_btf();
    struct btf *btf = btf__new_empty_split(base_btf);
    g_autoptr(MoseTypes) base = NULL;
    g_autoptr(MoseTypes) module = NULL;
    g_autoptr(GError) error = NULL;
    int task = btf__find_by_name(base_btf, "task");
    MoseMember member;

    g_assert_cmpint(btf__add_struct(btf, "device", 208), >, task);
    g_assert_cmpint(btf__add_field(btf, "index", 1, 0, 0), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "task", task, 64, 0), ==, 0);
    g_assert_cmpint(btf__add_enum(btf, "colour", 4), >, 0);
    g_assert_cmpint(btf__add_enum_value(btf, "RED", 7), ==, 0);
    base = btf_world_parse(base_btf, NULL, &error);
    module = btf_world_parse(btf, base, &error);
    g_assert_no_error(error);
    btf__free(btf);
    btf__free(base_btf);

    check_name(module, "device", "struct device");
    check_name(module, "task", "struct task");
    g_assert_cmpuint(mose_types_find(base, "device"), ==, 0);
    mose_types_member(module, mose_types_find(module, "device"), "task.tasks.prev",
                      &member, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(member.offset, ==, 48);
    gint64 value;
    g_assert_true(mose_types_enumerator(module, "RED", &value));
    g_assert_true(mose_types_enumerator(module, "FLAG_A", &value));
    g_assert_cmpint(value, ==, 1);
    g_assert_false(mose_types_enumerator(base, "RED", &value));
}

/* --- BTF that was made to do harm --- */

static void
check_refused(const void *bytes, gsize size, MoseErrorCode code, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_types_new(bytes, size, NULL, &error));
    g_assert_error(error, MOSE_ERROR, (int)code);
    if (!strstr(error->message, says))
        g_error("'%s' expected: %s", says, error->message);
}

static void
test_hostile_header(void)
{
    struct btf *btf = btf_world_btf();
    guint32 size;
    const void *raw = btf__raw_data(btf, &size);
    g_autofree guint8 *bytes = g_malloc(size);
    struct btf_header *header = (struct btf_header *)bytes;
    static const struct {
        gsize at, len;
        guint32 value;
        MoseErrorCode code;
        const char *says;
    } cases[] = {
        { 0, 2, 0x9feb, MOSE_ERROR_INVALID, "of a big-endian machine" },
        { 0, 2, 0x1234, MOSE_ERROR_INVALID, "no magic number" },
        { 2, 1, 9, MOSE_ERROR_UNSUPPORTED, "of version 9" },
        { 4, 4, 20, MOSE_ERROR_INVALID, "no sensible length" },
        { 4, 4, 0x7ffffffc, MOSE_ERROR_INVALID, "no sensible length" },
        { 8, 4, 2, MOSE_ERROR_INVALID, "not aligned" },
        { 8, 4, 0xfffffffc, MOSE_ERROR_INVALID, "reach into its strings" },
        { 12, 4, 0xfffffffc, MOSE_ERROR_INVALID, "reach into its strings" },
        { 16, 4, 0xffffffff, MOSE_ERROR_INVALID, "behind its end" },
        { 20, 4, 0xffffffff, MOSE_ERROR_INVALID, "behind its end" },
        { 20, 4, 0, MOSE_ERROR_INVALID, "its strings do not end" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        memcpy(bytes, raw, size);
        memcpy(bytes + cases[i].at, &cases[i].value, cases[i].len);
        check_refused(bytes, size, cases[i].code, cases[i].says);
    }
    check_refused(raw, 10, MOSE_ERROR_INVALID, "shorter than its header");
    memcpy(bytes, raw, size);
    bytes[size - 1] = 'x';
    check_refused(bytes, size, MOSE_ERROR_INVALID, "strings do not end");
    /* The first type is an int: of a kind that will come one day, or too long. */
    memcpy(bytes, raw, size);
    bytes[header->hdr_len + 7] = 31;
    check_refused(bytes, size, MOSE_ERROR_UNSUPPORTED, "type 1 is of kind 31");
    memcpy(bytes, raw, size);
    bytes[header->hdr_len + 7] = BTF_KIND_STRUCT;
    bytes[header->hdr_len + 5] = 0xff;
    check_refused(bytes, size, MOSE_ERROR_INVALID, "type 1 reaches behind the end");
    btf__free(btf);
}

/* Whatever is asked of it, an answer comes. */
static void
ask_all(const MoseTypes *types)
{
    guint32 n = btf__type_cnt(mose_types_btf(types));
    MoseMember member;
    gint64 value;

    for (guint32 id = 0; id <= n; id++) {
        g_autofree char *name = mose_types_name(types, id);
        const char *member_name;

        g_assert_nonnull(name);
        mose_types_size(types, id);
        mose_types_strip(types, id);
        g_assert_false(mose_types_member(types, id, "never_there", &member, NULL));
        for (guint i = 0; mose_types_nth_member(types, id, i, &member, &member_name);
             i++)
            g_assert_cmpuint(member.offset + member.size, <=,
                             mose_types_size(types, id));
    }
    g_assert_cmpuint(mose_types_find(types, "never_there"), ==, 0);
    g_assert_false(mose_types_enumerator(types, "NEVER_THERE", &value));
}

static void
test_hostile_loops(void)
{
    struct btf *btf = btf_world_btf();
    g_autoptr(MoseTypes) types = NULL;
    int a = btf__add_typedef(btf, "loop_a", btf__type_cnt(btf) + 1);
    int b = btf__add_typedef(btf, "loop_b", a);
    int own = btf__add_struct(btf, "own", 8);
    int array;
    MoseMember member;

    g_assert_cmpint(btf__add_field(btf, NULL, own, 0, 0), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "own", own, 0, 0), ==, 0);
    array = btf__add_array(btf, 1, btf__type_cnt(btf), 2);
    g_assert_cmpint(btf__add_const(btf, btf__type_cnt(btf)), ==, array + 1);
    types = parse(btf);
    g_assert_cmpuint(mose_types_strip(types, a), ==, 0);
    g_assert_cmpuint(mose_types_strip(types, b), ==, 0);
    g_assert_cmpint(mose_types_size(types, a), ==, -1);
    g_assert_cmpint(mose_types_size(types, array), ==, -1);
    g_assert_true(mose_types_member(types, own, "own.own.own", &member, NULL));
    g_assert_cmpuint(member.offset, ==, 0);
    ask_all(types);
}

/* Anonymous structs with thousands of anonymous structs each, sixteen deep. */
static void
test_hostile_anonymous(void)
{
    struct btf *btf = btf_world_btf();
    g_autoptr(MoseTypes) types = NULL;
    int id = 0;

    for (guint level = 0; level < 16; level++) {
        int inner = id ? id : 1;

        id = btf__add_struct(btf, level == 15 ? "outer" : NULL, 4);
        for (guint i = 0; i < 2000; i++)
            g_assert_cmpint(btf__add_field(btf, level ? NULL : "x", inner, 0, 0), ==,
                            0);
    }
    types = parse(btf);
    ask_all(types);
}

/* Arrays whose size overflows, members that are elsewhere, bit fields that are wider
 * than their type. */
static void
test_hostile_sizes(void)
{
    struct btf *btf = btf_world_btf();
    g_autoptr(MoseTypes) types = NULL;
    g_autoptr(GError) error = NULL;
    int array = 1, outside, bits;
    MoseMember member;

    for (guint i = 0; i < 4; i++)
        array = btf__add_array(btf, 1, array, 0xffffffff);
    outside = btf__add_struct(btf, "outside", 8);
    g_assert_cmpint(btf__add_field(btf, "huge", array, 0, 0), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "behind", 1, 56, 0), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "lost", 1 << 20, 0, 0), ==, 0);
    bits = btf__add_struct(btf, "bits", 5);
    g_assert_cmpint(btf__add_field(btf, "straddles", 1, 28, 12), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "wide", 1, 0, 33), ==, 0);
    types = parse(btf);
    g_assert_cmpint(mose_types_size(types, array), ==, -1);
    g_assert_false(mose_types_member(types, outside, "huge", &member, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(mose_types_member(types, outside, "behind", &member, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "does not lie within it"));
    g_assert_false(mose_types_member(types, outside, "lost", &member, NULL));
    g_assert_true(mose_types_member(types, bits, "straddles", &member, NULL));
    g_assert_cmpuint(member.offset, ==, 3);
    g_assert_cmpuint(member.size, ==, 2);
    g_assert_cmpuint(member.bit, ==, 4);
    g_assert_false(mose_types_member(types, bits, "wide", &member, NULL));
    ask_all(types);
}

static void
test_hostile_strings(void)
{
    struct btf *btf = btf_world_btf();
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autofree guint8 *bytes = NULL;
    g_autoptr(MoseTypes) types = NULL;
    g_autoptr(GError) error = NULL;
    int id = btf__add_struct(btf, name, 4);
    struct btf_header *header;
    const void *raw;
    guint32 size;

    raw = btf__raw_data(btf, &size);
    bytes = g_memdup2(raw, size);
    header = (struct btf_header *)bytes;
    /* The first type's name is behind all strings. */
    *(guint32 *)(bytes + header->hdr_len) = header->str_len + 5;
    types = mose_types_new(bytes, size, NULL, &error);
    btf__free(btf);
    if (!types) {
        /* Newer versions of libbpf look at names, too. */
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        return;
    }
    g_assert_cmpuint(mose_types_find(types, name), ==, 0);
    g_assert_cmpstr(mose_types_string(types, G_MAXUINT32), ==, "");
    g_assert_cmpint(mose_types_size(types, id), ==, 4);
    ask_all(types);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/types/find", test_find);
    g_test_add_func("/types/many-names", test_many_names);
    g_test_add_func("/types/size", test_size);
    g_test_add_func("/types/member", test_member);
    g_test_add_func("/types/no-member", test_no_member);
    g_test_add_func("/types/enumerators", test_enumerators);
    g_test_add_func("/types/module", test_module);
    g_test_add_func("/types/hostile/header", test_hostile_header);
    g_test_add_func("/types/hostile/loops", test_hostile_loops);
    g_test_add_func("/types/hostile/anonymous", test_hostile_anonymous);
    g_test_add_func("/types/hostile/sizes", test_hostile_sizes);
    g_test_add_func("/types/hostile/strings", test_hostile_strings);
    return g_test_run();
}
