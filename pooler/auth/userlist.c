/* SPDX-License-Identifier: ISC */
#include "pooler/auth/userlist.h"

#include "poolwise/mem.h"
#include "poolwise/refs.h"
#include "poolwise/str.h"

#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct User {
    char *name;
    Secret secret;
} User;

struct UserList {
    PwRefs refs; /* everything else is read-only after the load */
    User *users;      /* in file order */
    size_t n, cap;
    uint32_t *slots; /* open addressing: index into users plus one, 0 is free; at most half full */
    size_t n_slots;  /* a power of two */
    bool is_cut;     /* its text was empty, or ended or was wrong in the middle: there may be more users than these */
};

/* ---- table ---- */

/* The slot of a name, or the free one where it would stand. */
static size_t slot_of(const UserList *list, const char *name, size_t n)
{
    size_t mask = list->n_slots - 1;
    size_t i = (size_t)XXH3_64bits(name, n) & mask;
    while (list->slots[i]) {
        const char *there = list->users[list->slots[i] - 1].name;
        if (strncmp(there, name, n) == 0 && there[n] == '\0')
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static void grow(UserList *list)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 16;
        list->users = pw_xrealloc(list->users, list->cap * sizeof(*list->users));
    }
    if (list->n_slots >= 2 * (list->n + 1))
        return;
    free(list->slots);
    list->n_slots = list->n_slots ? list->n_slots * 2 : 32;
    list->slots = pw_xcalloc(list->n_slots, sizeof(*list->slots));
    for (size_t i = 0; i < list->n; i++)
        list->slots[slot_of(list, list->users[i].name, strlen(list->users[i].name))] = (uint32_t)i + 1;
}

/* Takes over *secret. False when the name was there before: its secret is replaced. */
static bool put(UserList *list, const char *name, size_t n, Secret *secret)
{
    grow(list);
    size_t slot = slot_of(list, name, n);
    if (list->slots[slot]) {
        User *user = &list->users[list->slots[slot] - 1];
        secret_finish(&user->secret);
        user->secret = *secret;
        return false;
    }
    list->users[list->n] = (User){.name = pw_xstrndup(name, n), .secret = *secret};
    list->slots[slot] = (uint32_t)++list->n;
    return true;
}

/* ---- parser ---- */

typedef struct Parser {
    const char *file;
    const char *p, *end;
    int line;
    PwDiag *diags;
    char *field[2]; /* name and secret without their quotes */
    size_t field_len[2];
} Parser;

static const struct {
    const char *what;
    size_t max;
} fields[2] = {{"user name", AUTH_USER_MAX}, {"secret", SECRET_MAX}};

static const char comment_hint[] = "a comment begins with a semicolon; the users after this line were not read";
static const char line_hint[] = "a line is \"user\" \"secret\"; the users after this line were not read";

static void skip_spaces(Parser *parser)
{
    while (parser->p < parser->end) {
        char c = *parser->p;
        if (c == '\n')
            parser->line++;
        else if (c != ' ' && c != '\t' && c != '\r' && c != '\v' && c != '\f')
            return;
        parser->p++;
    }
}

/* Behind the name; PgBouncer minds neither a colon nor a comma there. */
static void skip_to_quote(Parser *parser)
{
    while (parser->p < parser->end && *parser->p != '"' && *parser->p != '\n' && *parser->p != '\0')
        parser->p++;
}

static void skip_line(Parser *parser)
{
    const char *newline = memchr(parser->p, '\n', (size_t)(parser->end - parser->p));
    parser->p = newline ? newline : parser->end;
}

/* Reads a quoted text into field[which]; its length is known to fit before a byte of it is stored. */
static bool read_quoted(Parser *parser, int which)
{
    if (parser->p == parser->end || *parser->p != '"') {
        bool comment = which == 0 && parser->p < parser->end && *parser->p == '#';
        pw_diag_add(parser->diags, PW_DIAG_ERROR, parser->file, parser->line, comment ? comment_hint : line_hint,
                    "%s in quotes expected", fields[which].what);
        return false;
    }
    parser->p++;
    size_t n = 0;
    while (parser->p < parser->end && *parser->p != '\n' && *parser->p != '\0') {
        if (*parser->p == '"') {
            parser->p++;
            if (parser->p == parser->end || *parser->p != '"') {
                parser->field[which][n] = '\0';
                parser->field_len[which] = n;
                return true;
            }
        }
        if (n == fields[which].max) {
            pw_diag_add(parser->diags, PW_DIAG_ERROR, parser->file, parser->line, line_hint,
                        "%s longer than %zu bytes", fields[which].what, fields[which].max);
            return false;
        }
        parser->field[which][n++] = *parser->p++;
    }
    pw_diag_add(parser->diags, PW_DIAG_ERROR, parser->file, parser->line, line_hint,
                "%s without its closing quote", fields[which].what);
    return false;
}

static bool store(Parser *parser, UserList *list)
{
    Secret secret;
    if (parser->field_len[0] == 0) {
        pw_diag_add(parser->diags, PW_DIAG_WARNING, parser->file, parser->line, NULL,
                    "empty user name: line ignored");
        return true;
    }
    PwErr err = secret_init(&secret, parser->field[1], parser->field_len[1]);
    if (err) {
        pw_diag_add(parser->diags, PW_DIAG_ERROR, parser->file, parser->line, line_hint, "secret: %s",
                    pw_err_text(err));
        return false;
    }
    if (secret.kind == SECRET_PLAIN && secret_looks_like_scram(secret.text, secret.len))
        pw_diag_add(parser->diags, PW_DIAG_WARNING, parser->file, parser->line,
                    "copy the whole rolpassword from pg_authid",
                    "secret of user \"%s\" is no well-formed SCRAM verifier and is taken as a plain password",
                    parser->field[0]);
    if (!put(list, parser->field[0], parser->field_len[0], &secret))
        pw_diag_add(parser->diags, PW_DIAG_WARNING, parser->file, parser->line, NULL,
                    "user \"%s\" was there before: this line replaces the earlier one", parser->field[0]);
    return true;
}

