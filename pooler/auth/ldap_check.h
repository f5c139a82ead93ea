/* SPDX-License-Identifier: ISC */
/* ldap_check.h - does a directory accept this name with this password? Blocks, with time limits: for threads of a job pool. */
#ifndef POOLER_AUTH_LDAP_CHECK_H
#define POOLER_AUTH_LDAP_CHECK_H

#include <stddef.h>

#include "poolwise/err.h"

struct LdapOptions;

/* PW_OK: it does. PW_ERR_AUTH: not. PW_ERR_IO: the directory could not be asked. PW_ERR_UNSUPPORTED: built without libldap.
 * On errors `why` (of `size` bytes) says more, for the log. Any thread. */
PW_MUSTCHECK PwErr ldap_check(const struct LdapOptions *options, const char *user, const char *password, char *why,
                              size_t size);

#endif
