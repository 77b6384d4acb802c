/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A story's parts: made by trace-story.c, told and compared by trace-story-tell.c. */
#pragma once

#include "lib/trace-story.h"

/* A step, with what it points to in the story's own arrays. */
typedef struct {
    MoseTraceStep step;
    guint accesses, registers;
    gboolean says_time, says_task;
} StoryStep;

struct TraceStory {
    TraceStoryPlan plan;
    MoseTraceInfo info;
    GRand *random;
    GArray *blocks;   /* MoseTraceBlock */
    GArray *tasks;    /* MoseTraceTask */
    GPtrArray *vcpus; /* of each a GArray of StoryStep */
    GArray *accesses, *registers;
};
