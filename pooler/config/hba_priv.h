/* SPDX-License-Identifier: ISC */
/* hba_priv.h - a rule as the parser makes it and the matcher reads it. */
#ifndef POOLER_CONFIG_HBA_PRIV_H
#define POOLER_CONFIG_HBA_PRIV_H

#include <stdint.h>

#include "pooler/config/hba.h"
#include "poolwise/refs.h"

typedef enum HbaConnType {
    HBA_CONN_LOCAL,
    HBA_CONN_HOST,
    HBA_CONN_HOSTSSL,
    HBA_CONN_HOSTNOSSL,
    HBA_CONN_TYPE_COUNT
} HbaConnType;

/* A column of names. */
typedef struct HbaNames {
    bool all, same_user, replication; /* the unquoted words of the database column; `all` of both */
    PwStrList list;                   /* sorted once the line is read */
} HbaNames;

typedef struct HbaRule {
    HbaConnType type;
    HbaNames databases, users;
    int family; /* AF_INET, AF_INET6; AF_UNSPEC: every address */
    uint8_t addr[16], mask[16];
    HbaAnswer answer;
} HbaRule;

struct Hba {
    PwRefs refs;
    Ident *ident;
    HbaRule *rules; /* in file order */
    size_t n, cap;
    bool incomplete;
};

#endif
