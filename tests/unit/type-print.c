/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values and layouts as text and as JSON. */
#include "vmi/linux/type-print.h"

#include <string.h>

#include "lib/btf-world.h"
#include "util/error.h"
#include "util/json.h"

static MoseTypeValue
value_at(const BtfWorld *world, const char *type, guint64 address)
{
    guint32 id = mose_types_find(world->types, type);

    g_assert_cmpuint(id, !=, 0);
    return (MoseTypeValue){ .type = { .types = world->types, .id = id },
                            .in_memory = TRUE,
                            .typed = TRUE,
                            .address = address,
                            .size = mose_types_size(world->types, id) };
}

static void
check_text(const BtfWorld *world, const char *type, guint64 address, MoseTypePrint how,
           const char *expected)
{
    const MoseTypeValue value = value_at(world, type, address);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    mose_type_print(&world->source, &value, &how, 0, text, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text->str, ==, expected);
}

static void
test_struct(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();

    btf_world_poke(world, BTF_WORLD_TASK(0) + 72, 8, 0x200000001);
    btf_world_poke(world, BTF_WORLD_TASK(0) + 152, 8, 0x0102030405060708);
    check_text(world, "task", BTF_WORLD_TASK(0), MOSE_TYPE_PRINT_DEFAULT,
               "(struct task){\n"
               "    .pid = 0,\n"
               "    .low = 5,\n"
               "    .high = -2,\n"
               "    .state = STATE_DEAD,\n"
               "    .flags = FLAG_A | FLAG_C,\n"
               "    .comm = \"swapper\",\n"
               "    .tasks = {\n"
               "        .next = (struct list_head *)0xffff888000000220,\n"
               "        .prev = (struct list_head *)0xffff888000000420,\n"
               "    },\n"
               "    .parent = NULL,\n"
               "    .whole = 7,\n"
               "    .word = 7,\n"
               "    .inners = {\n"
               "        [0] = {\n"
               "            .v = 0,\n"
               "            .w = 0,\n"
               "        },\n"
               "        [1] = {\n"
               "            .v = 1,\n"
               "            .w = 2,\n"
               "        },\n"
               "        [2 ... 3] = { 0 },\n"
               "    },\n"
               "    .alive = true,\n"
               "    .func = (void (*)(int))0xffffffff81000010 (do_it+0x10),\n"
               "    .hash = {\n"
               "        .next = 0,\n"
               "        .pprev = 0,\n"
               "    },\n"
               "    .rb = {\n"
               "        .__rb_parent_color = 0,\n"
               "        .rb_right = 0,\n"
               "        .rb_left = 0,\n"
               "    },\n"
               "    .bytes = { 8, 7, 6, 5, 4, 3, 2, 1, 0 <8 times>, },\n"
               "    .big = BIG_ONE,\n"
               "    .more = {},\n"
               "}");
}

static void
test_how(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    MoseTypePrint how = { .depth = 0, .elements = 2, .nonzero = TRUE };

    btf_world_poke(world, BTF_WORLD_TASK(1) + 152, 8, 0x0102030405060708);
    check_text(world, "task", BTF_WORLD_TASK(1), how,
               "(struct task){\n"
               "    .pid = 1,\n"
               "    .tasks = { ... },\n"
               "    .parent = (struct task *)0xffff888000000100,\n"
               "    .hash = { ... },\n"
               "    .rb = { ... },\n"
               "    .bytes = { 8, 7, ... 14 more },\n"
               "}");
}

