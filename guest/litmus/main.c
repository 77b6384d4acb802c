/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rounds: arm, wait for the host, check, tell. README.md has the protocol. */
#include "litmus.h"

enum { MAX_PROPERTIES = 96 };

extern const Property *const properties_begin[], *const properties_end[];

/* Of the background properties and the round's exclusive: why one is skipped. */
static const char *reasons[MAX_PROPERTIES];
static char reason_texts[MAX_PROPERTIES][80];
static bool host_said;

bool
host_says(void)
{
    host_said = host_said || serial_get();
    return host_said;
}

static bool
is_wanted(const Property *property)
{
    return option_lists(property->flags & BACKGROUND ? "bg" : "only", property->name);
}

static bool
is_in_round(const Property *property, const Property *exclusive)
{
    return property == exclusive ||
           ((property->flags & BACKGROUND) && is_wanted(property));
}

/* Reasons may be of say(), whose text does not last. */
static void
keep_reason(unsigned i, const char *reason)
{
    size_t length;

    reasons[i] = NULL;
    if (!reason)
        return;
    length = strlen(reason);
    if (length >= sizeof(reason_texts[i]))
        length = sizeof(reason_texts[i]) - 1;
    memcpy(reason_texts[i], reason, length);
    reason_texts[i][length] = '\0';
    reasons[i] = reason_texts[i];
}

static void
prepare_one(const Property *const *p)
{
    keep_reason((unsigned)(p - properties_begin),
                (*p)->prepare ? (*p)->prepare() : NULL);
}

/* The exclusive first, here and in check_all(): it may change what others keep, and its
 * timers go on. */
static void
prepare_all(const Property *exclusive)
{
    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (*p == exclusive)
            prepare_one(p);
    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (*p != exclusive && is_in_round(*p, exclusive))
            prepare_one(p);
}

static bool
is_armed(const Property *property)
{
    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (*p == property)
            return !reasons[p - properties_begin];
    return false;
}

static void
work(const Property *exclusive)
{
    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (is_in_round(*p, exclusive) && (*p)->work && !reasons[p - properties_begin])
            (*p)->work();
}

static void
await_host(const Property *exclusive)
{
    bool armed = exclusive && is_armed(exclusive);

    if (!armed || !(exclusive->flags & IRQS_OFF))
        irq_on();
    if (armed && exclusive->wait)
        exclusive->wait();
    while (!host_says())
        work(exclusive);
    irq_off();
}

static void
check(const Property *property, const char *reason)
{
    const char *wrong;

    if (reason) {
        print("SKIP %s: %s\n", property->name, reason);
        return;
    }
    wrong = property->check();
    irq_off();
    if (wrong)
        print("FAIL %s: %s\n", property->name, wrong);
    else
        print("PASS %s\n", property->name);
}

static void
check_all(const Property *exclusive)
{
    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (*p == exclusive)
            check(*p, reasons[p - properties_begin]);
    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (*p != exclusive && is_in_round(*p, exclusive))
            check(*p, reasons[p - properties_begin]);
}

static void
run_round(unsigned number, const Property *exclusive)
{
    prepare_all(exclusive);
    host_said = false;
    print("ARMED %u %s\n", number, exclusive ? exclusive->name : "-");
    await_host(exclusive);
    check_all(exclusive);
    print("DONE %u\n", number);
}

/* Between two rounds the host may move the guest with nothing armed. */
static void
await_next(void)
{
    host_said = false;
    while (!host_says())
        relax();
}

static unsigned
find_exclusives(const Property **to)
{
    unsigned n = 0;

    for (const Property *const *p = properties_begin; p < properties_end; p++)
        if (!((*p)->flags & BACKGROUND) && is_wanted(*p) && n < MAX_PROPERTIES)
            to[n++] = *p;
    return n;
}

/* The last one, if it is to be started late, is left as the firmware leaves it. */
static void
start_vcpus(void)
{
    bool late = option_lists("only", "ap-late");

    vcpus[0].online = 1;
    for (unsigned i = 1; i + late < machine.vcpus; i++)
        if (!vcpu_start(i))
            print("vCPU %u does not start\n", i);
}

static void
set_up(void)
{
    irq_off();
    cpu_setup();
    serial_init();
    machine_detect();
    cpu_enable();
    user_setup();
    pic_init();
    ioapic_mask_all();
    apic_init();
    on_vector(VECTOR_IPI, NULL);
    time_init();
}

void main(void);

void
main(void)
{
    const Property *exclusives[MAX_PROPERTIES];
    unsigned n, rounds;

    set_up();
    print("LITMUS vcpus=%u hypervisor=%s tsc_khz=%lu\n", machine.vcpus,
          machine.hypervisor, tsc_khz);
    start_vcpus();
    n = find_exclusives(exclusives);
    rounds = option_number("rounds", n ? n : 1);
    for (unsigned i = 0; i < rounds; i++) {
        run_round(i, n ? exclusives[i % n] : NULL);
        await_next();
    }
    print("END\n");
    for (;;)
        halt();
}
