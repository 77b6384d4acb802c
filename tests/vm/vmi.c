/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest seen from outside, by the commands that look into one, against what its own
 * kernel says of itself: with the kernels of three Debian releases, one vCPU and four.
 * With $MOSE_TEST_KERNEL those of one kernel alone.
 */
#include "vm/vmi.h"

#include "lib/kernels.h"

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    /* First: what the witness has left in TIME-WAIT does not stay for long. */
    vmi_net_add();
    vmi_maps_add();
    vmi_ps_add();
    vmi_user_add();
    vmi_type_add();
    vmi_modules_add();
    vmi_bt_add();
    vmi_cpus_add();
    vmi_dmesg_add();
    return kernels_run_tests();
}
