/* SPDX-License-Identifier: ISC */
/* replication.h - the kinds of replication connections, as a client asks for them with `replication` in its start-up packet. */
#ifndef POOLER_SESSION_REPLICATION_H
#define POOLER_SESSION_REPLICATION_H

#include "poolwise/err.h"

typedef enum Replication {
    REPLICATION_NONE,
    REPLICATION_LOGICAL,  /* replication=database: a walsender that is in a database and also runs SQL */
    REPLICATION_PHYSICAL, /* replication=true */
    REPLICATION_COUNT
} __attribute__((packed)) Replication;

/* As PostgreSQL reads it: "database", or a boolean (true, yes, on, 1 and their beginnings). PW_ERR_SYNTAX: neither. */
PW_MUSTCHECK PwErr replication_parse(const char *value, Replication *ret_kind);

const char *replication_name(Replication kind); /* none, logical, physical: SHOW */
const char *replication_log(Replication kind);  /* no, database, yes: the log, and the word for the server */

#endif
