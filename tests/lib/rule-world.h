/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of single rules share: a document made for one, and what it may ask. */
#pragma once

#include "stream/doc.h"
#include "stream/rules/rule.h"

typedef struct {
    const char *path;
    guint64 value;
} RuleValue;

/* What the context's functions answer. */
typedef struct {
    gint64 stopped_ns;
    guint64 source_khz;   /* of the context; 0: as the destination's, 3 GHz */
    guint64 page_address; /* 0: no RAM anywhere */
    guint8 page[4096];
    const guint8 *ram; /* NULL, or memory that is only read, from address 0 on */
    gsize ram_size;
} RuleWorld;

/* The functions of a context whose data is a RuleWorld. */
gint64 rule_stopped_ns(gpointer data, guint64 tsc);
gboolean rule_read_memory(gpointer data, guint64 address, void *to, gsize len);
gboolean rule_write_memory(gpointer data, guint64 address, const void *from, gsize len);

/* Add a section with 8-byte fields, ended by one without a path; read one. */
MoseSection *rule_add_section(MoseDoc *doc, const char *name, guint32 instance,
                              const RuleValue *values);
guint64 rule_get(const MoseSection *section, const char *path);

/* Run the one rule @name on @doc, which must go well in the second; whether it
 * changed something. */
gboolean rule_run(const char *name, guint direction, RuleWorld *world, MoseDoc *doc,
                  GError **error);
gboolean rule_run_well(const char *name, guint direction, RuleWorld *world,
                       MoseDoc *doc);

/* All rules of @direction fail, and the error names @rule, @section and @field. */
void rule_expect_missing(MoseDoc *doc, guint direction, const char *rule,
                         const char *section, const char *field);
