/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which task a vCPU runs, told where the guest's kernel changes it: at the function
 * that gets the next one as its second argument (Linux arch/x86/entry/entry_64.S:
 * __switch_to_asm). One call a switch, and none elsewhere. */
#pragma once

#include "plugin/plan.h"
#include "plugin/qemu-plugin-api.h"

/* Have it told, from the instruction of @tb that is at the plan's address, if any. The
 * ring's owner says it before its next block. */
void switches_instrument(Plan *plan, struct qemu_plugin_tb *tb);
