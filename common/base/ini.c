/* SPDX-License-Identifier: ISC */
#include "poolwise/ini.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/buf.h"
#include "poolwise/mem.h"
#include "poolwise/str.h"

/* One reading, over all included files: the section goes on through them, in both directions. */
typedef struct IniReader {
    const PwIniHandler *handler;
    char *section; /* NULL before the first */
    int depth;     /* files open above this one */
    bool may_include;
    bool failed;
} IniReader;

static void read_lines(IniReader *reader, const char *name, char *text, size_t len);

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '*' || c == '-';
}

static void report(IniReader *reader, PwIniPlace at, const char *text)
{
    reader->failed = true;
    reader->handler->error(reader->handler->arg, at, text);
}

/* Turns 'it''s' at *p (on the opening quote) into "it's" in place and moves *p behind the closing quote.
 * Returns the start, or NULL without a closing quote. */
static char *unquote(char **p)
{
    char *start = *p + 1, *out = start;
    for (char *in = start; *in != '\0'; in++) {
        if (*in == '\'') {
            if (in[1] != '\'') {
                *p = in + 1;
                *out = '\0'; /* out <= in: the closing quote's place or before */
                return start;
            }
            in++;
        }
        *out++ = *in;
    }
    return NULL;
}

static PwErr slurp(const char *path, PwBuf *buf, const char **ret_problem)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return PW_ERR_IO;
    PwErr err = PW_OK;
    for (;;) {
        pw_buf_reserve(buf, 8192);
        size_t n = fread(buf->data + buf->len, 1, buf->cap - buf->len - 1, file);
        buf->len += n;
        if (n == 0)
            break;
        if (buf->len > PW_INI_MAX_FILE) {
            errno = EFBIG;
            err = PW_ERR_IO;
            break;
        }
    }
    if (err == PW_OK && ferror(file))
        err = PW_ERR_IO;
    int saved = errno;
    (void)fclose(file);
    errno = saved;
    if (err == PW_OK)
        buf->data[buf->len] = '\0';
    else
        *ret_problem = strerror(saved);
    return err;
}

/* `at` is where to complain: the %include line, or the file itself. */
static PwErr read_path(IniReader *reader, const char *path, PwIniPlace at)
{
    PwBuf buf;
    pw_buf_init(&buf);
    const char *problem = NULL;
    PwErr err = slurp(path, &buf, &problem);
    if (err != PW_OK) {
        char *text =
            pw_xasprintf("cannot read \"%s\": %s", path, problem ? problem : strerror(errno));
        report(reader, at, text);
        free(text);
    } else {
        read_lines(reader, path, (char *)buf.data, buf.len);
    }
    pw_wipe(buf.data, buf.cap); /* lines of [databases] hold passwords */
    pw_buf_finish(&buf);
    return err;
}

static void read_directive(IniReader *reader, PwIniPlace at, char *p)
{
    static const char word[] = "%include";
    size_t n = sizeof(word) - 1;
    if (strncmp(p, word, n) != 0 || !is_blank(p[n])) {
        report(reader, at, "unknown directive; only \"%include FILE\" exists");
        return;
    }
    p += n;
    while (is_blank(*p))
        p++;
    if (*p == '\0') {
        report(reader, at, "%include needs a file name");
    } else if (!reader->may_include) {
        report(reader, at, "%include is not possible here");
    } else if (reader->depth >= PW_INI_MAX_DEPTH) {
        report(reader, at,
               "%include is nested too deeply (10 levels); does a file include itself?");
    } else {
        reader->depth++;
        (void)read_path(reader, p, at); /* already reported */
        reader->depth--;
    }
}

static void read_key(IniReader *reader, PwIniPlace at, char *p)
{
    char *key = p, *key_end;
    if (*p == '\'') {
        key = unquote(&p);
        if (key == NULL) {
            report(reader, at, "a quoted key does not end");
            return;
        }
        key_end = NULL; /* unquote() ended it */
    } else {
        while (is_key_byte(*p))
            p++;
        if (p == key) {
            report(reader, at, *p == '"' ? "a name with other characters stands in single quotes, not in double ones"
                                         : "expected \"key = value\", \"[section]\" or a comment");
            return;
        }
        key_end = p;
    }
    while (is_blank(*p))
        p++;
    if (*p != '=') {
        report(reader, at,
               *p == '\0' ? "expected \"=\" and a value behind the key"
                          : "expected \"=\" behind the key; other names need single quotes");
        return;
    }
    p++;
    if (key_end != NULL)
        *key_end = '\0';
    if (*key == '\0') {
        report(reader, at, "the key is empty");
        return;
    }
    while (is_blank(*p))
        p++;
    if (reader->section == NULL) {
        report(reader, at, "a key before the first [section]");
        return;
    }
    if (reader->handler->key != NULL)
        reader->handler->key(reader->handler->arg, at, reader->section, key, p);
}

