/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory that KVM and its guest share; see paravirt.h. */
#include "stream/rules/paravirt.h"

#define ENABLED 1u
#define NS_PER_MS 1000000u
/* A shift beyond this leaves nothing of a 64-bit delta that makes sense. */
#define MAX_SHIFT 31

static gboolean
clock_address(const MoseSection *cpu, guint64 *ret)
{
    guint64 msr;

    if (!mose_section_get(cpu, "env.system_time_msr", &msr, NULL) || !(msr & ENABLED))
        return FALSE;
    *ret = msr & ~(guint64)ENABLED;
    return TRUE;
}

gboolean
mose_pvclock_read(const MoseRuleContext *context, const MoseSection *cpu,
                  MosePvClock *ret)
{
    guint64 address;

    return context->read_memory && clock_address(cpu, &address) &&
           context->read_memory(context->data, address, ret, sizeof(*ret));
}

gboolean
mose_pvclock_write(const MoseRuleContext *context, const MoseSection *cpu,
                   const MosePvClock *clock)
{
    MosePvClock next = *clock;
    guint64 address;

    next.version = (clock->version & ~1u) + 2;
    return context->write_memory && clock_address(cpu, &address) &&
           context->write_memory(context->data, address, &next, sizeof(next));
}

static gboolean
has_scale(const MosePvClock *clock)
{
    return clock->tsc_shift >= -MAX_SHIFT && clock->tsc_shift <= MAX_SHIFT;
}

gboolean
mose_pvclock_at(const MosePvClock *clock, guint64 tsc, guint64 *ret)
{
    guint64 delta = tsc - clock->tsc_timestamp;
    int shift = clock->tsc_shift;

    if (tsc < clock->tsc_timestamp || !has_scale(clock))
        return FALSE;
    delta = shift < 0 ? delta >> -shift : delta << shift;
    *ret = clock->system_time +
           (guint64)(((unsigned __int128)delta * clock->tsc_to_system_mul) >> 32);
    return TRUE;
}

/* What the factor and the frequency in kHz are factors of, with this shift. */
static unsigned __int128
product(int shift)
{
    unsigned __int128 whole = (unsigned __int128)NS_PER_MS << 32;

    return shift < 0 ? whole << -shift : whole >> shift;
}

guint64
mose_pvclock_khz(const MosePvClock *clock)
{
    if (!clock->tsc_to_system_mul || !has_scale(clock))
        return 0;
    return (guint64)(product(clock->tsc_shift) / clock->tsc_to_system_mul);
}

gboolean
mose_pvclock_rebase(MosePvClock *clock, guint64 tsc, guint64 to_tsc)
{
    guint64 now;

    if (!mose_pvclock_at(clock, tsc, &now))
        return FALSE;
    clock->tsc_timestamp = to_tsc;
    clock->system_time = now;
    return TRUE;
}

gboolean
mose_pvclock_scale(MosePvClock *clock, guint64 khz)
{
    int shift = -MAX_SHIFT;

    /* The factor with the most bits that fit. */
    while (shift < MAX_SHIFT && product(shift) / khz > G_MAXUINT32)
        shift++;
    if (product(shift) / khz > G_MAXUINT32)
        return FALSE;
    clock->tsc_to_system_mul = (guint32)(product(shift) / khz);
    clock->tsc_shift = (gint8)shift;
    return TRUE;
}

guint64
mose_paravirt_msr(MoseSection *cpu, const char *subsection, const char *field)
{
    const MoseSection *section = mose_section_subsection(cpu, subsection);
    guint64 msr = 0;

    if (section && !mose_section_get(section, field, &msr, NULL))
        return 0;
    return msr;
}
