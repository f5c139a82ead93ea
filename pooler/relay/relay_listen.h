/* SPDX-License-Identifier: ISC */
/* relay_listen.h - a client that listens by the shared connection of its pool, see pooler/listen/listen.h.
 *
 *   request out   a text that LISTENs waits (HOLD_LISTEN) until the shared connection listens on its channels; then it goes to the
 *                 client's own server as it is, so that the server judges it: syntax, failed transactions, savepoints
 *   reply in      session/state.h follows what is committed, as it follows settings
 *   idle          the client's own server UNLISTENs again before it is released, and is asked whether it still listens: what was not
 *                 understood (DO, a function, a name that only the server can fold) pins, as with listen_mode = pin
 *
 * So from the client's CommandComplete on the shared connection listens, and no notification is missed; while both listen, what the
 * own server says of a channel that is subscribed is dropped, and none comes twice.
 *
 *   subscription      channel in what is committed?   a notification is
 *   ------------      ---------------------------     -----------------
 *   live              yes                             delivered: at once between transactions, else queued until then
 *   live              no, requests are under way      queued: they may commit it; told or dropped when that is known
 *   live              no, nothing is under way        dropped: it was committed before the LISTEN will be
 *   (UNLISTENed)      no, at the next idle moment     dropped; the subscription ends
 *
 * The queue holds listen_queue_size bytes; what is more is lost, all of it, and the client gets a warning in its place. */
#ifndef POOLER_RELAY_RELAY_LISTEN_H
#define POOLER_RELAY_RELAY_LISTEN_H

#include "pooler/listen/branch.h"
#include "pooler/relay/relay.h"

/* NOTIFYs of one client that it may hear itself. */
#define RELAY_OWN_NOTIFIES 16

typedef struct RelayOwnNotify {
    uint32_t pid;  /* 0: free */
    bool ended;    /* its transaction is over */
    PwUsec since;
    uint64_t what; /* digest of channel and payload */
} RelayOwnNotify;

typedef struct RelayListen {
    ListenSubscriber who; /* first */
    Relay *relay;
    PwBuf here; /* names that were LISTENed on the server it has now, each with its NUL */
    const Settings *settled; /* SessionState.channels to which the subscriptions were fitted; one reference */
    unsigned n_settled;
    PwBuf queue; /* whole messages for the client */
    PwUsec since; /* HOLD_LISTEN */
    bool failed; /* the request that waited cannot have its channel: */
    char sqlstate[6], why[LISTEN_WHY_SIZE];
    RelayOwnNotify own[RELAY_OWN_NOTIFIES];
    unsigned next_own;
} RelayListen;

typedef enum RelayListenStep {
    RELAY_LISTEN_PASS,
    RELAY_LISTEN_WAIT, /* HOLD_LISTEN is set, or the client is being closed */
    RELAY_LISTEN_FAIL, /* relay_listen_fail is to take its place */
} RelayListenStep;

static inline bool relay_shares_listen(const Relay *r)
{
    return PW_UNLIKELY(r->local->settings.listen_mode == LISTEN_MODE_SHARED) && r->state.on;
}

/* A Query, or a Bind, that is there whole goes out to the linked server. */
RelayListenStep relay_listen_request(Relay *r, uint8_t type, const uint8_t *payload, size_t n);
void relay_listen_fail(Relay *r, uint8_t type, PwBuf *out, PwUsec now);

/* All below: only with r->listen. */
/* A clean, idle ReadyForQuery. False: the client was closed. */
bool relay_listen_idle(Relay *r);
/* Its server is about to be asked what is left. False: it was closed. */
bool relay_listen_leave_server(Relay *r);
void relay_listen_linked(Relay *r);
/* A NotificationResponse of its own server: does it come from the shared connection too? */
bool relay_listen_swallows(const Relay *r, const uint8_t *payload, size_t n);
void relay_listen_flush(Relay *r); /* what waits, if this is the time; may close the client */
void relay_listen_cancel(Relay *r); /* a cancel request, with HOLD_LISTEN */
void relay_listen_tick(Relay *r, PwUsec now);
void relay_listen_finish(Relay *r);

/* relay_notify.c: which notifications are the client's own. It compares their pid with the one that it was told at login (libpq:
 * be_pid and PQbackendPID), which is not that of any server; so that pid is put in where its own NOTIFY is recognised, by server,
 * channel and payload. What is not recognised (made by a trigger, a function, an expression) has the server's. */
void relay_notify_sent(Relay *r, const char *sql, size_t len, const uint8_t *bind, size_t bind_len);
bool relay_notify_is_own(RelayListen *l, uint32_t pid, const char *channel, const char *payload, PwUsec now);
void relay_notify_failed(RelayListen *l); /* an error, a ROLLBACK: what the transaction said is not said */
void relay_notify_ended(RelayListen *l, PwUsec now);

#endif
