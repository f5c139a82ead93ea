/* SPDX-License-Identifier: ISC */
/* params_table.h - every option of the ini file: one row each.
 *
 * Parsing, defaults, SHOW CONFIG, SET, docs/options.md and conf/pooler.ini follow these rows; a lint
 * test holds the documents against them. Constant data; any thread. */
#ifndef POOLER_CONFIG_PARAMS_TABLE_H
#define POOLER_CONFIG_PARAMS_TABLE_H

#include "poolwise/params.h"

#define PARAM_RUNTIME PW_PARAM_RUNTIME
#define PARAM_AUTH \
    (PW_PARAM_FLAG_FIRST_FREE << 0) /* some of its words need a library that a build may lack */
#define PARAM_INERT \
    (PW_PARAM_FLAG_FIRST_FREE << 1) /* read so that files load; nothing here depends on it, which a warning says */
#define PARAM_OURS (PW_PARAM_FLAG_FIRST_FREE << 2) /* PgBouncer does not have it */
#define PARAM_PORT \
    (PW_PARAM_FLAG_FIRST_FREE << 3) /* a port: of a number that is none its lower 16 bits count, as in PgBouncer */
#define PARAM_NUMBER \
    (PW_PARAM_FLAG_FIRST_FREE << 4) /* a time that is a number in PgBouncer, which takes any */
#define PARAM_EXACT \
    (PW_PARAM_FLAG_FIRST_FREE << 5) /* PgBouncer, too, refuses what is out of range */

extern const PwParamTable config_params; /* [pgbouncer], into Config; in the order of SHOW CONFIG */
extern const PwParamTable config_database_params; /* one line of [databases], into DatabaseConf */
extern const PwParamTable config_user_params;     /* one line of [users], into UserConf */
extern const PwParamTable config_peer_params;     /* one line of [peers], into PeerConf */

/* The word of a PARAM_AUTH row in `base` that this build cannot do; NULL: it can do what is asked. */
const char *config_missing_auth(const PwParamRow *row, const void *base);

#endif
