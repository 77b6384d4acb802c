/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rules of events in flight share; see in-flight.h. */
#include "stream/rules/in-flight.h"

#include "stream/rules/paging.h"
#include "util/error.h"

enum { INT3 = 0xcc, INT = 0xcd, INTO = 0xce, BREAKPOINT = 3, OVERFLOW = 4 };

gboolean
mose_in_flight_not_now(const char *what, guint64 number, guint cpu, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "KVM is about to deliver %s (%" G_GUINT64_FORMAT
                ") to vCPU %u, which an emulator cannot; try again",
                what, number, cpu);
    return FALSE;
}

gboolean
mose_in_flight_is_int(const MoseRuleContext *context, const MoseSection *cpu,
                      guint64 vector)
{
    guint8 code[2];

    if (mose_paging_read_code(context, cpu, 0, code, 1) &&
        ((code[0] == INT3 && vector == BREAKPOINT) ||
         (code[0] == INTO && vector == OVERFLOW)))
        return TRUE;
    return mose_paging_read_code(context, cpu, 0, code, 2) && code[0] == INT &&
           code[1] == vector;
}
