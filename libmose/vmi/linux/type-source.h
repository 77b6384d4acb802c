/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel as the source of values that expressions (type-expr.h) are about. */
#pragma once

#include "vmi/linux/linux.h"
#include "vmi/linux/type-expr.h"

/* @kernel, which has types, must outlive what is made. */
MoseTypeSource mose_linux_type_source(MoseLinux *kernel);
