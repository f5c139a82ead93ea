/* SPDX-License-Identifier: ISC */
/* addr.h - a socket address: IPv4, IPv6 or a unix socket (a path, or '@name' for the abstract
 * namespace).
 *
 * A plain value: copy it by assignment. No name is resolved here (resolver.h does that). Any
 * thread. */
#ifndef POOLER_NET_ADDR_H
#define POOLER_NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "poolwise/err.h"

typedef struct NetAddr {
    struct sockaddr_storage ss;
    socklen_t len;      /* 0: no address */
    uint16_t unix_port; /* unix sockets have none: the PORT of their name .s.PGSQL.PORT */
    pid_t unix_pid;     /* the peer's process if known, else 0; set by the listener */
} NetAddr;

/* Who is at the other end of an accepted socket, in as few bytes as that takes: one is kept for each client. Without
 * the path of a unix socket: clients have none. */
typedef struct NetPeer {
    uint8_t ip[16];      /* IPv4: the first four */
    uint32_t scope;      /* IPv6: the interface of a link-local address; unix: NetAddr.unix_pid */
    uint16_t port;
    sa_family_t family;  /* AF_UNSPEC: no address */
} NetPeer;

typedef struct NetCred {
    pid_t pid;
    uid_t uid;
    gid_t gid;
} NetCred;

/* Room for every text below. */
#define NET_ADDR_TEXT 160

/* "127.0.0.1", "::1", "fe80::1%eth0", "[::1]". PW_ERR_SYNTAX when it is not a numeric address. */
PW_MUSTCHECK PwErr net_addr_parse_ip(const char *host, uint16_t port, NetAddr *ret_addr);

/* A socket by its full name, '@' first for abstract. PW_ERR_TOO_LARGE when the kernel's 107 bytes
 * do not hold it. */
PW_MUSTCHECK PwErr net_addr_parse_unix(const char *path, uint16_t port, NetAddr *ret_addr);

/* DIR/.s.PGSQL.PORT, PostgreSQL's name for the socket of a port in a directory (or under '@x'). */
PW_MUSTCHECK PwErr net_addr_in_unix_dir(const char *dir, uint16_t port, NetAddr *ret_addr);

/* True for what names a unix socket directory in `host` and `unix_socket_dir`: '/...' or '@...'. */
bool net_addr_is_unix_name(const char *host);

/* From what accept(2), getsockname(2) or getaddrinfo(3) gave. An IPv4-mapped IPv6 address becomes
 * IPv4. */
void net_addr_from_sockaddr(NetAddr *addr, const struct sockaddr *sa, socklen_t len);

PW_MUSTCHECK PwErr net_addr_of_local(int fd, NetAddr *ret_addr); /* getsockname */
PW_MUSTCHECK PwErr net_addr_of_peer(int fd, NetAddr *ret_addr);  /* getpeername */

/* Who is at the other end of a unix socket (SO_PEERCRED). PW_ERR_UNSUPPORTED for other sockets. */
PW_MUSTCHECK PwErr net_addr_peer_cred(int fd, NetCred *ret_cred);

void net_peer_of(const NetAddr *addr, NetPeer *ret_peer);
void net_peer_addr(const NetPeer *peer, NetAddr *ret_addr);

bool net_addr_is_unix(const NetAddr *addr);
int net_addr_family(const NetAddr *addr); /* AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC when empty */
uint16_t net_addr_port(const NetAddr *addr);
void net_addr_set_port(NetAddr *addr, uint16_t port);
bool net_addr_equal(const NetAddr *a, const NetAddr *b);     /* host and port */
bool net_addr_same_host(const NetAddr *a, const NetAddr *b); /* host only; unix: the path */

static inline const struct sockaddr *net_addr_sa(const NetAddr *addr)
{
    return (const struct sockaddr *)(const void *)&addr->ss;
}

/* A non-blocking socket that is on its way there, or has arrived. -1: errno says why not. */
PW_MUSTCHECK int net_addr_connect(const NetAddr *addr);

/* The three texts; each returns buf and truncates rather than overflows.
 * host:  "127.0.0.1", "::1", "unix"              the columns addr, local_addr
 * text:  "127.0.0.1:6432", "[::1]:6432", "unix:6432", with a known peer process "unix(123):6432";
 *        the log's prefix
 * where: as text, for unix sockets the path: "unix:/tmp/.s.PGSQL.6432"; "listening on ..." */
char *net_addr_host(const NetAddr *addr, char *buf, size_t size);
char *net_addr_text(const NetAddr *addr, char *buf, size_t size);
char *net_addr_where(const NetAddr *addr, char *buf, size_t size);

/* The path of a unix address as the ini has it ('@' first for abstract); "" if it has none. */
char *net_addr_path(const NetAddr *addr, char *buf, size_t size);

#endif
