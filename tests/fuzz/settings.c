/* What checkpoints and config.json say of a run: any bytes are read or refused, what is read is
   written back as lines and as JSON and reads as the same, and options taken from it are in range. */
#define main mls_main
#define MLS_NO_SIMD
#define NO_PICTURES
#include "../../examples/mls/mls.c"
#undef main
#include "fuzz.h"

static void same(const settings *a, const settings *b)
{
    CHECK(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        CHECK(strcmp(a->of[i].key, b->of[i].key) == 0);
        CHECK(strcmp(a->of[i].value, b->of[i].value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    settings s = {0}, lines = {0}, object = {0};
    char *text = (char *)block_new(size + 1, 0);
    bool json = size && data[0] == '{';
    options o;
    failure why;
    progress at;
    memcpy(text, data, size);
    text[size] = 0;
    if (json ? read_object(&s, text) : read_lines(&s, text, size)) {
        bool plain = s.count > 0; /* keys of lines have no spaces */
        for (size_t i = 0; i < s.count; i++) plain = plain && !strpbrk(s.of[i].key, " \n\"\\");
        char *a = write_settings(&s, false), *b = write_settings(&s, true);
        if (plain) CHECK(read_lines(&lines, a, strlen(a)) && read_object(&object, b));
        if (plain) same(&s, &lines), same(&s, &object);
        free(a), free(b);
        join_formats(&s);
        default_options(&o);
        o.given = 0;
        if (adopt(&o, &s, "fuzz", RESUME, &why)) {
            CHECK(o.batch >= 1 && o.batch <= 65536 && o.epochs >= 1 && o.width <= 4096);
            CHECK(o.model[0] && o.format[0] && o.rate > 0);
        }
        if (get_progress(&at, &s)) CHECK(at.epoch >= 0 && isfinite(at.loss));
    }
    free_settings(&s), free_settings(&lines), free_settings(&object);
    block_free(text, 0);
    return 0;
}
