/* SPDX-License-Identifier: ISC */
/* client_method.c - which way a client has to prove who it is (auth_type, or the line of auth_hba_file that fits),
 * and the ways that need no messages: certificate and unix peer. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "pooler/client/client_priv.h"
#include "pooler/config/hba.h"
#include "pooler/net/stream_tls.h"
#include "poolwise/log.h"

#define PASSWD_BUFFER 4096

bool client_is_tls(const Client *c)
{
    return stream_tls_is_open(&c->relay.stream);
}

void client_method_choose(Client *c)
{
    const Config *config = c->login->config;
    c->login->auth_type = config->auth_type;
    c->login->auth_map = NULL;
    c->login->auth_ldap = config->ldap;
    if (config->auth_type != AUTH_TYPE_HBA)
        return;
    c->login->auth_type = AUTH_TYPE_COUNT;
    HbaAnswer answer;
    NetAddr peer;
    client_peer(c, &peer);
    HbaQuery query = {
        .database = c->database,
        .user = c->user,
        .tls = client_is_tls(c),
        .peer = net_addr_sa(&peer),
        .physical_replication = c->replication == REPLICATION_PHYSICAL,
    };
    if (!config->hba || !hba_match(config->hba, &query, &answer))
        return;
    client_log(c, PW_LOG_NOISE, "HBA line %d is matched", answer.line);
    c->login->auth_type = answer.method;
    c->login->auth_map = answer.map;
    c->login->auth_ldap = answer.ldap;
}

/* ---- peer ---- */

/* By name and not by number: several names may have one number. */
static bool uid_has_name(void *arg, const char *name)
{
    const NetCred *cred = arg;
    char buf[PASSWD_BUFFER];
    struct passwd pw, *found;
    return getpwnam_r(name, &pw, buf, sizeof(buf), &found) == 0 && found && found->pw_uid == cred->uid;
}

static bool peer_may_be_user(const Client *c)
{
    const IdentMap *map = c->login->auth_map;
    NetCred cred;
    if (!c->is_unix || net_addr_peer_cred(c->relay.stream.fd, &cred) != PW_OK)
        return false;
    if (!map)
        return uid_has_name(&cred, c->user);
    if (ident_map_allows(map, c->user, uid_has_name, &cred))
        return true;
    client_log(c, PW_LOG_ERROR, "ident map %s cannot be matched", ident_map_name(map));
    return false;
}

/* ---- cert ---- */

static bool cert_has_name(void *arg, const char *name)
{
    return client_tls_cert_names(arg, name);
}

static bool cert_may_be_user(const Client *c)
{
    const IdentMap *map = c->login->auth_map;
    if (!client_is_tls(c)) {
        client_log(c, PW_LOG_ERROR, "TLS connection required");
    } else if (!stream_tls_peer_has_cert(&c->relay.stream)) {
        client_log(c, PW_LOG_ERROR, "TLS client certificate required");
    } else if (!map) {
        if (client_tls_cert_names(c, c->user))
            return true;
        client_log(c, PW_LOG_ERROR, "TLS certificate name mismatch");
    } else {
        if (ident_map_allows(map, c->user, cert_has_name, (void *)(uintptr_t)c))
            return true;
        client_log(c, PW_LOG_ERROR, "ident map: %s does not have a match", ident_map_name(map));
    }
    return false;
}

bool client_method_check(Client *c, bool known)
{
    const char *text = NULL;
    switch (c->login->auth_type) {
    case AUTH_TYPE_PEER:
        if (!known || !peer_may_be_user(c))
            text = "unix socket login rejected";
        break;
    case AUTH_TYPE_CERT:
        if (!known || !cert_may_be_user(c))
            text = "certificate authentication failed";
        break;
    case AUTH_TYPE_COUNT:
        text = "no authentication method is found";
        break;
    case AUTH_TYPE_REJECT:
    case AUTH_TYPE_HBA:
        text = "login rejected";
        break;
    case AUTH_TYPE_LDAP:
    case AUTH_TYPE_PAM:
        if (client_lookup_has_line(c) && c->login->config->auth_type != AUTH_TYPE_HBA) {
            client_log(c, PW_LOG_ERROR, "%s can't be used together with database authentication",
                       c->login->auth_type == AUTH_TYPE_PAM ? "PAM" : "LDAP");
            text = "bouncer config error";
        }
        break;
    case AUTH_TYPE_ANY:
    case AUTH_TYPE_TRUST:
    case AUTH_TYPE_PLAIN:
    case AUTH_TYPE_MD5:
    case AUTH_TYPE_SCRAM_SHA_256:
        break;
    }
    if (text)
        client_close(c, text, text);
    return text == NULL;
}