/* One line, cut at both ends. Behind "[section]" the rest counts as a line of its own, as in PgBouncer. */
static void read_line(IniReader *reader, PwIniPlace at, char *p)
{
    while (*p == '[') {
        char *end = strchr(p, ']');
        if (end == NULL) {
            report(reader, at, "\"[\" without \"]\"");
            return;
        }
        *end = '\0';
        free(reader->section);
        reader->section = pw_xstrdup(p + 1);
        if (reader->handler->section != NULL)
            reader->handler->section(reader->handler->arg, at, reader->section);
        for (p = end + 1; is_blank(*p); p++) {
        }
    }
    if (*p == '\0' || *p == ';' || *p == '#')
        return;
    if (*p == '%')
        read_directive(reader, at, p);
    else
        read_key(reader, at, p);
}

/* `text` is writable and ends with a NUL behind its len bytes. */
static void read_lines(IniReader *reader, const char *name, char *text, size_t len)
{
    PwIniPlace at = {.file = name, .line = 0};
    char *p = text + pw_str_bom(text, len), *end = text + len;
    while (p < end) {
        char *eol = memchr(p, '\n', (size_t)(end - p));
        char *next = eol != NULL ? eol + 1 : end;
        char *stop = eol != NULL ? eol : end;
        at.line++;
        if (memchr(p, '\0', (size_t)(stop - p)) != NULL) {
            report(reader, at, "a NUL byte in the line");
        } else {
            while (p < stop && is_blank(*p))
                p++;
            while (stop > p && is_blank(stop[-1]))
                stop--;
            *stop = '\0';
            read_line(reader, at, p);
        }
        p = next;
    }
}

PwErr pw_ini_read_file(const char *path, const PwIniHandler *handler)
{
    IniReader reader = {.handler = handler, .may_include = true};
    PwErr err = read_path(&reader, path, (PwIniPlace){.file = path, .line = 0});
    free(reader.section);
    if (err != PW_OK)
        return err;
    return reader.failed ? PW_ERR_SYNTAX : PW_OK;
}

PwErr pw_ini_read_text(const char *name, const char *text, size_t len, const PwIniHandler *handler)
{
    IniReader reader = {.handler = handler};
    char *copy = pw_xmalloc(len + 1);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    read_lines(&reader, name, copy, len);
    free(copy);
    free(reader.section);
    return reader.failed ? PW_ERR_SYNTAX : PW_OK;
}

/* One pair at *p, which is moved behind it. Returns NULL, or what is wrong. */
static const char *read_pair(char **p, char **ret_key, char **ret_value)
{
    char *q = *p, *key = q;
    while (*q != '\0' && *q != '=' && !is_blank(*q))
        q++;
    char *key_end = q;
    while (is_blank(*q))
        q++;
    if (*q != '=')
        return "expected key=value pairs separated by blanks; values with blanks need single "
               "quotes";
    if (key_end == key)
        return "a key is missing before \"=\"";
    *key_end = '\0';
    q++;
    while (is_blank(*q))
        q++;
    char *value = q;
    if (*q == '\'') {
        value = unquote(&q);
        if (value == NULL)
            return "a quoted value does not end";
        if (*q != '\0' && !is_blank(*q))
            return "a blank is missing behind a quoted value";
    } else {
        while (*q != '\0' && !is_blank(*q))
            q++;
        if (*q != '\0')
            *q++ = '\0';
    }
    if (*value == '\0')
        return "a value is empty";
    while (is_blank(*q))
        q++;
    *p = q;
    *ret_key = key;
    *ret_value = value;
    return NULL;
}

PwErr pw_ini_read_pairs(const char *text, PwIniPair pair, void *arg, const char **ret_problem)
{
    size_t len = strlen(text);
    char *copy = pw_xstrdup(text);
    char *p = copy;
    while (is_blank(*p))
        p++;
    const char *problem = NULL;
    while (*p != '\0') {
        char *key, *value;
        problem = read_pair(&p, &key, &value);
        if (problem != NULL)
            break;
        pair(arg, key, value);
    }
    pw_wipe(copy, len); /* it may hold a password */
    free(copy);
    if (problem != NULL) {
        *ret_problem = problem;
        return PW_ERR_SYNTAX;
    }
    return PW_OK;
}
