/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the owner of a host can send to those who write the rules: how this host's KVM
 * and its QEMU's TCG really differ.
 *
 * The litmus guest is run under KVM alone, switched with all rules, and (unless KVM is
 * one in software) without each rule that has no evidence of a real KVM yet and had
 * something to do. The report has its verdicts, the device part that KVM sent, and what
 * the host is: processor, kernel, modules of KVM, QEMU. Nothing in it is of any other
 * guest; it names neither host nor user.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    const char *kernel; /* litmus.elf */
    gboolean slow;      /* KVM is not fit for a general guest */
    const char *only;   /* these of its exclusive properties, "a,b"; NULL: all */
    int interrupt_fd;   /* readable when the user wants no more of it; 0: none */
    /* Told before each guest: the rule that is left out (NULL: none), the property, and
     * how many guests of how many known so far have been run. May be NULL. */
    void (*progress)(const char *without, const char *property, guint done, guint of,
                     gpointer data);
    gpointer data;
} MoseReportSetup;

/*
 * Make it: an object with "host", "device-part" (base64 of what mose_doc_parse() takes)
 * and "runs". A guest that comes to harm is a finding, not an error; UNSUPPORTED where
 * there is no KVM; INTERRUPTED.
 */
JsonObject *mose_report_make(const MoseReportSetup *setup, GError **error);

/* Where litmus.elf is: $MOSE_LITMUS, beside a program that was built and not installed,
 * or where it was installed. NOT_FOUND. */
char *mose_report_find_kernel(GError **error);
