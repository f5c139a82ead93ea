/* SPDX-License-Identifier: ISC */
/* admin_extended.c - the extended query protocol on the console, for drivers that speak nothing else (pgx, JDBC).
 *
 * A statement is the text of one command, a portal that text with the formats its columns are wanted in. Execute runs
 * the command as a Query would, only that its answer has no RowDescription and no ReadyForQuery. Rows beyond
 * what Execute asked for stay with the portal. After an error everything up to the next Sync is skipped, and a Sync
 * ends all portals. Commands have no parameters, so a Bind with some is an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* Of a console, statements and portals each. Drivers cache some hundreds. */
#define NAMES_MAX 1024
/* Room for the longest command that there is, and some blanks. */
#define TEXT_MAX 1024

struct AdminPrepared {
    char *name, *sql;
    uint16_t *formats; /* portals */
    unsigned n_formats;
    bool ran;
    PwBuf rows;                  /* DataRows that wait for the next Execute */
    char tag[ADMIN_TAG_MAX];     /* of the CommandComplete behind them */
    TAILQ_ENTRY(AdminPrepared) link;
};

/* ---- names ---- */

static AdminPrepared *find(const AdminPreparedList *list, const char *name)
{
    AdminPrepared *p;
    TAILQ_FOREACH(p, list, link)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static void drop(AdminPreparedList *list, AdminPrepared *p)
{
    if (!p)
        return;
    TAILQ_REMOVE(list, p, link);
    pw_buf_finish(&p->rows);
    free(p->formats);
    free(p->name);
    free(p->sql);
    free(p);
}

static void drop_all(AdminPreparedList *list)
{
    AdminPrepared *p;
    while ((p = TAILQ_FIRST(list)))
        drop(list, p);
}

static bool add(AdminSession *s, AdminPreparedList *list, const char *kind, const char *name, const char *sql)
{
    unsigned n = 0;
    AdminPrepared *p;
    TAILQ_FOREACH(p, list, link)
        n++;
    if (n >= NAMES_MAX || (name[0] && find(list, name))) {
        char text[200];
        if (n >= NAMES_MAX)
            snprintf(text, sizeof(text), "more than %d %ss of one console", NAMES_MAX, kind);
        else
            snprintf(text, sizeof(text), "%s \"%.63s\" already exists", kind, name);
        admin_error_state(s, n >= NAMES_MAX ? "53000" : kind[0] == 'p' && kind[1] == 'o' ? "42P03" : "42P05", NULL, text);
        return false;
    }
    drop(list, find(list, name)); /* the unnamed one is replaced */
    p = pw_xcalloc(1, sizeof(*p));
    p->name = pw_xstrdup(name);
    p->sql = pw_xstrdup(sql);
    pw_buf_init(&p->rows);
    TAILQ_INSERT_HEAD(list, p, link);
    return true;
}

/* An error is answered when there is none. */
static AdminPrepared *need(AdminSession *s, char kind, const char *name)
{
    bool portal = kind == 'P';
    AdminPrepared *p = find(portal ? &s->portals : &s->statements, name);
    if (!p) {
        char text[120];
        snprintf(text, sizeof(text), "%s \"%.63s\" does not exist", portal ? "portal" : "prepared statement", name);
        admin_error_state(s, portal ? "34000" : "26000", NULL, text);
    }
    return p;
}

/* ---- messages without a command ---- */

static void broken(AdminSession *s, const char *name)
{
    char text[80];
    snprintf(text, sizeof(text), "broken %s packet", name);
    client_close(s->client, text, text);
}

static void answer_empty(AdminSession *s, uint8_t type)
{
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_end(&out, pw_msg_begin(&out, type));
    admin_send(s, &out);
    pw_buf_finish(&out);
}

static void on_parse(AdminSession *s, PwCursor *c)
{
    const char *name = pw_cursor_cstr(c), *sql = pw_cursor_cstr(c);
    uint16_t n_types = pw_cursor_be16(c);
    (void)pw_cursor_bytes(c, (size_t)n_types * 4);
    if (c->bad || pw_cursor_left(c)) {
        broken(s, "Parse");
        return;
    }
    if (strlen(sql) >= TEXT_MAX) {
        admin_error_state(s, "54000", NULL, "command is too long");
        return;
    }
    if (admin_check(s, sql) && add(s, &s->statements, "prepared statement", name, sql))
        answer_empty(s, PW_B_PARSE_COMPLETE);
}

static bool good_formats(const AdminSession *s, const char *sql, unsigned n, const uint16_t *codes)
{
    const AdminColumn *columns;
    unsigned n_columns = admin_describe(s, sql, &columns);
    for (unsigned i = 0; i < n; i++)
        if (codes[i] > 1)
            return false;
    return n <= 1 || n == admin_columns_shown(columns, n_columns, admin_strict(s));
}

static void on_bind(AdminSession *s, PwCursor *c)
{
    const char *portal = pw_cursor_cstr(c), *name = pw_cursor_cstr(c);
    uint16_t n_params_formats = pw_cursor_be16(c);
    (void)pw_cursor_bytes(c, (size_t)n_params_formats * 2);
    uint16_t n_params = pw_cursor_be16(c);
    for (uint16_t i = 0; i < n_params && !c->bad; i++) {
        uint32_t n = pw_cursor_be32(c);
        if (n != UINT32_MAX)
            (void)pw_cursor_bytes(c, n);
    }
    uint16_t n_formats = pw_cursor_be16(c);
    const uint8_t *codes = pw_cursor_bytes(c, (size_t)n_formats * 2);
    if (c->bad || pw_cursor_left(c)) {
        broken(s, "Bind");
        return;
    }
    AdminPrepared *statement = need(s, 'S', name);
    if (!statement)
        return;
    if (n_params > 0) {
        admin_error_state(s, "08P01", NULL, "commands of the console have no parameters");
        return;
    }
    uint16_t *formats = pw_xcalloc((size_t)n_formats + 1, sizeof(*formats));
    for (uint16_t i = 0; i < n_formats; i++)
        formats[i] = pw_be16(codes + 2 * (size_t)i);
    if (!good_formats(s, statement->sql, n_formats, formats)) {
        free(formats);
        admin_error_state(s, "08P01", NULL, "bind message has result formats that do not fit the columns");
        return;
    }
    if (!add(s, &s->portals, "portal", portal, statement->sql)) {
        free(formats);
        return;
    }
    AdminPrepared *p = TAILQ_FIRST(&s->portals);
    p->formats = formats;
    p->n_formats = n_formats;
    answer_empty(s, PW_B_BIND_COMPLETE);
}

static void on_describe(AdminSession *s, PwCursor *c)
{
    char kind = (char)pw_cursor_u8(c);
    const char *name = pw_cursor_cstr(c);
    if (c->bad || pw_cursor_left(c) || (kind != 'S' && kind != 'P')) {
        broken(s, "Describe");
        return;
    }
    const AdminPrepared *p = need(s, kind, name);
    if (!p)
        return;
    const AdminColumn *columns;
    unsigned n_columns = admin_describe(s, p->sql, &columns);
    AdminFormats formats = {p->n_formats, p->formats};
    PwBuf out;
    pw_buf_init(&out);
    if (kind == 'S') {
        size_t mark = pw_msg_begin(&out, PW_B_PARAM_DESC);
        pw_buf_append_be16(&out, 0);
        pw_msg_end(&out, mark);
    }
    if (n_columns)
        admin_columns_write(columns, n_columns, admin_strict(s), &formats, &out);
    else
        pw_msg_end(&out, pw_msg_begin(&out, PW_B_NO_DATA));
    admin_send(s, &out);
    pw_buf_finish(&out);
}

static void on_close(AdminSession *s, PwCursor *c)
{
    char kind = (char)pw_cursor_u8(c);
    const char *name = pw_cursor_cstr(c);
    if (c->bad || pw_cursor_left(c) || (kind != 'S' && kind != 'P')) {
        broken(s, "Close");
        return;
    }
    AdminPreparedList *list = kind == 'P' ? &s->portals : &s->statements;
    drop(list, find(list, name));
    answer_empty(s, PW_B_CLOSE_COMPLETE);
}

/* ---- Execute ---- */

/* Rows of the portal up to the limit of this Execute, then what ends them. */
static void send_rows(AdminSession *s, AdminPrepared *p)
{
    PwBuf out;
    uint32_t n = 0;
    pw_buf_init(&out);
    while (pw_buf_unread(&p->rows) && (s->execute_limit == 0 || n < s->execute_limit)) {
        size_t len = (size_t)pw_be32(pw_buf_head(&p->rows) + 1) + 1;
        pw_buf_append(&out, pw_buf_head(&p->rows), len);
        pw_buf_consume(&p->rows, len);
        n++;
    }
    if (pw_buf_unread(&p->rows))
        pw_msg_end(&out, pw_msg_begin(&out, PW_B_PORTAL_SUSPENDED));
    else
        pw_msg_command_complete(&out, p->tag);
    pw_buf_release_if_empty(&p->rows);
    admin_answer(s, &out);
    pw_buf_finish(&out);
}

void admin_extended_result(AdminSession *s, const AdminResult *r, size_t limit, const char *tag)
{
    AdminPrepared *p = s->executing;
    AdminFormats formats = {p->n_formats, p->formats};
    snprintf(p->tag, sizeof(p->tag), "%s", tag);
    admin_rows_write(r, limit, &formats, &p->rows);
    send_rows(s, p);
}

static void on_execute(AdminSession *s, PwCursor *c)
{
    const char *name = pw_cursor_cstr(c);
    uint32_t limit = pw_cursor_be32(c);
    if (c->bad || pw_cursor_left(c)) {
        broken(s, "Execute");
        return;
    }
    AdminPrepared *p = need(s, 'P', name);
    if (!p)
        return;
    s->executing = p;
    s->execute_limit = limit > INT32_MAX ? 0 : limit;
    if (p->ran && p->tag[0]) {
        s->started = worker_now(s->client->relay.stream.worker);
        send_rows(s, p);
        return;
    }
    if (p->ran) {
        admin_error_state(s, "55000", NULL, "portal cannot be run any more");
        return;
    }
    p->ran = true;
    admin_run(s, p->sql);
}

/* ---- all ---- */

void admin_extended_message(AdminSession *s, uint8_t type, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    if (type == PW_F_SYNC) {
        s->extended = s->skip_to_sync = false;
        s->executing = NULL;
        drop_all(&s->portals);
        admin_ready(s);
        return;
    }
    if (s->skip_to_sync)
        return;
    s->extended = true;
    switch (type) {
    case PW_F_PARSE:
        on_parse(s, &c);
        return;
    case PW_F_BIND:
        on_bind(s, &c);
        return;
    case PW_F_DESCRIBE:
        on_describe(s, &c);
        return;
    case PW_F_EXECUTE:
        on_execute(s, &c);
        return;
    case PW_F_CLOSE:
        on_close(s, &c);
        return;
    default: /* Flush: nothing is ever held back */
        return;
    }
}

void admin_extended_query(AdminSession *s)
{
    s->extended = false;
    s->executing = NULL;
    drop(&s->statements, find(&s->statements, ""));
    drop_all(&s->portals);
}

void admin_extended_finish(AdminSession *s)
{
    drop_all(&s->portals);
    drop_all(&s->statements);
}
