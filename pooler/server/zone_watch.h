/* SPDX-License-Identifier: ISC */
/* zone_watch.h - dns_zone_check_period: the serial numbers of the zones that host names are in.
 *
 * Each period the main worker collects the zones of all workers' names and asks for the serial numbers, one after the other.
 * Where one has changed every worker asks again for its names in that zone, before their answers are too old; what an
 * address that is lost thereby means to servers: moved.h. Main worker only. */
#ifndef POOLER_SERVER_ZONE_WATCH_H
#define POOLER_SERVER_ZONE_WATCH_H

#include "pooler/server/context.h"

void zone_watch_tick(WorkerCtx *main, PwUsec now);

/* The zones whose serial number is known. */
void zone_watch_each(void (*each)(void *arg, const char *zone, uint32_t serial), void *arg);

#endif
