/* SPDX-License-Identifier: ISC */
/* The words are those of PostgreSQL's message catalogs, of which some changed between minor versions; a test compares them with the catalogs that are
 * installed. */
#include "advisor/source/words.h"

#include <ctype.h>

#include "poolwise/err.h"

#define PREFIX_MAX 400 /* a severity further to the right belongs to a message */

typedef struct Word {
    const char *text;
    AdvPart part;
} Word;

static const Word words[] = {
    {"LOG", ADV_PART_LOG}, {"DETAIL", ADV_PART_DETAIL}, {"STATEMENT", ADV_PART_STATEMENT}, {"ERROR", ADV_PART_ERROR}, {"FATAL", ADV_PART_ERROR},
    {"PANIC", ADV_PART_ERROR}, {"WARNING", ADV_PART_MESSAGE}, {"NOTICE", ADV_PART_MESSAGE}, {"INFO", ADV_PART_MESSAGE}, {"DEBUG", ADV_PART_MESSAGE},
    {"DEBUG1", ADV_PART_MESSAGE}, {"DEBUG2", ADV_PART_MESSAGE}, {"DEBUG3", ADV_PART_MESSAGE}, {"DEBUG4", ADV_PART_MESSAGE}, {"DEBUG5", ADV_PART_MESSAGE},
    {"HINT", ADV_PART_OTHER}, {"CONTEXT", ADV_PART_OTHER}, {"QUERY", ADV_PART_OTHER}, {"LOCATION", ADV_PART_OTHER}, {"BACKTRACE", ADV_PART_OTHER},
    /* German */
    {"FEHLER", ADV_PART_ERROR}, {"PANIK", ADV_PART_ERROR}, {"WARNUNG", ADV_PART_MESSAGE}, {"HINWEIS", ADV_PART_MESSAGE}, {"ANWEISUNG", ADV_PART_STATEMENT},
    {"TIPP", ADV_PART_OTHER}, {"ANFRAGE", ADV_PART_OTHER}, {"ZUSAMMENHANG", ADV_PART_OTHER},
    /* Spanish */
    {"DETALLE", ADV_PART_DETAIL}, {"SENTENCIA", ADV_PART_STATEMENT}, {"CONSULTA", ADV_PART_OTHER}, {"CONTEXTO", ADV_PART_OTHER},
    /* French: a blank stands in front of some of its colons */
    {"ERREUR", ADV_PART_ERROR}, {"ATTENTION", ADV_PART_MESSAGE}, {"DÉTAIL", ADV_PART_DETAIL}, {"INSTRUCTION ", ADV_PART_STATEMENT},
    {"ASTUCE ", ADV_PART_OTHER}, {"REQUÊTE ", ADV_PART_OTHER}, {"CONTEXTE ", ADV_PART_OTHER}, {"PILE D'APPEL ", ADV_PART_OTHER},
    /* Italian */
    {"ERRORE", ADV_PART_ERROR}, {"FATALE", ADV_PART_ERROR}, {"PANICO", ADV_PART_ERROR}, {"ATTENZIONE", ADV_PART_MESSAGE}, {"NOTIFICA", ADV_PART_MESSAGE},
    {"DETTAGLI", ADV_PART_DETAIL}, {"ISTRUZIONE", ADV_PART_STATEMENT}, {"SUGGERIMENTO", ADV_PART_OTHER}, {"CONTESTO", ADV_PART_OTHER},
    /* Japanese */
    {"詳細", ADV_PART_DETAIL}, {"文", ADV_PART_STATEMENT}, {"ヒント", ADV_PART_OTHER}, {"問い合わせ", ADV_PART_OTHER}, {"文脈", ADV_PART_OTHER},
    {"バックトレース", ADV_PART_OTHER},
    /* Georgian */
    {"ჟურნალი", ADV_PART_LOG}, {"შეცდომა", ADV_PART_ERROR}, {"ფატალური", ADV_PART_ERROR}, {"პანიკა", ADV_PART_ERROR}, {"გაფრთხილება", ADV_PART_MESSAGE},
    {"ინფორმაცია", ADV_PART_MESSAGE}, {"გამართვა", ADV_PART_MESSAGE}, {"დეტალები", ADV_PART_DETAIL}, {"ოპერატორი", ADV_PART_STATEMENT},
    {"მინიშნება", ADV_PART_OTHER}, {"მოთხოვნა", ADV_PART_OTHER}, {"კონტექსტი", ADV_PART_OTHER}, {"სტეკი", ADV_PART_OTHER},
    /* Korean */
    {"로그", ADV_PART_LOG}, {"오류", ADV_PART_ERROR}, {"치명적오류", ADV_PART_ERROR}, {"손상", ADV_PART_ERROR}, {"경고", ADV_PART_MESSAGE},
    {"알림", ADV_PART_MESSAGE}, {"정보", ADV_PART_MESSAGE}, {"디버그", ADV_PART_MESSAGE}, {"상세정보", ADV_PART_DETAIL}, {"명령 구문", ADV_PART_STATEMENT},
    {"힌트", ADV_PART_OTHER}, {"쿼리", ADV_PART_OTHER}, {"내용", ADV_PART_OTHER}, {"역추적", ADV_PART_OTHER},
    /* Russian */
    {"СООБЩЕНИЕ", ADV_PART_LOG}, {"ОШИБКА", ADV_PART_ERROR}, {"ВАЖНО", ADV_PART_ERROR}, {"ПАНИКА", ADV_PART_ERROR}, {"ПРЕДУПРЕЖДЕНИЕ", ADV_PART_MESSAGE},
    {"ЗАМЕЧАНИЕ", ADV_PART_MESSAGE}, {"ИНФОРМАЦИЯ", ADV_PART_MESSAGE}, {"ОТЛАДКА", ADV_PART_MESSAGE}, {"ПОДРОБНОСТИ", ADV_PART_DETAIL},
    {"ОПЕРАТОР", ADV_PART_STATEMENT}, {"ПОДСКАЗКА", ADV_PART_OTHER}, {"ЗАПРОС", ADV_PART_OTHER}, {"КОНТЕКСТ", ADV_PART_OTHER}, {"СТЕК", ADV_PART_OTHER},
    /* Swedish */
    {"LOGG", ADV_PART_LOG}, {"FEL", ADV_PART_ERROR}, {"FATALT", ADV_PART_ERROR}, {"VARNING", ADV_PART_MESSAGE}, {"NOTIS", ADV_PART_MESSAGE},
    {"DETALJ", ADV_PART_DETAIL}, {"SATS", ADV_PART_STATEMENT}, {"TIPS", ADV_PART_OTHER}, {"FRÅGA", ADV_PART_OTHER}, {"KONTEXT", ADV_PART_OTHER},
    /* Ukrainian */
    {"ЗАПИСУВАННЯ", ADV_PART_LOG}, {"ПОМИЛКА", ADV_PART_ERROR}, {"ФАТАЛЬНО", ADV_PART_ERROR}, {"ПАНІКА", ADV_PART_ERROR}, {"ПОПЕРЕДЖЕННЯ", ADV_PART_MESSAGE},
    {"ПОВІДОМЛЕННЯ", ADV_PART_MESSAGE}, {"ІНФОРМАЦІЯ", ADV_PART_MESSAGE}, {"НАЛАГОДЖЕННЯ", ADV_PART_MESSAGE}, {"ВІДОМОСТІ", ADV_PART_DETAIL},
    {"ІНСТРУКЦІЯ", ADV_PART_STATEMENT}, {"УКАЗІВКА", ADV_PART_OTHER}, {"ЗАПИТ", ADV_PART_OTHER}, {"ВІДСТЕЖУВАТИ", ADV_PART_OTHER},
    /* Chinese */
    {"日志", ADV_PART_LOG}, {"错误", ADV_PART_ERROR}, {"致命错误", ADV_PART_ERROR}, {"比致命错误还过分的错误", ADV_PART_ERROR}, {"警告", ADV_PART_MESSAGE},
    {"注意", ADV_PART_MESSAGE}, {"信息", ADV_PART_MESSAGE}, {"调试", ADV_PART_MESSAGE}, {"详细信息", ADV_PART_DETAIL}, {"语句", ADV_PART_STATEMENT},
    {"提示", ADV_PART_OTHER}, {"查询", ADV_PART_OTHER}, {"上下文", ADV_PART_OTHER}, {"详情", ADV_PART_DETAIL},
    {"日誌", ADV_PART_LOG}, {"錯誤", ADV_PART_ERROR}, {"致命錯誤", ADV_PART_ERROR}, {"嚴重錯誤", ADV_PART_ERROR}, {"資訊", ADV_PART_MESSAGE},
    {"除錯", ADV_PART_MESSAGE}, {"詳情", ADV_PART_DETAIL}, {"陳述式", ADV_PART_STATEMENT}, {"查詢", ADV_PART_OTHER}, {"回溯", ADV_PART_OTHER},
};

