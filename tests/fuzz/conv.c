/* The three convolutions by every kernel against the scalar one: tensors of any codes, the same
   prepared, quantized straight into operands, and fp32. Tiles are in memory, where the sanitizers
   see them. */
#define MLS_AMX_EMULATE
#define MLS_IMPLEMENTATION
#include "../../mls_conv.h"
#include "fuzz.h"

enum {
    MOST_PRODUCTS = 30000
};

/* A convolution with its two operands and its result; memory as tight as it may be. */
typedef struct job {
    mls_conv conv;
    mls_direction direction;
    mls_shape shape[3];
    mls_tensor t[2];
    float *x[2], *truth, *out;
    void *memory[2], *work;
    size_t count, skip, room;
} job;

static size_t products(const mls_conv *c)
{
    return mls__elements(mls_conv_output(c)) * mls__image(mls_conv_weight_shape(c));
}

/* more: groups, dilation and sides of their own, too. */
static mls_conv any_conv(source *s, int more)
{
    mls_conv c;
    int32_t *side[4], groups = 1, depth[2];
    memset(&c, 0, sizeof c);
    c.in.n = between(s, 1, 3), c.in.h = between(s, 1, 16), c.in.w = between(s, 1, 40);
    depth[0] = between(s, 1, 72), depth[1] = between(s, 1, 72);
    c.kh = between(s, 1, 7), c.kw = between(s, 1, 7);
    c.stride = between(s, 0, 3), c.pad = between(s, 0, 4);
    if (more) {
        c.stride_h = between(s, 0, 4) % 4, c.stride_w = between(s, 0, 4) % 4;
        c.dilation_h = between(s, -1, 12) % 6, c.dilation_w = between(s, 0, 12) % 6;
        c.pad_top = between(s, -1, 12) % 4, c.pad_left = between(s, 0, 3);
        c.pad_bottom = between(s, 0, 3), c.pad_right = between(s, 0, 3);
        c.groups = groups = between(s, 1, 9);
        if (between(s, 0, 1)) c.groups = groups = depth[0], depth[0] = depth[1] = 1;
    }
    side[0] = &c.in.h, side[1] = &c.in.w, side[2] = &depth[0], side[3] = &depth[1];
    for (;;) {
        int32_t **most = side;
        c.in.c = depth[0] * groups, c.c_out = depth[1] * groups;
        if (products(&c) <= MOST_PRODUCTS) return c; /* none of a bad one */
        for (int i = 1; i < 4; i++) {
            if (*side[i] > **most) most = &side[i];
        }
        **most /= 2;
    }
}

/* Codes and scales that the format allows, with some group codes that it may not. */
static void any_tensor(source *s, mls_tensor *t)
{
    mls_format f = t->format;
    size_t count = mls__elements(t->shape), groups = mls_group_count(f, t->shape);
    uint32_t top = (uint32_t)mls__code_max(f), bottom = (uint32_t)mls__k_max(f);
    uint32_t zeros = byte(s), ends = byte(s), spread = byte(s) % (bottom + 1) + 1;
    uint64_t seed = word(s, 2);
    t->scale = byte(s) % 4 ? 0.037f : fabsf(any_float(s));
    for (size_t i = 0; i < groups; i++) {
        uint32_t k = (uint32_t)(mls_seed(seed, i) >> 33) % spread;
        uint32_t m = k ? (uint32_t)mls_seed(seed, i) & f.mg : 0;
        t->group[i] = (uint16_t)(k << f.mg | m);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t u = mls_seed(~seed, i);
        uint32_t code = (u >> 56) < ends ? top : (uint32_t)u & top;
        if ((u >> 48 & 255) < zeros) code = 0;
        if (code) code |= (uint32_t)(u >> 47 & 1) << (f.ex + f.mx);
        mls__code_put(t->code, 1 + f.ex + f.mx, i, code);
    }
    for (uint32_t pokes = byte(s) % 4; pokes; pokes--) {
        t->group[word(s, 2) % groups] = (uint16_t)word(s, 2);
    }
}

static mls_status convolve(const job *j, float *to)
{
    const mls_conv *c = &j->conv;
    const mls_tensor *a = &j->t[0], *b = &j->t[1];
    if (j->direction == MLS_FORWARD) return mls_conv_forward(c, a, b, to, j->work, j->room);
    if (j->direction == MLS_BACKWARD_DATA) {
        return mls_conv_backward_data(c, a, b, to, j->work, j->room);
    }
    return mls_conv_backward_weight(c, a, b, to, j->work, j->room);
}

static mls_status convolve_fp32(const job *j, float *to)
{
    const mls_conv *c = &j->conv;
    const float *a = j->x[0], *b = j->x[1];
    if (j->direction == MLS_FORWARD) return mls_conv_forward_fp32(c, a, b, to, j->work, j->room);
    if (j->direction == MLS_BACKWARD_DATA) {
        return mls_conv_backward_data_fp32(c, a, b, to, j->work, j->room);
    }
    return mls_conv_backward_weight_fp32(c, a, b, to, j->work, j->room);
}

/* Through operands made from the numbers, or from the tensors: what convolve() gives, where 32-bit
   sums are enough for operands of these bits. */
