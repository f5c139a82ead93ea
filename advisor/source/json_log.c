/* SPDX-License-Identifier: ISC */
/* json_log.c - PostgreSQL's jsonlog, and the JSON in which clouds and containers hand its log on.
 *
 * All of them have the same few things under different names, some one level deeper (Azure: "properties"; Cloud SQL: "jsonPayload"; CloudNativePG: "record"). A text
 * payload holds lines as the stderr log has them; a message may be spread over several records. */
#include "advisor/source/json_log.h"

#include "advisor/source/json_scan.h"
#include "advisor/source/pieces.h"
#include "advisor/source/prefix.h"
#include "advisor/source/words.h"
#include "poolwise/err.h"

typedef enum Field {
    FIELD_TIME,
    FIELD_PID,
    FIELD_USER,
    FIELD_DATABASE,
    FIELD_APPLICATION,
    FIELD_SEVERITY,
    FIELD_MESSAGE,
    FIELD_DETAIL,
    FIELD_STATEMENT,
    FIELD_TEXT,   /* lines of a stderr log */
    FIELD_INSIDE, /* an object that holds the fields */
    FIELD_COUNT
} Field;

#define KEY(text, field) {text, sizeof(text) - 1, field}

static const struct {
    const char *key;
    size_t len; /* kept, since most keys of a line differ in it from most rows */
    Field field;
} keys[] = {
    KEY("timestamp", FIELD_TIME), KEY("log_time", FIELD_TIME), KEY("time", FIELD_TIME), KEY("pid", FIELD_PID), KEY("process_id", FIELD_PID),
    KEY("processId", FIELD_PID), KEY("user", FIELD_USER), KEY("user_name", FIELD_USER), KEY("dbname", FIELD_DATABASE), KEY("database_name", FIELD_DATABASE),
    KEY("database", FIELD_DATABASE), KEY("application_name", FIELD_APPLICATION), KEY("error_severity", FIELD_SEVERITY), KEY("errorLevel", FIELD_SEVERITY),
    KEY("message", FIELD_MESSAGE), KEY("detail", FIELD_DETAIL), KEY("statement", FIELD_STATEMENT), KEY("query", FIELD_STATEMENT),
    KEY("textPayload", FIELD_TEXT), KEY("log", FIELD_TEXT), KEY("msg", FIELD_TEXT), KEY("LogFileData", FIELD_TEXT), KEY("properties", FIELD_INSIDE), KEY("jsonPayload", FIELD_INSIDE),
    KEY("record", FIELD_INSIDE),
};

static Field field_of(AdvSlice key)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(keys); i++)
        if (keys[i].len == key.n && memcmp(keys[i].key, key.p, key.n) == 0)
            return keys[i].field;
    return FIELD_COUNT;
}

/* The members that matter, as written; of two with one name the inner one counts. False: it is no object, or cut. */
static bool collect(AdvSlice object, AdvJsonMember *found, bool inside)
{
    AdvJsonScan scan = adv_json_scan(object.p, object.n);
    AdvJsonMember m;
    while (adv_json_next(&scan, &m)) {
        Field f = field_of(m.key);
        if (f == FIELD_INSIDE && m.type == '{' && !inside)
            collect(m.value, found, true);
        else if (f < FIELD_INSIDE && m.value.n > 0 && m.type != 'n' && (inside || !found[f].type))
            found[f] = m;
    }
    return !scan.bad;
}

/* Strings and numbers alike; nothing when an escape is wrong. */
static AdvSlice text_of(const AdvJsonMember *m, PwBuf *buf)
{
    AdvSlice text = {0};
    if (m->type == '"')
        return adv_json_text(m, buf, &text) ? text : (AdvSlice){0};
    return m->type == '-' || (m->type >= '0' && m->type <= '9') ? m->value : text;
}

static bool read_record(AdvReader *r, AdvSlice object, bool inside);

#define DOCKER_LINE ((size_t)16 * 1024) /* longer lines come in so many bytes at a time, only the last of them with a newline */

static AdvSlice payload(const AdvJsonMember *found, PwBuf *buf)
{
    return text_of(&found[found[FIELD_TEXT].type == '"' ? FIELD_TEXT : FIELD_MESSAGE], buf);
}

