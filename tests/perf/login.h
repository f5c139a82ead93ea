/* SPDX-License-Identifier: ISC */
/* login.h - logins by password for pgload: the pooler's own state machine for logins to servers. Keys of SCRAM are derived
 * once for all logins, so that a storm of them is not a storm of derivations. One thread. */
#ifndef TESTS_PERF_LOGIN_H
#define TESTS_PERF_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Login Login;

/* Both texts must live as long. */
Login *login_begin(const char *user, const char *password);
void login_end(Login *login); /* NULL is fine */

/* The next bytes of the payload of a message 'R'; `whole`: the message ends with them. What is to be sent is in
 * ret_answer (may be nothing), valid until the next call for any login. Returns NULL, or why the login failed. */
const char *login_request(Login *login, const uint8_t *p, size_t n, bool whole, const uint8_t **ret_answer, size_t *ret_len);

#endif
