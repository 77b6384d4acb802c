/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a switch tells of itself while it is under way, for a terminal. */
#pragma once

#include "switch/switch.h"

/* For MoseSwitchOptions; @data is not used. */
void mose_cli_show_progress(const MoseSwitchProgress *progress, gpointer data);

/* The line is empty again. */
void mose_cli_hide_progress(void);
