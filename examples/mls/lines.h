/* lines.h - lines for people */
#ifndef PROGRAM_LINES_H_INCLUDED
#define PROGRAM_LINES_H_INCLUDED

#include "platform.h"

/* Parts with two spaces between them; those that would make the line too wide are left out. */
typedef struct parts {
    char text[256];
    int length, most;
} parts;

PRINTF(2, 3) static void add_part(parts *l, const char *format, ...)
{
    char part[128];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(part, sizeof part, format, list), space = l->length ? 2 : 0;
    va_end(list);
    if (l->length + space + length > l->most) return;
    if (l->length + space + length >= (int)sizeof l->text) return;
    memcpy(l->text + l->length, "  ", (size_t)space);
    memcpy(l->text + l->length + space, part, (size_t)length + 1);
    l->length += space + length;
}

/* A path as a shell takes it. */
static const char *shell_word(const char *path, char word[PATH_SIZE + 8])
{
    bool plain = !strpbrk(path, " \t\n\"\\$`&|;<>()*?[]#~!{}") && path[0] != '-';
    if (plain || strchr(path, '\'')) return path;
    snprintf(word, PATH_SIZE + 8, "'%s'", path);
    return word;
}

/* Breaks a text between words into lines that are not too wide. */
PRINTF(2, 3) static void say(FILE *to, const char *format, ...)
{
    char text[2048];
    int at = 0, most = columns(to);
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (const char *word = text; *word; word += strspn(word, " ")) {
        int length = (int)strcspn(word, " ");
        if (at && at + 1 + length > most) at = 0, fputc('\n', to);
        at += fprintf(to, "%s%.*s", at ? " " : "", length, word);
        word += length;
    }
    fputc('\n', to);
}

static parts new_line(int most)
{
    parts l = {.most = most};
    return l;
}

/* Of several words one, for programs. */
static const char *one_word(const char *spec, char *word, size_t size)
{
    snprintf(word, size, "%s", spec);
    for (char *c = word; *c; c++) *c = *c == ' ' ? '/' : *c;
    return word;
}

#endif /* PROGRAM_LINES_H_INCLUDED */
