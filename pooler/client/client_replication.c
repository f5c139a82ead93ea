/* SPDX-License-Identifier: ISC */
/* client_replication.c - replication connections: one client, one server of its own, from the login to the end.
 *
 *   login -> place in the pool -> a server is connected with this client's own start-up parameters -> welcome with what that
 *   server said -> the relay in session mode -> both are closed together */
#include "pooler/client/client_priv.h"
#include "poolwise/log.h"

static void put(PwBuf *out, const char *key, const char *value)
{
    pw_buf_append_cstr(out, key);
    pw_buf_append_cstr(out, value);
}

/* What the client said in its start-up packet. `options` goes through as it is: it may hold anything. */
static void startup_params(const Client *c, PwBuf *out)
{
    const ParamSet *params = &c->relay.params;
    for (unsigned i = 0; i < params_count(); i++)
        if (params_get(params, i))
            put(out, params_name(i), params_get(params, i));
    Setting at;
    for (size_t pos = 0; settings_next(c->relay.state.startup, &pos, &at);)
        put(out, at.name, at.value);
    if (c->options)
        put(out, "options", c->options);
}

static void on_gone(Server *s, const char *reason)
{
    Client *c = s->user_arg;
    c->relay.server = NULL;
    client_close(c, reason, reason);
}

static void on_up(Server *s)
{
    Client *c = s->user_arg;
    Relay *r = &c->relay;
    r->server = NULL;
    params_copy(&r->params, &s->params);
    if (!client_greet(c, &s->welcome)) {
        s->user = NULL;
        server_close(s, "replication client was closed");
        return;
    }
    pw_buf_finish(&s->welcome);
    relay_linked(r, s, 0);
}

static void on_nothing(Server *s)
{
    (void)s; /* until it is up the server's own code reads and writes */
}

static const ServerUser replication_user = {on_nothing, on_nothing, on_gone, on_up};

void client_replication_start(Client *c)
{
    c->relay.session_mode = true;
    c->relay.state.on = false;
    c->waiter.wants_slot = true;
    client_wait_welcome(c);
}

void client_replication_granted(Client *c, Server *s)
{
    PwBuf startup;
    pw_buf_init(&startup);
    if (client_ctx(c)->config->application_name_add_host)
        client_add_host(c);
    startup_params(c, &startup);
    c->relay.server = s; /* closing the client closes it */
    server_connect_own(s, &replication_user, c, c->replication, &startup);
}
