/* SPDX-License-Identifier: ISC */
/* moved.h - addresses that host names have lost.
 *
 * When a new answer of the name servers lacks an address that the one before had, the database may have moved: servers that
 * are connected to that address are replaced, idle ones at once, the others when they are next released. Losses are noted
 * once for the process; each server compares when it is released, and ten times a second. Any thread. */
#ifndef POOLER_SERVER_MOVED_H
#define POOLER_SERVER_MOVED_H

#include <stdbool.h>
#include <stdint.h>

#include "pooler/net/addr.h"

/* How many losses there were. A server takes it before it looks its host up. */
uint64_t moved_epoch(void);

/* ResolverLost; `arg` is not used. */
void moved_note(void *arg, const char *host, const NetAddr *addr);

/* True: the host has lost this address (ports do not matter) after *epoch. Moves *epoch to now. */
bool moved_since(uint64_t *epoch, const char *host, const NetAddr *addr);

#endif
