/* SPDX-License-Identifier: ISC */
#include "advisor/source/explained.h"

#include "advisor/source/json_scan.h"
#include "poolwise/err.h"

static AdvSlice skip_blanks(AdvSlice s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\n' || *s.p == '\t' || *s.p == '\r'))
        s = adv_slice_from(s, 1);
    return s;
}

/* "Query Text: SELECT ...", perhaps "Query Parameters: ...", then the plan, which begins with a cost. */
static bool from_text(AdvSlice plan, AdvSlice *ret_text, AdvSlice *ret_params)
{
    static const char values[] = "\nQuery Parameters: ";
    const char *end = memmem(plan.p, plan.n, "  (cost=", 8);
    const char *newline = end ? memrchr(plan.p, '\n', (size_t)(end - plan.p)) : NULL;
    if (end)
        plan.n = newline ? (size_t)(newline - plan.p) : 0;
    const char *params = memmem(plan.p, plan.n, values, strlen(values));
    if (params) {
        *ret_params = adv_slice_from(plan, (size_t)(params - plan.p) + strlen(values));
        plan.n = (size_t)(params - plan.p);
    }
    *ret_text = plan;
    return plan.n > 0;
}

static bool from_json(AdvSlice plan, PwBuf *text_buf, PwBuf *params_buf, AdvSlice *ret_text, AdvSlice *ret_params)
{
    AdvJsonScan scan = adv_json_scan(plan.p, plan.n);
    AdvJsonMember m;
    bool found = false;
    while (adv_json_next(&scan, &m))
        if (adv_slice_is(m.key, "Query Text"))
            found = adv_json_text(&m, text_buf, ret_text);
        else if (adv_slice_is(m.key, "Query Parameters") && !adv_json_text(&m, params_buf, ret_params))
            *ret_params = (AdvSlice){0};
    return found;
}

/* The string at the beginning of s, which the server writes as in JSON; *ret_rest is what is behind it. */
static bool yaml_string(AdvSlice s, PwBuf *buf, AdvSlice *ret_value, AdvSlice *ret_rest)
{
    AdvJsonMember m = {.type = '"'};
    size_t i = 1;
    while (i < s.n && s.p[i] != '"')
        i += s.p[i] == '\\' ? 2 : 1;
    if (s.n == 0 || s.p[0] != '"' || i >= s.n)
        return false;
    m.value = (AdvSlice){s.p + 1, i - 1};
    *ret_rest = adv_slice_from(s, i + 1);
    return adv_json_text(&m, buf, ret_value);
}

static bool from_yaml(AdvSlice plan, PwBuf *text_buf, PwBuf *params_buf, AdvSlice *ret_text, AdvSlice *ret_params)
{
    static const char values[] = "Query Parameters: ";
    AdvSlice rest, ignored;
    if (!yaml_string(plan, text_buf, ret_text, &rest))
        return false;
    rest = skip_blanks(rest);
    if (adv_slice_begins(rest, values, strlen(values)) && !yaml_string(adv_slice_from(rest, strlen(values)), params_buf, ret_params, &ignored))
        *ret_params = (AdvSlice){0};
    return true;
}

/* What is between <tag> and </tag>, with the few entities that the server writes taken back. */
static bool xml_element(AdvSlice plan, const char *open, const char *close, PwBuf *buf, AdvSlice *ret)
{
    static const struct {
        const char *entity;
        char c;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&#x0d;", '\r'}};
    const char *at = memmem(plan.p, plan.n, open, strlen(open));
    AdvSlice s = at ? adv_slice_from(plan, (size_t)(at - plan.p) + strlen(open)) : (AdvSlice){0};
    const char *end = at ? memmem(s.p, s.n, close, strlen(close)) : NULL;
    if (!end)
        return false;
    s.n = (size_t)(end - s.p);
    buf->off = buf->len = 0;
    while (s.n > 0) {
        size_t i = 0;
        while (i < PW_ARRAY_LEN(entities) && !adv_slice_begins(s, entities[i].entity, strlen(entities[i].entity)))
            i++;
        bool known = i < PW_ARRAY_LEN(entities);
        pw_buf_append_u8(buf, (uint8_t)(known ? entities[i].c : *s.p));
        s = adv_slice_from(s, known ? strlen(entities[i].entity) : 1);
    }
    *ret = (AdvSlice){(const char *)buf->data, buf->len};
    return buf->len > 0;
}

static bool from_xml(AdvSlice plan, PwBuf *text_buf, PwBuf *params_buf, AdvSlice *ret_text, AdvSlice *ret_params)
{
    if (!xml_element(plan, "<Query-Text>", "</Query-Text>", text_buf, ret_text))
        return false;
    if (!xml_element(plan, "<Query-Parameters>", "</Query-Parameters>", params_buf, ret_params))
        *ret_params = (AdvSlice){0};
    return true;
}

bool adv_explained(AdvSlice plan, PwBuf *text_buf, PwBuf *params_buf, AdvSlice *ret_text, AdvSlice *ret_params)
{
    static const char head[] = "Query Text: ", xml[] = "<explain";
    *ret_params = (AdvSlice){0};
    plan = skip_blanks(plan);
    if (plan.n > 0 && *plan.p == '{')
        return from_json(plan, text_buf, params_buf, ret_text, ret_params);
    if (adv_slice_begins(plan, xml, strlen(xml)))
        return from_xml(plan, text_buf, params_buf, ret_text, ret_params);
    if (!adv_slice_begins(plan, head, strlen(head)))
        return false;
    plan = adv_slice_from(plan, strlen(head));
    /* No statement begins with a quote, every string of YAML does. */
    return plan.n > 0 && *plan.p == '"' ? from_yaml(plan, text_buf, params_buf, ret_text, ret_params) : from_text(plan, ret_text, ret_params);
}
