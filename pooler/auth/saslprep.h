/* SPDX-License-Identifier: ISC */
/* saslprep.h - the form of a password that SCRAM hashes: RFC 4013, the way PostgreSQL applies it.
 *
 * Pure ASCII stays as it is. Else: map (B.1, C.1.2), normalise (NFKC, the Unicode version of unicode_tables.h),
 * and check for prohibited and unassigned characters and for bidirectional text. What is no UTF-8, or what the
 * checks forbid, is used byte by byte as it was typed: a password in another encoding still works.
 * Pure, any thread. */
#ifndef POOLER_AUTH_SASLPREP_H
#define POOLER_AUTH_SASLPREP_H

/* A copy of the password, prepared. Never NULL; the caller wipes and frees. */
char *saslprep(const char *password);

#endif
