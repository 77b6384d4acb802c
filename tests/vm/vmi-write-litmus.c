/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests of ring 0 alone: written to under KVM, running and paused; and a system that
 * nobody knows, of which what is generic is read. */
#include <fcntl.h>
#include <string.h>

#include "lib/litmus.h"
#include "qemu/command.h"
#include "util/fd.h"
#include "util/json.h"
#include "vm/vmi-write.h"

/* --- KVM --- */

static char *
ask_qemu(const char *name, const char *command)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, &error);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, &error);
    char *said = mose_qmp_hmp(qmp, command, &error);

    g_assert_no_error(error);
    return said;
}

/* Bytes that the guest does not use, by QEMU's own word. */
#define SPARE "0x3f00000"

static void
check_kvm(const char *name, const char *hex, const char *by, const char *wanted)
{
    g_autoptr(JsonObject) written =
        vm_mose_json("write", name, "--physical", SPARE, hex, NULL);
    g_autofree char *said = ask_qemu(name, "xp /4xb " SPARE);

    g_assert_cmpstr(mose_json_string(written, "by", ""), ==, by);
    if (!strstr(said, wanted))
        g_error("after %s: %s", hex, said);
}

void
test_write_kvm(void)
{
    g_auto(MoseFd) kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_autoptr(Litmus) litmus = NULL;
    g_autofree char *said = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    const char *name;

    if (vm_cannot_run())
        return;
    if (kvm < 0) {
        g_test_skip("/dev/kvm does not open");
        return;
    }
    litmus = litmus_start(
        &(LitmusSetup){ .name = "ring0", .accel = "kvm", .only = "pit-pic" });
    name = litmus_name(litmus);
    /* It runs: by the stub, and it runs on. */
    check_kvm(name, "c0ffee01", "gdb stub", "0xc0 0xff 0xee 0x01");
    said = ask_qemu(name, "info status");
    g_assert_nonnull(strstr(said, "running"));
    /* It stands still, its memory in place. */
    first = ask_qemu(name, "stop");
    check_kvm(name, "c0ffee02", "memory", "0xc0 0xff 0xee 0x02");
    second = ask_qemu(name, "info status");
    g_assert_nonnull(strstr(second, "paused"));
    g_free(second);
    second = ask_qemu(name, "cont");
    litmus_arm(litmus);
}

/* --- no Linux --- */

static void
assert_unknown(const char *name, const char *option, const char *value,
               const char *place)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mose(NULL, &err, "read", name, option, value, place, NULL), ==,
                    1);
    if (!strstr(err, "no Linux kernel"))
        g_error("%s: %s", place, err);
}

/* What is generic works on a system that nobody knows, and says so. */
void
test_write_unknown(void)
{
    g_autoptr(Litmus) litmus = NULL;
    g_autoptr(JsonObject) plain = NULL;
    g_autoptr(JsonObject) cpu = NULL;
    g_autoptr(JsonObject) pages = NULL;
    g_autoptr(JsonObject) code = NULL;
    g_autofree char *said = NULL;
    g_autofree char *expected = NULL;
    JsonArray *list;
    const char *name, *bytes;

    if (vm_cannot_run())
        return;
    litmus = litmus_start(
        &(LitmusSetup){ .name = "unknown", .accel = "tcg", .only = "pit-pic" });
    name = litmus_name(litmus);
    /* It is mapped as it is: QEMU tells of the same by both. */
    said = ask_qemu(name, "x /4xb 0x100000");
    plain = vm_mose_json("read", name, "0x100000", "64", NULL);
    g_assert_nonnull(
        strstr(mose_json_string(plain, "no-linux", ""), "no Linux kernel"));
    bytes = mose_json_string(plain, "bytes", "");
    g_assert_cmpuint(strlen(bytes), ==, 128);
    expected = g_strdup_printf("0x%.2s 0x%.2s 0x%.2s 0x%.2s", bytes, bytes + 2,
                               bytes + 4, bytes + 6);
    if (!strstr(said, expected))
        g_error("%s, and not %s", said, expected);
    cpu = vm_mose_json("read", name, "--cpu", "0", "0x100000", "64", NULL);
    g_assert_cmpstr(mose_json_string(cpu, "bytes", ""), ==, bytes);
    pages = vm_mose_json("read", name, "--cpu", "0", "--pages", "0x100000", NULL);
    g_assert_cmpstr(mose_json_string(pages, "physical", ""), ==, "0x100000");
    code =
        vm_mose_json("read", name, "--cpu", "0", "--disassemble", "%rip", "16", NULL);
    list = mose_json_array(code, "instructions");
    g_assert_cmpint(mose_json_int(code, "bits", 0), ==, 64);
    g_assert_cmpuint(json_array_get_length(list), >, 0);
    assert_unknown(name, "--cpu", "0", "schedule");
    assert_unknown(name, "--pid", "1", "0x1000");
}