/* How a language puts its messages, as pieces between their values. */
typedef struct Language {
    const char *duration, *duration_alone, *ms; /* "duration: ", " ms" */
    const char *with_duration, *alone;          /* "statement: " behind a duration and without one */
    const char *execute, *fetch;                /* the fetch of more rows is the same execution once more */
    const char *parameters;
    const char *temp_file, *lock_wait; /* '#': a number, '%': anything, up to what stands behind it */
} Language;

static const Language languages[] = {
    {"duration: ", "duration: ", " ms", "statement: ", "statement: ", "execute ", "execute fetch from ", "parameters: ",
     "temporary file: path \"%\", size #", "process # still waiting for "},
    {"Dauer: ", "Dauer: ", " ms", "Anweisung: ", "Anweisung: ", "Ausführen ", "Ausführen Fetch von ", "Parameter: ",
     "temporäre Datei: Pfad »%«, Größe #", "Prozess # wartet immer noch auf "},
    {"duración: ", "duración: ", " ms", "sentencia: ", "sentencia: ", "ejecutar ", "ejecutar fetch desde ", "parámetros: ",
     "archivo temporal: ruta «%», tamaño #", "el proceso # aún espera "},
    {"durée : ", "durée : ", " ms", "instruction : ", "instruction : ", "exécute ", "exécute fetch à partir de ", "paramètres : ",
     "fichier temporaire : chemin « % », taille #", "le processus # est toujours en attente de "},
    {"durata: ", "durata: ", " ms", "istruzione: ", "istruzione: ", "esecuzione di ", "esecuzione di fetch da ", "parametri: ",
     "file temporaneo: percorso \"%\", dimensione #", "il processo # è ancora un attesa di "},
    {"期間: ", "期間: ", " ミリ秒", "文: ", "文: ", "実行 ", "取り出し実行 ", "パラメータ: ",
     "一時ファイル: パス \"%\"、サイズ #", "プロセス#は%を%で待機しています"},
    {"ხანგრძლივობა: ", "ხანგრძლივობა: ", " მწმs", "გამოსახულება: ", "ოპერატორი: ", "გაშვება ", "execute fetch from ", "პარამეტრები: ",
     "დროებითი ფაილი: ბილიკი \"%\", ზომა #", NULL}, /* of executions, as its catalog spells it */
    {"ხანგრძლივობა: ", "ხანგრძლივობა: ", " მწმ", "გამოსახულება: ", "ოპერატორი: ", "გაშვება ", "execute fetch from ", "პარამეტრები: ",
     "დროებითი ფაილი: ბილიკი \"%\", ზომა #", NULL},
    {"실행시간: ", "수행시간: ", " ms", "명령 구문: ", "명령 구문: ", "쿼리실행 ", "자료뽑기 ", "매개 변수: ",
     "임시 파일: 경로 \"%\", 크기 #", "# PID 프로세스에서 여전히 "},
    {"продолжительность: ", "продолжительность: ", " мс", "оператор: ", "оператор: ", "выполнение ", "выборка из ", "параметры: ",
     "временный файл: путь \"%\", размер #", "процесс # продолжает ожидать "},
    {"varaktighet: ", "varaktighet ", " ms", "sats: ", "sats: ", "kör ", "kör hämtning från ", "parametrar: ",
     "temporär fil: sökväg \"%\", storlek #", "process # väntar fortfarande på "},
    {"тривалість: ", "тривалість: ", " мс", "оператор: ", "оператор: ", "виконувати ", "виконати витягнення з ", "параметри: ",
     "тимчасовий файл: шлях \"%\", розмір #", "процес # все ще чекає "},
    {"耗时: ", "耗时: ", " ms", "语句: ", "语句: ", "执行 ", "执行提取，来源为 ", "参数: ",
     "临时文件: 路径 \"%\", 大小 #", "进程 # 等待 % 毫秒后，仍在等待 "},
    {"执行时间: ", "执行时间: ", " ms", "语句: ", "语句: ", "执行", "执行FETCH操作", "参数: ",
     "临时文件: 路径 \"%\", 大小 #", "进程 # 等待 % 毫秒后，仍在等待 "},
    {"持續時間: ", "持續時間: ", " 毫秒", "陳述式: ", "陳述式: ", "執行 ", "執行擷取，來源為 ", "參數: ",
     "暫存檔: 路徑 \"%\", 大小 #", "行程 # 在下列時間後仍等候 "},
};

