/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU without a machine, started to be asked what CPU models are under one
 * accelerator. It runs no guest, and ends with the query.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct MoseCpuQuery MoseCpuQuery;

/*
 * Start @qemu with `-machine none -accel @accel` ("kvm", "tcg"). Returns at
 * once: start both accelerators before asking either. Errors: NOT_FOUND, FAILED.
 */
MoseCpuQuery *mose_cpu_query_start(const char *qemu, const char *accel, GError **error);
void mose_cpu_query_free(MoseCpuQuery *query);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseCpuQuery, mose_cpu_query_free)

/* QEMU's version as mose_qmp_version() gives it; 0 with an error. */
int mose_cpu_query_version(MoseCpuQuery *query, GError **error);

/*
 * The properties of @model with @props (may be NULL; stays the caller's): the
 * static expansion, which names each feature once and nothing but features,
 * vendor, family, model, stepping, levels and model-id (QEMU 10.0
 * target/i386/cpu.c:x86_cpu_static_props). It is what was asked for, not yet cut
 * down to what the accelerator offers; the model "max" is just that.
 */
JsonObject *mose_cpu_query_expand(MoseCpuQuery *query, const char *model,
                                  JsonObject *props, GError **error);
