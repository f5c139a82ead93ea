/* SPDX-License-Identifier: ISC */
/* libraries.h - libevent, OpenSSL and c-ares as this process wants them: they wait for memory as we do (mem.h), and what libevent has to say goes
 * to the log. */
#ifndef POOLER_NET_LIBRARIES_H
#define POOLER_NET_LIBRARIES_H

/* Before anything else of these libraries is called. `end`: libevent cannot go on (no descriptors for an event loop), which was logged;
 * must not return. */
void net_libraries_prepare(void (*end)(void));

#endif
