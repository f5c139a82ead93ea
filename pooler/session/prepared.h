/* SPDX-License-Identifier: ISC */
/* prepared.h - named protocol-level prepared statements that follow a client from server to server.
 *
 * A Statement is a text with its parameter types, shared by all clients of the process that prepared the same one and
 * known to servers by one name (statement_name). A client maps its names to Statements; a server keeps which it has
 * prepared, least recently used first, at most max_prepared_statements of them.
 *
 *   client A "s1" --\                       /-- server 1: POOLWISE_7
 *   client B "q"  ---> Statement 7 (text) --
 *                                           \-- server 2: not yet; prepared when a Bind needs it
 *
 * The store of Statements has one lock, taken when a name is prepared or forgotten, not when it is used.
 * ClientStatements and ServerStatements belong to whoever embeds them. */
#ifndef POOLER_SESSION_PREPARED_H
#define POOLER_SESSION_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#define STATEMENT_NAME_SIZE 32
#define STATEMENT_POOLS 4

typedef struct Statement {
    UT_hash_handle hh; /* the store's; its lock */
    uint64_t id;
    uint64_t text_hash; /* of the SQL text: query_text_hash */
    int refs;           /* the store's lock */
    uint32_t text_len;  /* without the NUL */
    uint32_t body_len;
    uint8_t class; /* stmt_classify */
    uint64_t digest; /* of the settings under which the text means what it means */
    _Atomic(unsigned) epoch; /* rises when a server calls a plan of it stale: what was prepared before is prepared anew */
    _Atomic(uint64_t) parsed_in[STATEMENT_POOLS]; /* statement_parsed; 0: free */
    uint8_t body[]; /* as in Parse behind the name: text, NUL, number of types, types; then the digest: the store's key */
} Statement;

static inline const char *statement_text(const Statement *st)
{
    return (const char *)st->body;
}

/* The shared Statement of a Parse body (from the text on), with one reference. NULL: the body is malformed. Any thread. */
Statement *statement_intern(const uint8_t *body, size_t n, uint64_t digest, unsigned lex_flags);
Statement *statement_ref(Statement *st);
void statement_unref(Statement *st); /* NULL is fine */

/* The same text with the types of its parameters as a ParameterDescription lists them (`n_types` of 4 bytes each). One reference. */
Statement *statement_with_types(const Statement *st, const uint8_t *types, unsigned n_types, unsigned lex_flags);
/* A server of this pool (any number but 0) has said ParseComplete for it; did one, at some time? Of many pools the oldest may be
 * forgotten. Any thread. */
void statement_parsed(Statement *st, uint64_t pool);
bool statement_is_parsed(Statement *st, uint64_t pool);
/* Order of what happened to statements, over all threads: rises with each call, never 0. */
uint64_t statement_tick(void);

/* Its name on servers, "POOLWISE_<id>". */
const char *statement_name(const Statement *st, char buf[STATEMENT_NAME_SIZE]);

/* Number and bytes of all Statements (SHOW MEM, SHOW LISTS). Any thread. */
void statement_store_stats(uint64_t *ret_count, uint64_t *ret_bytes);

/* ---- one client ---- */

typedef struct ClientStatement {
    UT_hash_handle hh;
    Statement *statement; /* one reference */
    unsigned refs;        /* the table's, and one for each request that defines it and is unanswered */
    bool listed;          /* in the table */
    bool failed;          /* its Parse failed or was skipped: another Parse may take the name, a Bind tries once more */
    uint16_t n_types;     /* 0: it was not told, or there are none */
    uint8_t *types;       /* of its parameters, as the client was told them; NULL: it was not */
    uint64_t types_shape; /* their digest (shape.h) */
    uint64_t told;        /* shape of its rows as the client was told it last; SHAPE_UNKNOWN: it was not */
    uint64_t used_plan, used_shape; /* while it was not: `since` and shape of the plan it used last, or its own Parse made */
    char name[];
} ClientStatement;

typedef struct ClientStatements {
    ClientStatement *table;
} ClientStatements;

void client_statements_finish(ClientStatements *cs); /* forgets all */
ClientStatement *client_statements_find(ClientStatements *cs, const char *name);
/* Takes over a reference to st; the name must be new. */
ClientStatement *client_statements_add(ClientStatements *cs, const char *name, Statement *st);
void client_statements_remove(ClientStatements *cs, ClientStatement *c);
/* Takes a removed one, of which the caller has a reference, back into the table, in place of what has its name now. */
void client_statements_restore(ClientStatements *cs, ClientStatement *c);
/* The client is told the parameters' types (payload of a ParameterDescription). */
void client_statement_tell_types(ClientStatement *c, const uint8_t *payload, size_t n);
ClientStatement *client_statement_ref(ClientStatement *c);
void client_statement_unref(ClientStatement *c); /* NULL is fine */
unsigned client_statements_count(const ClientStatements *cs);
size_t client_statements_bytes(const ClientStatements *cs); /* without their names' letters and types of parameters */

/* ---- one server ---- */

typedef struct ServerStatement {
    UT_hash_handle hh;
    TAILQ_ENTRY(ServerStatement) lru;
    uint64_t id;
    unsigned epoch; /* of the statement when it was prepared here */
    uint64_t since; /* tick of that: tells this plan from an older one of the same statement */
    uint64_t shape; /* of its rows, as the server said; SHAPE_UNKNOWN: it did not yet */
    uint64_t types_shape; /* the same of its parameters' types */
    Statement *statement; /* one reference */
} ServerStatement;

typedef struct ServerStatements {
    ServerStatement *table;
    TAILQ_HEAD(ServerStatementList, ServerStatement) used; /* oldest first */
} ServerStatements;

void server_statements_init(ServerStatements *ss);
void server_statements_finish(ServerStatements *ss); /* forgets all; may be used again */
/* Its plan on the server, which is then the most recently used; NULL: none, or an outdated one. */
ServerStatement *server_statements_use(ServerStatements *ss, const Statement *st);
/* The new plan, or the one that is there. */
ServerStatement *server_statements_add(ServerStatements *ss, Statement *st);
/* DDL has made this plan stale: those of the same statement that are as old or older, on whichever server, are outdated. */
void server_statement_outdate(const ServerStatement *plan);
void server_statements_remove(ServerStatements *ss, const Statement *st);
/* Its plan, if it is there, is an older one than that which was listed: outdated. */
void server_statements_distrust(ServerStatements *ss, const Statement *st);
/* Takes it off to be prepared anew; true if it was there (the server still knows its name). */
bool server_statements_forget(ServerStatements *ss, const Statement *st);
/* The plan that was made of statement `id` at the tick `since`; NULL: it is there no more. */
ServerStatement *server_statements_plan(ServerStatements *ss, uint64_t id, uint64_t since);
/* Takes the least recently used off, with its reference; NULL when there are at most `most`. */
Statement *server_statements_evict(ServerStatements *ss, unsigned most);
unsigned server_statements_count(const ServerStatements *ss);

#endif
