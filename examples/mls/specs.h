/* specs.h - the formats that a command is to train, one after the other */
#ifndef PROGRAM_SPECS_H_INCLUDED
#define PROGRAM_SPECS_H_INCLUDED

#include "options.h"

enum {
    SPECS = 32
};
typedef struct specs {
    int count;
    const char *of[SPECS];
    char room[2048];
} specs;

static bool add_spec(specs *s, const char *spec, failure *f)
{
    mls_formats formats;
    char wrong[128];
    if (mls_formats_parse(&formats, spec, wrong, sizeof wrong) != MLS_OK) {
        return fail(f, 2, "--formats: %s (see --help)", wrong);
    }
    for (int i = 0; i < s->count; i++) {
        if (strcmp(s->of[i], spec) == 0) return fail(f, 2, "--formats: %s is there twice", spec);
    }
    if (s->count == SPECS) return fail(f, 2, "--formats: more than %d", SPECS);
    s->of[s->count++] = spec;
    return true;
}

/* Whether numbers are of this format, and not fp32. */
static bool is_low(mls_format f)
{
    return f.ex + f.mx > 0;
}

/* Those of --formats, or --format and --beside. */
static bool split_specs(specs *s, const options *o, failure *f)
{
    char *at = s->room;
    s->count = 0;
    if (!o->formats) {
        s->of[s->count++] = o->format;
        if (o->beside) s->of[s->count++] = o->beside;
        return true;
    }
    if (strlen(o->formats) >= sizeof s->room) return fail(f, 2, "--formats: the list is too long");
    snprintf(s->room, sizeof s->room, "%s", o->formats);
    while (at) {
        char *spec = at + strspn(at, " "), *end = strchr(spec, ';');
        at = end ? end + 1 : NULL;
        if (end) *end = 0;
        for (size_t n = strlen(spec); n && spec[n - 1] == ' '; n--) spec[n - 1] = 0;
        if (!*spec) return fail(f, 2, "--formats: one is empty");
        if (!add_spec(s, spec, f)) return false;
    }
    return true;
}

#endif /* PROGRAM_SPECS_H_INCLUDED */
