/* settings.h - what checkpoints and config.json say, by name */
#ifndef PROGRAM_SETTINGS_H_INCLUDED
#define PROGRAM_SETTINGS_H_INCLUDED

#include "options.h"

typedef struct setting {
    char *key, *value;
} setting;

typedef struct settings {
    setting *of;
    size_t count;
    bool no_memory; /* then something is missing */
} settings;

static void free_settings(settings *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->of[i].key), free(s->of[i].value);
    free(s->of);
    memset(s, 0, sizeof *s);
}

/* Null: not there. */
static const char *get(const settings *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->of[i].key, key) == 0) return s->of[i].value;
    }
    return NULL;
}

/* Takes key and value, both from malloc. */
static void add_setting(settings *s, char *key, char *value)
{
    setting *of = key && value ? realloc(s->of, (s->count + 1) * sizeof *of) : NULL;
    if (of) {
        s->of = of;
        of[s->count].key = key, of[s->count++].value = value;
    } else {
        free(key), free(value);
        s->no_memory = true;
    }
}

PRINTF(3, 4) static void put(settings *s, const char *key, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    size_t size = (size_t)vsnprintf(NULL, 0, format, list) + 1, length = strlen(key) + 1;
    char *value = malloc(size), *name = malloc(length);
    if (value) vsnprintf(value, size, format, again);
    if (name) memcpy(name, key, length);
    add_setting(s, name, value);
    va_end(again);
    va_end(list);
}

static void put_real(settings *s, const char *key, double x)
{
    char text[32];
    exact_text(x, text, sizeof text);
    put(s, key, "%s", text);
}

/* Text that grows. */
typedef struct growing {
    char *at;
    size_t length;
    bool no_memory;
} growing;

/* Room for count bytes at its end, with a 0 behind; null: none. */
static char *grow(growing *t, size_t count)
{
    char *at = realloc(t->at, t->length + count + 1);
    if (!at) return t->no_memory = true, NULL;
    t->at = at;
    at[t->length += count] = 0;
    return at + t->length - count;
}

static void append(growing *t, const char *bytes, size_t count)
{
    char *at = grow(t, count);
    if (at && count) memcpy(at, bytes, count);
}

/* Becomes the file path, whole or not at all, and is freed. */
static bool save_growing(growing *t, const char *path, failure *f)
{
    char text[PATH_SIZE + 256];
    bool good = !t->no_memory || fail(f, 1, "no memory for %s", path);
    if (good && mls_file_save(path, t->at, t->length, text, sizeof text) != MLS_OK) {
        good = fail(f, 2, "%s", text);
    }
    free(t->at);
    return good;
}

/* Bytes of the character that a text starts with; 0: they are not UTF-8. */
static size_t utf8(const char *text)
{
    const unsigned char *u = (const unsigned char *)text;
    const unsigned least = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;
    const unsigned most = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf;
    const size_t bytes = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    if (bytes > 1 && (u[0] < 0xc2 || u[0] > 0xf4 || u[1] < least || u[1] > most)) return 0;
    for (size_t i = 2; i < bytes; i++) {
        if ((u[i] & 0xc0) != 0x80) return 0;
    }
    return bytes;
}

/* As JSON has it: names of classes can be anything that names a folder. A byte that is no UTF-8 is
   written as the character of its number, so that others can read the file, and read as the byte. */
static void append_escaped(growing *t, const char *value)
{
    for (char escape[8]; *value; value++) {
        unsigned char c = (unsigned char)*value;
        size_t bytes = utf8(value);
        if (c == '"' || c == '\\') append(t, "\\", 1);
        if (c < ' ' || !bytes) snprintf(escape, sizeof escape, "\\u%04x", c), append(t, escape, 6);
        if (c >= ' ' && bytes) append(t, value, bytes), value += bytes - 1;
    }
}

/* Lines "key value", or with json an object of texts, in new memory; null: none left. */
static char *write_settings(const settings *s, bool json)
{
    growing t = {0};
    for (size_t i = 0; i < s->count; i++) {
        if (json) append(&t, i ? ",\n  \"" : "{ \"", i ? 5 : 3);
        append(&t, s->of[i].key, strlen(s->of[i].key));
        append(&t, json ? "\": \"" : " ", json ? 4 : 1);
        append_escaped(&t, s->of[i].value);
        append(&t, json ? "\"" : "\n", 1);
    }
    if (json) append(&t, " }\n", 3);
    if (!s->no_memory && !t.no_memory) return t.at;
    free(t.at);
    return NULL;
}

/* Undoes append_escaped; null: no memory. */
static char *unescape(const char *from, size_t length)
{
    char *to = malloc(length + 1), *at = to;
    for (size_t i = 0; to && i < length; i++) {
        unsigned int c = (unsigned char)from[i];
        if (c == '\\' && i + 1 < length) {
            c = (unsigned char)from[++i];
            if (c == 'u' && i + 4 < length && sscanf(from + i + 1, "%4x", &c) == 1) i += 4;
        }
        *at++ = (char)c;
    }
    if (to) *at = 0;
    return to;
}

/* What write_settings wrote as lines. */
static bool read_lines(settings *to, const char *from, size_t size)
{
    for (const char *end = from + size, *next; from < end; from = next + 1) {
        next = memchr(from, '\n', (size_t)(end - from));
        const char *space = next ? memchr(from, ' ', (size_t)(next - from)) : NULL;
        if (!space) return false;
        add_setting(to, unescape(from, (size_t)(space - from)),
                    unescape(space + 1, (size_t)(next - space - 1)));
    }
    return !to->no_memory;
}

/* The text in quotes that comes next, with nothing but white space and mark before; null: none. */
static char *quoted(const char **at, char mark)
{
    const char *from = *at + strspn(*at, " \t\r\n"), *end;
    if (*from != mark) return NULL;
    from += 1 + strspn(from + 1, " \t\r\n");
    if (*from++ != '"') return NULL;
    for (end = from; *end && *end != '"'; end++) end += *end == '\\' && end[1];
    if (*end != '"') return NULL;
    *at = end + 1;
    return unescape(from, (size_t)(end - from));
}

/* What write_settings wrote as JSON. */
static bool read_object(settings *to, const char *at)
{
    char *key = quoted(&at, '{');
    while (key) {
        add_setting(to, key, quoted(&at, ':'));
        if (to->no_memory) return false;
        key = quoted(&at, ',');
    }
    return at[strspn(at, " \t\r\n")] == '}';
}

#endif /* PROGRAM_SETTINGS_H_INCLUDED */
