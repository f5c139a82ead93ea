/* SPDX-License-Identifier: ISC */
/* pam_check.h - does PAM accept this name with this password, and may the account log in? Blocks, as long as the modules
 * please: for the thread of a job pool. */
#ifndef POOLER_AUTH_PAM_CHECK_H
#define POOLER_AUTH_PAM_CHECK_H

#include <stddef.h>

#include "poolwise/err.h"

#define PAM_CHECK_SERVICE "pgbouncer" /* PgBouncer's: /etc/pam.d/pgbouncer goes on working */

/* PW_OK: it does. PW_ERR_AUTH: not, or PAM failed. PW_ERR_UNSUPPORTED: built without libpam. `why` (of `size` bytes) says
 * more, for the log. `rhost` may be NULL. Modules are not always thread-safe: call it on one thread at a time. */
PW_MUSTCHECK PwErr pam_check(const char *user, const char *password, const char *rhost, char *why, size_t size);

#endif
