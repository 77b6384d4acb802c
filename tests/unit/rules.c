/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each rule on documents made for it: what it changes, what it leaves alone, and
 * what it makes of values that only a hostile guest or stream would have. That
 * the guests need them is tests/vm's to show.
 */
#include <string.h>

#include "lib/make-stream.h"
#include "lib/rule-world.h"
#include "stream/reader.h"
#include "stream/rules/rule.h"
#include "util/error.h"

/* --- hflags --- */

static void
test_hflags(void)
{
    static const struct {
        guint64 cr4, xcr0, before, after;
    } cases[] = {
        { 0, 0, 0x2b3, 0x2b3 },
        { 1 << 18, 7, 0x2b3, 0x2b3 | 1 << 28 },
        { 1 << 18, 3, 0x2b3, 0x2b3 },
        { 0, 7, 0x2b3 | 1 << 28, 0x2b3 },
        { 1 << 18, 6, 1 << 23 | 1 << 27, 1 << 23 | 1 << 27 | 1 << 28 },
        { G_MAXUINT64, G_MAXUINT64, G_MAXUINT64, G_MAXUINT64 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseDoc) doc = mose_doc_new();
        const RuleValue other[] = {
            { "env.hflags", 1 << 28 | 5 }, { "env.cr[4]", 0 }, { "env.xcr0", 0 }, { 0 }
        };
        const RuleValue values[] = { { "env.hflags", cases[i].before },
                                     { "env.cr[4]", cases[i].cr4 },
                                     { "env.xcr0", cases[i].xcr0 },
                                     { 0 } };
        MoseSection *first = rule_add_section(doc, "cpu", 0, values);
        MoseSection *second = rule_add_section(doc, "cpu", 1, other);

        g_assert_true(rule_run_well("hflags", MOSE_KVM_TO_TCG, NULL, doc));
        g_assert_cmphex(rule_get(first, "env.hflags"), ==, cases[i].after);
        g_assert_cmphex(rule_get(first, "env.cr[4]"), ==, cases[i].cr4);
        /* Each vCPU has its own. */
        g_assert_cmphex(rule_get(second, "env.hflags"), ==, 5);
        g_assert_false(rule_run_well("hflags", MOSE_TCG_TO_TCG, NULL, doc));
    }
}