static void
test_scalars(void)
{
    static const struct {
        const char *type;
        guint64 number;
        const char *text, *json;
    } cases[] = {
        { "int", 0xffffffff, "-1", "-1" },
        { "unsigned int", 0xffffffff, "4294967295 (0xffffffff)", "4294967295" },
        { "unsigned int", 65535, "65535", "65535" },
        { "long unsigned int", 1ULL << 53, "0x20000000000000", "9007199254740992" },
        { "long unsigned int", 0xffff888000000000, "0xffff888000000000",
          "\"0xffff888000000000\"" },
        { "long unsigned int", BTF_WORLD_FUNCTION, "0xffffffff81000000 (do_it)",
          "\"0xffffffff81000000\"" },
        { "char", 'x', "'x'", "120" },
        { "char", 0xff, "-1", "-1" },
        { "_Bool", 1, "true", "true" },
        { "_Bool", 7, "true (7)", "true" },
        { "state", 5, "STATE_SLEEPING", "\"STATE_SLEEPING\"" },
        { "state", 9, "9", "9" },
        { "flags", 3, "FLAG_A | FLAG_B", "\"FLAG_A | FLAG_B\"" },
        { "flags", 9, "9", "9" },
        { "pid_t", 12, "12", "12" },
        { "__int128", 12, "0x0000000000000000000000000000000c",
          "\"0x0000000000000000000000000000000c\"" },
    };
    g_autoptr(BtfWorld) world = btf_world_new();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 address = BTF_WORLD_BASE + 0x2000;
        const MoseTypeValue value = value_at(world, cases[i].type, address);
        g_autoptr(JsonNode) node = NULL;
        g_autofree char *json = NULL;

        btf_world_poke(world, address, 8, cases[i].number);
        check_text(world, cases[i].type, address, MOSE_TYPE_PRINT_DEFAULT,
                   cases[i].text);
        node =
            mose_type_to_json(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, NULL);
        json = json_to_string(node, FALSE);
        g_assert_cmpstr(json, ==, cases[i].json);
    }
}

/* What a guest has in its texts does nothing to a terminal. */
static void
test_printable(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    const MoseTypeValue value = value_at(world, "task", BTF_WORLD_TASK(0));
    g_autoptr(GString) text = g_string_new(NULL);

    btf_world_poke(world, BTF_WORLD_TASK(0) + 16, 8, 0xff0a225c1b5d7461);
    btf_world_poke(world, BTF_WORLD_TASK(0) + 24, 8, 0x4242424242424242);
    g_assert_true(mose_type_print(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, 0,
                                  text, NULL));
    g_assert_nonnull(
        strstr(text->str, ".comm = \"at]\\x1b\\\\\\\"\\n\\xffBBBBBBBB\",\n"));
}

