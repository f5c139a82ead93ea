/* SPDX-License-Identifier: ISC */
/* json_log.c - PostgreSQL's jsonlog, and the JSON in which clouds and containers hand its log on.
 *
 * All of them have the same few things under different names, some one level deeper (Azure: "properties"; Cloud SQL: "jsonPayload"; CloudNativePG: "record"). A text
 * payload holds lines as the stderr log has them; a message may be spread over several records. */
#include "advisor/source/json_log.h"

#include <assert.h>
#include <pthread.h>

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

static const struct {
    const char *key;
    Field field;
} keys[] = {
    {"timestamp", FIELD_TIME}, {"log_time", FIELD_TIME}, {"time", FIELD_TIME}, {"pid", FIELD_PID}, {"process_id", FIELD_PID}, {"processId", FIELD_PID}, {"user", FIELD_USER},
    {"user_name", FIELD_USER}, {"dbname", FIELD_DATABASE}, {"database_name", FIELD_DATABASE}, {"database", FIELD_DATABASE}, {"application_name", FIELD_APPLICATION},
    {"error_severity", FIELD_SEVERITY}, {"errorLevel", FIELD_SEVERITY}, {"message", FIELD_MESSAGE}, {"detail", FIELD_DETAIL}, {"statement", FIELD_STATEMENT},
    {"query", FIELD_STATEMENT}, {"textPayload", FIELD_TEXT}, {"log", FIELD_TEXT}, {"msg", FIELD_TEXT}, {"LogFileData", FIELD_TEXT}, {"properties", FIELD_INSIDE},
    {"jsonPayload", FIELD_INSIDE}, {"record", FIELD_INSIDE},
};

/* The rows by a hash of their names: most names in a log are none of these, and find an empty place. */
#define PLACES 128
static unsigned char places[PLACES]; /* 1 + the row; 0: none. Written once, by fill_places */
static pthread_once_t places_once = PTHREAD_ONCE_INIT;

static size_t place_of(AdvSlice key)
{
    return key.n == 0 ? 0 : (key.n + 5 * (unsigned char)key.p[0] + 5 * (unsigned char)key.p[key.n - 1]) % PLACES;
}

static void fill_places(void)
{
    static_assert(PW_ARRAY_LEN(keys) < PLACES / 2, "there is always an empty place");
    for (size_t i = 0; i < PW_ARRAY_LEN(keys); i++) {
        size_t at = place_of((AdvSlice){keys[i].key, strlen(keys[i].key)});
        while (places[at])
            at = (at + 1) % PLACES;
        places[at] = (unsigned char)(i + 1);
    }
}

static Field field_of(AdvSlice key)
{
    for (size_t at = place_of(key); places[at]; at = (at + 1) % PLACES)
        if (adv_slice_is(key, keys[places[at] - 1].key))
            return keys[places[at] - 1].field;
    return FIELD_COUNT;
}

/* The members that matter, as written; of two with one name the inner one counts. False: it is no object, or cut. */
static bool collect(AdvSlice object, AdvJsonMember *found, bool inside)
{
    AdvJsonScan scan = adv_json_scan(object.p, object.n);
    AdvJsonMember m;
    pthread_once(&places_once, fill_places);
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
