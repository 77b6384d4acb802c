/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel as the source of values that expressions (type-expr.h) are about. */
#pragma once

#include "vmi/linux/linux.h"
#include "vmi/linux/type-expr.h"

/* @kernel, which has types, must outlive what is made. Types of modules stay until
 * mose_linux_type_source_clear(), and so do values of them. */
MoseTypeSource mose_linux_type_source(MoseLinux *kernel);
void mose_linux_type_source_clear(MoseTypeSource *source);
