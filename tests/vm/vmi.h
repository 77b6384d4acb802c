/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is seen in a guest from outside, each part in a file of its own, and all of them
 * on the same guests: each adds its tests. */
#pragma once

void vmi_bt_add(void);
void vmi_cpus_add(void);
void vmi_dmesg_add(void);
void vmi_maps_add(void);
void vmi_modules_add(void);
void vmi_net_add(void);
void vmi_ps_add(void);
void vmi_type_add(void);
void vmi_user_add(void);
