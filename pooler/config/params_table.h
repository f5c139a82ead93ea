/* SPDX-License-Identifier: ISC */
/* params_table.h - every option of the ini file: one row each.
 *
 * Parsing, defaults, SHOW CONFIG, SET, docs/options.md and conf/pooler.ini follow these rows; a lint
 * test holds the documents against them. Constant data; any thread. */
#ifndef POOLER_CONFIG_PARAMS_TABLE_H
#define POOLER_CONFIG_PARAMS_TABLE_H

#include "poolwise/params.h"

#define PARAM_RUNTIME PW_PARAM_RUNTIME
#define PARAM_LATER \
    (PW_PARAM_FLAG_FIRST_FREE << 0) /* what it switches on is not built yet: see config_later */
#define PARAM_INERT \
    (PW_PARAM_FLAG_FIRST_FREE << 1) /* read so that files load; nothing here depends on it */
#define PARAM_OURS (PW_PARAM_FLAG_FIRST_FREE << 2) /* PgBouncer does not have it */

extern const PwParamTable config_params; /* [pgbouncer], into Config; in the order of SHOW CONFIG */
extern const PwParamTable config_database_params; /* one line of [databases], into DatabaseConf */
extern const PwParamTable config_user_params;     /* one line of [users], into UserConf */
extern const PwParamTable config_peer_params;     /* one line of [peers], into PeerConf */

/* Which values of a PARAM_LATER option are harmless. Rows without an entry take any value: they only matter
 * together with another option that has one. */
typedef struct ConfigLater {
    const char *name;
    const char *accepted[8]; /* besides the default; as printed */
    const char *reason;      /* what is not available */
    bool only_note; /* housekeeping: the file loads with a warning; SET is refused all the same */
} ConfigLater;

/* The entry that speaks against the row's value in `base`; NULL when nothing does. */
const ConfigLater *config_later_objection(const PwParamRow *row, const void *base);

#endif
