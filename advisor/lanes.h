/* SPDX-License-Identifier: ISC */
/* lanes.h - the same work on many things at once, each lane a thread. */
#ifndef ADVISOR_LANES_H
#define ADVISOR_LANES_H

#define ADV_LANES_MAX 64

/* `lane` tells what a thread has for itself, from 0 on; `item` what to work on. */
typedef void (*AdvLaneWork)(void *arg, int lane, int item);

/* Calls work once for each item 0..n_items-1, by up to `lanes` threads, the caller's own among them, and returns when all is done. Which lane
 * gets which item is open: the outcome must not depend on it. With one lane the items come in order. */
void adv_lanes_run(int lanes, int n_items, AdvLaneWork work, void *arg);

#endif