/* Lines of a stderr log in a string, or once more a record in JSON. */
static void take_text(AdvReader *r, const AdvJsonMember *found, bool inside)
{
    AdvSlice text = payload(found, inside ? &r->inner : &r->payload);
    if (text.n == 0)
        return;
    if (text.p[0] != '{' || inside || r->piece_open)
        adv_piece(r, text, text.n >= DOCKER_LINE && text.p[text.n - 1] != '\n');
    else
        read_record(r, text, true);
}

static void take_object(AdvReader *r, const AdvJsonMember *found, bool inside)
{
    if (!found[FIELD_MESSAGE].type || !found[FIELD_SEVERITY].type) {
        take_text(r, found, inside);
        return;
    }
    adv_pieces_flush(r); /* which uses the buffers below */
    AdvSlice message = text_of(&found[FIELD_MESSAGE], &r->message);
    if (!message.p)
        return;
    AdvEntry e = {.severity = adv_severity(text_of(&found[FIELD_SEVERITY], &r->field[0])), .message = message, .detail = text_of(&found[FIELD_DETAIL], &r->detail),
                  .statement = text_of(&found[FIELD_STATEMENT], &r->statement), .time = text_of(&found[FIELD_TIME], &r->field[1]),
                  .pid = text_of(&found[FIELD_PID], &r->field[2]), .user = text_of(&found[FIELD_USER], &r->field[3]),
                  .database = text_of(&found[FIELD_DATABASE], &r->field[4]), .application = text_of(&found[FIELD_APPLICATION], &r->field[5])};
    /* Some write prefix and severity in front of the text once more. */
    size_t label, at;
    if (adv_find_part(message.p, message.n, &label, &at) <= ADV_PART_MESSAGE && (label == 0 || adv_time_length(message) > 0)) {
        e.message = adv_slice_from(message, at);
        adv_prefix_guess((AdvSlice){message.p, label}, &e);
    }
    adv_reader_message(r, &e);
}

static bool read_record(AdvReader *r, AdvSlice object, bool inside)
{
    AdvJsonMember found[FIELD_COUNT] = {0};
    bool whole = collect(object, found, false);
    if (whole)
        take_object(r, found, inside);
    return whole;
}

bool adv_json_record(AdvReader *r, AdvSlice object)
{
    return read_record(r, object, false);
}

static void read_json(AdvReader *r, const char *data, size_t len)
{
    for (const char *p = data, *end = data + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        if (!adv_json_record(r, (AdvSlice){p, (size_t)(stop - p)}))
            adv_tally_counts(r->tally)->bad += stop - p > 1;
        p = stop + 1;
    }
    adv_pieces_flush(r);
}

/* A record can be the part of a message that began before it. */
static bool starts(const char *line, size_t len)
{
    AdvJsonMember found[FIELD_COUNT] = {0};
    if (!collect((AdvSlice){line, len}, found, false))
        return false;
    if (found[FIELD_SEVERITY].type)
        return true;
    const AdvJsonMember *text = &found[found[FIELD_TEXT].type == '"' ? FIELD_TEXT : FIELD_MESSAGE];
    return text->type != '"' || (!adv_slice_begins(text->value, "\\t", 2) && adv_piece_starts(text->value));
}

bool adv_json_is_told(const char *text, size_t len)
{
    static const char *const marks[] = {"\"error_severity\"", "\"backend_type\"", "\"errorLevel\"", "\"textPayload\"", "\"jsonPayload\"", "\"log\"", "\"message\"",
                                        "\"msg\"", "\"LogFileData\""};
    for (size_t i = 0; i < PW_ARRAY_LEN(marks); i++)
        if (memmem(text, len, marks[i], strlen(marks[i])))
            return true;
    return false;
}

static bool is_json(const char *head, size_t len)
{
    const char *newline = memchr(head, '\n', len);
    return head[0] == '{' && adv_json_is_told(head, newline ? (size_t)(newline - head) : len);
}

const AdvForm adv_form_json = {.name = "jsonlog of PostgreSQL", .told = true, .is = is_json, .starts = starts, .read = read_json};
