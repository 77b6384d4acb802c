/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Linux that boots under real KVM; see kvm-boot-guest.h. */
#include "vm/kvm-boot-guest.h"

#include <fcntl.h>

#include "util/fd.h"

#define FLAGS                                                                          \
    "earlyprintk=serial panic=-1 nokaslr lpj=1000000 mitigations=off noxsave "         \
    "clearcpuid=cx16 mose.work=1"

gboolean
kvm_boot_cannot_run(void)
{
    g_auto(MoseFd) kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (vm_why_not())
        g_test_skip(vm_why_not());
    else if (kvm < 0)
        g_test_skip("/dev/kvm does not open");
    return vm_why_not() || kvm < 0;
}

VmGuest *
kvm_boot_start(const char *name, int vcpus)
{
    VmGuest *guest = vm_guest_new(name);
    g_autofree char *kernel = vm_image("vmlinux");
    g_autofree char *extra = g_strdup_printf(
        "-cpu qemu64,-cx16,-svm,-kvm-asyncpf -kernel %s -smp %d", kernel, vcpus);

    vm_run(guest, "--accel kvm --emulator-cpu max", extra, FLAGS);
    return guest;
}