/* A struct whose second half is in a page that is not there. */
static void
test_unreadable(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    guint64 hole = BTF_WORLD_BASE + BTF_WORLD_HOLE * 4096;
    MoseTypeValue value = value_at(world, "task", hole - 64);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = NULL;
    JsonObject *func;

    mose_type_print(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, 0, text, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(text->str, "    .whole = 0,\n"));
    g_assert_nonnull(strstr(text->str, "    .func = <cannot be read>,\n"));
    g_assert_nonnull(strstr(text->str, "/* 0xffff888000003000 is not there */"));
    node = mose_type_to_json(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, &error);
    g_assert_no_error(error);
    func = mose_json_child(json_node_get_object(node), "func");
    g_assert_cmpstr(mose_json_string(func, "unreadable", ""), ==,
                    "0xffff888000003000 is not there");

    /* Its first half, and nothing at all. */
    value.address = hole + 4096 - 64;
    g_string_truncate(text, 0);
    mose_type_print(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, 0, text, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(text->str, "    .pid = <cannot be read>,\n"));
    g_assert_nonnull(strstr(text->str, "    .func = NULL,\n"));
    value.address = hole;
    g_assert_false(mose_type_print(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, 0,
                                   text, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

static void
test_json(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    const MoseTypeValue value = value_at(world, "task", BTF_WORLD_TASK(0));
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node =
        mose_type_to_json(&world->source, &value, &MOSE_TYPE_PRINT_DEFAULT, &error);
    JsonObject *task = node ? json_node_get_object(node) : NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(mose_json_string(task, "comm", ""), ==, "swapper");
    g_assert_cmpstr(mose_json_string(task, "state", ""), ==, "STATE_DEAD");
    g_assert_cmpint(mose_json_int(task, "high", 0), ==, -2);
    g_assert_cmpint(mose_json_int(task, "word", 0), ==, 7);
    g_assert_true(mose_json_bool(task, "alive", FALSE));
    g_assert_cmpstr(mose_json_string(task, "parent", ""), ==, "0x0");
    g_assert_cmpstr(mose_json_string(mose_json_child(task, "tasks"), "next", ""), ==,
                    "0xffff888000000220");
    g_assert_cmpuint(json_array_get_length(mose_json_array(task, "inners")), ==, 4);
    g_assert_cmpuint(json_array_get_length(mose_json_array(task, "bytes")), ==, 16);
}

static void
check_layout(const BtfWorld *world, const char *type, const char *path,
             const char *expected)
{
    const MoseTypeRef ref = { .types = world->types,
                              .id = mose_types_find(world->types, type) };
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    mose_type_layout(&ref, path, text, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text->str, ==, expected);
}

static void
test_layout(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();

    check_layout(world, "task", NULL,
                 "/* 192 bytes */ struct task {\n"
                 "     0      4      pid_t pid;\n"
                 "     4    0:3      unsigned int low:3;\n"
                 "     4    3:5      int high:5;\n"
                 "     5      3      /* hole */\n"
                 "     8      4      enum state state;\n"
                 "    12      4      enum flags flags;\n"
                 "    16     16      char comm[16];\n"
                 "    32     16      struct list_head tasks;\n"
                 "    48      8      struct task *parent;\n"
                 "    56      8      union {\n"
                 "    56      8          long unsigned int whole;\n"
                 "    56      8          struct {\n"
                 "    56      4              unsigned int word;\n"
                 "    60      4              /* hole */\n"
                 "                       };\n"
                 "                   };\n"
                 "    64     32      struct inner inners[4];\n"
                 "    96      1      _Bool alive;\n"
                 "    97      7      /* hole */\n"
                 "   104      8      void (*func)(int);\n"
                 "   112     16      struct hlist_node hash;\n"
                 "   128     24      struct rb_node rb;\n"
                 "   152     16      unsigned char bytes[16];\n"
                 "   168      8      enum big big;\n"
                 "   176     16      /* hole */\n"
                 "   192      0      int more[0];\n"
                 "};\n");
    check_layout(world, "state", NULL,
                 "/* 4 bytes */ enum state {\n"
                 "    STATE_DEAD = -1,\n"
                 "    STATE_RUNNING = 0,\n"
                 "    STATE_SLEEPING = 5,\n"
                 "};\n");
    check_layout(world, "pid_t", NULL, "/* 4 bytes */ pid_t = int;\n");
    check_layout(world, "task", "tasks.prev",
                 "/* at 40, 8 bytes */ struct list_head *;\n");
    check_layout(world, "task", "high", "/* at 4, bit 3, 5 bits */ int;\n");
}

static void
test_layout_json(void)
{
    g_autoptr(BtfWorld) world = btf_world_new();
    const MoseTypeRef ref = { .types = world->types,
                              .id = mose_types_find(world->types, "task") };
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) layout = mose_type_layout_json(&ref, NULL, &error);
    JsonObject *member;

    g_assert_no_error(error);
    g_assert_cmpint(mose_json_int(layout, "size", 0), ==, 192);
    member = mose_json_element(mose_json_array(layout, "members"), 2);
    g_assert_cmpstr(mose_json_string(member, "name", ""), ==, "high");
    g_assert_cmpint(mose_json_int(member, "offset", 0), ==, 4);
    g_assert_cmpint(mose_json_int(member, "bit", 0), ==, 3);
    g_assert_cmpint(mose_json_int(member, "bits", 0), ==, 5);
    g_assert_null(mose_type_layout_json(&ref, "nope", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/type-print/struct", test_struct);
    g_test_add_func("/type-print/how", test_how);
    g_test_add_func("/type-print/scalars", test_scalars);
    g_test_add_func("/type-print/printable", test_printable);
    g_test_add_func("/type-print/unreadable", test_unreadable);
    g_test_add_func("/type-print/json", test_json);
    g_test_add_func("/type-print/layout", test_layout);
    g_test_add_func("/type-print/layout-json", test_layout_json);
    return g_test_run();
}
