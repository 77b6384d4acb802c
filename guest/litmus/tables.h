/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The GDT's selectors. boot.S knows the first ones, and user.S those of user mode. */
#pragma once

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_USER_CODE32 0x18 /* what STAR names: the two behind it follow from it */
#define SEL_USER_DATA 0x20
#define SEL_USER_CODE 0x28
#define SEL_CODE32 0x30
#define SEL_TEST 0x38 /* what a property wants */
#define SEL_LDT 0x40
#define SEL_TSS(vcpu) (0x50 + 16 * (vcpu))

/* POST codes: the port that user mode may be given. */
#define IO_MAP_PORT 0x80

#ifndef __ASSEMBLER__
#include <stdint.h>

extern uint64_t gdt[32];

/* A TSS (type 0x89) or LDT (0x82), which takes two entries. */
void set_system_segment(unsigned selector, const void *base, unsigned limit,
                        unsigned type);
#endif
