/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of a link process: channels on one side, one pair of byte streams on the
 * other. Nothing in it waits but one poll(2), every buffer has a limit, and what the
 * other side sends can at worst end the link. For link.c and link-process.c alone.
 */
#pragma once

#include <limits.h>

#include "link/link.h"

/* In memory that command and link process share: why the link has ended. Written before
 * the life line says that it has. */
typedef struct {
    int code; /* of MoseErrorCode */
    char text[1024];
    char said[2048]; /* the transport's last words, kept up to date */
} MoseMuxReport;

/* What the link process gets, as descriptors of its own; -1 for what is not there. */
typedef struct {
    int in, out;
    int words;     /* standard error of the transport */
    int transport; /* its pidfd */
    int life;      /* SOCK_SEQPACKET: requests; its end is that of the command */
    int channels[MOSE_LINK_N_CHANNELS];
    gboolean near;
    MoseLinkOptions options; /* without zeros for limits */
    MoseMuxReport *report;
} MoseMuxSetup;

/* What the command may ask for, one packet each; LISTEN and CONNECT carry a descriptor.
 */
enum { MOSE_MUX_OFFER, MOSE_MUX_LISTEN, MOSE_MUX_CONNECT };

typedef struct {
    guint16 kind;
    guint16 service;
    char path[PATH_MAX]; /* OFFER */
} MoseMuxRequest;

/* Run until the link has ended. */
void mose_mux_run(const MoseMuxSetup *setup);

/* Give the socket @fd a large send buffer. Beyond net.core.wmem_max that is a
 * privilege; without it, the link is slower. */
void mose_link_enlarge(int fd);
