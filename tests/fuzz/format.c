/* Texts of formats: whatever is accepted is a format and reads back from what the library writes;
   whatever is not leaves everything as it was. */
#define MLS_IMPLEMENTATION
#define MLS_NO_SIMD
#include "mls.h"
#include "fuzz.h"

static int fp32(mls_format f)
{
    return f.ex + f.mx == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size};
    mls_format before, f, again;
    char *text, printed[MLS_FORMATS_TEXT];
    mls_formats all, same;
    for (size_t i = 0; i < sizeof before; i++) ((uint8_t *)&before)[i] = (uint8_t)byte(&s);
    size = (size_t)(s.end - s.at);
    text = (char *)block_new(size + 1, 0);
    memcpy(text, s.at, size);
    text[size] = 0;
    f = before;
    if (mls_format_parse(&f, text) != MLS_OK) {
        CHECK(memcmp(&f, &before, sizeof f) == 0);
    } else if (strcmp(text, "fp32") == 0) {
        CHECK(fp32(f) && mls_format_bits(f) == 0);
    } else {
        int32_t count = 1 << mls_format_bits(f);
        float *values = (float *)block_new((size_t)count * sizeof *values, 0);
        CHECK(mls_format_check(f) == MLS_OK);
        CHECK(mls_format_values(f, values, count - 1) == 0);
        CHECK(mls_format_values(f, values, count) == count);
        for (int32_t i = 0; i < count; i++) CHECK(fabsf(values[i]) < 1);
        block_free(values, 0);
        CHECK(mls_format_text(f, printed, sizeof printed) == MLS_OK);
        memset(&again, 0, sizeof again);
        CHECK(mls_format_parse(&again, printed) == MLS_OK && memcmp(&again, &f, sizeof f) == 0);
    }
    memset(&all, 7, sizeof all);
    same = all;
    if (mls_formats_parse(&all, text, printed, sizeof printed) == MLS_OK) {
        const mls_format of[] = {all.weight,         all.activation,           all.error,
                                 all.weight_in_data, all.activation_in_weight, all.error_in_weight};
        for (int i = 0; i < 6; i++) CHECK(fp32(of[i]) || mls_format_check(of[i]) == MLS_OK);
        CHECK(mls_formats_text(all, printed, sizeof printed) == MLS_OK);
        CHECK(mls_formats_parse(&same, printed, NULL, 0) == MLS_OK);
    }
    CHECK(memcmp(&all, &same, sizeof all) == 0);
    block_free(text, 0);
    return 0;
}
