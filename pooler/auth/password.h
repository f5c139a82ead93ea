/* SPDX-License-Identifier: ISC */
/* password.h - does a clear-text password belong to a stored secret? Any thread. */
#ifndef POOLER_AUTH_PASSWORD_H
#define POOLER_AUTH_PASSWORD_H

#include <stdbool.h>

#include "pooler/auth/scram_cache.h"
#include "pooler/auth/secrets.h"
#include "poolwise/err.h"

/* PW_OK: it does. PW_ERR_AUTH: not, or one of the two is empty. PW_ERR_IO: OpenSSL failed. The cache saves
 * PBKDF2 for right passwords against SCRAM secrets; only those are kept, so that guesses cannot empty it. */
PW_MUSTCHECK PwErr password_verify(const Secret *secret, const char *user, const char *password,
                                   ScramCache *cache);

/* Do the keys of a password belong to a SCRAM secret? Constant time. */
bool password_keys_match(const Secret *secret, const ScramKeys *keys);

#endif
