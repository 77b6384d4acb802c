/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One rule run on a document made for it; see rule-world.h. */
#include "lib/rule-world.h"

#include <string.h>

#include "util/error.h"

gint64
rule_stopped_ns(gpointer data, guint64 tsc)
{
    const RuleWorld *world = data;

    return world->stopped_ns;
}

static guint8 *
in_page(RuleWorld *world, guint64 address, gsize len)
{
    guint64 offset = world ? address - world->page_address : 0;

    if (!world || !world->page_address || offset >= sizeof(world->page) ||
        len > sizeof(world->page) - offset)
        return NULL;
    return world->page + offset;
}

gboolean
rule_read_memory(gpointer data, guint64 address, void *to, gsize len)
{
    const RuleWorld *world = data;
    const guint8 *from = in_page(data, address, len);

    if (world && world->ram && len <= world->ram_size &&
        address <= world->ram_size - len)
        from = world->ram + address;
    if (from)
        memcpy(to, from, len);
    return from != NULL;
}

gboolean
rule_write_memory(gpointer data, guint64 address, const void *from, gsize len)
{
    guint8 *to = in_page(data, address, len);

    if (to)
        memcpy(to, from, len);
    return to != NULL;
}

/* Add a section with 8-byte fields, ended by one without a path. */
MoseSection *
rule_add_section(MoseDoc *doc, const char *name, guint32 instance,
                 const RuleValue *values)
{
    MoseSection *section = mose_doc_add(doc, name, instance, 1);

    for (; values->path; values++)
        mose_section_append(section, values->path, "uint64", 8, values->value);
    return section;
}

guint64
rule_get(const MoseSection *section, const char *path)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;

    g_assert_nonnull(section);
    mose_section_get(section, path, &value, &error);
    g_assert_no_error(error);
    return value;
}

/* Run the one rule @name on @doc; whether it changed something. */
gboolean
rule_run(const char *name, guint direction, RuleWorld *world, MoseDoc *doc,
         GError **error)
{
    const MoseRule *rule = mose_rule_by_name(name);
    MoseRuleContext context = { direction,
                                3000000,
                                rule_stopped_ns,
                                rule_read_memory,
                                rule_write_memory,
                                world,
                                .source_khz = world ? world->source_khz : 0 };
    gboolean changed = FALSE;

    g_assert_nonnull(rule);
    g_assert_true(rule->directions & direction);
    if (!rule->rewrite(&context, doc, &changed, error))
        return FALSE;
    return changed;
}

gboolean
rule_run_well(const char *name, guint direction, RuleWorld *world, MoseDoc *doc)
{
    g_autoptr(GError) error = NULL;
    gboolean changed = rule_run(name, direction, world, doc, &error);

    g_assert_no_error(error);
    return changed;
}

/* All rules of @direction fail, and the error names @rule, @section and @field. */
void
rule_expect_missing(MoseDoc *doc, guint direction, const char *rule,
                    const char *section, const char *field)
{
    RuleWorld world = { .stopped_ns = 1000 };
    MoseRuleContext context = { direction,        3000000,           rule_stopped_ns,
                                rule_read_memory, rule_write_memory, &world };
    g_autofree char *prefix = g_strdup_printf("rule %s: ", rule);
    g_autoptr(GError) error = NULL;

    g_assert_false(mose_rules_rewrite(&context, doc, NULL, NULL, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_prefix(error->message, prefix));
    g_assert_nonnull(strstr(error->message, section));
    g_assert_nonnull(strstr(error->message, field));
}
