/* SPDX-License-Identifier: ISC */
/* channels.h - who wants which of the hub's channels, what the server listens on, and what is to be said to it next.
 *
 *             LISTEN sent          confirmed            last member left
 *      IDLE ------------> ASKED ------------> LIVE ------------------> LIVE (to be dropped)
 *        ^    failed        |                   ^   UNLISTEN sent         |
 *        +------------------+                   |      confirmed          v
 *        +---------------------------------------------------------- DROPPED
 *
 * A channel is wanted while it has members. Statements go out in batches, one batch at a time; members that come meanwhile wait for
 * its end. A batch that fails is tried again statement by statement, so that one bad channel does not take others along. When the
 * connection is lost all are IDLE again, and those that had been confirmed to somebody have a gap.
 *
 * Pure: no sockets, no mail; the hub's worker only. Does not own its members. */
#ifndef POOLER_LISTEN_CHANNELS_H
#define POOLER_LISTEN_CHANNELS_H

#include "pooler/listen/listen.h"
#include "poolwise/buf.h"

/* Statements in a batch. */
#define CHANNELS_BATCH 64

typedef enum HubChannelState {
    HUB_CHANNEL_IDLE,
    HUB_CHANNEL_ASKED,
    HUB_CHANNEL_LIVE,
    HUB_CHANNEL_DROPPED,
    HUB_CHANNEL_STATE_COUNT
} HubChannelState;

typedef struct HubChannel {
    UT_hash_handle hh;
    HubChannelState state;
    bool gap; /* it was LIVE on a connection that is lost, and members know */
    LIST_HEAD(, ListenChannel) members;
    char name[LISTEN_NAME_SIZE];
} HubChannel;

typedef struct HubChannels {
    HubChannel *table;
    unsigned in_batch;
    bool one_by_one; /* the last batch failed */
} HubChannels;

/* Whom the end of a batch concerns. */
typedef struct HubChannelsOps {
    void (*live)(void *arg, ListenChannel *member);    /* an untold member: now it is told */
    void (*refused)(void *arg, ListenChannel *member); /* an untold member: it is none any more */
    void (*gap)(void *arg, HubChannel *channel);       /* listens again: of interest to its members that were told before */
} HubChannelsOps;

/* True: the server listens already, the member is told. */
bool hub_channels_join(HubChannels *hc, ListenChannel *member);
void hub_channels_leave(HubChannels *hc, ListenChannel *member);

/* Appends the statements of the next batch, without a NUL. False: nothing is to be said, or a batch is under way. */
bool hub_channels_next(HubChannels *hc, PwBuf *sql);
/* The batch has ended. False: statements of channels that members rely on have failed, one by one; try later. */
bool hub_channels_done(HubChannels *hc, bool ok, const HubChannelsOps *ops, void *arg);
/* The connection is gone. */
void hub_channels_lost(HubChannels *hc);
/* It cannot be had: members that were not told yet go. */
void hub_channels_refuse_untold(HubChannels *hc, const HubChannelsOps *ops, void *arg);

HubChannel *hub_channels_find(HubChannels *hc, const char *name);
/* No channel is wanted. */
bool hub_channels_unwanted(const HubChannels *hc);
unsigned hub_channels_count(const HubChannels *hc);
/* Forgets channels without members; those with members must have left. */
void hub_channels_finish(HubChannels *hc);

#endif
