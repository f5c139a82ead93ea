/* SPDX-License-Identifier: ISC */
#include "pooler/listen/channels.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/session/settings.h"
#include "poolwise/mem.h"

static bool is_wanted(const HubChannel *c)
{
    return !LIST_EMPTY(&c->members);
}

HubChannel *hub_channels_find(HubChannels *hc, const char *name)
{
    HubChannel *c;
    HASH_FIND_STR(hc->table, name, c);
    return c;
}

static void forget(HubChannels *hc, HubChannel *c)
{
    HASH_DEL(hc->table, c);
    free(c);
}

/* Nobody wants it and the server does not listen. */
static void forget_if_over(HubChannels *hc, HubChannel *c)
{
    if (!is_wanted(c) && c->state == HUB_CHANNEL_IDLE)
        forget(hc, c);
}

/* ---- members ---- */

bool hub_channels_join(HubChannels *hc, ListenChannel *member)
{
    HubChannel *c = hub_channels_find(hc, member->name);
    if (!c) {
        c = pw_xcalloc(1, sizeof(*c));
        memcpy(c->name, member->name, sizeof(c->name));
        LIST_INIT(&c->members);
        HASH_ADD_STR(hc->table, name, c);
    }
    member->hub_channel = c;
    member->told = c->state == HUB_CHANNEL_LIVE; /* also one that was about to be dropped: then it is not */
    LIST_INSERT_HEAD(&c->members, member, member);
    return member->told;
}

static void take_off(ListenChannel *member)
{
    LIST_REMOVE(member, member);
    member->hub_channel = NULL;
    member->told = false;
}

void hub_channels_leave(HubChannels *hc, ListenChannel *member)
{
    HubChannel *c = member->hub_channel;
    take_off(member);
    forget_if_over(hc, c);
}

/* ---- batches ---- */

/* What is to be said about it, NULL: nothing. */
static const char *verb_for(const HubChannel *c)
{
    switch (c->state) {
    case HUB_CHANNEL_IDLE:
        return is_wanted(c) ? "LISTEN " : NULL;
    case HUB_CHANNEL_LIVE:
        return is_wanted(c) ? NULL : "UNLISTEN ";
    case HUB_CHANNEL_ASKED:
    case HUB_CHANNEL_DROPPED:
    case HUB_CHANNEL_STATE_COUNT:
        break;
    }
    return NULL;
}

bool hub_channels_next(HubChannels *hc, PwBuf *sql)
{
    unsigned most = hc->one_by_one ? 1 : CHANNELS_BATCH;
    if (hc->in_batch)
        return false;
    for (HubChannel *c = hc->table; c && hc->in_batch < most; c = c->hh.next) {
        const char *verb = verb_for(c);
        if (!verb)
            continue;
        if (hc->in_batch++)
            pw_buf_append_u8(sql, ';');
        pw_buf_append_str(sql, verb);
        settings_append_identifier(sql, c->name);
        c->state = c->state == HUB_CHANNEL_IDLE ? HUB_CHANNEL_ASKED : HUB_CHANNEL_DROPPED;
    }
    return hc->in_batch > 0;
}

static void confirm(HubChannel *c, const HubChannelsOps *ops, void *arg)
{
    ListenChannel *m, *next;
    c->state = HUB_CHANNEL_LIVE;
    if (c->gap)
        ops->gap(arg, c); /* before those who have just come are told members */
    c->gap = false;
    for (m = LIST_FIRST(&c->members); m; m = next) {
        next = LIST_NEXT(m, member);
        if (m->told)
            continue;
        m->told = true;
        ops->live(arg, m);
    }
}

/* True: somebody relies on it. */
static bool refuse(HubChannel *c, const HubChannelsOps *ops, void *arg)
{
    bool relied_on = false;
    ListenChannel *m, *next;
    for (m = LIST_FIRST(&c->members); m; m = next) {
        next = LIST_NEXT(m, member);
        relied_on |= m->told;
        if (m->told)
            continue;
        take_off(m);
        ops->refused(arg, m);
    }
    return relied_on;
}

bool hub_channels_done(HubChannels *hc, bool ok, const HubChannelsOps *ops, void *arg)
{
    bool alone = hc->in_batch == 1, fine = true;
    HubChannel *c, *next;
    hc->in_batch = 0;
    hc->one_by_one = !ok && !alone; /* one that went well alone: the next batch may be a large one again, or fail again */
    for (c = hc->table; c; c = next) {
        next = c->hh.next;
        bool asked = c->state == HUB_CHANNEL_ASKED, dropped = c->state == HUB_CHANNEL_DROPPED;
        if (asked && ok) {
            confirm(c, ops, arg);
        } else if (asked) {
            c->state = HUB_CHANNEL_IDLE;
            if (alone && refuse(c, ops, arg))
                fine = false;
        } else if (dropped) {
            c->state = ok ? HUB_CHANNEL_IDLE : HUB_CHANNEL_LIVE;
            fine = fine && (ok || !alone);
        }
        forget_if_over(hc, c);
    }
    return fine;
}

void hub_channels_lost(HubChannels *hc)
{
    HubChannel *c, *next;
    hc->in_batch = 0;
    hc->one_by_one = false;
    for (c = hc->table; c; c = next) {
        next = c->hh.next;
        const ListenChannel *m;
        LIST_FOREACH(m, &c->members, member)
            c->gap |= m->told;
        c->state = HUB_CHANNEL_IDLE;
        forget_if_over(hc, c);
    }
}

void hub_channels_refuse_untold(HubChannels *hc, const HubChannelsOps *ops, void *arg)
{
    HubChannel *c, *next;
    for (c = hc->table; c; c = next) {
        next = c->hh.next;
        (void)refuse(c, ops, arg);
        forget_if_over(hc, c);
    }
}

/* ---- questions ---- */

bool hub_channels_unwanted(const HubChannels *hc)
{
    for (const HubChannel *c = hc->table; c; c = c->hh.next)
        if (is_wanted(c))
            return false;
    return true;
}

unsigned hub_channels_count(const HubChannels *hc)
{
    return HASH_COUNT(hc->table);
}

void hub_channels_finish(HubChannels *hc)
{
    HubChannel *c, *next;
    for (c = hc->table; c; c = next) {
        next = c->hh.next;
        forget(hc, c);
    }
}
