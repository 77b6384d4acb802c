/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux's clock event devices, found without symbols; see clock-event.h. */
#include "stream/rules/clock-event.h"

#include <string.h>

#include "util/error.h"

/* include/linux/clockchips.h: enum clock_event_state, CLOCK_EVT_FEAT_* */
enum { SHUTDOWN = 1, ONESHOT = 3, ONESHOT_STOPPED = 4 };
enum { FEAT_PERIODIC = 1, FEAT_ONESHOT = 2, FEAT_KTIME = 4, FEAT_DUMMY = 16 };
#define FEAT_ELSEWHERE 0xe0u /* DYNIRQ, PERCPU, HRTIMER: of other devices */

/* arch/x86/kernel/apic/apic.c: TSC_DIVISOR. How far a guest's idea of its TSC may be
 * from the host's: this only tells a deadline device from another. */
#define TSC_DIVISOR 8
#define TOLERANCE 8 /* an eighth */

enum {
    LINE = 64,
    PAGE = 4096,
    /* A processor's static variables; 6.1's, of 8,192 processors, take 220 KB. */
    AREA_MAX = 1 << 20,
    /* The image's writable data. */
    DATA_MAX = 128 << 20,
    PIECE = 2 << 20,
};

/* --- the one of a processor --- */

static gboolean
has_deadline_frequency(const MoseClockEvent *event, guint64 tsc_khz)
{
    double wanted = tsc_khz * 1e3 / TSC_DIVISOR, has;

    if (event->mult == 0 || event->shift > 32)
        return FALSE;
    has = event->mult * 1e9 / (double)(G_GUINT64_CONSTANT(1) << event->shift);
    return has > wanted - wanted / TOLERANCE && has < wanted + wanted / TOLERANCE;
}

static gboolean
has_functions(const MoseKernelView *view, const MoseClockEvent *event)
{
    const guint64 functions[] = { event->event_handler,      event->set_next_event,
                                  event->set_state_periodic, event->set_state_oneshot,
                                  event->set_state_shutdown, event->broadcast };

    for (gsize i = 0; i < G_N_ELEMENTS(functions); i++)
        if (!mose_kernel_view_is_code(view, functions[i]))
            return FALSE;
    return event->set_next_ktime == 0;
}

/* In the list of devices, of one processor, and with its last bytes unused. */
static gboolean
is_in_use(const MoseClockEvent *event)
{
    static const guint8 nothing[sizeof(event->kept)];

    return event->cpumask >= MOSE_KERNEL_HALF && event->list_next >= MOSE_KERNEL_HALF &&
           event->list_prev >= MOSE_KERNEL_HALF &&
           (event->state == SHUTDOWN || event->state == ONESHOT ||
            event->state == ONESHOT_STOPPED) &&
           memcmp(&event->kept, nothing, sizeof(nothing)) == 0;
}

static gboolean
is_deadline(const MoseKernelView *view, const MoseClockEvent *event)
{
    const guint not_wanted = FEAT_PERIODIC | FEAT_KTIME | FEAT_DUMMY | FEAT_ELSEWHERE;

    return event->min_delta_ticks == MOSE_CLOCK_EVENT_MIN_TICKS &&
           event->max_delta_ticks == MOSE_CLOCK_EVENT_MAX_TICKS &&
           (event->features & (FEAT_ONESHOT | not_wanted)) == FEAT_ONESHOT &&
           has_deadline_frequency(event, mose_rule_source_khz(view->context)) &&
           is_in_use(event) && has_functions(view, event);
}

/* The one in the area at @base, whose lines are looked through page by page. The first
 * of its name decides: behind it are other processors' areas. */
static gboolean
find_in_area(MoseClockEventPlace *place, guint64 base)
{
    const MoseKernelView *view = &place->view;
    MoseClockEvent *event = &place->event;
    const gsize ticks = G_STRUCT_OFFSET(MoseClockEvent, min_delta_ticks);

    for (guint64 in = 0; in < AREA_MAX; in += PAGE) {
        guint64 words[PAGE / 8];

        if (!mose_kernel_view_read(view, base + in, words, PAGE))
            return FALSE;
        /* Three of its fields stand together in the line behind its first two. */
        for (gsize at = ticks % LINE; at < PAGE; at += LINE) {
            place->linear = base + in + at - ticks;
            if (words[at / 8] == MOSE_CLOCK_EVENT_MIN_TICKS &&
                words[at / 8 + 1] == MOSE_CLOCK_EVENT_MAX_TICKS &&
                mose_kernel_view_read(view, place->linear, event, sizeof(*event)) &&
                mose_kernel_view_has_text(view, event->name, MOSE_CLOCK_EVENT_NAME))
                return is_deadline(view, event) &&
                       mose_kernel_view_physical(view, place->linear, sizeof(*event),
                                                 &place->physical);
        }
    }
    return FALSE;
}