static bool is_word(const char *end, size_t room, const Word *word)
{
    size_t n = strlen(word->text);
    return room >= n && end[-1] == word->text[n - 1] && memcmp(end - n, word->text, n) == 0 &&
           (room == n || !(isalnum((unsigned char)end[-(ptrdiff_t)n - 1]) || (unsigned char)end[-(ptrdiff_t)n - 1] >= 0x80));
}

AdvPart adv_find_part(const char *line, size_t len, size_t *ret_label, size_t *ret_at)
{
    size_t limit = len < PREFIX_MAX ? len : PREFIX_MAX;
    for (const char *p = line; (p = memchr(p, ':', limit - (size_t)(p - line))); p++) {
        size_t colon = (size_t)(p - line);
        if (colon + 2 >= len || p[1] != ' ' || p[2] != ' ')
            continue;
        for (size_t i = 0; i < PW_ARRAY_LEN(words); i++)
            if (is_word(p, colon, &words[i])) {
                *ret_label = colon - strlen(words[i].text);
                *ret_at = colon + 3;
                return words[i].part;
            }
    }
    return ADV_PART_NONE;
}

AdvPart adv_severity(AdvSlice word)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(words); i++)
        if (words[i].part <= ADV_PART_MESSAGE && adv_slice_is(word, words[i].text))
            return words[i].part;
    return ADV_PART_MESSAGE;
}

