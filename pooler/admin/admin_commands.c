/* SPDX-License-Identifier: ISC */
/* admin_commands.c - one row a command; docs/admin.md follows these rows. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/str.h"
#include "poolwise/wire.h"

static const AdminCommand commands[] = {
    {"SHOW", ADMIN_ARG_REQUIRED, false, admin_cmd_show, "SHOW what", "one of the views below; SELECT does the same"},
    {"SELECT", ADMIN_ARG_REQUIRED, false, admin_cmd_show, NULL, "another word for SHOW"},
    {"SET", ADMIN_ARG_REQUIRED, false, admin_cmd_set, "SET key = value",
     "changes one setting until the next start or RELOAD; for admins, but for what drivers set"},
    {"RELOAD", ADMIN_ARG_NONE, true, admin_cmd_reload, "RELOAD", "reads the configuration and the users' file again"},
    {"PAUSE", ADMIN_ARG_OPTIONAL, true, admin_cmd_pause, "PAUSE [<db>]",
     "gives no servers out, closes each when it is released, and answers when none is left"},
    {"RESUME", ADMIN_ARG_OPTIONAL, true, admin_cmd_resume, "RESUME [<db>]", "ends PAUSE, KILL and SUSPEND"},
    {"DISABLE", ADMIN_ARG_REQUIRED, true, admin_cmd_disable, "DISABLE <db>", "refuses new clients of a database"},
    {"ENABLE", ADMIN_ARG_REQUIRED, true, admin_cmd_enable, "ENABLE <db>", "accepts them again"},
    {"RECONNECT", ADMIN_ARG_OPTIONAL, true, admin_cmd_reconnect, "RECONNECT [<db>]",
     "replaces every server connection: idle ones at once, the others when they are released"},
    {"KILL", ADMIN_ARG_OPTIONAL, true, admin_cmd_kill, "KILL [<db>]",
     "closes all clients and servers of a database and leaves it paused"},
    {"KILL_CLIENT", ADMIN_ARG_REQUIRED, true, admin_cmd_kill_client, "KILL_CLIENT <client_id>",
     "closes one client; its id is in SHOW CLIENTS"},
    {"SUSPEND", ADMIN_ARG_NONE, true, admin_cmd_suspend, "SUSPEND",
     "reads nothing more from clients and answers when all buffers are sent; ends with its console"},
    {"SHUTDOWN", ADMIN_ARG_OPTIONAL, true, admin_cmd_shutdown, "SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]",
     "ends the process: at once, when no server is in use, or when the last client has gone"},
    {"WAIT_CLOSE", ADMIN_ARG_OPTIONAL, true, admin_cmd_wait_close, "WAIT_CLOSE [<db>]",
     "answers when no server connection is left that RECONNECT or RELOAD wants to be closed"},
    {"HANDOVER", ADMIN_ARG_REQUIRED, true, admin_cmd_handover, NULL,
     "what pooler -R asks of the process that it replaces: sockets and clients; only over the unix socket, for the same user"},
    {"BEGIN", ADMIN_ARG_NONE, false, admin_cmd_transaction, NULL,
     "does nothing, as do COMMIT and ROLLBACK: drivers send them"},
    {"COMMIT", ADMIN_ARG_NONE, false, admin_cmd_transaction, NULL, "see BEGIN"},
    {"ROLLBACK", ADMIN_ARG_NONE, false, admin_cmd_transaction, NULL, "see BEGIN"},
};

size_t admin_command_count(void)
{
    return PW_ARRAY_LEN(commands);
}

const AdminCommand *admin_command_at(size_t i)
{
    return &commands[i];
}

const AdminCommand *admin_command_find(const char *word)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(commands); i++)
        if (strcasecmp(commands[i].word, word) == 0)
            return &commands[i];
    return NULL;
}

/* What drivers send to see whether somebody is there. */
static bool is_empty(const AdminRequest *r)
{
    return !r->is_set && !r->word[0];
}

/* psql's \d and what completes names send whole pages. */
#define ECHO_MAX 200

static void answer_invalid(AdminSession *s, const char *sql)
{
    char shown[ECHO_MAX + 1], text[ECHO_MAX + 64], hint[200];
    pw_str_copy(shown, sizeof(shown), sql);
    snprintf(text, sizeof(text), "invalid command '%s%s', use SHOW HELP;", shown, strlen(sql) > ECHO_MAX ? "..." : "");
    admin_error_hint(s, text, admin_hint(sql, hint, sizeof(hint)) ? hint : NULL);
}

/* NULL: it is wrong, and an error was answered. */
static const AdminCommand *look_up(AdminSession *s, const char *sql, AdminRequest *r)
{
    PwErr err = admin_parse(sql, r);
    if (err == PW_ERR_TOO_LARGE) {
        admin_error(s, "bad arguments");
        return NULL;
    }
    static const AdminCommand nothing = {0};
    if (!err && is_empty(r))
        return &nothing;
    const AdminCommand *command = err ? NULL : admin_command_find(r->is_set ? "SET" : r->word);
    bool shows = command && command->run == admin_cmd_show;
    bool any = command && command->run == admin_cmd_transaction; /* lib/pq: BEGIN READ WRITE */
    bool fits = command && (any || ((command->arg != ADMIN_ARG_NONE || !r->arg[0]) && (shows ? admin_show_exists(r) : !r->extra[0])));
    if (!fits) {
        answer_invalid(s, sql);
        return NULL;
    }
    if (command->needs_admin && !s->client->console_admin) {
        admin_error(s, "admin access needed");
        return NULL;
    }
    return command;
}

bool admin_check(AdminSession *s, const char *sql)
{
    AdminRequest r;
    return look_up(s, sql, &r) != NULL;
}

unsigned admin_describe(const AdminSession *s, const char *sql, const AdminColumn **ret_columns)
{
    (void)s;
    AdminRequest r;
    if (admin_parse(sql, &r) != PW_OK || r.is_set)
        return 0;
    const AdminCommand *command = admin_command_find(r.word);
    return command && command->run == admin_cmd_show ? admin_show_columns(&r, ret_columns) : 0;
}

void admin_execute(AdminSession *s, const char *sql)
{
    AdminRequest r;
    const AdminCommand *command = look_up(s, sql, &r);
    if (!command)
        return;
    if (command->run) {
        command->run(s, &r); /* those that require an argument say what is missing */
        return;
    }
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_end(&out, pw_msg_begin(&out, PW_B_EMPTY_QUERY));
    admin_answer(s, &out);
    pw_buf_finish(&out);
}

/* Drivers wrap what they send into transactions. There are none here: every command stands for itself. */
void admin_cmd_transaction(AdminSession *s, const AdminRequest *r)
{
    char tag[ADMIN_WORD_MAX];
    size_t i = 0;
    for (; r->word[i]; i++)
        tag[i] = (char)(r->word[i] >= 'a' && r->word[i] <= 'z' ? r->word[i] - 32 : r->word[i]);
    tag[i] = '\0';
    admin_complete(s, tag);
}
