/* SPDX-License-Identifier: ISC */
/* md5.h - PostgreSQL's md5 passwords: "md5" || hex(md5(password || user)), and the answer to
 * AuthenticationMD5Password: "md5" || hex(md5(hex of the stored one || salt)). Pure, any thread. */
#ifndef POOLER_AUTH_MD5_H
#define POOLER_AUTH_MD5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/secrets.h"
#include "poolwise/err.h"

#define MD5_SALT_LEN 4

/* What PostgreSQL stores for a plain password. PW_ERR_IO: OpenSSL has no MD5 (FIPS policy). */
PW_MUSTCHECK PwErr md5_secret(const char *password, const char *user, char ret_text[MD5_SECRET_LEN + 1]);

/* The answer to a salt, from a plain or md5 secret. PW_ERR_AUTH for the other kinds. */
PW_MUSTCHECK PwErr md5_response(const Secret *secret, const char *user, const uint8_t salt[MD5_SALT_LEN],
                                char ret_text[MD5_SECRET_LEN + 1]);

/* Does a client's answer fit? PW_ERR_AUTH: no; also for empty and SCRAM secrets. Constant time in the text. */
PW_MUSTCHECK PwErr md5_verify(const Secret *secret, const char *user, const uint8_t salt[MD5_SALT_LEN],
                              const char *response, size_t n);

#endif
