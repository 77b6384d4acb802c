/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose disks stay at home, for tests: its QEMU at home, the host that has but
 * a socket (another directory here), and the steps by which it moves between the two.
 * What fails ends the test.
 */
#pragma once

#include "lib/vm.h"
#include "guest/exports.h"
#include "guest/launch.h"
#include "vm/nbd-proxy.h"

#define NBD_LIMIT_MS 120000
#define NBD_DISKS 7

typedef struct {
    const char *name; /* in the guest */
    const char *format;
    const char *options; /* @: the image */
    gboolean reads;
} NbdDisk;

/* Each spelling that a description has for an image. */
extern const NbdDisk nbd_disks[NBD_DISKS];

typedef struct {
    VmGuest *vm;
    MoseGuest *guest; /* at home; locked */
    MoseGuest *far;   /* what the other host has of it */
    NbdProxy *proxy;  /* between the two */
    MoseExports *exports;
    MoseProcess *process; /* that the guest is in */
    MoseQmp *qmp;
} NbdWorld;

/* Start the guest at home, and offer its disks; its worker has begun. */
NbdWorld *nbd_world_new(const char *name);

/* End it. The images are sound and hold what the guest wrote, by the host's look. */
void nbd_world_end(NbdWorld *world);

void nbd_must(const char *what, GError *error);
void nbd_run(MoseQmp *qmp, const char *command, JsonObject *arguments);
char *nbd_image(const NbdWorld *world, const NbdDisk *disk);

/* Wait until the worker has done more on each disk; it has found no damage. */
void nbd_work(const NbdWorld *world);

/* Start the next process, here or there, and migrate to it; it does not run yet. */
MoseLaunch *nbd_migrate(NbdWorld *world, MoseGuest *to);

/* The guest runs in @launch from now on, and its old process ends; or @launch does. */
void nbd_settle(NbdWorld *world, MoseLaunch *launch);
void nbd_abandon(MoseLaunch *launch);

void nbd_activate(NbdWorld *world);
void nbd_deactivate(NbdWorld *world);

/* All of it, one way and the other. */
void nbd_go_away(NbdWorld *world);
void nbd_come_home(NbdWorld *world);
