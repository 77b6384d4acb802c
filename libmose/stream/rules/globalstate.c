/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run state of a guest that a breakpoint stopped.
 *
 * The section holds the state by name in a buffer padded with zeros
 * (migration/global_state.c). "debug" kills the destination ("invalid runstate
 * transition: 'inmigrate' -> 'debug'", system/runstate.c): a guest that was
 * stopped arrives paused.
 */
#include <string.h>

#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return facts->run_state && strcmp(facts->run_state, "debug") == 0;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    static const char paused[] = "paused";
    MoseSection *section = mose_doc_find(doc, "globalstate", 0);
    g_autofree guint8 *state = NULL;
    const guint8 *bytes;
    gsize len;

    /* Absent with -global migration.store-global-state=off. */
    if (!section)
        return TRUE;
    bytes = mose_section_bytes(section, "runstate", &len, error);
    if (!bytes)
        return FALSE;
    if (len < sizeof(paused) || memcmp(bytes, "debug", sizeof("debug")) != 0)
        return TRUE;
    state = g_malloc0(len);
    memcpy(state, paused, sizeof(paused));
    *ret_changed = TRUE;
    return mose_section_set_bytes(section, "runstate", state, len, error) &&
           mose_section_set(section, "size", sizeof(paused), error);
}

const MoseRule mose_rule_globalstate = {
    .name = "globalstate",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_ANY_WAY,
    .title = "the run state of a guest that a breakpoint stopped",
    .effect =
        "the destination exits: invalid runstate transition 'inmigrate' -> 'debug'",
    .fix = "runstate := paused",
    .source =
        "QEMU migration/global_state.c, system/runstate.c:runstate_transitions_def",
    .evidence = 'b',
    .test = "vm/rules: globalstate",
    .detect = detect,
    .rewrite = rewrite,
};