/* False: a malformed line ended it. */
static bool parse_lines(Parser *parser, UserList *list)
{
    for (;;) {
        skip_spaces(parser);
        if (parser->p == parser->end)
            return true;
        if (*parser->p != ';') {
            if (!read_quoted(parser, 0))
                return false;
            skip_to_quote(parser);
            if (!read_quoted(parser, 1) || !store(parser, list))
                return false;
        }
        skip_line(parser);
    }
}

UserList *userlist_create_empty(void)
{
    UserList *list = pw_xcalloc(1, sizeof(*list));
    pw_refs_init(&list->refs);
    grow(list);
    return list;
}

PwErr userlist_parse(const char *name, const char *text, size_t len, UserList **ret_list, PwDiag *diags)
{
    if (len > USERLIST_FILE_MAX) {
        pw_diag_add(diags, PW_DIAG_ERROR, name, 0, NULL, "larger than %u bytes", USERLIST_FILE_MAX);
        return PW_ERR_TOO_LARGE;
    }
    UserList *list = userlist_create_empty();
    Parser parser = {.file = name, .p = text + pw_str_bom(text, len), .end = text + len, .line = 1, .diags = diags};
    for (int i = 0; i < 2; i++)
        parser.field[i] = pw_xmalloc(fields[i].max + 1);
    list->is_cut = !parse_lines(&parser, list) || len == 0;
    for (int i = 0; i < 2; i++) {
        pw_wipe(parser.field[i], fields[i].max + 1);
        free(parser.field[i]);
    }
    *ret_list = list;
    return PW_OK;
}

/* ---- file ---- */

/* Reads all of fd; *ret_size is what was allocated, for wiping. Not by size: a pipe has none. */
static PwErr read_all(int fd, size_t first, char **ret_text, size_t *ret_len, size_t *ret_size)
{
    size_t size = first + 1, len = 0; /* the byte more finds the end without another round */
    char *text = malloc(size);
    PwErr err = text ? PW_OK : PW_ERR_NOMEM;
    while (!err) {
        if (len == size) {
            char *more = len > USERLIST_FILE_MAX ? NULL : malloc(2 * size);
            if (!more) {
                err = len > USERLIST_FILE_MAX ? PW_ERR_TOO_LARGE : PW_ERR_NOMEM;
                break;
            }
            memcpy(more, text, len); /* not realloc: the old copy of the secrets is wiped */
            pw_wipe(text, len);
            free(text);
            text = more;
            size *= 2;
        }
        ssize_t got = read(fd, text + len, size - len);
        if (got > 0)
            len += (size_t)got;
        else if (got == 0)
            break;
        else if (errno != EINTR)
            err = PW_ERR_IO;
    }
    if (err) {
        int saved = errno;
        if (text)
            pw_wipe(text, size);
        free(text);
        errno = saved;
        return err;
    }
    *ret_text = text;
    *ret_len = len;
    *ret_size = size;
    return PW_OK;
}

PwErr userlist_load(const char *path, UserList **ret_list, PwDiag *diags)
{
    struct stat st;
    char *text = NULL;
    size_t len = 0, size = 0;
    PwErr err = PW_ERR_IO;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0)
        err = st.st_size > (off_t)USERLIST_FILE_MAX ? PW_ERR_TOO_LARGE
                                                    : read_all(fd, (size_t)st.st_size, &text, &len, &size);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (err) {
        pw_diag_add(diags, PW_DIAG_ERROR, path, 0,
                    saved == EACCES ? "auth_file names it; the user that the pooler runs as must be able to read it"
                                    : "auth_file names it; each line of it is: \"user\" \"password\"",
                    "cannot read: %s",
                    err == PW_ERR_IO ? strerror(saved) : pw_err_text(err));
        errno = saved;
        return err;
    }
    UserList *list = NULL;
    err = userlist_parse(path, text, len, &list, diags);
    pw_wipe(text, size);
    free(text);
    if (err)
        return err;
    *ret_list = list;
    return PW_OK;
}

/* ---- users ---- */

UserList *userlist_ref(UserList *list)
{
    pw_refs_take(&list->refs);
    return list;
}

void userlist_unref(UserList *list)
{
    if (!list || !pw_refs_drop(&list->refs))
        return;
    for (size_t i = 0; i < list->n; i++) {
        free(list->users[i].name);
        secret_finish(&list->users[i].secret);
    }
    free(list->users);
    free(list->slots);
    free(list);
}

const Secret *userlist_find(const UserList *list, const char *user)
{
    uint32_t found = list->slots[slot_of(list, user, strlen(user))];
    return found ? &list->users[found - 1].secret : NULL;
}

bool userlist_loses(const UserList *fresh, const UserList *old, const char **ret_user)
{
    for (size_t i = 0; fresh->is_cut && i < old->n; i++)
        if (!userlist_find(fresh, old->users[i].name)) {
            *ret_user = old->users[i].name;
            return true;
        }
    return false;
}

size_t userlist_count(const UserList *list)
{
    return list->n;
}

const Secret *userlist_at(const UserList *list, size_t i, const char **ret_user)
{
    *ret_user = list->users[i].name;
    return &list->users[i].secret;
}
