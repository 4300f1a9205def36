/* Every kernel's quantizer against the scalar one, and what is done with its tensors. */
#define MLS_IMPLEMENTATION
#include "../../mls_conv.h"
#include "fuzz.h"

/* Sizes that cannot be are refused before anything is touched. */
static void refuse(source *s)
{
    mls_format f;
    mls_shape shape;
    mls_tensor t;
    uint8_t memory[1];
    for (size_t i = 0; i < sizeof f; i++) ((uint8_t *)&f)[i] = (uint8_t)byte(s);
    shape.n = wild(s, 9), shape.h = wild(s, 9), shape.w = wild(s, 9), shape.c = wild(s, 9);
    CHECK(mls_tensor_init(&t, f, shape, memory, sizeof memory) != MLS_OK);
    CHECK(!mls_tensor_size(f, shape) || mls_group_count(f, shape) > 0);
}

static void check_report(const mls_tensor *t, const float *x)
{
    mls_report r;
    if (mls_measure(t, x, &r) != MLS_OK) return;
    CHECK(r.relative_error >= 0 && r.snr_db == r.snr_db);
    CHECK(r.clipped >= 0 && r.clipped <= 1 && r.flushed >= 0 && r.flushed <= 1);
    CHECK(r.zero_groups >= 0 && r.zero_groups <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size};
    mls_format f = any_format(&s);
    mls_shape shape = {between(&s, 1, 4), between(&s, 1, 9), between(&s, 1, 9), between(&s, 1, 70)};
    size_t count = mls__elements(shape), bytes = mls_tensor_size(f, shape);
    size_t groups = mls_group_count(f, shape) * sizeof(uint16_t), codes = mls__code_bytes(f, count);
    size_t skip = (size_t)between(&s, 0, 63);
    uint64_t seed = word(&s, 8);
    float *x = (float *)block_new(count * sizeof *x, 0), *y;
    mls_tensor truth, t;
    void *memory[2];
    mls_status status = MLS_OK;
    any_floats(&s, x, count);
    for (int i = 0; i < 2; i++) memory[i] = block_new(bytes, i ? skip : 0);
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        CHECK(mls_kernel_use(mls_kernel_name(kernel)) == MLS_OK);
        CHECK(mls_tensor_init(&t, f, shape, memory[kernel > 0], bytes) == MLS_OK);
        memset(t.group, 0xa5, groups), memset(t.code, 0xa5, codes);
        t.scale = 3;
        if (kernel == 0) {
            status = mls_quantize(&t, x, seed);
            truth = t;
            CHECK(status == MLS_OK || (status == MLS_ERROR_NONFINITE && t.scale == 3));
        } else {
            CHECK(mls_quantize(&t, x, seed) == status);
            CHECK(memcmp(&t.scale, &truth.scale, sizeof t.scale) == 0);
            CHECK(memcmp(t.group, truth.group, groups) == 0);
            CHECK(memcmp(t.code, truth.code, codes) == 0);
        }
    }
    if (status == MLS_OK) {
        y = (float *)block_new(count * sizeof *y, 0);
        CHECK(mls_dequantize(&truth, y) == MLS_OK);
        for (size_t i = 0; i < count; i++) CHECK(isfinite(y[i]));
        check_report(&truth, x);
        any_floats(&s, y, count); /* any other numbers */
        check_report(&truth, y);
        block_free(y, 0);
    } else {
        for (size_t i = 0; i < codes; i++) CHECK(truth.code[i] == 0xa5);
        for (size_t i = 0; i < groups / 2; i++) CHECK(truth.group[i] == 0xa5a5);
    }
    refuse(&s);
    for (int i = 0; i < 2; i++) block_free(memory[i], i ? skip : 0);
    block_free(x, 0);
    return 0;
}