static void
test_hflags_missing(void)
{
    static const RuleValue values[] = { { "env.hflags", 0 }, { "env.xcr0", 0 }, { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();

    rule_add_section(doc, "cpu", 0, values);
    rule_expect_missing(doc, MOSE_TCG_TO_TCG, "hflags", "cpu", "env.cr[4]");
}

/* --- lapic-pending --- */

typedef struct {
    int irr, isr; /* vectors, or -1 */
    guint64 tpr, spurious, request, wanted;
} Apic;

static MoseSection *
add_apic(MoseDoc *doc, guint32 instance, const Apic *apic)
{
    MoseSection *section = mose_doc_add(doc, "apic", instance, 3);

    mose_section_append(section, "spurious_vec", "uint32", 4, apic->spurious);
    mose_section_append(section, "tpr", "uint8", 1, apic->tpr);
    for (int i = 0; i < 8; i++) {
        g_autofree char *irr = g_strdup_printf("irr[%d]", i);
        g_autofree char *isr = g_strdup_printf("isr[%d]", i);

        mose_section_append(section, irr, "uint32", 4,
                            apic->irr / 32 == i && apic->irr >= 0 ? 1u << apic->irr % 32
                                                                  : 0);
        mose_section_append(section, isr, "uint32", 4,
                            apic->isr / 32 == i && apic->isr >= 0 ? 1u << apic->isr % 32
                                                                  : 0);
    }
    return section;
}

static void
test_lapic(void)
{
    static const Apic cases[] = {
        { -1, -1, 0, 0x1ff, 0, 0 },
        { 0x31, -1, 0, 0x1ff, 0, 2 },
        { 0x31, -1, 0, 0x1ff, 4, 6 },
        { 0x31, -1, 0, 0x1ff, 2, 2 },
        { 0x31, -1, 0, 0x0ff, 0, 0 },   /* APIC switched off */
        { 0x31, 0x30, 0, 0x1ff, 0, 0 }, /* its class is in service */
        { 0x41, 0x3f, 0, 0x1ff, 0, 2 },
        { 0x31, 0xff, 0, 0x1ff, 0, 0 },
        { 0x31, -1, 0x30, 0x1ff, 0, 0 }, /* the task's priority */
        { 0x41, -1, 0x3f, 0x1ff, 0, 2 },
        { 0xff, 0xef, 0xef, 0x1ff, 0, 2 },
        { 0xff, -1, 0xff, 0x1ff, 0, 0 },
        { 0x0f, -1, 0, 0x1ff, 0, 0 }, /* no vector below 16 is one */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const RuleValue common[] = { { "interrupt_request", cases[i].request }, { 0 } };
        const RuleValue other[] = { { "interrupt_request", 0 }, { 0 } };
        const Apic idle = { -1, -1, 0, 0x1ff };
        g_autoptr(MoseDoc) doc = mose_doc_new();
        MoseSection *first = rule_add_section(doc, "cpu_common", 0, common);
        MoseSection *second = rule_add_section(doc, "cpu_common", 1, other);

        /* APIC ids are other numbers than those of vCPUs. */
        add_apic(doc, 0, &cases[i]);
        add_apic(doc, 4, &idle);
        g_assert_cmpint(rule_run_well("lapic-pending", MOSE_KVM_TO_TCG, NULL, doc), ==,
                        cases[i].wanted != cases[i].request);
        g_assert_cmphex(rule_get(first, "interrupt_request"), ==, cases[i].wanted);
        g_assert_cmphex(rule_get(second, "interrupt_request"), ==, 0);
    }
}

/* Fields wider than QEMU's are no reason to compute nonsense. */
static void
test_lapic_wide(void)
{
    static const RuleValue common[] = { { "interrupt_request", 0 }, { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *section = rule_add_section(doc, "cpu_common", 0, common);
    MoseSection *apic = mose_doc_add(doc, "apic", 0, 3);

    mose_section_append(apic, "spurious_vec", "uint32", 4, 0x1ff);
    mose_section_append(apic, "tpr", "uint64", 8, 0);
    for (int i = 0; i < 8; i++) {
        g_autofree char *irr = g_strdup_printf("irr[%d]", i);
        g_autofree char *isr = g_strdup_printf("isr[%d]", i);

        mose_section_append(apic, irr, "uint64", 8, G_GUINT64_CONSTANT(1) << 40);
        mose_section_append(apic, isr, "uint64", 8, 0);
    }
    g_assert_false(rule_run_well("lapic-pending", MOSE_KVM_TO_TCG, NULL, doc));
    g_assert_cmphex(rule_get(section, "interrupt_request"), ==, 0);
}

static void
test_lapic_missing(void)
{
    static const RuleValue none[] = { { 0 } };
    const Apic pending = { 0x31, -1, 0, 0x1ff };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    g_autoptr(MoseDoc) alone = mose_doc_new();

    add_apic(alone, 0, &pending);
    g_assert_false(rule_run_well("lapic-pending", MOSE_TCG_TO_TCG, NULL, alone));
    rule_add_section(doc, "cpu_common", 0, none);
    rule_add_section(doc, "apic", 0, none);
    rule_expect_missing(doc, MOSE_TCG_TO_TCG, "lapic-pending", "apic", "spurious_vec");
}

/* --- smi --- */

static void
test_smi(void)
{
    static const struct {
        guint64 smbase, before, after;
    } cases[] = {
        { 0x30000, 0x42, 0x02 },
        { 0x30000, 0x02, 0x02 },
        { 0x7ffb6000, 0x42, 0x42 }, /* firmware has a handler there */
        { 0x30000, G_MAXUINT64, G_MAXUINT64 & ~0x40ull },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const RuleValue cpu[] = { { "env.smbase", cases[i].smbase }, { 0 } };
        const RuleValue common[] = { { "interrupt_request", cases[i].before }, { 0 } };
        g_autoptr(MoseDoc) doc = mose_doc_new();
        MoseSection *section;

        rule_add_section(doc, "cpu", 0, cpu);
        section = rule_add_section(doc, "cpu_common", 0, common);
        g_assert_cmpint(rule_run_well("smi", MOSE_KVM_TO_TCG, NULL, doc), ==,
                        cases[i].before != cases[i].after);
        g_assert_cmphex(rule_get(section, "interrupt_request"), ==, cases[i].after);
    }
}

static void
test_smi_missing(void)
{
    static const RuleValue common[] = { { "interrupt_request", 0x40 }, { 0 } };
    static const RuleValue none[] = { { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    g_autoptr(MoseDoc) alone = mose_doc_new();
    g_autoptr(GError) error = NULL;

    rule_add_section(alone, "cpu_common", 0, common);
    g_assert_false(rule_run_well("smi", MOSE_TCG_TO_TCG, NULL, alone));
    rule_add_section(doc, "cpu", 0, none);
    rule_add_section(doc, "cpu_common", 0, common);
    g_assert_false(rule_run("smi", MOSE_TCG_TO_TCG, NULL, doc, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "env.smbase"));
}

/* --- globalstate --- */

/* A stream with the section globalstate, its buffer of @len bytes. */
static MoseReader *
global_state(const char *state, gsize len)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseReader) reader = mose_reader_new();
    g_autofree guint8 *buffer = g_malloc0(len);
    g_autofree char *device = g_strdup_printf(
        "{\"name\": \"globalstate\", \"instance_id\": 0, \"vmsd_name\": "
        "\"globalstate\", \"version\": 1, \"fields\": [{\"name\": \"size\", \"type\": "
        "\"uint32\", \"size\": 4}, {\"name\": \"runstate\", \"type\": \"buffer\", "
        "\"size\": %zu}]}",
        len);
    g_autoptr(GError) error = NULL;
    gsize pass;

    memcpy(buffer, state, MIN(len, strlen(state)));
    mk_begin(stream);
    mk_ram(stream);
    mk_section_begin(stream, 5, "globalstate", 0, 1);
    mk(stream, "w", (int)strlen(state) + 1);
    g_byte_array_append(stream, buffer, len);
    mk_section_end(stream, 5);
    mk_end(stream, device);
    mose_reader_push(reader, stream->data, stream->len, &pass, &error);
    g_assert_no_error(error);
    return g_steal_pointer(&reader);
}

static void
test_globalstate(void)
{
    static const struct {
        const char *before;
        gsize len;
        const char *after;
    } cases[] = {
        { "debug", 100, "paused" },  { "running", 100, "running" },
        { "paused", 100, "paused" }, { "debugger", 100, "debugger" },
        { "debug", 7, "paused" },    { "debug", 6, "debug" },
        { "debug", 5, "debug" },     { "", 100, "" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseReader) reader = global_state(cases[i].before, cases[i].len);
        MoseDoc *doc = mose_reader_doc(reader);
        MoseSection *section = mose_doc_find(doc, "globalstate", 0);
        gboolean changes = strcmp(cases[i].before, cases[i].after) != 0;
        g_autofree guint8 *wanted = g_malloc0(cases[i].len);
        g_autoptr(GError) error = NULL;
        const guint8 *bytes;
        gsize len;

        g_assert_cmpint(rule_run_well("globalstate", MOSE_TCG_TO_KVM, NULL, doc), ==,
                        changes);
        bytes = mose_section_bytes(section, "runstate", &len, &error);
        g_assert_no_error(error);
        memcpy(wanted, cases[i].after, MIN(len, strlen(cases[i].after)));
        g_assert_cmpmem(bytes, len, wanted, cases[i].len);
        g_assert_cmpuint(rule_get(section, "size"), ==, strlen(cases[i].after) + 1);
    }
}

static void
test_globalstate_missing(void)
{
    static const RuleValue none[] = { { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();

    g_assert_false(rule_run_well("globalstate", MOSE_TCG_TO_TCG, NULL, doc));
    rule_add_section(doc, "globalstate", 0, none);
    rule_expect_missing(doc, MOSE_TCG_TO_TCG, "globalstate", "globalstate", "runstate");
}

/* --- refusals, and the list --- */

static void
test_refusals(void)
{
    static const char *const features[] = { "avx2", "bmi1", NULL };
    static const char *const devices[] = { "vmcoreinfo", NULL };
    static const char *const none[] = { NULL };
    const MoseRule *cpu = mose_rule_by_name("cpu-features");
    const MoseRule *device = mose_rule_by_name("devices");
    const MoseRule *state = mose_rule_by_name("globalstate");
    MoseFacts facts = { .direction = MOSE_KVM_TO_TCG,
                        .lost_features = features,
                        .source_only = devices,
                        .run_state = "debug" };
    MoseFacts good = { MOSE_KVM_TO_TCG, none, none, none, none, "running" };
    MoseFacts appears = { .direction = MOSE_KVM_TO_TCG, .destination_only = devices };
    MoseFacts unknown = { MOSE_KVM_TO_TCG };
    g_autofree char *lost = cpu->refuse(&facts);
    g_autofree char *only = device->refuse(&facts);
    g_autofree char *more = device->refuse(&appears);

    g_assert_cmpstr(lost, ==,
                    "the guest's CPU has features that the destination lacks: avx2, "
                    "bmi1; start the guest with `mose run --cpu portable`");
    g_assert_cmpstr(only, ==,
                    "the guest has devices that the destination lacks: vmcoreinfo; "
                    "they were plugged in without MOSE: `mose unplug` them, or plug "
                    "them in with `mose plug`");
    g_assert_cmpstr(
        more, ==,
        "the guest lacks devices that the destination has: vmcoreinfo; they "
        "were unplugged without MOSE: `mose unplug` them, too");
    g_assert_true(mose_rule_applies(device, &appears));
    for (const MoseRule *const *rule = mose_rules; *rule; rule++) {
        if (*rule != cpu && *rule != device && *rule != state)
            continue;
        g_assert_true(mose_rule_applies(*rule, &facts));
        g_assert_false(mose_rule_applies(*rule, &good));
        g_assert_false(mose_rule_applies(*rule, &unknown));
    }
}

/* docs/discrepancies.md is made from these. */
static void
test_list(void)
{
    for (const MoseRule *const *p = mose_rules; *p; p++) {
        const MoseRule *rule = *p;

        g_test_message("%s", rule->name);
        g_assert_true(mose_rule_by_name(rule->name) == rule);
        g_assert_nonnull(rule->title);
        g_assert_nonnull(rule->effect);
        g_assert_nonnull(rule->fix);
        g_assert_nonnull(rule->source);
        g_assert_nonnull(rule->test);
        g_assert_nonnull(strchr("abc", rule->evidence));
        g_assert_cmpint(rule->rule_class, <, MOSE_N_CLASSES);
        g_assert_nonnull(mose_rule_class_name(rule->rule_class));
        g_assert_true(rule->directions && !(rule->directions & ~MOSE_ANY_WAY));
        g_assert_true(rule->rewrite || rule->refuse ||
                      strcmp(rule->name, MOSE_RULE_IOAPIC_VERSION) == 0);
    }
    g_assert_null(mose_rule_by_name("none"));
}

static void
test_directions(void)
{
    g_assert_cmpuint(mose_direction("kvm", "tcg"), ==, MOSE_KVM_TO_TCG);
    g_assert_cmpuint(mose_direction("tcg", "kvm"), ==, MOSE_TCG_TO_KVM);
    g_assert_cmpuint(mose_direction("tcg", "tcg"), ==, MOSE_TCG_TO_TCG);
    g_assert_cmpuint(mose_direction("kvm", "kvm"), ==, MOSE_KVM_TO_KVM);
    g_assert_cmpstr(mose_direction_name(MOSE_KVM_TO_TCG), ==, "KVM -> TCG");
    g_assert_cmpstr(mose_direction_name(MOSE_ANY_WAY), ==, "any");
}

/* The whole of a document from KVM, and the same without one rule. */
static void
test_together(void)
{
    static const char *const wanted[] = {
        "tsc",          "stopped-time", "kvmclock",
        "poll-control", "misc-enable",  "hflags-protection",
    };
    static const RuleValue cpu[] = { { "env.tsc", 500 },
                                     { "env.hflags", 0 },
                                     { "env.cr[4]", 1 << 21 },
                                     { "env.xcr0", 0 },
                                     { "env.smbase", 0x30000 },
                                     { "env.a20_mask", G_MAXUINT32 },
                                     { "env.tr.flags", 0 },
                                     { "env.interrupt_injected", G_MAXUINT32 },
                                     { "env.exception_nr", G_MAXUINT32 },
                                     { "env.soft_interrupt", 0 },
                                     { "env.nmi_injected", 0 },
                                     { "env.nmi_pending", 0 },
                                     { "env.fpus_vmstate", 0 },
                                     { "env.mtrr_var[0].mask", 0 },
                                     { "env.mtrr_var[1].mask", 0 },
                                     { "env.mtrr_var[2].mask", 0 },
                                     { "env.mtrr_var[3].mask", 0 },
                                     { "env.mtrr_var[4].mask", 0 },
                                     { "env.mtrr_var[5].mask", 0 },
                                     { "env.mtrr_var[6].mask", 0 },
                                     { "env.mtrr_var[7].mask", 0 },
                                     { 0 } };
    static const RuleValue timer[] = { { "cpu_ticks_offset", 10 },
                                       { "cpu_clock_offset", 20 },
                                       { 0 } };
    static const RuleValue clock[] = { { "clock", 77 }, { 0 } };
    RuleWorld world = { .stopped_ns = 1000000 };
    MoseRuleContext context = { MOSE_KVM_TO_TCG,   1000,
                                rule_stopped_ns,   rule_read_memory,
                                rule_write_memory, &world };

    for (int without = 0; without < 2; without++) {
        g_autoptr(MoseDoc) doc = mose_doc_new();
        g_autoptr(GPtrArray) changed = g_ptr_array_new();
        g_autoptr(GError) error = NULL;
        MoseSection *section = rule_add_section(doc, "cpu", 0, cpu);

        rule_add_section(doc, "timer", 0, timer);
        rule_add_section(doc, "kvmclock", 0, clock);
        mose_rules_rewrite(&context, doc, without ? "smi,hflags-protection" : NULL,
                           changed, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(changed->len, ==, G_N_ELEMENTS(wanted) - without);
        for (guint i = 0; i < changed->len; i++)
            g_assert_true(g_ptr_array_find_with_equal_func(changed, wanted[i],
                                                           g_str_equal, NULL));
        g_assert_cmphex(rule_get(section, "env.hflags"), ==, without ? 0 : 1 << 23);
        /* The TSC as KVM left it, and 1 ms at 1 MHz. */
        g_assert_cmpuint(rule_get(mose_doc_find(doc, "timer", 0), "cpu_ticks_offset"),
                         ==, 1500);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/hflags", test_hflags);
    g_test_add_func("/rules/hflags/missing", test_hflags_missing);
    g_test_add_func("/rules/lapic-pending", test_lapic);
    g_test_add_func("/rules/lapic-pending/wide", test_lapic_wide);
    g_test_add_func("/rules/lapic-pending/missing", test_lapic_missing);
    g_test_add_func("/rules/smi", test_smi);
    g_test_add_func("/rules/smi/missing", test_smi_missing);
    g_test_add_func("/rules/globalstate", test_globalstate);
    g_test_add_func("/rules/globalstate/missing", test_globalstate_missing);
    g_test_add_func("/rules/refusals", test_refusals);
    g_test_add_func("/rules/list", test_list);
    g_test_add_func("/rules/directions", test_directions);
    g_test_add_func("/rules/together", test_together);
    return g_test_run();
}