static mls_status prepared(const job *j, int32_t bits, uint64_t seed, int load, float *to)
{
    static const mls_role roles[3][2] = {
        {MLS_WEIGHT, MLS_ACTIVATION}, {MLS_WEIGHT, MLS_ERROR}, {MLS_ERROR, MLS_ACTIVATION}};
    mls_operand o[2];
    void *memory[2];
    mls_status status = MLS_OK;
    for (int i = 0; i < 2; i++) {
        mls_role role = roles[j->direction][i];
        size_t size = mls_operand_size(&j->conv, role, j->t[i].format, bits);
        mls_status made;
        CHECK(size > 0);
        memory[i] = block_new(size, j->skip);
        CHECK(mls_operand_init(&o[i], &j->conv, role, j->t[i].format, bits, memory[i], size) ==
              MLS_OK);
        made =
            load ? mls_operand_load(&o[i], &j->t[i]) : mls_operand_quantize(&o[i], j->x[i], seed);
        if (made != MLS_OK) status = made;
    }
    if (status == MLS_OK) {
        status = mls_conv_prepared(&j->conv, j->direction, &o[0], &o[1], to, j->work, j->room);
    }
    for (int i = 0; i < 2; i++) block_free(memory[i], j->skip);
    return status;
}

/* All kernels on the tensors as they are; numbers: that they were quantized from j->x. */
static void check_tensors(job *j, int32_t bits, uint64_t seed, int numbers)
{
    size_t bytes = j->count * sizeof(float);
    mls_status status = MLS_OK;
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        float *to = kernel ? j->out : j->truth;
        mls_status now;
        CHECK(mls_kernel_use(mls_kernel_name(kernel)) == MLS_OK);
        now = convolve(j, to);
        if (kernel == 0) status = now;
        CHECK(now == status);
        CHECK(status != MLS_OK || memcmp(to, j->truth, bytes) == 0);
        for (int load = !numbers; bits && load < 2; load++) {
            now = prepared(j, bits, seed, load, j->out);
            CHECK(now == status || (now == MLS_ERROR_RANGE && status == MLS_OK));
            CHECK(now != MLS_OK || memcmp(j->out, j->truth, bytes) == 0);
        }
    }
}

static void check_fp32(job *j)
{
    for (int kernel = 0; kernel < mls_kernel_count(); kernel++) {
        float *to = kernel ? j->out : j->truth;
        CHECK(mls_kernel_use(mls_kernel_name(kernel)) == MLS_OK);
        CHECK(convolve_fp32(j, to) == MLS_OK);
        CHECK(same_floats(to, j->truth, j->count));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, data + size};
    job j;
    mls_format f[2], none;
    mls_shape out;
    uint64_t seed;
    int32_t bits[2], most;
    uint32_t what = byte(&s);
    memset(&none, 0, sizeof none);
    j.conv = any_conv(&s, what & 16);
    out = mls_conv_output(&j.conv);
    j.direction = (mls_direction)between(&s, 0, 2);
    j.skip = (size_t)between(&s, 0, 63);
    for (int i = 0; i < 2; i++) f[i] = any_format(&s), bits[i] = mls_operand_bits(f[i]);
    seed = word(&s, 2);
    j.room = mls_conv_workspace(&j.conv, f[0], f[1]);
    if (!out.n) {
        CHECK(j.room == 0 && mls_operand_size(&j.conv, MLS_ACTIVATION, f[0], 16) == 0);
        return 0;
    }
    j.shape[0] = j.direction == MLS_BACKWARD_WEIGHT ? out : mls_conv_weight_shape(&j.conv);
    j.shape[1] = j.direction == MLS_BACKWARD_DATA ? out : j.conv.in;
    j.shape[2] = j.direction == MLS_FORWARD         ? out
                 : j.direction == MLS_BACKWARD_DATA ? j.conv.in
                                                    : mls_conv_weight_shape(&j.conv);
    j.count = mls__elements(j.shape[2]);
    j.truth = (float *)block_new(j.count * sizeof(float), 0);
    j.out = (float *)block_new(j.count * sizeof(float), 0);
    j.work = block_new(j.room, j.skip);
    for (int i = 0; i < 2; i++) {
        size_t room = mls_tensor_size(f[i], j.shape[i]), count = mls__elements(j.shape[i]);
        j.memory[i] = block_new(room, j.skip);
        CHECK(mls_tensor_init(&j.t[i], f[i], j.shape[i], j.memory[i], room) == MLS_OK);
        j.x[i] = (float *)block_new(count * sizeof(float), 0);
        any_floats(&s, j.x[i], count);
        any_tensor(&s, &j.t[i]);
    }
    most = bits[0] > bits[1] ? bits[0] : bits[1];
    if (!bits[0] || !bits[1]) most = 0;
    if (most && what & 1) most = 16;
    if (what & 2) check_tensors(&j, most, seed, 0);
    if (what & 4 && mls_quantize(&j.t[0], j.x[0], seed) == MLS_OK &&
        mls_quantize(&j.t[1], j.x[1], seed) == MLS_OK) {
        check_tensors(&j, most, seed, 1);
    }
    block_free(j.work, j.skip);
    if (what & 8) {
        j.room = mls_conv_workspace(&j.conv, none, none);
        j.work = block_new(j.room, j.skip);
        check_fp32(&j);
        block_free(j.work, j.skip);
    }
    for (int i = 0; i < 2; i++) block_free(j.memory[i], j.skip), block_free(j.x[i], 0);
    block_free(j.truth, 0), block_free(j.out, 0);
    return 0;
}
