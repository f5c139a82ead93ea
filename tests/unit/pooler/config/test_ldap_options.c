/* SPDX-License-Identifier: ISC */
#include "pooler/config/ldap_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static LdapOptions *good(const char *text)
{
    char why[LDAP_OPTIONS_WHY] = "";
    LdapOptions *o = NULL;
    if (ldap_options_parse(text, &o, why) != PW_OK)
        fail_msg("%s: %s", text, why);
    return o;
}

static void simple_bind(void **state)
{
    (void)state;
    LdapOptions *o = good("ldapserver=\"a  b\" ldapport=390 ldapscheme=ldap ldaptls=1 \"ldapprefix=cn=\" "
                          "ldapsuffix=\", dc=a, dc=b\" # comment");
    assert_int_equal(o->servers.n, 2);
    assert_string_equal(o->servers.items[1], "b");
    assert_int_equal(o->port, 390);
    assert_true(o->tls);
    assert_false(o->ldaps);
    assert_string_equal(o->prefix, "cn=");
    assert_string_equal(o->suffix, ", dc=a, dc=b");
    assert_null(o->basedn);
    const LdapOptions *same = ldap_options_ref(o);
    ldap_options_unref(o);
    assert_int_equal(same->port, 390);
    ldap_options_unref(same);
    ldap_options_unref(NULL);
}

static void search(void **state)
{
    (void)state;
    LdapOptions *o = good("ldapserver=a ldapscheme=ldaps ldapbasedn=dc=a,dc=b ldapbinddn=\"cn=x y\" ldapbindpasswd=p=w "
                          "ldapsearchfilter=\"(uid=$username)\"");
    assert_true(o->ldaps);
    assert_string_equal(o->basedn, "dc=a,dc=b");
    assert_string_equal(o->binddn, "cn=x y");
    assert_string_equal(o->bindpasswd, "p=w");
    assert_string_equal(o->searchfilter, "(uid=$username)");
    assert_int_equal(o->scope, LDAP_OPTIONS_SUBTREE);
    ldap_options_unref(o);
    o = good("ldapserver=a \"ldapport\"=390 ldapbasedn=\"dc=a,dc=b\" ,ldapsearchattribute=uid"); /* as PgBouncer takes it */
    assert_int_equal(o->port, 390);
    assert_string_equal(o->basedn, "dc=a,dc=b");
    assert_string_equal(o->searchattribute, "uid");
    ldap_options_unref(o);
    o = good("ldapbasedn=dc=a,dc=b"); /* servers by DNS */
    assert_int_equal(o->servers.n, 0);
    ldap_options_unref(o);
}

static void urls(void **state)
{
    (void)state;
    LdapOptions *o = good("ldapurl=ldaps://[::1]:637/dc=a%20b?uid?one");
    assert_true(o->ldaps);
    assert_int_equal(o->port, 637);
    assert_string_equal(o->servers.items[0], "[::1]");
    assert_string_equal(o->basedn, "dc=a b");
    assert_string_equal(o->searchattribute, "uid");
    assert_int_equal(o->scope, LDAP_OPTIONS_ONE_LEVEL);
    ldap_options_unref(o);
    o = good("ldapurl=ldap://h/dc=a??sub?(cn=$username)");
    assert_string_equal(o->searchfilter, "(cn=$username)");
    assert_int_equal(o->scope, LDAP_OPTIONS_SUBTREE);
    ldap_options_unref(o);
    o = good("ldapurl=ldap://h/dc=a");
    assert_int_equal(o->scope, LDAP_OPTIONS_BASE); /* the RFC's default */
    ldap_options_unref(o);
}

static void mistakes_are_told_without_secrets(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "must be given"},
        {"ldapserver=a", "must be given"},
        {"ldapprefix=x", "ldapserver must be given"},
        {"ldapserver=a ldapprefix=x ldapbasedn=y", "do not go with"},
        {"ldapserver=a ldapbinddn=x", "needs ldapbasedn"},
        {"ldapbasedn=x ldapsearchattribute=a ldapsearchfilter=b", "do not go together"},
        {"ldapserver=a ldapprefix=x ldapport=0", "not a port"},
        {"ldapserver=a ldapprefix=x ldapport=65536", "not a port"},
        {"ldapserver=a ldapprefix=x ldapport=1x", "not a port"},
        {"ldapserver=a ldapprefix=x ldapscheme=http", "ldapscheme"},
        {"ldapserver=a ldapprefix=x ldaptls=yes", "ldaptls is 0 or 1"},
        {"ldapserver=a ldapprefix=x ldaptls=1 ldapscheme=ldaps", "does not go with"},
        {"ldapserver=a nosuch=SECRET", "unknown option of ldap: \"nosuch\""},
        {"SECRET", "name=value"},
        {"ldapbindpasswd=\"SECRET", "quote"},
        {"ldapurl=SECRET", "ldapurl is"},
        {"ldapurl=http://a/b", "ldapscheme"},
        {"ldapurl=ldap://a/b%2", "two digits"},
        {"ldapurl=ldap://a/b%00", "two digits"},
        {"ldapurl=ldap://a/b?c?deep", "scope"},
        {"ldapurl=ldap://a:x/b", "not a port"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        char why[LDAP_OPTIONS_WHY] = "";
        LdapOptions *o = NULL;
        assert_int_equal(ldap_options_parse(bad[i][0], &o, why), PW_ERR_SYNTAX);
        assert_null(o);
        if (!strstr(why, bad[i][1]) || strstr(why, "SECRET"))
            fail_msg("%s: %s", bad[i][0], why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_bind),
        cmocka_unit_test(search),
        cmocka_unit_test(urls),
        cmocka_unit_test(mistakes_are_told_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