/*
 * GS holds the area's address in the kernel, but for the first instructions of an
 * entry and the last of an exit; otherwise KERNEL_GS_BASE does. The user's GS may be
 * anything: only in the kernel both are looked at.
 */
static gboolean
find_by_gs(MoseClockEventPlace *place, const MoseSection *cpu)
{
    guint64 gs, kernel_gs;
    guint cpl;

    if (!mose_kernel_cpl(cpu, &cpl, NULL) ||
        !mose_section_get(cpu, "env.segs[5].base", &gs, NULL) ||
        !mose_section_get(cpu, "env.kernelgsbase", &kernel_gs, NULL))
        return FALSE;
    if (cpl == 0 && gs >= MOSE_KERNEL_HALF && gs % LINE == 0 && find_in_area(place, gs))
        return TRUE;
    return kernel_gs >= MOSE_KERNEL_HALF && kernel_gs % LINE == 0 &&
           find_in_area(place, kernel_gs);
}

gboolean
mose_clock_event_find(const MoseRuleContext *context, const MoseSection *cpu,
                      MoseClockEventPlace *ret, GError **error)
{
    for (int half = 0; half < 2; half++)
        if (mose_kernel_view_open(context, cpu, half, &ret->view) &&
            find_by_gs(ret, cpu))
            return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "no clock event device '" MOSE_CLOCK_EVENT_NAME
                "' of Linux is where its per-CPU data are");
    return FALSE;
}

/* --- the static one --- */

typedef struct {
    const MoseKernelView *view;
    const MoseClockEvent *copy;
    guint64 set_next_event; /* what was found */
    guint found;
    gsize looked_at;
} Search;

static gboolean
is_original(const Search *search, const MoseClockEvent *event)
{
    const MoseClockEvent *copy = search->copy;

    return event->set_state_periodic == copy->set_state_periodic &&
           event->set_state_oneshot == copy->set_state_oneshot &&
           event->set_state_oneshot_stopped == copy->set_state_oneshot_stopped &&
           event->set_state_shutdown == copy->set_state_shutdown &&
           event->set_next_event != copy->set_next_event && event->irq == copy->irq &&
           (event->features & FEAT_PERIODIC) && (event->features & FEAT_ONESHOT) &&
           mose_kernel_view_has_text(search->view, event->name, "lapic") &&
           mose_kernel_view_is_code(search->view, event->set_next_event);
}

static void
search_piece(Search *search, guint64 linear, guint8 *bytes, gsize len)
{
    const gsize function = G_STRUCT_OFFSET(MoseClockEvent, set_state_oneshot);
    MoseClockEvent event;
    guint64 word;

    for (gsize at = 0; at + LINE <= len; at += LINE) {
        memcpy(&word, bytes + at + function % LINE, sizeof(word));
        if (word != search->copy->set_state_oneshot ||
            !mose_kernel_view_read(search->view,
                                   linear + at + function % LINE - function, &event,
                                   sizeof(event)) ||
            !is_original(search, &event))
            continue;
        search->set_next_event = event.set_next_event;
        search->found++;
    }
}

/* Data: what is mapped for writing, and not for execution. */
static void
search_image(Search *search)
{
    g_autofree guint8 *bytes = g_malloc(PIECE);
    MosePageWalk page;

    for (guint64 at = MOSE_KERNEL_IMAGE; at < MOSE_KERNEL_IMAGE_END; at += page.left) {
        if (!mose_kernel_view_page(search->view, at, &page))
            continue;
        page.left = MIN(page.left, PIECE);
        if (!page.writable || page.executable || page.user ||
            !search->view->context->read_memory(search->view->context->data,
                                                page.physical, bytes, page.left))
            continue;
        search->looked_at += page.left;
        if (search->looked_at > DATA_MAX)
            return;
        search_piece(search, at, bytes, page.left);
    }
}

gboolean
mose_clock_event_find_oneshot(const MoseKernelView *view, const MoseClockEvent *device,
                              guint64 *ret, GError **error)
{
    Search search = { .view = view, .copy = device };

    search_image(&search);
    if (search.found == 1) {
        *ret = search.set_next_event;
        return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s clock event device 'lapic' of Linux among the kernel's data",
                search.found ? "more than one" : "no");
    return FALSE;
}
