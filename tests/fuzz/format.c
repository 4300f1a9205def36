/* Texts of formats: whatever is accepted is a format and reads back from what the example prints;
   whatever is not leaves everything as it was. */
#define main cifar10_main
#define MLS_NO_SIMD
#define NO_PICTURES
#include "../../examples/cifar10.c"
#undef main
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size};
    mls_format before, f, again;
    char *text, printed[64];
    roles r;
    failure why;
    for (size_t i = 0; i < sizeof before; i++) ((uint8_t *)&before)[i] = (uint8_t)byte(&s);
    size = (size_t)(s.end - s.at);
    text = (char *)block_new(size + 1, 0);
    memcpy(text, s.at, size);
    text[size] = 0;
    f = before;
    if (mls_format_parse(&f, text) != MLS_OK) {
        CHECK(memcmp(&f, &before, sizeof f) == 0);
    } else if (strcmp(text, "fp32") == 0) {
        CHECK(is_fp32(f) && mls_format_bits(f) == 0);
    } else {
        int32_t count = 1 << mls_format_bits(f);
        float *values = (float *)block_new((size_t)count * sizeof *values, 0);
        CHECK(mls_format_check(f) == MLS_OK);
        CHECK(mls_format_values(f, values, count - 1) == 0);
        CHECK(mls_format_values(f, values, count) == count);
        for (int32_t i = 0; i < count; i++) CHECK(fabsf(values[i]) < 1);
        block_free(values, 0);
        format_text(f, printed, sizeof printed);
        memset(&again, 0, sizeof again);
        CHECK(mls_format_parse(&again, printed) == MLS_OK && memcmp(&again, &f, sizeof f) == 0);
    }
    if (parse_roles(&r, text, &why)) {
        for (int i = 0; i < ROLES; i++) {
            CHECK(is_fp32(r.of[i]) || mls_format_check(r.of[i]) == MLS_OK);
        }
    }
    block_free(text, 0);
    return 0;
}
