/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Within spec-nbd: one option rewritten. */
#pragma once

#include "qemu/spec-nbd.h"

/* Let a -drive, or a -blockdev in either spelling, have @export for its image. */
void mose_nbd_drive(MoseOption *option, const MoseExport *export,
                    const MoseSpecNbd *how);
void mose_nbd_blockdev(MoseOption *option, const MoseExport *export,
                       const MoseSpecNbd *how);
