/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule on trial: the litmus guest is switched with it, and a property holds; once
 * more without it, and the property fails, or the guest does.
 */
#pragma once

#include "lib/litmus.h"

typedef struct {
    const char *rule;
    const char *accel; /* of the virtualizer: "kvm" or "tcg" */
    const char *only;  /* the exclusive property, or NULL for one that just waits */
    const char *background; /* properties of the background; NULL: none but memory */
    const char *property;   /* what is looked at; NULL: the exclusive */
    guint vcpus;            /* 0: 1 */
    gboolean back;          /* armed in the emulator, on the way to the virtualizer */
    gboolean again;         /* one more switch before it is checked */
    LitmusTamper tamper; /* in the first switch when armed; NULL: the source is real */
    guint wait_ms;         /* what timers are set to */
    guint arm_ms, rest_ms; /* how long it is left alone before the switch, and behind */
    guint seconds;    /* that a guest without the rule has for its verdict; 0: 20 */
    const char *qemu; /* more options */
} RuleTrial;

void rule_trial(const RuleTrial *trial);

/* Fields of a section, which must be there. */
guint64 trial_get(MoseSection *section, const char *path);
void trial_set(MoseSection *section, const char *path, guint64 value);
void trial_set_bits(MoseSection *section, const char *path, guint64 bits);
