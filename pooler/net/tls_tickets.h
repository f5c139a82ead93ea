/* SPDX-License-Identifier: ISC */
/* tls_tickets.h - session tickets toward clients (RFC 5077; RFC 8446, section 4.6.1) and the keys that seal them.
 *
 * A ticket is the whole session, sealed: the client keeps it, we keep nothing. Who brings it back within TLS_TICKET_LIFE goes on
 * without our certificate and its signature. Each key seals for TLS_TICKET_LIFE and opens for one life more, so that no ticket
 * lives past 2 * TLS_TICKET_LIFE:
 *
 *     A seals   |  B seals, A opens  |  C seals, B opens  |
 *     0         1 life               2 lives: A is forgotten
 *
 * TLS 1.3 renews the ticket at each use. TLS_TICKET_CHAIN bounds how long a client can go on that way without our proving
 * again that we have the key of the certificate.
 *
 * Any thread. The keys are left out of core dumps. */
#ifndef POOLER_NET_TLS_TICKETS_H
#define POOLER_NET_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "poolwise/err.h"
#include "poolwise/time.h"

struct ssl_ctx_st;
struct ssl_session_st;

#define TLS_TICKET_LIFE ((PwUsec)3600 * PW_USEC_PER_SEC)
#define TLS_TICKET_CHAIN (24 * 3600) /* seconds since the last full handshake */

typedef struct TlsTickets TlsTickets;

typedef struct TlsTicketKey {
    uint8_t name[16];              /* sent in clear, in front of the ticket */
    uint8_t cipher[32], mac[32];   /* AES-256-CBC, HMAC-SHA-256 */
    PwUsec made;                   /* monotonic */
} TlsTicketKey;

/* With a first key. NULL: no random bytes, or no memory. */
TlsTickets *tls_tickets_create(void);
void tls_tickets_destroy(TlsTickets *t); /* NULL is fine; the SSL_CTX that uses it must be gone */

/* Tickets are given and taken from now on. The SSL_CTX must not outlive `t`. */
void tls_tickets_install(TlsTickets *t, struct ssl_ctx_st *ssl);

/* ---- for its own use, and for tests ---- */

/* The key that seals at `now`: makes a new one when its life is over. Wipe the copy. False: no random bytes. */
PW_MUSTCHECK bool tls_tickets_seal(TlsTickets *t, PwUsec now, TlsTicketKey *ret_key);

typedef enum TlsTicketAge { TLS_TICKET_UNKNOWN, TLS_TICKET_FRESH, TLS_TICKET_TO_RENEW } TlsTicketAge;

/* The key of that name, if it still opens tickets at `now`. Wipe the copy. TO_RENEW: it does not seal any more. */
TlsTicketAge tls_tickets_open(TlsTickets *t, const uint8_t name[16], PwUsec now, TlsTicketKey *ret_key);

/* Is the full handshake that the session began with too long ago, at wall clock `now`? Notes in the session when that was, for the
 * tickets that follow. */
bool tls_tickets_is_worn(struct ssl_session_st *session, time_t now);

#endif