static bool skip(AdvSlice *s, const char *text)
{
    size_t n = strlen(text);
    if (!adv_slice_begins(*s, text, n))
        return false;
    *s = adv_slice_from(*s, n);
    return true;
}

/* "12.345", "12,345", "12": thousandths. A clock that was set back has made times negative: they are none. */
static bool read_thousandths(AdvSlice *s, unsigned long long *ret)
{
    unsigned long long value = 0;
    bool negative = skip(s, "-");
    size_t i = 0, digits = 0;
    while (i < s->n && i < 15 && s->p[i] >= '0' && s->p[i] <= '9')
        value = 10 * value + (unsigned)(s->p[i++] - '0');
    if (i == 0)
        return false;
    if (i < s->n && (s->p[i] == '.' || s->p[i] == ','))
        for (i++; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
            if (digits++ < 3)
                value = 10 * value + (unsigned)(s->p[i] - '0');
    for (; digits < 3; digits++)
        value *= 10;
    *s = adv_slice_from(*s, i);
    *ret = negative ? 0 : value;
    return true;
}

/* "execute S_1: SELECT ...", "execute <unnamed>/C_2: ...": the text. */
static bool after_execute(AdvSlice rest, const Language *l, bool alone, AdvSlice *ret_text)
{
    AdvSlice fetch = rest;
    if (skip(&fetch, l->fetch) || !skip(&rest, l->execute))
        return false;
    /* One catalog leaves the blank out, but only behind a duration. */
    if (alone && rest.p[-1] != ' ' && !skip(&rest, " "))
        return false;
    const char *colon = memmem(rest.p, rest.n, ": ", 2);
    if (!colon)
        return false;
    *ret_text = adv_slice_from(rest, (size_t)(colon - rest.p) + 2);
    return true;
}

static AdvTelling after_duration(AdvSlice rest, const Language *l, unsigned long long us)
{
    AdvTelling t = {.timed = true, .us = us};
    size_t i = 0;
    while (i < rest.n && (rest.p[i] == ' ' || rest.p[i] == ','))
        i++;
    rest = adv_slice_from(rest, i);
    t.text = rest;
    if (rest.n == 0)
        t.what = ADV_TOLD_DURATION;
    else if (skip(&t.text, l->with_duration) || after_execute(rest, l, false, &t.text))
        t.what = ADV_TOLD_STATEMENT;
    else if (skip(&t.text, "plan:"))
        t.what = ADV_TOLD_PLAN;
    return t;
}

static bool tell_in(const Language *l, AdvSlice message, AdvTelling *ret)
{
    AdvSlice rest = message;
    unsigned long long us;
    *ret = (AdvTelling){.what = ADV_TOLD_STATEMENT};
    if (skip(&rest, l->duration) || skip(&rest, l->duration_alone)) {
        if (!read_thousandths(&rest, &us) || !skip(&rest, l->ms))
            return false;
        *ret = after_duration(rest, l, us);
        return true;
    }
    ret->text = message;
    return skip(&ret->text, l->alone) || after_execute(message, l, true, &ret->text);
}

/* Does the message begin as the pattern says? The last number in it is told. */
static bool fits(AdvSlice s, const char *pattern, unsigned long long *ret_number)
{
    while (*pattern) {
        size_t n = strcspn(pattern, "#%");
        if (n > 0 && !adv_slice_begins(s, pattern, n))
            return false;
        s = adv_slice_from(s, n);
        pattern += n;
        if (*pattern == '%') {
            n = strcspn(++pattern, "#%");
            const char *at = memmem(s.p, s.n, pattern, n);
            if (!at)
                return false;
            s = adv_slice_from(s, (size_t)(at - s.p));
        } else if (*pattern == '#') {
            pattern++;
            if (s.n == 0 || !isdigit((unsigned char)s.p[0]))
                return false;
            for (*ret_number = 0; s.n > 0 && isdigit((unsigned char)s.p[0]); s = adv_slice_from(s, 1))
                *ret_number = *ret_number < 1000000000000000ULL ? 10 * *ret_number + (unsigned)(s.p[0] - '0') : *ret_number;
        }
    }
    return true;
}

static AdvTelling tell_trouble(AdvSlice message)
{
    AdvTelling t = {.what = ADV_TOLD_NOTHING};
    unsigned long long number = 0;
    for (size_t i = 0; i < PW_ARRAY_LEN(languages); i++) {
        const Language *l = &languages[i];
        if (fits(message, l->temp_file, &number))
            return (AdvTelling){.what = ADV_TOLD_TEMP_FILE, .bytes = number};
        if (l->lock_wait && fits(message, l->lock_wait, &number))
            return (AdvTelling){.what = ADV_TOLD_LOCK_WAIT};
    }
    return t;
}

AdvTelling adv_tell(AdvSlice message)
{
    AdvTelling t;
    for (size_t i = 0; i < PW_ARRAY_LEN(languages); i++)
        if (tell_in(&languages[i], message, &t))
            return t;
    return tell_trouble(message);
}

AdvSlice adv_parameters(AdvSlice detail)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(languages); i++) {
        AdvSlice values = detail;
        if (skip(&values, languages[i].parameters))
            return values;
    }
    return skip(&detail, "Parameters: ") ? detail : (AdvSlice){0}; /* from PostgreSQL 16 on */
}
