/* mls_conv.h - v0.1.0 - exact integer convolutions of MLS tensors - MIT licence

   DO THIS in exactly one C or C++ file:

       #define MLS_IMPLEMENTATION
       #include "mls_conv.h"          (it includes mls.h)

   WHAT IT DOES
       The three convolutions of training, on packed low-bit operands, without a rounding before
       the last step ("Exploring the Potential of Low-bit Training of CNNs", Eq. 6 to 8):

           forward          Z[n][y][x][co]    = sum over ky, kx, ci of W * A
           backward-data    dA[n][y][x][ci]   = sum over ky, kx, co of W * E
           backward-weight  G[co][ky][kx][ci] = sum over n, y, x    of E * A

       Terms that share both group scales form a pair g; P_g is their plain integer sum, and

           acc = sum over g of shift(P_g * (2^mg_w + m_w) * (2^mg_a + m_a), F - k_w - k_a)
           Z   = fl(fl(acc) * fl(S_t_w * S_t_a)) * 2^(lsb_w + lsb_a - mg_w - mg_a - F)

       with F = min(30, K_w + K_a), K the largest k of each format; shift is to the left, or
       arithmetic to the right. Nothing is rounded before fl(acc): the order of summation cannot
       matter, and all kernels, thread counts and machines agree bit for bit.

   EXAMPLE
       mls_conv conv = {{1, 8, 8, 16}, 32, 3, 3, 1, 1};     input, c_out, kh, kw, stride, pad
       size_t size = mls_conv_workspace(&conv, weight.format, input.format);
       ...
       mls_conv_forward(&conv, &weight, &input, output, workspace, size);

   HOW IT IS FAST
       Multiplying by a power of two is exact, so group scales are folded into the elements:
       w' = sign * q * (2^mg + m) * 2^(K-k), K the largest k in use. Where that fits 8 or 16 bits,
       one micro-kernel body (>>template) sums plain integers with the CPU's dot products, or with
       AMX tiles, where int16 is two planes of bytes. Formats that do not fit go with the data in two
       planes of 16 bits, or group pair by group pair into 64 bits or doubles that hold them exactly
       (>>wide); the few that need more go through the reference. The fp32 convolution runs through
       the same body, one float where four int8 stand. Whoever calls the same convolution often
       prepares its operands (mls_operand).
       docs/PERFORMANCE.md has the measurements behind this.

   MEMORY AND THREADS
       Nothing is allocated: the workspace is the caller's, any alignment, not shared by calls that
       run at the same time. With OpenMP the images of a batch are shared out to threads.
       AMX tiles are configured and released by each call: a configuration of the caller's own does
       not outlast it.

   SECTIONS (search for ">>name")
       >>api  >>check  >>reference  >>classes  >>pack  >>run  >>wide  >>public  >>prepared
       >>template
*/
#if !defined(MLS__UNIT)

/* ------------------------------------------------------------------------------------ >>api */
#ifdef MLS_HEADER
#include MLS_HEADER
#else
#include "mls.h"
#endif

#ifndef MLS_CONV_H_INCLUDED
#define MLS_CONV_H_INCLUDED

#if MLS_VERSION_MAJOR != 0 || MLS_VERSION_MINOR != 1
#error "mls_conv.h 0.1 needs mls.h 0.1"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A convolution: in is the input [n][h][w][c_in]; the weights are [c_out][kh][kw][c_in]. */
typedef struct mls_conv {
    mls_shape in;
    int32_t c_out, kh, kw;
    int32_t stride; /* both directions; 0 means 1 */
    int32_t pad;    /* zeros on every side */
} mls_conv;

/* Shape of the output, h = (in.h + 2 pad - kh) / stride + 1; all zero if the convolution is bad. */
MLS_DEF mls_shape mls_conv_output(const mls_conv *conv);

/* Shape of the weights. */
MLS_DEF mls_shape mls_conv_weight_shape(const mls_conv *conv);

/* The first image of one of the blocks into which n images are cut where floats are summed: there are
   min(n, MLS_CONV_BLOCKS). */
enum {
    MLS_CONV_BLOCKS = 8
};
MLS_DEF int32_t mls_conv_block_first(int32_t block, int32_t n);

typedef enum {
    MLS_FORWARD,
    MLS_BACKWARD_DATA,
    MLS_BACKWARD_WEIGHT
} mls_direction;

/* Whether the sums of this shape and these formats fit the widest accumulator (127 bits; 63 where
   the compiler has no 128-bit integer). first is the weights' format, in MLS_BACKWARD_WEIGHT the
   error's. Errors: ARGUMENT, SHAPE, FORMAT, RANGE: they do not; text, if not null, says which bound
   failed. */
MLS_DEF mls_status mls_conv_check(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, char *text, size_t size);

/* How the kernel in use carries a convolution of these formats out (all-zero: fp32), and why, as a
   line of text. Tensors whose groups use fewer exponents than the format has may go a faster way.
   Errors: as mls_conv_check. */
MLS_DEF mls_status mls_conv_explain(const mls_conv *conv, mls_direction direction, mls_format first,
                                    mls_format second, char *text, size_t size);

/* Bytes of workspace that any of the three convolutions needs with these formats (all-zero formats:
   the fp32 convolutions) and the current number of OpenMP threads; 0 for a bad argument. With less
   (mls_conv_workspace for one thread is the least) fewer threads are used. */
MLS_DEF size_t mls_conv_workspace(const mls_conv *conv, mls_format weight, mls_format data);

/* Z = W * A. weight [c_out][kh][kw][c_in], input as conv->in, output as mls_conv_output.
   The scalar kernel does not touch the workspace.
   Errors of all three: ARGUMENT, SHAPE (a tensor does not match conv), FORMAT (also a group code
   with S_g > 1 or k too large), RANGE (see mls_conv_check), NONFINITE (the product of the scales
   overflows), MEMORY (workspace too small), FLOATS.
   On an error the output is untouched. */
MLS_DEF mls_status mls_conv_forward(const mls_conv *conv, const mls_tensor *weight,
                                    const mls_tensor *input, float *output, void *workspace,
                                    size_t size);

/* dA = W^T * E. error as mls_conv_output, dinput as conv->in. */
MLS_DEF mls_status mls_conv_backward_data(const mls_conv *conv, const mls_tensor *weight,
                                          const mls_tensor *error, float *dinput, void *workspace,
                                          size_t size);

/* G = E * A. dweight [c_out][kh][kw][c_in]. */
MLS_DEF mls_status mls_conv_backward_weight(const mls_conv *conv, const mls_tensor *error,
                                            const mls_tensor *input, float *dweight,
                                            void *workspace, size_t size);

/* The same three in fp32, for layers that stay unquantized. Each output is one chain of fused
   multiply-adds from +0 in a fixed order: forward ky, kx, ci; backward-data ky and kx downwards,
   co; backward-weight the images of a block, y, x (n is cut into min(n, 8) blocks), and then the
   blocks are added in order. Rows of taps in the padding are left out; other taps there multiply
   zeros. */
MLS_DEF mls_status mls_conv_forward_fp32(const mls_conv *conv, const float *weight,
                                         const float *input, float *output, void *workspace,
                                         size_t size);
MLS_DEF mls_status mls_conv_backward_data_fp32(const mls_conv *conv, const float *weight,
                                               const float *error, float *dinput, void *workspace,
                                               size_t size);
MLS_DEF mls_status mls_conv_backward_weight_fp32(const mls_conv *conv, const float *error,
                                                 const float *input, float *dweight,
                                                 void *workspace, size_t size);

/* A network calls the same convolutions thousands of times. An operand is a tensor in the layout
   that the kernels want, elements folded with their group scales, so that nothing is unpacked and
   folded again: weights serve forward and backward-data, the input forward and backward-weight, the
   error backward-data and backward-weight. The results are the same bits as through tensors. */
typedef enum {
    MLS_WEIGHT,
    MLS_INPUT,
    MLS_ERROR
} mls_role;

typedef struct mls_operand {
    mls_conv conv;
    mls_role role;
    int32_t bits;           /* of its integers */
    int32_t kernel;         /* it was made for */
    mls_tensor tensor;      /* format, shape, scale, groups; code is null */
    uint8_t *data;          /* the caller's memory, aligned */
    int64_t row_largest[2]; /* weights: what bounds 32-bit sums */
} mls_operand;

/* Bits that hold the elements of a format, folded: 8 or 16, or 0 where they need more. The operands
   of a convolution must have the same number: the larger one of theirs. */
MLS_DEF int32_t mls_operand_bits(mls_format format);

/* Bytes that mls_operand_init needs, at any alignment, with the kernel in use; 0 for a bad
   argument. */
MLS_DEF size_t mls_operand_size(const mls_conv *conv, mls_role role, mls_format format,
                                int32_t bits);

/* Lays an operand of zeros out in memory, for the kernel in use. Errors: ARGUMENT (also bits that
   are not 8 or 16), FORMAT (that do not hold the format), SHAPE, MEMORY (size too small). */
MLS_DEF mls_status mls_operand_init(mls_operand *operand, const mls_conv *conv, mls_role role,
                                    mls_format format, int32_t bits, void *memory, size_t size);

/* Quantizes x straight into the layout, as mls_quantize does. Errors: as there (the operand stays
   as it was), KERNEL (another one is in use now). */
MLS_DEF mls_status mls_operand_quantize(mls_operand *operand, const float *x, uint64_t seed);

/* Takes over a tensor of the operand's format and shape. Errors: ARGUMENT, FORMAT, SHAPE, KERNEL. */
MLS_DEF mls_status mls_operand_load(mls_operand *operand, const mls_tensor *tensor);

/* The three convolutions of prepared operands: first is W, or E in MLS_BACKWARD_WEIGHT; second is A,
   or E in MLS_BACKWARD_DATA. workspace: mls_conv_workspace of their formats. Errors: as with
   tensors, and FORMAT where the operands differ in bits, KERNEL (another one is in use now), RANGE
   where sums of 8-bit operands do not fit 32 bits (over 66,000 terms): take 16 bits. */
MLS_DEF mls_status mls_conv_prepared(const mls_conv *conv, mls_direction direction,
                                     const mls_operand *first, const mls_operand *second,
                                     float *output, void *workspace, size_t size);

/* The convolutions in stages, for those who have the images of a batch one by one, from threads of
   their own: begin, then each image once, then end. The functions above are these.

   Where an operand comes from; one of the pointers is not null. */
typedef struct mls_source {
    const mls_tensor *tensor; /* packed */
    size_t step;     /* 0: one tensor. Otherwise each image of the second operand is a tensor
                                 of its own with n = 1, so many bytes after the one before. Not in
                                 MLS_BACKWARD_WEIGHT */
    int32_t pending; /* 1: tensor->peak, scale and groups are there, the codes of an image
                                 follow before mls_conv_image needs them */
    const mls_operand *operand; /* prepared: both operands, or none */
    const float *fp32;          /* both, or none */
} mls_source;

/* Where the result goes. */
typedef struct mls_sink {
    float
        *out; /* may be null in MLS_FORWARD and MLS_BACKWARD_DATA, if each image is told its own */
} mls_sink;

typedef struct mls_conv_call mls_conv_call; /* in the memory that mls_conv_begin is given */

/* Bytes that mls_conv_begin needs, at any alignment, for operands of these formats (all-zero: fp32),
   whatever they will hold, with any kernel; 0 for a bad argument. */
MLS_DEF size_t mls_conv_call_size(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, int32_t threads);

/* Chooses how, packs the weights. first and second as in mls_conv_prepared; what they point to, and
   work, must stay until mls_conv_end, after which nothing is left to release. Errors: as of
   mls_conv_forward, and of mls_conv_prepared for operands; *call is null then. */
MLS_DEF mls_status mls_conv_begin(mls_conv_call **call, const mls_conv *conv,
                                  mls_direction direction, const mls_source *first,
                                  const mls_source *second, const mls_sink *sink, int32_t threads,
                                  void *work, size_t size);

/* Image n of the batch, by thread 0 .. threads - 1, of which no two may be at work under one number.
   Images may come in any order; but in MLS_BACKWARD_WEIGHT in fp32 those of one block (see
   mls_conv_backward_weight_fp32) come in theirs, from one thread. out: where the image goes; null: to
   its place in the sink. */
MLS_DEF void mls_conv_image(const mls_conv_call *call, int32_t n, int32_t thread, float *out);

/* A thread that goes on with something else says so, as often as it likes, and so does each one after
   its last image: what it has gathered is summed, registers are given back. */
MLS_DEF void mls_conv_leave(const mls_conv_call *call, int32_t thread);

/* When all images are done and all threads have left: in MLS_BACKWARD_WEIGHT writes the sums to the
   sink, in a team of OpenMP threads. */
MLS_DEF void mls_conv_end(const mls_conv_call *call);

/* Kernels that this build and CPU can run, from "scalar", the reference, to the best. The choice
   holds for all functions of the three headers; results never depend on it. */
MLS_DEF int mls_kernel_count(void);
MLS_DEF const char *mls_kernel_name(int index); /* null beyond the count */
/* "auto" is the best one and the default. MLS_ERROR_KERNEL: not here. Not while others compute. */
MLS_DEF mls_status mls_kernel_use(const char *name);
MLS_DEF const char *mls_kernel_used(void);

#ifdef __cplusplus
}
#endif
#endif /* MLS_CONV_H_INCLUDED */

#ifdef MLS_IMPLEMENTATION
#ifndef MLS__CONV_IMPLEMENTED
#define MLS__CONV_IMPLEMENTED

#ifndef MLS_CONV_HEADER
#define MLS_CONV_HEADER "mls_conv.h"
#endif
#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 mls__wide;
enum {
    MLS__WIDE_BITS = 127
};
#else
typedef int64_t mls__wide;
enum {
    MLS__WIDE_BITS = 63
};
#endif

/* ---------------------------------------------------------------------------------- >>check */

/* conv with its defaults filled in. */
static mls_conv mls__conv_defaults(const mls_conv *conv)
{
    mls_conv c = *conv;
    if (c.stride == 0) c.stride = 1;
    return c;
}

MLS_DEF mls_shape mls_conv_output(const mls_conv *conv)
{
    mls_shape none = {0, 0, 0, 0}, out, kernel;
    size_t channels, padded;
    enum {
        MLS__MOST = 1 << 24
    }; /* of a side, so that no index of the padded image overflows */
    mls_conv c;
    if (!conv) return none;
    c = mls__conv_defaults(conv);
    kernel.n = c.c_out, kernel.h = c.kh, kernel.w = c.kw, kernel.c = c.in.c;
    if (!mls__elements(c.in) || !mls__elements(kernel) || c.stride < 1 || c.pad < 0) return none;
    if (c.in.h > MLS__MOST || c.in.w > MLS__MOST || c.kh > MLS__MOST || c.kw > MLS__MOST ||
        c.pad > MLS__MOST || c.stride > MLS__MOST) {
        return none;
    }
    /* A padded image, in either direction, of the widest elements must be addressable. */
    channels = (size_t)(c.in.c > c.c_out ? c.in.c : c.c_out);
    if (channels > INT32_MAX / 8 / (size_t)c.kw ||
        !mls__mul((size_t)(c.in.h + 2 * c.pad), (size_t)(c.in.w + 2 * c.pad), &padded) ||
        !mls__mul(padded, channels, &padded) || padded > SIZE_MAX / 256) {
        return none;
    }
    if (c.kh > INT32_MAX / c.kw) return none;
    if (c.in.h + 2 * c.pad < c.kh || c.in.w + 2 * c.pad < c.kw) return none;
    out.n = c.in.n;
    out.h = (c.in.h + 2 * c.pad - c.kh) / c.stride + 1;
    out.w = (c.in.w + 2 * c.pad - c.kw) / c.stride + 1;
    out.c = c.c_out;
    return mls__elements(out) ? out : none;
}

MLS_DEF mls_shape mls_conv_weight_shape(const mls_conv *c)
{
    mls_shape s = {c->c_out, c->kh, c->kw, c->in.c};
    return s;
}

static int32_t mls__blocks(int32_t n)
{
    return n < MLS_CONV_BLOCKS ? n : (int32_t)MLS_CONV_BLOCKS;
}

MLS_DEF int32_t mls_conv_block_first(int32_t block, int32_t n)
{
    return (int32_t)((int64_t)block * n / mls__blocks(n));
}

/* And the other way around. */
static int32_t mls__block_of(int32_t image, int32_t n)
{
    return (int32_t)((((int64_t)image + 1) * mls__blocks(n) - 1) / n);
}

/* Terms of one output. */
static uint64_t mls__terms(const mls_conv *c, mls_direction direction)
{
    mls_shape out = mls_conv_output(c);
    uint64_t taps = (uint64_t)c->kh * (uint64_t)c->kw;
    if (direction == MLS_FORWARD) return taps * (uint64_t)c->in.c;
    if (direction == MLS_BACKWARD_DATA) return taps * (uint64_t)c->c_out;
    return (uint64_t)out.n * (uint64_t)out.h * (uint64_t)out.w;
}

/* Bits of the magnitude of q_1 * q_2 * terms * 2^extra, rounded up. */
static int mls__sum_bits(mls_format f, mls_format g, uint64_t terms, int extra)
{
    uint64_t factor[3], product = 1;
    int bits = extra;
    factor[0] = (uint64_t)mls__grid(f, (uint32_t)mls__code_max(f));
    factor[1] = (uint64_t)mls__grid(g, (uint32_t)mls__code_max(g));
    factor[2] = terms;
    for (int i = 0; i < 3; i++) {
        uint64_t x = factor[i];
        while (x >> 31) x = (x >> 1) + (x & 1), bits++;
        product *= x;
        while (product >> 32) product = (product >> 1) + (product & 1), bits++;
    }
    while (product) product >>= 1, bits++;
    return bits;
}

/* F of the equation above. */
static int mls__fraction_bits(mls_format f, mls_format g)
{
    int bits = mls__k_max(f) + mls__k_max(g);
    return bits < 30 ? bits : 30;
}

/* Bits that acc needs without its sign: at least those of P_g times the fractions 3 * 3 < 2^4. */
static int mls__acc_bits(const mls_conv *c, mls_direction direction, mls_format f, mls_format g)
{
    int extra = mls__fraction_bits(f, g) + f.mg + g.mg, least = 2 * (f.mg + g.mg);
    return mls__sum_bits(f, g, mls__terms(c, direction), extra > least ? extra : least);
}

MLS_DEF mls_status mls_conv_check(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, char *text, size_t size)
{
    static const char *const names[] = {"forward", "backward-data", "backward-weight"};
    mls_conv c;
    int bits;
    if (text && size) text[0] = 0;
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    c = mls__conv_defaults(conv);
    if (!mls_conv_output(&c).n) return MLS_ERROR_SHAPE;
    if (mls_format_check(first) != MLS_OK || mls_format_check(second) != MLS_OK) {
        return MLS_ERROR_FORMAT;
    }
    bits = mls__acc_bits(&c, direction, first, second);
    if (bits <= MLS__WIDE_BITS) return MLS_OK;
    mls__say(text, size, names[direction]);
    mls__say(text, size, ": ");
    mls__say_int(text, size, (int64_t)mls__terms(&c, direction));
    mls__say(text, size, " products of up to ");
    mls__say_int(text, size, mls__grid(first, (uint32_t)mls__code_max(first)));
    mls__say(text, size, " x ");
    mls__say_int(text, size, mls__grid(second, (uint32_t)mls__code_max(second)));
    mls__say(text, size, " with ");
    mls__say_int(text, size, mls__fraction_bits(first, second));
    mls__say(text, size, " fraction bits need an accumulator of ");
    mls__say_int(text, size, bits);
    mls__say(text, size, " bits; the widest has ");
    mls__say_int(text, size, MLS__WIDE_BITS);
    return MLS_ERROR_RANGE;
}

/* ------------------------------------------------------------------------------ >>reference
   The specification: every output on its own, group pair by group pair; image n of the two that
   write images. */

/* The scaling of one call. */
typedef struct mls__scaling {
    int fraction; /* F */
    float tensor; /* fl(S_t * S_t) */
    float units;  /* 2^(lsb + lsb - mg - mg - F) */
} mls__scaling;

static mls__scaling mls__scaling_make(const mls_tensor *f, const mls_tensor *g)
{
    mls__scaling s;
    s.fraction = mls__fraction_bits(f->format, g->format);
    s.tensor = f->scale * g->scale;
    s.units = mls__pow2(mls__lsb(f->format) + mls__lsb(g->format) - f->format.mg - g->format.mg -
                        s.fraction);
    return s;
}

/* q with its sign, and the group code, of element (n, y, x, ch). */
static int64_t mls__q(const mls_tensor *t, int32_t n, int32_t y, int32_t x, int32_t ch)
{
    size_t i = (((size_t)n * (size_t)t->shape.h + (size_t)y) * (size_t)t->shape.w + (size_t)x) *
                   (size_t)t->shape.c +
               (size_t)ch;
    return mls__grid_signed(t->format, mls_tensor_code(t, i));
}

static uint32_t mls__group(const mls_tensor *t, int32_t n, int32_t ch)
{
    return t->group[(size_t)n * mls__group_step_n(t->format, t->shape) +
                    (size_t)ch * mls__group_step_c(t->format)];
}

/* 2^mg + m and k of a group code. */
MLS__INLINE int mls__fraction(mls_format f, uint32_t g)
{
    return (1 << f.mg) + (int)(g & f.mg);
}
MLS__INLINE int mls__k(mls_format f, uint32_t g)
{
    return (int)(g >> f.mg);
}

/* shift(P * fractions, F - k - k): the contribution of one group pair to acc. */
static mls__wide mls__pair_value(mls__wide p, const mls_tensor *f, uint32_t gf, const mls_tensor *g,
                                 uint32_t gg, int fraction_bits)
{
    int shift = fraction_bits - mls__k(f->format, gf) - mls__k(g->format, gg);
    p *= mls__fraction(f->format, gf) * mls__fraction(g->format, gg);
    if (shift >= 0) return p * ((mls__wide)1 << shift);
    return p >> (-shift < MLS__WIDE_BITS ? -shift : MLS__WIDE_BITS);
}

static float mls__finish(mls__wide acc, mls__scaling s)
{
    return ((float)acc * s.tensor) * s.units;
}

/* Whether the scale changes along c, along n. */
static int mls__scaled_c(const mls_tensor *t)
{
    return mls__group_step_c(t->format) != 0;
}
static int mls__scaled_n(const mls_tensor *t)
{
    return mls__group_step_n(t->format, t->shape) != 0;
}

static void mls__forward_image(const mls_conv *c, const mls_tensor *w, const mls_tensor *a,
                               int32_t n, float *out)
{
    mls_shape o = mls_conv_output(c);
    mls__scaling s = mls__scaling_make(w, a);
    int32_t step = mls__scaled_c(w) || mls__scaled_c(a) ? 1 : c->in.c; /* channels of a pair */
    for (int32_t y = 0; y < o.h; y++)
        for (int32_t x = 0; x < o.w; x++)
            for (int32_t co = 0; co < o.c; co++) {
                mls__wide acc = 0;
                for (int32_t c0 = 0; c0 < c->in.c; c0 += step) {
                    mls__wide p = 0;
                    for (int32_t ci = c0; ci < c0 + step; ci++)
                        for (int32_t ky = 0; ky < c->kh; ky++)
                            for (int32_t kx = 0; kx < c->kw; kx++) {
                                int32_t iy = y * c->stride + ky - c->pad,
                                        ix = x * c->stride + kx - c->pad;
                                if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w) continue;
                                p +=
                                    (mls__wide)mls__q(w, co, ky, kx, ci) * mls__q(a, n, iy, ix, ci);
                            }
                    acc += mls__pair_value(p, w, mls__group(w, co, c0), a, mls__group(a, n, c0),
                                           s.fraction);
                }
                *out++ = mls__finish(acc, s);
            }
}

static void mls__backward_data_image(const mls_conv *c, const mls_tensor *w, const mls_tensor *e,
                                     int32_t n, float *out)
{
    mls_shape o = mls_conv_output(c);
    mls__scaling s = mls__scaling_make(w, e);
    int32_t step = mls__scaled_n(w) || mls__scaled_c(e) ? 1 : o.c;
    for (int32_t y = 0; y < c->in.h; y++)
        for (int32_t x = 0; x < c->in.w; x++)
            for (int32_t ci = 0; ci < c->in.c; ci++) {
                mls__wide acc = 0;
                for (int32_t c0 = 0; c0 < o.c; c0 += step) {
                    mls__wide p = 0;
                    for (int32_t co = c0; co < c0 + step; co++)
                        for (int32_t ky = 0; ky < c->kh; ky++)
                            for (int32_t kx = 0; kx < c->kw; kx++) {
                                int32_t ty = y + c->pad - ky,
                                        tx = x + c->pad - kx; /* stride times the row of E */
                                if (ty < 0 || tx < 0 || ty % c->stride || tx % c->stride) continue;
                                if (ty / c->stride >= o.h || tx / c->stride >= o.w) continue;
                                p += (mls__wide)mls__q(w, co, ky, kx, ci) *
                                     mls__q(e, n, ty / c->stride, tx / c->stride, co);
                            }
                    acc += mls__pair_value(p, w, mls__group(w, c0, ci), e, mls__group(e, n, c0),
                                           s.fraction);
                }
                *out++ = mls__finish(acc, s);
            }
}

static void mls__backward_weight_reference(const mls_conv *c, const mls_tensor *e,
                                           const mls_tensor *a, float *out)
{
    mls_shape o = mls_conv_output(c);
    mls__scaling s = mls__scaling_make(e, a);
    int32_t step = mls__scaled_n(e) || mls__scaled_n(a) ? 1 : o.n; /* images of a pair */
    for (int32_t co = 0; co < o.c; co++)
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t kx = 0; kx < c->kw; kx++)
                for (int32_t ci = 0; ci < c->in.c; ci++) {
                    mls__wide acc = 0;
                    for (int32_t n0 = 0; n0 < o.n; n0 += step) {
                        mls__wide p = 0;
                        for (int32_t n = n0; n < n0 + step; n++)
                            for (int32_t y = 0; y < o.h; y++)
                                for (int32_t x = 0; x < o.w; x++) {
                                    int32_t iy = y * c->stride + ky - c->pad,
                                            ix = x * c->stride + kx - c->pad;
                                    if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w)
                                        continue;
                                    p += (mls__wide)mls__q(e, n, y, x, co) *
                                         mls__q(a, n, iy, ix, ci);
                                }
                        acc += mls__pair_value(p, e, mls__group(e, n0, co), a,
                                               mls__group(a, n0, ci), s.fraction);
                    }
                    *out++ = mls__finish(acc, s);
                }
}

/* -------------------------------------------------------------------------------- >>classes
   How a convolution is carried out, and what it needs. */

enum {
    MLS__S8,      /* folded operands in 8 bits */
    MLS__S16,     /* in 16 bits, the first one perhaps as two planes hi * 256 + lo */
    MLS__S32,     /* the second one in 30 bits, as two planes of 16: forward, backward-data */
    MLS__F32,     /* fp32 */
    MLS__PAIRS8,  /* sign * q * (2^mg + m) in 8 bits, summed group pair by group pair */
    MLS__PAIRS16, /* in 16 bits */
    MLS__WIDE,    /* q in 32 bits, P_g and acc in 64, in plain C */
    MLS__REFERENCE
};

/* Whether whole sums are of products of 16 bits. */
static int mls__kind16(int kind)
{
    return kind == MLS__S16 || kind == MLS__S32;
}

enum {
    MLS__LANE = 16,       /* outputs side by side in a packed operand, whatever the vector length */
    MLS__WORD = 4,        /* bytes that one lane takes at a time: 4 int8, 2 int16 or 1 float */
    MLS__AHEAD = 64,      /* elements that folding takes at a time */
    MLS__ROWS = 16,       /* most rows of a tile */
    MLS__TILE = 768,      /* most sums of a tile */
    MLS__SLACK = 2048,    /* readable bytes behind an operand: what the last tile touches */
    MLS__TILE_WORDS = 16, /* words that a tile takes at a time */
    MLS__L1 = 30 * 1024,  /* bytes of operands that stay in the L1 cache */
    MLS__FEW_TERMS = 64,  /* where 32 bits hold fewer of 16 bits, the first one is two planes, or
                             the second one none */
    MLS__BYTE_TERMS = 32768, /* 2 * 128 * 255 times that fits 32 bits: all terms of an output */
    MLS__GATHER = 1 << 19,   /* bytes of operands that backward-weight gathers: half an L2 cache */
    MLS__STRIP = 128,        /* words of a backward-weight tile that stay in the L1 cache */
    MLS__BLOCKS = 8          /* blocks of images of the fp32 backward-weight sum */
};

/* What becomes of the sums of a tile. */
enum {
    MLS__PUT_SUMS,   /* c = sum, int32 or float */
    MLS__PUT_FLOATS, /* out = (float)sum * scale, or the sum itself in MLS__F32 */
    MLS__PUT_JOINED, /* out = (float)(c * power + sum) * scale, power at most 2^16 */
    MLS__PUT_WIDE    /* wide += shift(sum, row_shift[m] - lane_k[lane]) */
};

/* One tile of the micro-kernel: for m < mr rows and nb blocks of 16 lanes,
   sum[m][lane] = init[m][lane] + sum over image, row, word of dot(a word, b word of the lane). */
typedef struct mls__dot {
    const uint8_t *a; /* word (m, image, row, word) is at a + m * a_m + image * a_image + ... */
    ptrdiff_t a_m, a_image, a_row, a_word;
    const uint8_t *b; /* its 16 lanes of block i are at b + i * b_block + image * b_image + ... */
    size_t b_block, b_image, b_row, b_word;
    int32_t images, rows, words;
    int32_t b_unsigned;        /* on VNNI: b is the unsigned operand, not a */
    int32_t put, count, lanes; /* rows and lanes that are put */
    const int32_t *init;       /* null: 0; MLS__PUT_SUMS: may be c */
    size_t init_step;          /* lanes from m to m + 1; 0: the same for every m */
    int32_t *c;
    size_t c_step;
    float scale;
    double power; /* of MLS__PUT_JOINED */
    float *out;
    size_t out_step;
    int64_t *wide;
    size_t wide_step;
    const int32_t *row_shift, *lane_k;
} mls__dot;

/* Tiles of group pairs, 16 lanes of one block:
   wide[m][lane] += sum over pairs of shift(dot over row, word, shift[pair] - k[pair][lane]). */
typedef struct mls__pairs {
    const uint8_t *a; /* word (m, pair, row, word) is at a + m * a_m + pair * 4 + ... */
    ptrdiff_t a_m, a_row, a_word;
    const uint8_t *b; /* [pair][row][word][16][4] */
    size_t b_row;     /* the rows of a phase may be fewer than are packed */
    size_t b_pair;
    int32_t pairs, rows, words;
    const int32_t *init;  /* [pair][16] */
    const int32_t *shift; /* [pair] */
    const int32_t *k;     /* [pair][16] */
    int64_t *wide;        /* [m][16] */
    int32_t doubles;      /* whether 1 + magnitude of each pair, shifted, adds up to 2^51 at most */
} mls__pairs;

/* Codes to folded integers: sign * q * multiplier. */
typedef struct mls__fold {
    const uint8_t *code;
    mls_format format;
    const int16_t *multiplier; /* of channel ch at [ch], repeated for MLS__AHEAD more */
    size_t channels;
    uint32_t flip; /* xor to every byte: 0x80 makes the bytes of the a operand unsigned */
} mls__fold;

/* Neighbouring pixels to words: word i of step q holds element i of the 4 / size pixels from
   q * 4 / size on; pixels beyond the last one count as zeros. */
typedef struct mls__mix_pixels {
    const uint8_t *from; /* the first pixel */
    size_t pixel;        /* bytes from pixel to pixel */
    size_t pixels;       /* that exist */
    size_t count;        /* elements of a pixel to take */
    int size;            /* bytes of an element */
    size_t steps;
    uint8_t *to;
    size_t to_step;  /* bytes from step to step */
    size_t to_block; /* and from 16 words to the next 16 */
    const uint8_t *zeros;
    uint32_t flip; /* xor to every word */
} mls__mix_pixels;

/* A unit with two-dimensional registers (AMX) brings these: products of bytes, or of 16-bit integers
   as two planes of bytes, v = high * 256 + low with low unsigned. */

/* A rectangle of outputs of one image, for some lanes. */
typedef struct mls__area {
    const uint8_t *a;          /* the first tap of output (0, 0) */
    ptrdiff_t a_x, a_y, a_row; /* bytes from output to output, line to line, row to row of taps */
    ptrdiff_t a_plane;         /* from the low bytes to the high ones; 0: 8 bits */
    const uint8_t *b;          /* [block][row][word][16 lanes][4] */
    ptrdiff_t b_block, b_row, b_plane;
    int32_t rows, words; /* words: a multiple of 16, with zeros in b at the end */
    int32_t lanes, h, w;
    float *out;
    size_t out_x, out_y; /* floats from output to output, line to line */
    float scale;         /* where sums fit 32 bits and one product scales them; else 0 */
    float factors[3];    /* the same, one after the other */
    int32_t run, pitch;  /* for the tiles: of each pitch outputs of a line, the first run count */
} mls__area;

/* Products of E and A over many pixels, for backward-weight. Pixels lie on one line: those of a
   channel of A side by side, so that a tap is an offset; E as words of 4 pixels. */
typedef struct mls__strip {
    const uint8_t *a; /* [channel][pixel] */
    const size_t *a_tap;
    size_t a_channel, a_plane; /* a_plane: from the low bytes to the high ones; 0: 8 bits */
    const uint8_t *b;          /* [block][word][16 channels][4] */
    size_t b_block, b_plane;
    int32_t taps, a_blocks, b_blocks;
    int32_t words; /* a multiple of 16, with zeros in b at the end */
    int32_t fresh; /* c32 starts from 0 */
    int32_t *c32;  /* [tap][a block][b block][16 of a][16 of b] += sums, */
    int64_t *c64;  /* and of 16 bits */
} mls__strip;

/* Pixels on one line to that layout. */
typedef struct mls__line {
    const uint8_t *from;
    size_t pixel; /* bytes */
    int size;     /* bytes of an integer */
    int plane;    /* byte of it */
    size_t pixels, blocks;
    uint8_t *to;
    size_t step; /* turn: bytes from channel to channel; words: from block to block */
} mls__line;

typedef struct mls__tiles {
    void (*area)(const mls__area *x);
    void (*strip)(const mls__strip *x);
    void (*bytes)(const int16_t *v, size_t count, uint8_t *low, uint8_t *high);
    void (*words)(const mls__line *x); /* a multiple of 4 pixels */
    void (*turn)(const mls__line *x);  /* writes a multiple of 64 pixels */
    /* 16 x 16 sums [a][b], either null, scaled by three factors, as rows [b][a] */
    void (*put)(const int32_t *c32, const int64_t *c64, const float *factors, int32_t rows,
                int32_t cols, float *to, size_t step);
    void (*release)(void); /* gives the registers of this thread back */
} mls__tiles;

typedef struct mls__kernel {
    uint8_t rows[4];     /* rows[nb]: most rows of a tile of nb blocks; 0: no such tile */
    uint8_t pairs_rows;  /* the same for pairs */
    uint8_t doubles;     /* whether mls__pairs.doubles makes a difference */
    uint32_t bias;       /* one int8 operand is stored as v + bias */
    uint32_t pairs_bias; /* the same for pairs */
    void (*dot)(int kind, int mr, int nb, const mls__dot *d);
    void (*pairs)(int kind, int mr, const mls__pairs *p);
    /* elements first .. first + count - 1, the first of them in channel ch, as size-byte integers */
    void (*fold)(const mls__fold *f, size_t first, size_t count, size_t ch, int size, uint8_t *to);
    void (*interleave)(const mls__mix_pixels *x);
    /* to[j][i] = the bytes of from[j][i], from[j + 1][i] from bit shift on; rows of step bytes */
    void (*next_pixel)(const uint8_t *from, uint8_t *to, size_t step, size_t steps, size_t count,
                       int shift);
    /* v = hi * 256 + lo, lo in -128 .. 127 */
    void (*split)(const int16_t *v, int16_t *hi, int16_t *lo, size_t count);
    /* v << shift[ch] = high * 2^bits + low, low in -2^(bits - 1) .. 2^(bits - 1) - 1; v becomes low.
       The first one is of channel 0; shift is repeated for MLS__AHEAD more. */
    void (*halve)(int16_t *v, int16_t *high, const int32_t *shift, size_t channels, size_t count,
                  int bits);
    /* sum += c32 + c64 + constant; either may be null */
    void (*add)(int64_t *sum, const int32_t *c32, const int64_t *c64, int64_t constant,
                size_t count);
    void (*add_floats)(float *sum, const float *part, size_t count); /* sum += part */
    /* out = (((float)sum * fold) * tensor) * units */
    void (*emit)(const int64_t *sum, size_t count, float fold, float tensor, float units,
                 float *out);
    /* p[lane] += sum over rows, cols of a * b[lane], in plain C */
    void (*wide)(const int32_t *a, ptrdiff_t a_row, ptrdiff_t a_col, const int32_t *b,
                 ptrdiff_t b_row, ptrdiff_t b_col, int32_t rows, int32_t cols, int64_t *p);
    const mls__tiles *tiles; /* may be null; if not, int8 always goes there: see mls__on_tiles */
} mls__kernel;

static void mls__fold_scalar(const mls__fold *f, size_t first, size_t count, size_t ch, int size,
                             uint8_t *to)
{
    int bits = 1 + f->format.ex + f->format.mx;
    for (size_t i = 0; i < count; i++) {
        uint32_t code = mls__code_get(f->code, bits, first + i);
        int32_t v = (int32_t)mls__grid_signed(f->format, code) * (int32_t)f->multiplier[ch];
        int16_t v16 = (int16_t)v;
        if (size == 1) to[i] = (uint8_t)((uint32_t)v ^ f->flip);
        if (size == 2) memcpy(to + 2 * i, &v16, 2);
        if (size == 4) memcpy(to + 4 * i, &v, 4);
        if (++ch == f->channels) ch = 0;
    }
}

/* Pixel at of a row, which may be beyond its end. */
static const uint8_t *mls__mix_pixel(const mls__mix_pixels *x, size_t at)
{
    return at < x->pixels ? x->from + at * x->pixel : x->zeros;
}

static void mls__mix_rest(const mls__mix_pixels *x, size_t step, size_t first)
{
    size_t size = (size_t)x->size, each = MLS__WORD / size;
    for (size_t j = 0; j < each; j++) {
        const uint8_t *from = mls__mix_pixel(x, step * each + j);
        uint8_t *to = x->to + step * x->to_step + j * size;
        for (size_t i = first; i < x->count; i++) {
            for (size_t byte = 0; byte < size; byte++) {
                to[i / MLS__LANE * x->to_block + i % MLS__LANE * MLS__WORD + byte] =
                    (uint8_t)(from[i * size + byte] ^ (x->flip & 255));
            }
        }
    }
}

static void mls__interleave_scalar(const mls__mix_pixels *x)
{
    for (size_t step = 0; step < x->steps; step++) mls__mix_rest(x, step, 0);
}

/* Plain C. The scalar kernel takes it for fp32 and for prepared operands; packed tensors of integers
   it leaves to the reference. */

static int32_t mls__dot_word(int kind, const uint8_t *a, const uint8_t *b)
{
    int32_t sum = 0;
    for (int i = 0; i < MLS__WORD; i += kind == MLS__S8 ? 1 : 2) {
        int16_t x, y;
        memcpy(&x, a + i, 2), memcpy(&y, b + i, 2);
        if (kind == MLS__S8) x = (int8_t)a[i], y = (int8_t)b[i];
        sum += x * y;
    }
    return sum;
}

static void mls__dot_scalar(int kind, int mr, int nb, const mls__dot *d)
{
    (void)mr, (void)nb;
    MLS_ASSERT(d->put != MLS__PUT_JOINED); /* of vectors only */
    for (int32_t m = 0; m < d->count; m++) {
        for (int32_t lane = 0; lane < d->lanes; lane++) {
            int32_t sum = d->init ? d->init[(size_t)m * d->init_step + (size_t)lane] : 0;
            float z = mls__float((uint32_t)sum), av, bv;
            for (int32_t image = 0; image < d->images; image++)
                for (int32_t row = 0; row < d->rows; row++)
                    for (int32_t word = 0; word < d->words; word++) {
                        const uint8_t *a = d->a + m * d->a_m + image * d->a_image + row * d->a_row +
                                           word * d->a_word;
                        const uint8_t *b = d->b + (size_t)(lane / MLS__LANE) * d->b_block +
                                           (size_t)image * d->b_image + (size_t)row * d->b_row +
                                           (size_t)word * d->b_word +
                                           (size_t)(lane % MLS__LANE * MLS__WORD);
                        memcpy(&av, a, 4), memcpy(&bv, b, 4);
                        if (kind == MLS__F32)
                            z = mls__fma(av, bv, z);
                        else
                            sum = (int32_t)((uint32_t)sum + (uint32_t)mls__dot_word(kind, a, b));
                    }
            if (kind == MLS__F32) memcpy(&sum, &z, 4);
            if (kind != MLS__F32) z = (float)sum * d->scale;
            if (d->put == MLS__PUT_SUMS) d->c[(size_t)m * d->c_step + (size_t)lane] = sum;
            if (d->put == MLS__PUT_FLOATS) d->out[(size_t)m * d->out_step + (size_t)lane] = z;
            if (d->put == MLS__PUT_WIDE) {
                int32_t shift = d->row_shift[m] - d->lane_k[lane];
                if (shift < 0) sum >>= -shift < 31 ? -shift : 31;
                d->wide[(size_t)m * d->wide_step + (size_t)lane] +=
                    (int64_t)((uint64_t)(int64_t)sum << (shift > 0 ? shift : 0));
            }
        }
    }
}

static void mls__add_sums_scalar(int64_t *sum, const int32_t *c32, const int64_t *c64,
                                 int64_t constant, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] += constant + (c32 ? c32[i] : 0) + (c64 ? c64[i] : 0);
    }
}

static void mls__add_floats_scalar(float *sum, const float *part, size_t count)
{
    for (size_t i = 0; i < count; i++) sum[i] = sum[i] + part[i];
}

static void mls__emit_scalar(const int64_t *sum, size_t count, float fold, float tensor,
                             float units, float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = (((float)sum[i] * fold) * tensor) * units;
}

static void mls__next_pixel_scalar(const uint8_t *from, uint8_t *to, size_t step, size_t steps,
                                   size_t count, int shift)
{
    for (size_t j = 0; j < steps; j++, from += step, to += step) {
        for (size_t i = 0; i < count; i++) {
            uint32_t now, then;
            memcpy(&now, from + i * MLS__WORD, 4), memcpy(&then, from + step + i * MLS__WORD, 4);
            if (shift) now = now >> shift | then << (32 - shift);
            memcpy(to + i * MLS__WORD, &now, 4);
        }
    }
}

#define MLS__EACH MLS_CONV_HEADER
#define MLS__EACH_DOT
#include MLS_HEADER
#undef MLS__EACH_DOT
#undef MLS__EACH

/* rows of tiles with 1, 2 and 3 blocks; rows of pairs, doubles; biases; tiles. Blocks are 64 bytes of
   accumulators: a tile fills the registers and leaves room for a word of each block and one of a
   row. */
#define MLS__ROWS_scalar      {0, 1, 0, 0}, 1, 0, 0, 0
#define MLS__ROWS_sse41       {0, 2, 0, 0}, 1, 0, 0, 0
#define MLS__ROWS_avx2        {0, 4, 0, 0}, 2, 0, 0, 0
#define MLS__ROWS_avxvnni     {0, 4, 0, 0}, 2, 0, 128, 128
#define MLS__ROWS_avx512vnni  {0, 16, 8, 8}, 8, 1, 128, 128
#define MLS__ROWS_amx         {0, 16, 8, 8}, 8, 1, 0, 128
#define MLS__ROWS_neon        {0, 4, 0, 0}, 2, 0, 0, 0
#define MLS__ROWS_dotprod     {0, 4, 0, 0}, 2, 0, 0, 0
#define MLS__TILES_scalar     0
#define MLS__TILES_sse41      0
#define MLS__TILES_avx2       0
#define MLS__TILES_avxvnni    0
#define MLS__TILES_avx512vnni 0
#define MLS__TILES_amx        &mls__tiles_amx
#define MLS__TILES_neon       0
#define MLS__TILES_dotprod    0
#define MLS__ROW(unit, vectors)                                                                \
    {MLS__ROWS_##unit,       mls__dot_##unit,        mls__dot_pairs_##unit, mls__fold_##unit,  \
     mls__interleave_##unit, mls__next_pixel_##unit, mls__split_##unit,     mls__halve_##unit, \
     mls__add_sums_##unit,   mls__add_floats_##unit, mls__emit_##unit,      mls__wide_##unit,  \
     MLS__TILES_##unit},
#define mls__dot_pairs_scalar 0 /* integers are the reference's */
#define mls__split_scalar     0
#define mls__halve_scalar     0
#define mls__wide_scalar      0
static const mls__kernel mls__kernels[] = {MLS__UNITS(MLS__ROW)};
#undef MLS__ROW
#undef mls__dot_pairs_scalar
#undef mls__split_scalar
#undef mls__halve_scalar
#undef mls__wide_scalar

/* Bytes from one to the next of words, of blocks of 16 of them, of rows and of images. */
typedef struct mls__words {
    size_t word, block, row, image;
} mls__words;

/* Everything about one convolution call: how, where, with what. */
typedef struct mls__run {
    mls_conv c;
    mls_shape out; /* of the forward convolution */
    mls_direction direction;
    const mls__kernel *kernel;
    int kind, size, planes; /* class, bytes of an element, planes of the first operand */
    uint32_t bias;
    int64_t segment; /* terms that 32 bits hold, whatever the operands */
    /* The first operand (W, or E in backward-weight) and the second (A or E): tensors, floats, or
       prepared images. */
    const mls_tensor *first, *second;
    const float *first32, *second32;
    const uint8_t *integers;        /* weights, folded, not packed */
    const uint8_t *images, *errors; /* E from its first pixel that is not padding */
    size_t images_step, errors_step, errors_row;
    float *output;
    mls__scaling scaling;
    int k1, k2;      /* folding exponents */
    int low_bits;    /* of the lower plane of 32 bits */
    int64_t largest; /* magnitude of the second operand, or of either of its planes */
    float fold;      /* 2^(F - k1 - k2) */
    float scale;     /* fold * tensor * units where one product gives the same bits, else 0 */
    int merged;      /* all channels (images) form one pair */
    int tiles;       /* on two-dimensional registers */
    int bytes;       /* there: planes of bytes of an element */
    int cell;        /* bytes of an element in the layouts of the products */
    /* padded image of the second operand */
    mls_shape data; /* its n, h, w, c */
    int32_t top, left, rows, cols;
    /* forward, backward-data: the packed weights [phase][plane][block][row][word][16 lanes][4],
       pairs: [phase][block][channel][row][word][16][4], wide: the same with a channel's taps */
    int32_t lanes, blocks, taps_y, taps_x, words, phases, phases_x;
    size_t phase_bytes;    /* all planes */
    int64_t row_largest;   /* int16: magnitudes that a lane meets in a row of taps, at most */
    int64_t strip_largest; /* and in MLS__STRIP words of one; 0: unknown */
    int32_t rows_fit;      /* how many such rows 32 bits hold */
    int64_t words_fit;     /* or words of a row, from a multiple of them on */
    uint8_t *packed;
    int32_t *bias_row;        /* [phase][rows before][lane], pairs [phase][block][channel][16] */
    int32_t *wide_k, *wide_m; /* [block][pair][16] */
    int32_t wide_least;       /* the least k there */
    /* backward-weight: sums [ky][co][kx, ci] of a block or a thread; E and A of some images as words
       of neighbouring pixels, E as [plane][block][image][row][word][16 co][4] and A as
       [block][image][row][word][16 (kx, ci)][4], or with the blocks inside */
    int32_t depth, co; /* kw * c_in; c_out padded to tiles */
    int32_t sums;
    size_t sum_count, sum_bytes; /* sums, and their memory with what belongs to them */
    uint8_t *sum;
    int32_t quads, extra, band, gather; /* words of a row, and more of A; rows, images at a time */
    mls__words e, a;
    size_t e_bytes, a_bytes; /* of a plane of E; of A */
    /* on tiles: pixels of a row and of an image on the line, and its rows; bytes of a channel of A
       and of a copy of an image's pixels */
    size_t pitch, line, line_rows;
    size_t channel_bytes, flat_bytes;
    size_t image_plane; /* bytes to the second plane of an image, forward and backward-data */
    /* scratch of a thread */
    int32_t slots;
    const uint8_t *packed_before; /* where the weights are prepared */
    int32_t together;             /* images at a time */
    size_t image_bytes, error_bytes, slot_bytes;
    uint8_t *slot;
} mls__run;

/* What a thread has gathered for backward-weight; in its slot. */
typedef struct mls__gathered {
    int32_t images, sum;
} mls__gathered;

static int mls__pairs_kind(int kind)
{
    return kind == MLS__PAIRS8 || kind == MLS__PAIRS16;
}

/* Bytes of a pixel of the image whose words are the taps of a pair. Those of a tile, so many apart,
   must not meet in few sets of the L1 cache. */
static size_t mls__pairs_pixel(const mls__run *r)
{
    size_t bytes = (size_t)r->data.c * MLS__WORD;
    return bytes % 1024 ? bytes : bytes + MLS__ALIGN;
}

/* Room for the multipliers of either operand. */
static size_t mls__multiplier_bytes(const mls__run *r)
{
    int32_t most = r->data.c > r->c.c_out ? r->data.c : r->c.c_out;
    return mls__align(((size_t)most + MLS__AHEAD) * sizeof(int16_t), MLS__ALIGN);
}

/* Padding, strips and gathering of backward-weight. */
static void mls__weight_size(mls__run *r)
{
    const mls_conv *c = &r->c;
    size_t per_word = MLS__WORD / (size_t)r->size, s = (size_t)c->stride,
           line = MLS__LANE * MLS__WORD;
    size_t e_blocks = ((size_t)c->c_out + MLS__LANE - 1) / MLS__LANE, rows, each;
    /* Blocks outside keep the words of a tile together: with many channels their lines would fall
       into few sets of the cache otherwise. Odd channels stay packed. */
    int outside = c->in.c % MLS__LANE == 0;
    r->quads = (int32_t)(((size_t)r->out.w + per_word - 1) / per_word);
    r->extra = 0, r->band = r->out.h, r->gather = 1, r->a_bytes = r->e_bytes = 0;
    if (per_word == 1) { /* a word is a pixel, used where it is */
        r->e.word = (size_t)c->c_out * MLS__WORD, r->e.row = (size_t)r->out.w * r->e.word;
        r->a.word = s * (size_t)c->in.c * MLS__WORD;
        r->a.row = (size_t)r->cols * (size_t)c->in.c * MLS__WORD;
        r->e.block = r->a.block = line;
        r->e.image = r->error_bytes, r->a.image = r->image_bytes;
        if (r->kind == MLS__F32 && r->sum_bytes > 4 * MLS__GATHER) {
            /* sums that do not stay in the cache: as many images of a block as a strip takes */
            int32_t block = (c->in.n + MLS_CONV_BLOCKS - 1) / MLS_CONV_BLOCKS;
            int64_t fit = 4 * MLS__STRIP / ((int64_t)r->out.h * r->out.w);
            if (fit > block) fit = block;
            if (fit > 1) r->gather = r->together = (int32_t)fit;
        }
        return;
    }
    r->extra = (int32_t)((((size_t)c->kw - 1) / s + per_word - 1) / per_word);
    r->e.word = line, r->e.row = (size_t)r->quads * line;
    r->a.word = outside ? line : (size_t)r->depth * MLS__WORD;
    r->a.row = (size_t)r->quads * r->a.word; /* the next row overwrites the extra words */
    each = (size_t)(r->quads + r->extra) * (size_t)r->depth * MLS__WORD; /* bytes of a row of A */
    /* as many images, or rows of one, as fit */
    rows = MLS__GATHER / (each ? each : 1);
    if (!mls__pairs_kind(r->kind) && rows < (size_t)r->rows) {
        size_t most = rows < (size_t)c->kh ? 1 : (rows - (size_t)c->kh) / s + 1;
        if (most < (size_t)r->band) r->band = (int32_t)most;
    }
    rows = (size_t)((r->band - 1) * c->stride + c->kh);
    r->a.image = rows * r->a.row + (size_t)r->extra * r->a.word;
    r->e.image = (size_t)r->band * r->e.row;
    each = rows * each + e_blocks * r->e.image;
    if (r->band == r->out.h) {
        /* more where the sums themselves do not stay in the cache: they are passed over less often */
        size_t sums = (size_t)c->kh * (size_t)r->co * (size_t)r->blocks * line / 2, most;
        size_t strip = (size_t)r->quads * (size_t)r->out.h;
        size_t enough = (4 * MLS__STRIP + strip - 1) / strip;
        if (sums < MLS__GATHER) sums = MLS__GATHER;
        if (sums > 8 * MLS__GATHER) sums = 8 * MLS__GATHER;
        most = sums / each;
        if (most > enough) most = enough;
        if (most > (size_t)c->in.n) most = (size_t)c->in.n;
        /* pairs shift every image into the sums anyway: only where those come from memory */
        if (mls__pairs_kind(r->kind) && sums < 4 * MLS__GATHER) most = 1;
        if (most > 1) r->gather = (int32_t)most;
    }
    /* an odd number of lines from block to block */
    r->e.block = ((size_t)r->gather * r->e.image / line | 1) * line;
    r->a.block = outside ? ((size_t)r->gather * r->a.image / line | 1) * line : line;
    r->e_bytes = mls__align(e_blocks * r->e.block + MLS__SLACK, MLS__ALIGN);
    r->a_bytes = outside ? (size_t)r->blocks * r->a.block : (size_t)r->gather * r->a.image;
    r->a_bytes = mls__align(r->a_bytes + MLS__SLACK, MLS__ALIGN);
}

/* Whether the run goes to tiles: sums of products of unsigned low bytes must fit. */
static int mls__on_tiles(const mls__run *r)
{
    if (!r->kernel->tiles || r->kind > MLS__S16) return 0;
    return r->kind == MLS__S8 || r->direction == MLS_BACKWARD_WEIGHT ||
           mls__terms(&r->c, r->direction) <= MLS__BYTE_TERMS;
}

/* Residues of the stride that taps have, in one direction. */
static int32_t mls__residues(int32_t stride, int32_t taps)
{
    return stride < taps ? stride : taps;
}

/* The line of backward-weight on tiles. Residues of a stride are planes of their own. A row of A
   ends where its padding begins, as the next one starts with as many zeros; so does an image. */
static void mls__line_size(mls__run *r)
{
    const mls_conv *c = &r->c;
    int32_t s = c->stride, over_y = (c->kh - 1) / s, over_x = (c->kw - 1) / s;
    int32_t shared = s == 1 && c->pad < c->kh && c->pad < c->kw ? c->pad : 0;
    size_t planes = (size_t)r->bytes, budget = MLS__GATHER, rows, sums, each, beyond;
    size_t a = (size_t)(r->blocks * MLS__LANE) * planes, e = (size_t)r->co;
    a *= (size_t)(mls__residues(s, c->kh) * mls__residues(s, c->kw)), e *= planes;
    r->pitch = (size_t)(r->out.w + over_x - shared);
    r->line_rows = rows = (size_t)(r->out.h + over_y - shared);
    r->line = mls__align(rows * r->pitch, 4);
    r->band = r->out.h, r->gather = 1;
    each = r->line * (a + e);
    /* where the sums do not stay in the cache they are passed over less often */
    sums = r->sum_count * sizeof(int32_t) / 2;
    if (sums > budget) budget = sums < 4 * MLS__GATHER ? sums : 4 * MLS__GATHER;
    if (each > 2 * budget) {
        size_t fit = 2 * budget / (r->pitch * (a + e));
        fit = fit > (size_t)over_y + 8 ? fit - (size_t)over_y : 8;
        if (fit < (size_t)r->band) r->band = (int32_t)fit;
    } else {
        size_t fit = budget / each;
        if (fit > (size_t)c->in.n) fit = (size_t)c->in.n;
        if (fit > 1) r->gather = (int32_t)fit;
    }
    if (r->band < r->out.h) { /* a row of zeros more, where its last one goes on */
        rows = (size_t)(r->band + over_y + 1);
        r->line = mls__align((size_t)r->band * r->pitch, 4);
    }
    /* zeros of the last taps, the last words */
    beyond = (size_t)(over_y + 1) * r->pitch + (size_t)over_x + 128;
    r->channel_bytes = (size_t)r->gather * r->line + beyond;
    /* an odd number of lines of the cache */
    r->channel_bytes = mls__align(r->channel_bytes, 2 * MLS__ALIGN) + MLS__ALIGN;
    r->a_bytes = r->channel_bytes * a + MLS__SLACK;
    r->e.block = mls__align((size_t)r->gather * r->line, 2 * MLS__ALIGN) * MLS__LANE + MLS__ALIGN;
    r->e_bytes = mls__align(r->e.block * (e / MLS__LANE / planes) + MLS__SLACK, MLS__ALIGN);
    each = (size_t)(c->in.c > c->c_out ? c->in.c : c->c_out) * (size_t)r->size;
    r->flat_bytes = mls__align((rows * r->pitch + 128) * each + MLS__SLACK, MLS__ALIGN);
    r->a_bytes = mls__align(r->a_bytes, MLS__ALIGN);
}

/* Sums of weights of a phase that take the bias off: [rows of taps before][lane], or of pairs. */
static size_t mls__bias_sums(const mls__run *r)
{
    size_t each = mls__pairs_kind(r->kind) ? (size_t)r->data.c
                  : r->kind == MLS__S8     ? (size_t)r->taps_y + 1
                                           : 0;
    return each * (size_t)r->blocks * MLS__LANE;
}

/* Bytes of the packed weights, with these sums. */
static size_t mls__packed_bytes(const mls__run *r)
{
    return (size_t)r->phases * (r->phase_bytes + mls__bias_sums(r) * sizeof(int32_t));
}

/* Exponents of the lanes and rows of a tensor of sums of pairs, for each image. */
static size_t mls__shifts(const mls__run *r)
{
    return (size_t)r->blocks * MLS__LANE + (size_t)r->c.c_out + MLS__ROWS;
}

/* Bytes of the sums of E. */
static size_t mls__error_bytes(const mls__run *r)
{
    return (size_t)r->c.kh * (size_t)r->co * sizeof(int64_t);
}

/* Lays the parts out from address 0 for the class in run->kind: their sizes, and the total for a
   number of slots. Pointers are set by mls__run_place. */
static size_t mls__run_size(mls__run *r, int slots)
{
    const mls_conv *c = &r->c;
    size_t taps, total, elements, per_word;
    int32_t s = c->stride, pairs = mls__pairs_kind(r->kind) && r->direction == MLS_BACKWARD_WEIGHT;
    r->size = r->kind == MLS__S8 || r->kind == MLS__PAIRS8  ? 1
              : r->kind == MLS__F32 || r->kind == MLS__WIDE ? 4
                                                            : 2;
    r->slots = slots;
    if (r->kind == MLS__REFERENCE) return 0;
    r->tiles = mls__on_tiles(r);
    r->bytes = r->kind == MLS__S16 ? 2 : 1;
    r->cell = r->tiles ? 1 : r->size;
    per_word = MLS__WORD / (size_t)r->cell;
    r->data = c->in;
    r->top = r->left = c->pad;
    r->rows = (r->out.h - 1) * s + c->kh;
    r->cols = (r->out.w - 1) * s + c->kw;
    r->taps_y = c->kh, r->taps_x = c->kw, r->phases = 1;
    r->lanes = c->c_out;
    if (r->direction == MLS_BACKWARD_DATA) {
        /* Row y of dA takes the taps ky = (y + pad) mod s, + s, + 2 s ...: every residue is a
           stride-1 convolution of E with its share of the flipped kernel. */
        r->data = r->out;
        r->taps_y = (c->kh + s - 1) / s, r->taps_x = (c->kw + s - 1) / s;
        r->phases_x = s < c->kw ? s : c->kw;
        r->phases = (s < c->kh ? s : c->kh) * r->phases_x;
        r->top = r->taps_y - 1, r->left = r->taps_x - 1;
        r->rows = (c->in.h - 1 + c->pad) / s + 1, r->cols = (c->in.w - 1 + c->pad) / s + 1;
        r->rows = r->top + (r->rows > r->out.h ? r->rows : r->out.h);
        r->cols = r->left + (r->cols > r->out.w ? r->cols : r->out.w);
        r->lanes = c->in.c;
    }
    elements = (size_t)r->taps_x * (size_t)r->data.c;
    r->depth = (int32_t)elements;
    if (r->direction == MLS_BACKWARD_WEIGHT) r->lanes = r->depth;
    r->blocks = (r->lanes + MLS__LANE - 1) / MLS__LANE;
    r->words = (int32_t)((elements + per_word - 1) / per_word);
    if (mls__pairs_kind(r->kind))
        r->words = (int32_t)(((size_t)r->taps_x + per_word - 1) / per_word);
    if (r->tiles) r->words = (int32_t)mls__align((size_t)r->words, MLS__TILE_WORDS);
    taps = (size_t)r->taps_y * (size_t)r->words * MLS__LANE * MLS__WORD;
    if (mls__pairs_kind(r->kind)) taps *= (size_t)r->data.c;
    r->phase_bytes = 0;
    r->sum_bytes = 0;
    r->sums = 0;
    total = MLS__ALIGN;
    /* the image; behind it words of pairs */
    r->image_bytes = (size_t)r->rows * (size_t)r->cols * (size_t)r->data.c * (size_t)r->size;
    if (mls__pairs_kind(r->kind) && r->direction != MLS_BACKWARD_WEIGHT) {
        r->image_bytes = mls__align(r->image_bytes + MLS__SLACK, MLS__ALIGN) +
                         (size_t)r->rows * (size_t)r->cols * mls__pairs_pixel(r);
    }
    if (r->tiles && r->kind == MLS__S16 && r->direction != MLS_BACKWARD_WEIGHT) {
        r->image_bytes = mls__align(r->image_bytes + MLS__SLACK, MLS__ALIGN);
        r->image_plane = r->image_bytes / 2; /* the same in two planes of bytes */
        r->image_bytes += 2 * r->image_plane;
    }
    r->image_bytes = mls__align(r->image_bytes + MLS__SLACK +
                                    (size_t)c->stride * (size_t)r->data.c * (size_t)r->size *
                                        (MLS__ROWS + 4 * MLS__WORD + (size_t)c->kw),
                                MLS__ALIGN);
    if (r->kind == MLS__S32) r->image_plane = r->image_bytes, r->image_bytes *= 2;
    r->error_bytes = r->a_bytes = r->e_bytes = r->flat_bytes = 0;
    r->together = 1;
    if (r->direction != MLS_BACKWARD_WEIGHT) {
        r->phase_bytes = taps * (size_t)r->blocks * (r->kind == MLS__S16 ? 2 : 1);
        total += mls__packed_bytes(r) + MLS__SLACK;
        /* where the weights leave no room for an image in the cache, each block of them passes over
           several images */
        if (r->kind <= MLS__F32 && r->phase_bytes * (size_t)r->phases > MLS__GATHER) {
            size_t fit = 2 * MLS__GATHER / r->image_bytes;
            if (fit > (size_t)r->out.n) fit = (size_t)r->out.n;
            if (fit > 1) r->together = (int32_t)fit;
        }
        if (r->kind >= MLS__PAIRS8) {
            total += 2 * (size_t)r->data.c * (size_t)r->blocks * MLS__LANE * 4;
        }
    } else {
        size_t pixels = (size_t)r->out.h * (size_t)r->out.w;
        r->co = (int32_t)mls__align((size_t)c->c_out, MLS__ROWS);
        if (r->tiles) r->blocks = (c->in.c + MLS__LANE - 1) / MLS__LANE;
        r->sum_count = (size_t)c->kh * (size_t)r->co * (size_t)r->blocks * MLS__LANE;
        if (r->tiles) r->sum_count *= (size_t)c->kw;
        r->sum_bytes = mls__align(MLS__ALIGN + mls__error_bytes(r) + MLS__SLACK +
                                      r->sum_count * (r->kind == MLS__F32  ? 4
                                                      : r->kind == MLS__S8 ? 12
                                                                           : 8),
                                  MLS__ALIGN);
        r->sums = slots;
        if (r->kind == MLS__F32) r->sums = mls__blocks(c->in.n);
        total += (size_t)r->sums * r->sum_bytes;
        /* E as it is, or as two planes, and zeros that stand for the pixels beyond its rows */
        r->error_bytes =
            mls__align(pixels * (size_t)c->c_out * (size_t)r->size * (r->kind == MLS__S16 ? 2 : 1) +
                           (size_t)c->c_out * 4 + MLS__SLACK,
                       MLS__ALIGN);
        if (r->tiles)
            mls__line_size(r);
        else
            mls__weight_size(r);
    }
    /* images and E, both gathered, and on the line; offsets of taps; multipliers; shifts of group
       pairs and where they are split */
    r->slot_bytes =
        (size_t)r->together * (r->image_bytes + r->error_bytes) + r->a_bytes +
        r->e_bytes * (r->kind == MLS__S16 ? 2 : 1) + r->flat_bytes + MLS__ALIGN +
        (r->tiles ? mls__align((size_t)c->kh * (size_t)c->kw * sizeof(size_t), MLS__ALIGN) : 0) +
        mls__align(mls__multiplier_bytes(r) + (2 * (size_t)r->data.c + MLS__AHEAD +
                                               mls__shifts(r) * (size_t)(pairs ? r->gather : 1)) *
                                                  sizeof(int32_t),
                   MLS__ALIGN);
    return total + (size_t)slots * r->slot_bytes;
}

/* Largest k that a tensor uses: groups of zeros, which sit at the bottom, do not count. by_peak:
   t->peak tells them, and the codes may be missing yet. -1: a group code that is none (S_g <= 1). */
static int mls__k_used(const mls_tensor *t, int by_peak)
{
    mls_format f = t->format;
    size_t n = (size_t)t->shape.n, c = (size_t)t->shape.c, image = mls__image(t->shape);
    size_t groups = mls_group_count(f, t->shape);
    int most = 0, bottom = mls__k_max(f), bits = 1 + f.ex + f.mx;
    for (size_t g = 0; g < groups; g++) {
        int k = mls__k(f, t->group[g]);
        if (k > bottom || (k == 0 && (t->group[g] & f.mg))) return -1;
        if (k > most && k < bottom) most = k;
    }
    if (bottom <= 8) { /* folding may use a larger K than it must, and this one is free */
        for (size_t g = 0; g < groups; g++) {
            if (mls__k(f, t->group[g]) == bottom) return bottom;
        }
        return most;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t ch = 0; ch < c; ch++) {
            if (mls__k(f, mls__group(t, (int32_t)i, (int32_t)ch)) != bottom) continue;
            if (by_peak && t->peak[i * c + ch] != 0) return bottom;
            if (by_peak) continue;
            for (size_t at = ch; at < image; at += c) {
                if (mls__code_get(t->code, bits, i * image + at)) return bottom;
            }
        }
    }
    return most;
}

/* Largest magnitude with its fraction, folded to k; above 2^32 only says "too large". */
static int64_t mls__folded_max(mls_format f, int k)
{
    int64_t q = mls__grid(f, (uint32_t)mls__code_max(f));
    return q >> 32 || k > 30 ? INT64_MAX >> 1 : q << (k + f.mg);
}

/* Largest magnitude with its fraction inside a group. */
static int64_t mls__group_max(mls_format f)
{
    int64_t q = mls__folded_max(f, 0);
    return f.mg ? q / 2 * 3 : q; /* q is doubled there */
}

/* Whether a pair of groups is the whole sum. */
static int mls__merged(const mls_conv *c, mls_direction direction, mls_format f, mls_format g)
{
    mls_shape w = mls_conv_weight_shape(c), out = mls_conv_output(c);
    if (direction == MLS_FORWARD) return !mls__group_step_c(f) && !mls__group_step_c(g);
    if (direction == MLS_BACKWARD_DATA) {
        return !mls__group_step_n(f, w) && !mls__group_step_c(g);
    }
    return !mls__group_step_n(f, out) && !mls__group_step_n(g, c->in);
}

/* The class for operands whose largest folded magnitudes are a and b. */
static int mls__class(const mls_conv *c, mls_direction direction, mls_format f, mls_format g,
                      int64_t a, int64_t b)
{
    /* rows of taps are padded to whole words */
    uint64_t terms = mls__terms(c, direction) + MLS__WORD * (uint64_t)c->kh;
    uint64_t pair = (uint64_t)c->kh * ((uint64_t)c->kw + MLS__WORD);
    mls_shape out = mls_conv_output(c);
    int64_t q = mls__group_max(f), p = mls__group_max(g);
    if (direction == MLS_BACKWARD_WEIGHT) {
        pair = terms = (uint64_t)out.h * ((uint64_t)out.w + MLS__WORD);
    }
    if (a <= 127 && b <= 127 && terms <= INT32_MAX / (255 * 127)) return MLS__S8;
    if (a <= 32767 && b <= 32767) return MLS__S16;
    if (mls__acc_bits(c, direction, f, g) > 62) return MLS__REFERENCE;
    if (!mls__merged(c, direction, f, g)) {
        /* in backward-weight the bias of int8 would have to come off before the shifts */
        int fits = q <= 32767 && p <= 32767 && (int64_t)pair <= INT32_MAX / (q * p);
        if (fits && q <= 127 && p <= 127 && direction != MLS_BACKWARD_WEIGHT) return MLS__PAIRS8;
        if (fits) return MLS__PAIRS16;
    }
    if (mls__grid(f, (uint32_t)mls__code_max(f)) <= INT32_MAX &&
        mls__grid(g, (uint32_t)mls__code_max(g)) <= INT32_MAX) {
        return MLS__WIDE;
    }
    return MLS__REFERENCE;
}

/* Sets everything but the operands. kind: the class. */
static void mls__run_begin(mls__run *r, const mls_conv *c, mls_direction direction, int kind)
{
    memset(r, 0, sizeof *r);
    r->c = mls__conv_defaults(c);
    r->out = mls_conv_output(&r->c);
    r->direction = direction;
    r->kernel = &mls__kernels[mls__unit()];
    r->kind = kind;
    r->planes = 1;
    r->segment = INT32_MAX;
}

/* Bytes for one direction and a number of threads, whatever the tensors will hold; formats are null
   for fp32. */
static size_t mls__direction_workspace(const mls_conv *conv, mls_direction direction,
                                       const mls_format *first, const mls_format *second,
                                       int threads)
{
    size_t most = 0;
    int worst = MLS__F32;
    if (first) {
        worst = mls__class(conv, direction, *first, *second,
                           mls__folded_max(*first, mls__k_max(*first)),
                           mls__folded_max(*second, mls__k_max(*second)));
        if (worst == MLS__S8) worst = MLS__S16; /* prepared operands may be wider than they must */
    }
    /* Which class it will be depends on the k in use: any up to the worst. Which kernel, on what
       mls_kernel_use says then. */
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        for (int kind = first ? MLS__S8 : MLS__F32; kind <= worst; kind++) {
            mls__run r;
            size_t size;
            if ((first && kind == MLS__F32) || !mls__unit_here(unit)) continue;
            if (kind == MLS__S32 && direction == MLS_BACKWARD_WEIGHT) continue; /* never so */
            mls__run_begin(&r, conv, direction, kind);
            r.kernel = &mls__kernels[unit];
            size = mls__run_size(&r, threads);
            if (size > most) most = size;
        }
    }
    return most;
}

MLS_DEF size_t mls_conv_workspace(const mls_conv *conv, mls_format weight, mls_format data)
{
    size_t most = 1;
    mls_format zero;
    mls_conv c;
    int fp32, threads = MLS__THREADS();
    memset(&zero, 0, sizeof zero);
    if (!conv || !mls_conv_output(conv).n) return 0;
    c = mls__conv_defaults(conv);
    if (threads > c.in.n) threads = c.in.n;
    fp32 = memcmp(&weight, &zero, sizeof zero) == 0 && memcmp(&data, &zero, sizeof zero) == 0;
    if (!fp32 && (mls_format_check(weight) != MLS_OK || mls_format_check(data) != MLS_OK)) return 0;
    for (int d = 0; d < 3; d++) {
        size_t size = mls__direction_workspace(&c, (mls_direction)d, fp32 ? 0 : &weight,
                                               fp32 ? 0 : &data, threads);
        if (size > most) most = size;
    }
    return most;
}

/* Where the packed weights lie in memory. */
static void mls__place_packed(mls__run *r, uint8_t *p)
{
    r->packed = p;
    r->bias_row = (int32_t *)(void *)(p + (size_t)r->phases * r->phase_bytes);
    r->wide_k = (int32_t *)(void *)(p + mls__packed_bytes(r));
    r->wide_m = r->wide_k + (size_t)r->data.c * (size_t)r->blocks * MLS__LANE;
}

/* Takes the workspace; with too little for most slots fewer, not below least. */
static mls_status mls__run_place(mls__run *r, void *memory, size_t size, int least, int most)
{
    uint8_t *p = (uint8_t *)memory;
    int slots = most;
    if (!p) return MLS_ERROR_ARGUMENT;
    while (mls__run_size(r, slots) > size) {
        if (--slots < least) return MLS_ERROR_MEMORY;
    }
    p += (MLS__ALIGN - (uintptr_t)p % MLS__ALIGN) % MLS__ALIGN;
    r->slot = p, p += (size_t)r->slots * r->slot_bytes;
    r->sum = p, p += (size_t)r->sums * r->sum_bytes;
    if (r->direction == MLS_BACKWARD_WEIGHT) return MLS_OK;
    mls__place_packed(r, r->packed_before ? (uint8_t *)(uintptr_t)r->packed_before : p);
    return MLS_OK;
}

/* ----------------------------------------------------------------------------------- >>pack */

/* Folding multiplier of a group: (2^mg + m) * 2^(K - k); a group of zeros may lie below K. */
static int32_t mls__multiplier(const mls__run *r, mls_format f, uint32_t g, int k_used)
{
    int k = mls__k(f, g);
    if (r->kind == MLS__WIDE) return 1;
    if (mls__pairs_kind(r->kind)) return mls__fraction(f, g);
    return k > k_used ? 0 : mls__fraction(f, g) << (k_used - k);
}

/* Multipliers of the channels of image n (of c_out n), and their repetition. */
static void mls__multipliers(const mls__run *r, const mls_tensor *t, int32_t n, int k_used,
                             int16_t *to)
{
    int32_t c = t->shape.c;
    for (int32_t ch = 0; ch < c; ch++) {
        uint32_t g = mls__group(t, n, ch);
        /* in two planes the exponents come later */
        if (r->kind == MLS__S32 && mls__k(t->format, g) <= k_used)
            to[ch] = (int16_t)mls__fraction(t->format, g);
        else
            to[ch] = (int16_t)mls__multiplier(r, t->format, g, k_used);
    }
    for (int32_t ch = c; ch < c + MLS__AHEAD; ch++) to[ch] = to[ch - c];
}

/* Where the weights (co, ky, kx, *) go: phase, row and column of the taps. */
typedef struct mls__place {
    int32_t phase, row, col;
} mls__place;

static mls__place mls__weight_place(const mls__run *r, int32_t ky, int32_t kx)
{
    mls__place p = {0, ky, kx};
    int32_t s = r->c.stride;
    if (r->direction == MLS_BACKWARD_DATA) {
        p.phase = ky % s * r->phases_x + kx % s;
        p.row = (r->c.kh - ky % s + s - 1) / s - 1 - ky / s;
        p.col = (r->c.kw - kx % s + s - 1) / s - 1 - kx / s;
    }
    return p;
}

/* Bytes from the start of a phase to the element of a tap, a lane and a channel. */
static size_t mls__weight_at(const mls__run *r, mls__place p, int32_t lane, int32_t channel)
{
    size_t at = (size_t)(lane / MLS__LANE), index, per_word = (size_t)(MLS__WORD / r->cell);
    index = (size_t)p.col * (size_t)r->data.c + (size_t)channel;
    if (r->kind == MLS__WIDE && !r->merged) {
        at = at * (size_t)r->data.c + (size_t)channel;
        return ((at * (size_t)r->taps_y + (size_t)p.row) * (size_t)r->taps_x + (size_t)p.col) *
                   MLS__LANE * 4 +
               (size_t)(lane % MLS__LANE) * 4;
    }
    if (mls__pairs_kind(r->kind))
        at = at * (size_t)r->data.c + (size_t)channel, index = (size_t)p.col;
    at = (at * (size_t)r->taps_y + (size_t)p.row) * (size_t)r->words + index / per_word;
    return at * MLS__LANE * MLS__WORD + (size_t)(lane % MLS__LANE) * MLS__WORD +
           index % per_word * (size_t)r->cell;
}

/* The places of the elements that follow one: run of them step bytes apart, then jump bytes more. */
typedef struct mls__walk {
    size_t at, step, jump;
    int32_t run, left;
} mls__walk;

/* From an element on, along the channels of the weights: lanes in backward-data, where the first one
   begins a block. */
static mls__walk mls__weight_walk(const mls__run *r, mls__place p, int32_t lane, int32_t channel)
{
    mls__walk x;
    x.at = mls__weight_at(r, p, lane, channel);
    if (r->direction == MLS_BACKWARD_DATA) {
        x.run = x.left = MLS__LANE, x.step = MLS__WORD;
        x.jump = mls__weight_at(r, p, lane + MLS__LANE, channel) - x.at - MLS__LANE * MLS__WORD;
    } else if (mls__pairs_kind(r->kind) || (r->kind == MLS__WIDE && !r->merged)) {
        x.run = x.left = 1, x.step = 0;
        x.jump = mls__weight_at(r, p, lane, channel + 1) - x.at;
    } else {
        x.run = MLS__WORD / r->cell, x.step = (size_t)r->cell;
        x.left = x.run - (p.col * r->data.c + channel) % x.run;
        x.jump = (MLS__LANE - 1) * MLS__WORD;
    }
    return x;
}

/* Sum of the magnitudes that a lane meets in strip words of a row of taps, at most. */
static int64_t mls__row_largest(const mls__run *r, int32_t strip)
{
    int64_t most = 0;
    size_t block = (size_t)r->blocks * (size_t)r->taps_y; /* rows of a phase */
    for (size_t row = 0; row < (size_t)r->phases * block; row++) {
        const uint8_t *p = r->packed + row / block * r->phase_bytes +
                           row % block * (size_t)r->words * MLS__LANE * MLS__WORD;
        for (int32_t word = 0; word < r->words; word += strip) {
            int32_t left = r->words - word < strip ? r->words - word : strip;
            int64_t sum[MLS__LANE] = {0};
            for (int32_t i = 0; i < left * MLS__LANE; i++, p += MLS__WORD) {
                int16_t v[2];
                int32_t both = 0;
                memcpy(v, p, sizeof v);
                for (size_t j = 0; j < MLS__WORD && r->tiles; j++) {
                    int32_t byte = p[j] + 256 * (int8_t)p[j + r->phase_bytes / 2];
                    both += byte < 0 ? -byte : byte;
                }
                if (!r->tiles) both = (v[0] < 0 ? -v[0] : v[0]) + (v[1] < 0 ? -v[1] : v[1]);
                sum[i % MLS__LANE] += both;
            }
            for (int lane = 0; lane < MLS__LANE; lane++) {
                if (sum[lane] > most) most = sum[lane];
            }
        }
    }
    return most;
}

/* fp32 weights in the layout of mls__run. */
static void mls__pack_fp32(mls__run *r)
{
    const mls_conv *c = &r->c;
    size_t ci = (size_t)c->in.c, from_co = (size_t)(c->kh * c->kw) * ci;
    int forward = r->direction == MLS_FORWARD;
    memset(r->packed, 0, (size_t)r->phases * r->phase_bytes);
    for (int32_t co = 0; co < c->c_out; co += forward ? MLS__LANE : 1)
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t kx = 0; kx < c->kw; kx++) {
                mls__place p = mls__weight_place(r, ky, kx);
                const float *from =
                    r->first32 + (size_t)co * from_co + (size_t)(ky * c->kw + kx) * ci;
                uint8_t *phase = r->packed + (size_t)p.phase * r->phase_bytes;
                if (forward) { /* 16 output channels side by side */
                    size_t lanes = (size_t)(c->c_out - co < MLS__LANE ? c->c_out - co : MLS__LANE);
                    float *to = (float *)(void *)(phase + mls__weight_at(r, p, co, 0));
                    for (size_t i = 0; i < ci; i++, to += MLS__LANE) {
                        for (size_t j = 0; j < lanes; j++) to[j] = from[j * from_co + i];
                    }
                } else {
                    for (size_t i = 0; i < ci; i += MLS__LANE) {
                        size_t lanes = ci - i < MLS__LANE ? ci - i : (size_t)MLS__LANE;
                        float *to = (float *)(void *)(phase + mls__weight_at(r, p, (int32_t)i, co));
                        for (size_t j = 0; j < lanes; j++) to[j] = from[i + j];
                    }
                }
            }
}

/* The weights in the layout of mls__run. */
static void mls__pack_weights(mls__run *r)
{
    const mls_conv *c = &r->c;
    int pairs = mls__pairs_kind(r->kind), forward = r->direction == MLS_FORWARD;
    size_t plane_bytes = r->phase_bytes / 2;
    size_t lanes = (size_t)r->blocks * MLS__LANE, sums = mls__bias_sums(r);
    uint8_t values[MLS__AHEAD * 4];
    int16_t multiplier[MLS__AHEAD + MLS__AHEAD];
    mls__fold f;
    if (r->kind == MLS__F32) {
        mls__pack_fp32(r);
        return;
    }
    memset(r->packed, 0, (size_t)r->phases * r->phase_bytes);
    memset(r->bias_row, 0, (size_t)r->phases * sums * sizeof *r->bias_row);
    memset(&f, 0, sizeof f);
    f.code = r->first->code, f.format = r->first->format;
    f.multiplier = multiplier, f.channels = MLS__AHEAD;
    for (int32_t co = 0; co < c->c_out; co++)
        for (int32_t c0 = 0; c0 < c->in.c; c0 += MLS__AHEAD) {
            int32_t count = c->in.c - c0 < MLS__AHEAD ? c->in.c - c0 : MLS__AHEAD;
            for (int32_t i = 0; i < count; i++) {
                multiplier[i] =
                    (int16_t)mls__multiplier(r, f.format, mls__group(r->first, co, c0 + i), r->k1);
            }
            for (int32_t ky = 0; ky < c->kh; ky++)
                for (int32_t kx = 0; kx < c->kw; kx++) {
                    mls__place p = mls__weight_place(r, ky, kx);
                    size_t first =
                        (((size_t)co * (size_t)c->kh + (size_t)ky) * (size_t)c->kw + (size_t)kx) *
                            (size_t)c->in.c +
                        (size_t)c0;
                    uint8_t *phase = r->packed + (size_t)p.phase * r->phase_bytes, *to;
                    mls__walk x;
                    int32_t *bias = r->bias_row + (size_t)p.phase * sums;
                    if (r->integers)
                        memcpy(values, r->integers + first * (size_t)r->size,
                               (size_t)(count * r->size));
                    else
                        r->kernel->fold(&f, first, (size_t)count, 0, r->size, values);
                    x = mls__weight_walk(r, p, forward ? co : c0, forward ? c0 : co);
                    to = phase + x.at;
                    for (int32_t i = 0; i < count; i++) {
                        if (r->size == 1) {
                            *to = values[i];
                        } else if (r->planes == 2) {
                            int16_t v, hi;
                            memcpy(&v, values + 2 * i, 2);
                            hi = (int16_t)((v + 128) >> 8), v = (int16_t)(v - hi * 256);
                            memcpy(to, &v, 2);
                            memcpy(to + plane_bytes, &hi, 2);
                        } else if (r->tiles) {
                            int16_t v;
                            memcpy(&v, values + 2 * i, 2);
                            to[0] = (uint8_t)(v & 255), to[plane_bytes] = (uint8_t)(v >> 8);
                        } else if (r->size == 2) {
                            memcpy(to, values + 2 * i, 2);
                        } else {
                            memcpy(to, values + 4 * i, 4);
                        }
                        to += x.step;
                        if (--x.left == 0) to += x.jump, x.left = x.run;
                    }
                    for (int32_t i = 0; i < count && r->bias; i++) {
                        int32_t lane = forward ? co : c0 + i, channel = forward ? c0 + i : co;
                        size_t at = (size_t)(p.row + 1) * lanes + (size_t)lane;
                        uint32_t v;
                        if (pairs) {
                            at = (size_t)(lane / MLS__LANE * r->data.c + channel) * MLS__LANE +
                                 (size_t)(lane % MLS__LANE);
                        }
                        /* unsigned: sums that wrap are refused later */
                        v = (uint32_t)((int32_t)r->bias * (int8_t)values[i]);
                        bias[at] = (int32_t)((uint32_t)bias[at] - v);
                    }
                }
        }
    for (size_t i = 0; i < (size_t)r->phases * sums && !pairs; i++) {
        uint32_t before = i % sums < lanes ? 0 : (uint32_t)r->bias_row[i - lanes];
        r->bias_row[i] = (int32_t)((uint32_t)r->bias_row[i] + before);
    }
    if (!mls__kind16(r->kind)) return;
    r->row_largest = mls__row_largest(r, r->words);
    if (r->words > MLS__STRIP) r->strip_largest = mls__row_largest(r, MLS__STRIP);
}

/* How many rows of taps 32 bits hold, by what the weights really are. */
static void mls__rows_fit(mls__run *r)
{
    int64_t row = r->planes == 1 ? r->largest * r->row_largest : INT64_MAX;
    int64_t fit = row > INT32_MAX ? 0 : INT32_MAX / (row ? row : 1);
    r->rows_fit = fit < r->taps_y ? (int32_t)fit : r->taps_y;
    r->words_fit = r->segment * r->size / MLS__WORD;
    if (r->planes == 1 && r->strip_largest && r->words_fit < MLS__STRIP &&
        r->largest * r->strip_largest <= INT32_MAX) {
        r->words_fit = MLS__STRIP;
    }
}

/* Image n of the second operand, folded, with its padding. */
static void mls__pad_image(const mls__run *r, int32_t n, uint8_t *image, int16_t *multiplier)
{
    size_t size = (size_t)r->size, c = (size_t)r->data.c;
    size_t row_bytes = (size_t)r->cols * c * size;
    int32_t w = r->data.w < r->cols - r->left ? r->data.w : r->cols - r->left;
    mls__fold f;
    memset(image, (int)r->bias, (size_t)r->rows * row_bytes);
    if (r->second) {
        f.code = r->second->code, f.format = r->second->format, f.multiplier = multiplier;
        f.channels = c, f.flip = r->bias;
        mls__multipliers(r, r->second, n, r->k2, multiplier);
    }
    for (int32_t y = 0; y < r->data.h && y + r->top < r->rows && w > 0; y++) {
        size_t at = ((size_t)n * (size_t)r->data.h + (size_t)y) * (size_t)r->data.w * c;
        uint8_t *to = image + (size_t)(y + r->top) * row_bytes + (size_t)r->left * c * size;
        if (r->second)
            r->kernel->fold(&f, at, (size_t)w * c, 0, r->size, to);
        else
            memcpy(to, r->second32 + at, (size_t)w * c * 4);
    }
}

/* ------------------------------------------------------------------------------------ >>run
   Forward and backward-data: one image at a time, phase by phase, tile by tile. */

/* The part of the output that takes the same taps. */
typedef struct mls__phase {
    int32_t taps_y, taps_x;
    int32_t h, w;       /* outputs */
    int32_t y, x, step; /* the first of them, and their distance in the output image */
    int32_t row, col;   /* of its first tap in the padded image */
    int32_t stride;     /* of the taps from output to output */
} mls__phase;

static void mls__phase_side(int32_t residue, int32_t s, int32_t k, int32_t pad, int32_t side,
                            int32_t most, int32_t *taps, int32_t *count, int32_t *first,
                            int32_t *at)
{
    int32_t t = pad > residue ? (pad - residue + s - 1) / s : 0;
    *taps = (k - residue + s - 1) / s;
    *first = s * t + residue - pad;
    *count = *first < side ? (side - 1 - *first) / s + 1 : 0;
    *at = t - (*taps - 1) + most - 1;
}

static mls__phase mls__phase_make(const mls__run *r, int32_t index)
{
    const mls_conv *c = &r->c;
    mls__phase p;
    p.taps_y = c->kh, p.taps_x = c->kw, p.h = r->out.h, p.w = r->out.w;
    p.y = p.x = p.row = p.col = 0, p.step = 1, p.stride = c->stride;
    if (r->direction == MLS_BACKWARD_DATA) {
        int32_t s = c->stride;
        mls__phase_side(index / r->phases_x, s, c->kh, c->pad, c->in.h, r->taps_y, &p.taps_y, &p.h,
                        &p.y, &p.row);
        mls__phase_side(index % r->phases_x, s, c->kw, c->pad, c->in.w, r->taps_x, &p.taps_x, &p.w,
                        &p.x, &p.col);
        p.step = s, p.stride = 1;
    }
    return p;
}

/* Rows of the next tile when left are to be done: at most most, a power of two; or 7, where there is
   such a tile (seven), for images whose sides are its multiples. */
static int mls__tile_rows(int most, int seven, int32_t left)
{
    int mr = most;
    if (mr == 8 && seven && left % 7 == 0 && left <= 21) return 7;
    while (mr > 1 && mr / 2 >= left) mr /= 2;
    return mr;
}

/* Blocks of the next tile. */
static int mls__tile_blocks(const mls__kernel *k, int32_t left)
{
    if (left == 3 && k->rows[3]) return 3;
    return left > 1 && k->rows[2] ? 2 : 1;
}

/* Sums of d in 64 bits, by parts that 32 bits hold: of int16, and of either one's two planes. */
static void mls__dot_parts(const mls__run *r, mls__dot d, int mr, int nb, size_t plane_bytes,
                           int64_t *sum)
{
    static const int32_t zero[MLS__ROWS * 3] = {0};
    int32_t shift[MLS__ROWS], rows = d.rows, all = d.words, row_step, word_step;
    int halves = r->kind == MLS__S32;
    mls__dot part;
    if (r->rows_fit) {
        row_step = r->rows_fit, word_step = all;
    } else {
        int64_t words = r->segment * r->size / MLS__WORD; /* of any rows */
        word_step = r->words_fit < all ? (int32_t)r->words_fit : all;
        row_step = words / all > 1 ? words / all < rows ? (int32_t)(words / all) : rows : 1;
    }
    memset(sum, 0, sizeof(int64_t) * (size_t)(mr * nb * MLS__LANE));
    d.init = 0, d.put = MLS__PUT_WIDE, d.count = mr, d.lanes = nb * MLS__LANE;
    d.wide = sum, d.wide_step = (size_t)(nb * MLS__LANE);
    d.lane_k = zero, d.row_shift = shift;
    part = d;
    for (int plane = 0; plane < (halves ? 2 : r->planes); plane++) {
        const uint8_t *a = halves ? d.a + (size_t)plane * r->image_plane : d.a;
        const uint8_t *b = halves ? d.b : d.b + (size_t)plane * plane_bytes;
        for (int i = 0; i < MLS__ROWS; i++) shift[i] = plane * (halves ? r->low_bits : 8);
        for (int32_t row = 0; row < rows; row += row_step) {
            for (int32_t word = 0; word < all; word += word_step) {
                part.rows = rows - row < row_step ? rows - row : row_step;
                part.words = all - word < word_step ? all - word : word_step;
                part.a = a + row * d.a_row + word * d.a_word;
                part.b = b + (size_t)row * d.b_row + (size_t)word * d.b_word;
                r->kernel->dot(r->kind, mr, nb, &part);
            }
        }
    }
}

static void mls__run_pairs(const mls__run *r, int32_t n, const uint8_t *image, int32_t *shift,
                           mls__phase p, int32_t index, float *to);
static void mls__run_wide(const mls__run *r, int32_t n, const int32_t *image, mls__phase p,
                          const uint8_t *packed, float *to);

/* A tile of outputs. */
static void mls__run_tile(const mls__run *r, const mls__dot *d, int mr, int nb)
{
    int64_t sum[MLS__TILE];
    int32_t tile[MLS__TILE];
    int whole = !mls__kind16(r->kind) || r->rows_fit >= d->rows; /* 32 bits hold a sum */
    mls__dot e;
    if (r->kind == MLS__F32 || (r->scale > 0 && whole && r->kind != MLS__S32)) {
        r->kernel->dot(r->kind, mr, nb, d);
        return;
    }
    e = *d, e.c = tile, e.c_step = (size_t)(nb * MLS__LANE);
    if (r->kind == MLS__S32 && r->scale > 0 && whole) {
        e.a += r->image_plane, e.put = MLS__PUT_SUMS;
        r->kernel->dot(r->kind, mr, nb, &e);
        e.a = d->a, e.put = MLS__PUT_JOINED;
        e.power = (double)(1 << r->low_bits);
        r->kernel->dot(r->kind, mr, nb, &e);
        return;
    }
    if (!whole || r->kind == MLS__S32) {
        mls__dot_parts(r, *d, mr, nb, r->phase_bytes / 2, sum);
    } else {
        e.put = MLS__PUT_SUMS, e.lanes = nb * MLS__LANE;
        r->kernel->dot(r->kind, mr, nb, &e);
        for (int32_t i = 0; i < d->count * nb * MLS__LANE; i++) sum[i] = tile[i];
    }
    for (int32_t m = 0; m < d->count; m++) {
        r->kernel->emit(sum + m * nb * MLS__LANE, (size_t)d->lanes, r->fold, r->scaling.tensor,
                        r->scaling.units, d->out + (size_t)m * d->out_step);
    }
}

/* Where a tile of floats goes on: from the outputs, of which there may be fewer than its rows. */
static void mls__tile_go_on(mls__dot *d, int mr, int nb, float *part)
{
    d->init = (const int32_t *)(const void *)d->out, d->init_step = d->out_step;
    if (d->count == mr) return;
    for (int32_t m = 0; m < d->count; m++) {
        memcpy(part + m * nb * MLS__LANE, d->out + (size_t)m * d->out_step,
               (size_t)(nb * MLS__LANE) * sizeof(float));
    }
    d->init = (const int32_t *)(const void *)part, d->init_step = (size_t)(nb * MLS__LANE);
}

/* Rows of taps, of count from tap on, that meet the image and not only its padding. */
typedef struct mls__rows {
    int32_t from, count;
    int32_t first, some; /* the first one of all, and whether there is any */
} mls__rows;

static mls__rows mls__rows_inside(const mls__run *r, const mls__phase *p, int32_t y, int32_t tap,
                                  int32_t count)
{
    mls__rows x;
    int32_t at = p->row + y * p->stride, end = r->top + r->data.h - at;
    x.first = r->top > at ? r->top - at : 0;
    if (end > p->taps_y) end = p->taps_y;
    x.some = x.first < end;
    if (!x.some) x.first = end = 0;
    x.from = tap > x.first ? tap : x.first;
    if (end > tap + count) end = tap + count;
    x.count = end > x.from ? end - x.from : 0;
    return x;
}

/* What takes the bias of these rows off, for nb blocks; perhaps in room. */
static const int32_t *mls__bias_of(const mls__run *r, const int32_t *sums, mls__rows rows, int nb,
                                   int32_t *room)
{
    size_t lanes = (size_t)r->blocks * MLS__LANE;
    const int32_t *before = sums + (size_t)rows.from * lanes;
    const int32_t *all = before + (size_t)rows.count * lanes;
    if (rows.from == 0) return all;
    for (int i = 0; i < nb * MLS__LANE; i++) room[i] = all[i] - before[i];
    return room;
}

/* One phase of some images of int8, int16 or fp32. */
static void mls__run_phase(const mls__run *r, const uint8_t *images, size_t step, int32_t count,
                           mls__phase p, int32_t index, float *to)
{
    size_t image_out = mls__image(r->direction == MLS_FORWARD ? r->out : r->c.in);
    size_t pixel = (size_t)r->data.c * (size_t)r->size, row_bytes = (size_t)r->cols * pixel;
    size_t side_w = (size_t)(r->direction == MLS_FORWARD ? r->out.w : r->c.in.w);
    const uint8_t *packed = r->packed + (size_t)index * r->phase_bytes;
    const int32_t *bias = r->bias_row + (size_t)index * mls__bias_sums(r);
    int32_t words = (int32_t)(((size_t)p.taps_x * pixel + MLS__WORD - 1) / MLS__WORD);
    int32_t row_step = p.taps_y, word_step = words;
    int nb;
    mls__dot d;
    memset(&d, 0, sizeof d);
    d.a_m = (ptrdiff_t)((size_t)p.stride * pixel);
    d.a_row = (ptrdiff_t)row_bytes, d.a_word = MLS__WORD;
    d.b_word = MLS__LANE * MLS__WORD, d.b_row = (size_t)r->words * d.b_word;
    d.b_block = (size_t)r->taps_y * d.b_row;
    d.images = 1;
    d.put = MLS__PUT_FLOATS, d.scale = r->scale;
    d.out_step = (size_t)p.step * (size_t)r->lanes;
    if (r->kind == MLS__F32 && r->together > 1 && r->lanes % MLS__LANE == 0) {
        row_step = 1, word_step = MLS__STRIP; /* weights that stay in the L1 cache */
    }
    for (int32_t block = 0; block < r->blocks; block += nb) {
        int32_t first = block * MLS__LANE;
        nb = mls__tile_blocks(r->kernel, r->blocks - block);
        d.lanes = r->lanes - first < nb * MLS__LANE ? r->lanes - first : nb * MLS__LANE;
        for (int32_t tap = 0; tap < p.taps_y; tap += row_step)
            for (int32_t word = 0; word < words; word += word_step) {
                d.words = words - word < word_step ? words - word : word_step;
                for (int32_t line = 0; line < count * p.h; line++) {
                    int32_t image = line / p.h, y = line % p.h;
                    float *row = to + (size_t)image * image_out + first +
                                 (size_t)(p.y + y * p.step) * side_w * (size_t)r->lanes;
                    mls__rows rows = mls__rows_inside(r, &p, y, tap, row_step);
                    const uint8_t *a = images + (size_t)image * step +
                                       (size_t)(p.row + y * p.stride + rows.from) * row_bytes;
                    int32_t room[3 * MLS__LANE];
                    const int32_t *init;
                    int mr, go_on = rows.from > rows.first || word > 0;
                    d.rows = rows.count;
                    if (d.rows == 0 && (go_on || rows.some)) continue;
                    d.b = packed + (size_t)block * d.b_block + (size_t)rows.from * d.b_row +
                          (size_t)word * d.b_word;
                    init = r->bias ? mls__bias_of(r, bias + first, rows, nb, room) : 0;
                    for (int32_t x = 0; x < p.w; x += mr) {
                        float part[MLS__TILE];
                        mr = mls__tile_rows(r->kernel->rows[nb], nb == 2, p.w - x);
                        d.count = p.w - x < mr ? p.w - x : mr;
                        d.a = a + (size_t)(p.col + x * p.stride) * pixel + word * MLS__WORD;
                        d.out = row + (size_t)(p.x + x * p.step) * (size_t)r->lanes;
                        d.init = init, d.init_step = 0;
                        if (go_on) mls__tile_go_on(&d, mr, nb, part);
                        mls__run_tile(r, &d, mr, nb);
                    }
                }
            }
    }
}

/* The same on tiles, for some images. */
static void mls__run_areas(const mls__run *r, const uint8_t *image, size_t step, int32_t images,
                           mls__phase p, int32_t index, float *to)
{
    mls_shape side = r->direction == MLS_FORWARD ? r->out : r->c.in;
    ptrdiff_t pixel = r->data.c, row_bytes = (ptrdiff_t)r->cols * pixel;
    int32_t nb;
    mls__area x;
    memset(&x, 0, sizeof x);
    x.a_x = (ptrdiff_t)p.stride * pixel, x.a_y = (ptrdiff_t)p.stride * row_bytes;
    x.a_row = row_bytes, x.a_plane = (ptrdiff_t)r->image_plane;
    x.b_row = (ptrdiff_t)r->words * MLS__LANE * MLS__WORD, x.b_block = r->taps_y * x.b_row;
    x.b_plane = (ptrdiff_t)(r->phase_bytes / 2);
    x.rows = p.taps_y, x.h = p.h, x.w = p.w;
    x.words = (int32_t)mls__align(((size_t)p.taps_x * (size_t)pixel + MLS__WORD - 1) / MLS__WORD,
                                  MLS__TILE_WORDS);
    x.out_x = (size_t)p.step * (size_t)r->lanes;
    x.out_y = (size_t)p.step * (size_t)side.w * (size_t)r->lanes;
    x.scale = r->kind == MLS__S8 || r->rows_fit >= p.taps_y ? r->scale : 0;
    x.factors[0] = r->fold, x.factors[1] = r->scaling.tensor, x.factors[2] = r->scaling.units;
    /* Weights that nearly fit the L1 cache pass by for every tile, others for every image. */
    for (int32_t block = 0; block < r->blocks && p.h > 0 && p.w > 0; block += nb) {
        int32_t first = block * MLS__LANE;
        nb = r->phase_bytes <= MLS__GATHER / 8 ? r->blocks : r->blocks - block > 1 ? 2 : 1;
        x.lanes = r->lanes - first < nb * MLS__LANE ? r->lanes - first : nb * MLS__LANE;
        x.b = r->packed + (size_t)index * r->phase_bytes + (size_t)block * (size_t)x.b_block;
        for (int32_t i = 0; i < images; i++) {
            x.a = image + (size_t)i * step + p.row * row_bytes + p.col * pixel;
            x.out = to + (size_t)i * mls__image(side) + (size_t)first +
                    ((size_t)p.y * (size_t)side.w + (size_t)p.x) * (size_t)r->lanes;
            r->kernel->tiles->area(&x);
        }
    }
}

/* By how much the channels of image n are shifted, and their repetition. */
static void mls__image_shifts(const mls__run *r, int32_t n, int32_t *shift)
{
    int32_t c = r->data.c;
    for (int32_t ch = 0; ch < c; ch++) {
        int k = mls__k(r->second->format, mls__group(r->second, n, ch));
        shift[ch] = k < r->k2 ? r->k2 - k : 0;
    }
    for (int32_t ch = c; ch < c + MLS__AHEAD; ch++) shift[ch] = shift[ch - c];
}

/* Some images, at most r->together. to: output image n */
static void mls__run_images(const mls__run *r, int32_t n, int32_t images, int slot, float *to)
{
    uint8_t *own = r->slot + (size_t)slot * r->slot_bytes;
    uint8_t *scratch = own + (size_t)r->together * r->image_bytes;
    const uint8_t *image = own;
    int16_t *multiplier = (int16_t *)(void *)scratch;
    int32_t *shift = (int32_t *)(void *)(scratch + mls__multiplier_bytes(r));
    size_t step = r->images ? r->images_step : r->image_bytes;
    if (r->images)
        image = r->images + (size_t)n * step;
    else
        for (int32_t i = 0; i < images; i++) {
            mls__pad_image(r, n + i, own + (size_t)i * step, multiplier);
        }
    if (r->direction == MLS_BACKWARD_DATA && (r->c.stride > r->c.kh || r->c.stride > r->c.kw)) {
        /* some outputs have no taps */
        memset(to, 0, (size_t)images * mls__image(r->c.in) * sizeof(float));
    }
    if (r->tiles && r->kind == MLS__S16) {
        for (int32_t i = 0; i < images; i++) {
            uint8_t *low = own + (size_t)i * r->image_bytes + 2 * r->image_plane;
            r->kernel->tiles->bytes((const int16_t *)(const void *)(image + (size_t)i * step),
                                    (size_t)r->rows * (size_t)r->cols * (size_t)r->data.c, low,
                                    low + r->image_plane);
        }
        image = own + 2 * r->image_plane, step = r->image_bytes;
    }
    if (r->kind == MLS__S32) {
        for (int32_t i = 0; i < images; i++) {
            int16_t *low = (int16_t *)(void *)(own + (size_t)i * step);
            mls__image_shifts(r, n + i, shift);
            r->kernel->halve(low, low + r->image_plane / 2, shift, (size_t)r->data.c,
                             (size_t)r->rows * (size_t)r->cols * (size_t)r->data.c, r->low_bits);
        }
    }
    if (mls__pairs_kind(r->kind)) { /* words of neighbouring pixels, from every pixel on */
        size_t per_word = (size_t)(MLS__WORD / r->size), c = (size_t)r->data.c;
        size_t pixels = (size_t)r->rows * (size_t)r->cols, pixel = mls__pairs_pixel(r);
        uint8_t *words = own + mls__align(pixels * c * (size_t)r->size + MLS__SLACK, MLS__ALIGN);
        mls__mix_pixels x;
        x.pixel = c * (size_t)r->size, x.count = c, x.size = r->size, x.flip = 0;
        x.steps = (pixels + per_word - 1) / per_word;
        x.to_step = per_word * pixel, x.zeros = image;
        x.to_block = MLS__LANE * MLS__WORD;
        for (size_t t = 0; t < per_word; t++) {
            x.from = image + t * x.pixel, x.pixels = pixels - t;
            x.to = words + t * pixel;
            r->kernel->interleave(&x);
        }
        image = words;
    }
    for (int32_t index = 0; index < r->phases; index++) {
        mls__phase p = mls__phase_make(r, index);
        if (r->tiles) {
            mls__run_areas(r, image, step, images, p, index, to);
        } else if (mls__pairs_kind(r->kind)) {
            mls__run_pairs(r, n, image, shift, p, index, to);
        } else if (r->kind == MLS__WIDE) {
            mls__run_wide(r, n, (const int32_t *)(const void *)image, p,
                          r->packed + (size_t)index * r->phase_bytes, to);
        } else {
            mls__run_phase(r, image, step, images, p, index, to);
        }
    }
}

/* At the end of a thread's work. */
static void mls__run_release(const mls__run *r)
{
    if (r->tiles) r->kernel->tiles->release();
}

/* Backward-weight: a thread gathers E and A of some images as words of neighbouring pixels, until
   MLS__GATHER is full, and adds their products to a sum. */

typedef struct mls__sum {
    int64_t *head;  /* terms in the 32-bit part; whether that part is to be started anew */
    int64_t *error; /* [ky][co] sums of E, which the bias of A multiplies */
    int64_t *c64;
    int32_t *c32;
    size_t count;
} mls__sum;

static mls__sum mls__sum_at(const mls__run *r, int32_t index)
{
    uint8_t *p = r->sum + (size_t)index * r->sum_bytes;
    mls__sum s;
    s.head = (int64_t *)(void *)p;
    s.count = r->sum_count;
    p += MLS__ALIGN;
    s.error = (int64_t *)(void *)p, p += mls__error_bytes(r);
    s.c32 = (int32_t *)(void *)p;
    if (r->kind == MLS__F32 || r->kind == MLS__S8) p += s.count * 4;
    s.c64 = (int64_t *)(void *)p;
    return s;
}

/* Whether int8 sums of all images fit 32 bits. */
static int mls__sums_fit(const mls__run *r)
{
    int64_t row = r->tiles ? r->out.w : r->quads * MLS__WORD;
    return (int64_t)r->out.n * r->out.h * row <= r->segment;
}

static void mls__sum_start(const mls__run *r, int32_t index)
{
    mls__sum s = mls__sum_at(r, index);
    memset(s.head, 0, MLS__ALIGN + mls__error_bytes(r));
    s.head[1] = 1;
    if (r->kind != MLS__F32 && !(r->kind == MLS__S8 && mls__sums_fit(r))) {
        memset(s.c64, 0, s.count * 8);
    }
}

/* Moves the 32-bit sums on. */
static void mls__sum_flush(mls__sum *s)
{
    for (size_t i = 0; i < s->count; i++) s->c64[i] += s->c32[i];
    s->head[0] = 0, s->head[1] = 1;
}

/* What follows the image in a slot. */
typedef struct mls__scratch {
    uint8_t *error, *a, *e, *flat;
    size_t *tap; /* on tiles: bytes of A to a tap */
    mls__gathered *gathered;
    int16_t *multiplier;
    int32_t *lane_k, *row_shift; /* of the first image that is gathered */
} mls__scratch;

static mls__scratch mls__scratch_at(const mls__run *r, int slot)
{
    mls__scratch s;
    uint8_t *p = r->slot + (size_t)slot * r->slot_bytes + (size_t)r->together * r->image_bytes;
    s.error = p, p += (size_t)r->together * r->error_bytes;
    s.a = p, p += r->a_bytes;
    s.e = p, p += r->e_bytes * (r->kind == MLS__S16 ? 2 : 1);
    s.flat = p, p += r->flat_bytes;
    s.gathered = (mls__gathered *)(void *)p, p += MLS__ALIGN;
    s.tap = (size_t *)(void *)p;
    if (r->tiles) {
        p += mls__align((size_t)r->c.kh * (size_t)r->c.kw * sizeof(size_t), MLS__ALIGN);
    }
    s.multiplier = (int16_t *)(void *)p, p += mls__multiplier_bytes(r);
    s.lane_k = (int32_t *)(void *)p;
    s.row_shift = s.lane_k + (size_t)r->blocks * MLS__LANE;
    return s;
}

/* A pixel of E that is zero, behind E. */
static uint8_t *mls__zeros_at(const mls__run *r, const mls__scratch *s)
{
    size_t elements = (size_t)r->out.h * (size_t)r->out.w * (size_t)r->c.c_out;
    return s->error + elements * (size_t)r->size * (r->kind == MLS__S16 ? 2 : 1);
}

/* How many of some output lines from y on have a row ky of A that is not padding, and where they
   begin. */
static int32_t mls__lines_inside(const mls_conv *c, int32_t ky, int32_t y, int32_t count,
                                 int32_t *from)
{
    int32_t s = c->stride, first = c->pad > ky ? (c->pad - ky + s - 1) / s : 0;
    int32_t end = c->pad + c->in.h > ky ? (c->pad + c->in.h - ky + s - 1) / s : 0;
    first = first > y ? first - y : 0, end = end - y < count ? end - y : count;
    *from = first < end ? first : 0;
    return first < end ? end - first : 0;
}

/* Adds sign times the sums of some lines of E, of the images and words of d, to those of rows ky to
   end - 1 of the kernel. */
static void mls__error_sums(const mls__run *r, mls__dot d, const uint8_t *e, int32_t lines,
                            int32_t sign, int32_t ky, int32_t end, int64_t *error)
{
    int32_t ones[1] = {0x01010101}, tile[MLS__LANE];
    d.a = (const uint8_t *)ones, d.a_m = d.a_image = d.a_row = d.a_word = 0;
    d.b_image = r->e.image, d.b_row = r->e.row, d.b_word = r->e.word;
    d.b_unsigned = 0, d.put = MLS__PUT_SUMS, d.count = 1, d.lanes = MLS__LANE;
    d.c = tile, d.init = 0, d.rows = lines;
    for (int32_t co = 0; co < r->c.c_out && lines; co += MLS__LANE) {
        d.b = e + (size_t)(co / MLS__LANE) * r->e.block;
        r->kernel->dot(r->kind, 1, 1, &d);
        for (int32_t row = ky; row < end; row++) {
            int64_t *to = error + (size_t)row * (size_t)r->co + co;
            for (int i = 0; i < MLS__LANE; i++) to[i] += sign * tile[i];
        }
    }
}

/* Adds the products of some images, or of rows of one from line top on, to a sum. */
static void mls__weight_tiles(const mls__run *r, const uint8_t *e, const uint8_t *a, int32_t images,
                              int32_t top, int32_t rows, const mls__scratch *scratch, int32_t index)
{
    static const int32_t zero[3 * MLS__LANE] = {0};
    const mls_conv *c = &r->c;
    int pairs = mls__pairs_kind(r->kind), sums = r->kind == MLS__S8 || r->kind == MLS__F32;
    size_t lanes = (size_t)r->blocks * MLS__LANE;
    int64_t per_word = MLS__WORD / r->size, limit = MLS__STRIP;
    if (r->kind == MLS__F32 && r->gather > 1) limit = 4 * MLS__STRIP;
    int32_t word_step, row_step, image_step;
    mls__sum sum = mls__sum_at(r, index);
    mls__dot d;
    memset(&d, 0, sizeof d);
    d.a_m = MLS__WORD, d.a_word = (ptrdiff_t)r->e.word, d.a_row = (ptrdiff_t)r->e.row;
    d.a_image = (ptrdiff_t)r->e.image;
    d.b_block = r->a.block, d.b_word = r->a.word, d.b_row = (size_t)c->stride * r->a.row;
    d.b_image = r->a.image;
    d.b_unsigned = 1;
    if (r->kind == MLS__S16 && limit > r->segment / per_word) limit = r->segment / per_word;
    if (pairs) limit = INT32_MAX;
    word_step = r->quads <= limit ? r->quads : (int32_t)limit;
    row_step = word_step < r->quads      ? 1
               : limit / r->quads < rows ? (int32_t)(limit / r->quads)
                                         : rows;
    image_step = 1;
    if (row_step == rows && limit / r->quads / rows > 1) {
        image_step = (int32_t)(limit / r->quads / rows);
        if (image_step > images) image_step = images;
    }
    if (pairs) image_step = images; /* one after the other: sums of a tile stay in the cache */
    for (int32_t n = 0; n < images; n += image_step)
        for (int32_t y = 0; y < rows; y += row_step)
            for (int32_t q = 0; q < r->quads; q += word_step) {
                int64_t terms;
                int32_t lines, words, each = 1;
                const uint8_t *e0 =
                    e + (size_t)n * r->e.image + (size_t)y * r->e.row + (size_t)q * r->e.word;
                const uint8_t *a0 = a + (size_t)n * r->a.image + (size_t)q * r->a.word +
                                    (size_t)(y * c->stride) * r->a.row;
                d.images = images - n < image_step ? images - n : image_step;
                if (pairs) each = d.images, d.images = 1;
                d.words = words = r->quads - q < word_step ? r->quads - q : word_step;
                lines = rows - y < row_step ? rows - y : row_step;
                terms = (int64_t)d.images * lines * words * per_word;
                if (r->kind == MLS__S8 && sum.head[0] + terms > r->segment) mls__sum_flush(&sum);
                sum.head[0] += terms;
                if (r->bias) mls__error_sums(r, d, e0, lines, 1, 0, c->kh, sum.error);
                for (int plane = 0; plane < r->planes; plane++) {
                    int32_t plane_shift[MLS__ROWS];
                    for (int i = 0; i < MLS__ROWS; i++) plane_shift[i] = 8 * plane;
                    for (int32_t ky = 0; ky < c->kh; ky++) {
                        /* lines whose row of A is padding stay out */
                        int32_t from, some = mls__lines_inside(c, ky, top + y, lines, &from);
                        int nb;
                        d.words = words;
                        if (r->bias && some < lines) {
                            mls__error_sums(r, d, e0, from, -1, ky, ky + 1, sum.error);
                            mls__error_sums(r, d, e0 + (size_t)(from + some) * r->e.row,
                                            lines - from - some, -1, ky, ky + 1, sum.error);
                        }
                        if (some == 0 && !(sums && sum.head[1])) continue;
                        d.rows = some;
                        if (c->stride == 1 && r->size < MLS__WORD && word_step == r->quads) {
                            d.words *= d.rows, d.rows = 1; /* one row of words after the other */
                        }
                        for (int32_t block = 0; block < r->blocks; block += nb) {
                            int mr;
                            nb = mls__tile_blocks(r->kernel, r->blocks - block);
                            if (r->kernel->rows[3] && r->blocks - block >= 3 &&
                                r->blocks - block != 4) {
                                nb = 3;
                            }
                            d.lanes = r->lanes - block * MLS__LANE;
                            if (d.lanes > nb * MLS__LANE) d.lanes = nb * MLS__LANE;
                            for (int32_t co = 0; co < c->c_out; co += mr) {
                                size_t at = ((size_t)ky * (size_t)r->co + (size_t)co) * lanes +
                                            (size_t)block * MLS__LANE;
                                mr = mls__tile_rows(r->kernel->rows[nb], nb == 2, c->c_out - co);
                                if (mr == 7) mr = 8; /* rows here need not be exact */
                                d.count = mr;
                                d.b = a0 + (size_t)(ky + from * c->stride) * r->a.row +
                                      (size_t)block * d.b_block;
                                d.a = e0 + (size_t)plane * r->e_bytes + (size_t)from * r->e.row +
                                      (size_t)(co / MLS__LANE) * r->e.block +
                                      co % MLS__LANE * MLS__WORD;
                                if (sums) {
                                    d.put = MLS__PUT_SUMS;
                                    d.c = sum.c32 + at, d.c_step = lanes;
                                    d.init = sum.head[1] ? 0 : d.c, d.init_step = lanes;
                                } else {
                                    d.put = MLS__PUT_WIDE;
                                    d.wide = sum.c64 + at, d.wide_step = lanes;
                                    d.row_shift = pairs ? scratch->row_shift + co : plane_shift;
                                    d.lane_k = pairs ? scratch->lane_k + block * MLS__LANE : zero;
                                }
                                for (int32_t i = 0; i < each; i++) {
                                    r->kernel->dot(r->kind, mr, nb, &d);
                                    if (i + 1 == each) break;
                                    d.a += d.a_image, d.b += d.b_image;
                                    d.row_shift += mls__shifts(r), d.lane_k += mls__shifts(r);
                                }
                            }
                        }
                    }
                }
                sum.head[1] = 0;
            }
}

/* On tiles: see mls__line_size. */

/* Bytes to a plane of A: of residues of the stride, and of its low or high bytes. */
static size_t mls__a_plane(const mls__run *r, int32_t ry, int32_t rx, int byte)
{
    int32_t residue = ry * mls__residues(r->c.stride, r->c.kw) + rx;
    return (size_t)(residue * r->bytes + byte) * (size_t)(r->blocks * MLS__LANE) * r->channel_bytes;
}

static void mls__tap_offsets(const mls__run *r, size_t *tap)
{
    int32_t s = r->c.stride;
    for (int32_t ky = 0; ky < r->c.kh; ky++)
        for (int32_t kx = 0; kx < r->c.kw; kx++) {
            *tap++ =
                mls__a_plane(r, ky % s, kx % s, 0) + (size_t)(ky / s) * r->pitch + (size_t)(kx / s);
        }
}

/* Adds the products of a number of images, or of some rows of one, to a sum. */
static void mls__line_strip(const mls__run *r, const mls__scratch *s, int32_t images, int32_t rows,
                            int32_t index)
{
    size_t line = r->band == r->out.h ? r->line : mls__align((size_t)rows * r->pitch, 4);
    size_t pixels = (size_t)images * line, words = mls__align(pixels / 4, MLS__TILE_WORDS);
    int64_t terms = (int64_t)images * rows * r->out.w;
    mls__sum sum = mls__sum_at(r, index);
    mls__strip x;
    memset(&x, 0, sizeof x);
    x.words = (int32_t)words;
    x.a = s->a, x.a_tap = s->tap, x.a_channel = r->channel_bytes;
    x.b = s->e, x.b_block = r->e.block;
    x.taps = r->c.kh * r->c.kw, x.a_blocks = r->blocks, x.b_blocks = r->co / MLS__LANE;
    if (r->bytes == 2) {
        x.a_plane = mls__a_plane(r, 0, 0, 1), x.b_plane = r->e_bytes;
        x.c64 = sum.c64;
    } else {
        if (sum.head[0] + terms > r->segment) mls__sum_flush(&sum);
        sum.head[0] += terms;
        x.c32 = sum.c32, x.fresh = sum.head[1] != 0;
        sum.head[1] = 0;
    }
    for (int32_t i = 0; i < x.b_blocks * r->bytes; i++) {
        uint8_t *e =
            s->e + (size_t)(i / x.b_blocks) * r->e_bytes + (size_t)(i % x.b_blocks) * r->e.block;
        memset(e + pixels * MLS__LANE, 0, (words * 4 - pixels) * MLS__LANE);
    }
    if (r->band == r->out.h) { /* where the taps of the last image end */
        size_t zeros = (size_t)((r->c.kh - 1) / r->c.stride) * r->pitch +
                       (size_t)((r->c.kw - 1) / r->c.stride + 1);
        size_t channels =
            mls__a_plane(r, mls__residues(r->c.stride, r->c.kh), 0, 0) / r->channel_bytes;
        for (size_t i = 0; i < channels; i++)
            memset(s->a + i * r->channel_bytes + pixels, 0, zeros);
    }
    r->kernel->tiles->strip(&x);
}

/* Pixels that a residue of the stride has, in rows of the pitch: rows y .. y + rows - 1 of those of
   which the real ones are inside of padding. Zeros elsewhere, and behind. */
static void mls__flat_rows(const mls__run *r, const uint8_t *from, size_t row_bytes, mls_shape real,
                           int32_t pad, int32_t step, int32_t ry, int32_t rx, int32_t y,
                           size_t rows, uint8_t *to)
{
    size_t pixel = (size_t)real.c * (size_t)r->size, pitch = r->pitch * pixel;
    int32_t x0 = pad > rx ? (pad - rx + step - 1) / step : 0;
    int32_t x1 = (pad + real.w - rx + step - 1) / step;
    if (x1 > (int32_t)r->pitch) x1 = (int32_t)r->pitch;
    for (int32_t j = 0; j < (int32_t)rows; j++, to += pitch) {
        int32_t row = (y + j) * step + ry;
        const uint8_t *at;
        uint8_t *p = to + (size_t)x0 * pixel;
        if (row < pad || row >= pad + real.h || x0 >= x1) {
            memset(to, 0, pitch);
            continue;
        }
        at = from + (size_t)row * row_bytes + (size_t)(x0 * step + rx) * pixel;
        memset(to, 0, (size_t)x0 * pixel);
        memset(to + (size_t)x1 * pixel, 0, pitch - (size_t)x1 * pixel);
        if (step == 1) {
            memcpy(p, at, (size_t)(x1 - x0) * pixel);
        } else if (pixel % 16 == 0) {
            for (int32_t x = x0; x < x1; x++, at += (size_t)step * pixel) {
                for (size_t i = 0; i < pixel; i += 16, p += 16) memcpy(p, at + i, 16);
            }
        } else {
            for (int32_t x = x0; x < x1; x++, p += pixel, at += (size_t)step * pixel) {
                memcpy(p, at, pixel);
            }
        }
    }
    memset(to, 0, 64 * pixel);
}

/* Puts rows y .. y + rows - 1 of an image on the line, from a pixel on. */
static void mls__line_rows(const mls__run *r, const mls__scratch *s, const uint8_t *image,
                           const uint8_t *error, size_t error_row, int32_t y, int32_t rows,
                           size_t at)
{
    const mls_conv *c = &r->c;
    size_t row_bytes = (size_t)r->cols * (size_t)c->in.c * (size_t)r->size;
    int whole = r->band == r->out.h;
    size_t a_rows = whole ? r->line_rows : (size_t)(rows + (c->kh - 1) / c->stride + 1);
    size_t e_rows = whole ? r->line_rows : (size_t)rows;
    mls__line x;
    memset(&x, 0, sizeof x);
    x.from = s->flat, x.size = r->size;
    x.pixel = (size_t)c->in.c * (size_t)r->size;
    x.pixels = mls__align(a_rows * r->pitch, 4);
    x.blocks = (size_t)r->blocks, x.step = r->channel_bytes;
    for (int32_t ry = 0; ry < mls__residues(c->stride, c->kh); ry++)
        for (int32_t rx = 0; rx < mls__residues(c->stride, c->kw); rx++) {
            mls__flat_rows(r, image, row_bytes, c->in, c->pad, c->stride, ry, rx, y, a_rows,
                           s->flat);
            for (x.plane = 0; x.plane < r->bytes; x.plane++) {
                x.to = s->a + mls__a_plane(r, ry, rx, x.plane) + at;
                r->kernel->tiles->turn(&x);
            }
        }
    mls__flat_rows(r, error, error_row, r->out, 0, 1, 0, 0, y, e_rows, s->flat);
    x.pixel = (size_t)c->c_out * (size_t)r->size;
    x.pixels = mls__align(e_rows * r->pitch, 4);
    x.blocks = (size_t)(r->co / MLS__LANE), x.step = r->e.block;
    for (x.plane = 0; x.plane < r->bytes; x.plane++) {
        x.to = s->e + (size_t)x.plane * r->e_bytes + at * MLS__LANE;
        r->kernel->tiles->words(&x);
    }
}

/* All sums of a row of the kernel, to the output. */
static void mls__line_finish(const mls__run *r, int32_t ky)
{
    const mls_conv *c = &r->c;
    size_t taps = (size_t)c->kh * (size_t)c->kw;
    int32_t e_blocks = r->co / MLS__LANE;
    int wide = r->kind == MLS__S16 || !mls__sums_fit(r);
    float factors[3];
    factors[0] = r->fold, factors[1] = r->scaling.tensor, factors[2] = r->scaling.units;
    for (int32_t i = 0; i < c->kw * r->blocks * e_blocks; i++) {
        size_t tap = (size_t)(ky * c->kw + i / e_blocks / r->blocks);
        int32_t ci = i / e_blocks % r->blocks * MLS__LANE, co = i % e_blocks * MLS__LANE;
        size_t at = (size_t)(ky * c->kw * r->blocks * e_blocks + i) * MLS__LANE * MLS__LANE;
        float *to = r->output + ((size_t)co * taps + tap) * (size_t)c->in.c + ci;
        int64_t acc[MLS__LANE * MLS__LANE] = {0};
        const int32_t *only = 0;
        for (int32_t j = 0; j < r->sums; j++) {
            mls__sum s = mls__sum_at(r, j);
            const int32_t *c32 = r->kind == MLS__S8 && !s.head[1] ? s.c32 + at : 0;
            if (r->sums == 1 && !wide && c32)
                only = c32;
            else
                r->kernel->add(acc, c32, wide ? s.c64 + at : 0, 0, MLS__LANE * MLS__LANE);
        }
        r->kernel->tiles->put(
            only, acc, factors, c->in.c - ci < MLS__LANE ? c->in.c - ci : MLS__LANE,
            c->c_out - co < MLS__LANE ? c->c_out - co : MLS__LANE, to, taps * (size_t)c->in.c);
    }
}

/* Bytes to element i of words in blocks. */
MLS__INLINE size_t mls__block_at(size_t i, size_t block)
{
    return i / MLS__LANE * block + i % MLS__LANE * MLS__WORD;
}

/* The words of A rows: for every tap of a row, words of pixels that the stride steps over. */
static void mls__mix_image(const mls__run *r, const uint8_t *image, int32_t rows, uint8_t *to)
{
    const mls_conv *c = &r->c;
    size_t ci = (size_t)r->data.c, size = (size_t)r->size, per_word = MLS__WORD / size;
    size_t row_bytes = (size_t)r->cols * ci * size, s = (size_t)c->stride;
    mls__mix_pixels x;
    x.pixel = s * ci * size, x.pixels = SIZE_MAX, x.count = ci, x.size = r->size; /* E is 0 there */
    x.steps = (size_t)(r->quads + r->extra), x.to_step = r->a.word, x.to_block = r->a.block;
    x.zeros = image, x.flip = 0;
    for (int32_t row = 0; row < rows; row++) {
        uint8_t *w = to + (size_t)row * r->a.row;
        for (size_t kx = 0; kx < (size_t)c->kw; kx++) {
            /* The word of a tap a whole stride on is the word before, moved on by a pixel. */
            size_t on = kx / s, shift = on % per_word * size * 8, next = on / per_word * r->a.word;
            if (on == 0) {
                x.from = image + (size_t)row * row_bytes + kx * ci * size;
                x.to = w + mls__block_at(kx * ci, r->a.block);
                r->kernel->interleave(&x);
            } else if (r->a.block == MLS__LANE * MLS__WORD) {
                r->kernel->next_pixel(w + next + kx % s * ci * MLS__WORD, w + kx * ci * MLS__WORD,
                                      r->a.word, (size_t)r->quads, ci, (int)shift);
            } else {
                for (size_t ch = 0; ch < ci; ch += MLS__LANE) {
                    r->kernel->next_pixel(w + next + mls__block_at(kx % s * ci + ch, r->a.block),
                                          w + mls__block_at(kx * ci + ch, r->a.block), r->a.word,
                                          (size_t)r->quads, MLS__LANE, (int)shift);
                }
            }
        }
    }
}

/* Adds what a slot has gathered to the sum. */
static void mls__run_weight_flush(const mls__run *r, int slot)
{
    mls__scratch s = mls__scratch_at(r, slot);
    if (s.gathered->images && r->kind == MLS__F32) {
        mls__weight_tiles(r, s.error, r->slot + (size_t)slot * r->slot_bytes, s.gathered->images, 0,
                          r->out.h, &s, s.gathered->sum);
    } else if (s.gathered->images && r->tiles) {
        mls__line_strip(r, &s, s.gathered->images, r->band, s.gathered->sum);
    } else if (s.gathered->images) {
        mls__weight_tiles(r, s.e, s.a, s.gathered->images, 0, r->band, &s, s.gathered->sum);
    }
    s.gathered->images = 0;
}

/* E rows as words. from: its pixel (0, 0), bytes from row to row. */
static void mls__mix_error(const mls__run *r, const uint8_t *from, size_t row_bytes, uint32_t flip,
                           int32_t rows, const uint8_t *zeros, uint8_t *to)
{
    mls__mix_pixels x;
    x.pixel = (size_t)r->c.c_out * (size_t)r->size, x.pixels = (size_t)r->out.w;
    x.size = r->size, x.count = (size_t)r->c.c_out, x.steps = (size_t)r->quads;
    x.to_step = r->e.word, x.to_block = r->e.block, x.zeros = zeros, x.flip = flip;
    for (int32_t y = 0; y < rows; y++) {
        x.from = from + (size_t)y * row_bytes, x.to = to + (size_t)y * r->e.row;
        r->kernel->interleave(&x);
    }
}

static void mls__weight_wide(const mls__run *r, int32_t n, const int32_t *image, const int32_t *e,
                             mls__sum *sum);

static void mls__run_weight_image(const mls__run *r, int32_t n, int slot, int32_t index)
{
    const mls_conv *c = &r->c;
    size_t size = (size_t)r->size, ci = (size_t)r->data.c, co = (size_t)c->c_out;
    size_t pixels = (size_t)r->out.h * (size_t)r->out.w, image_row = (size_t)r->cols * ci * size;
    size_t e_row = (size_t)r->out.w * co * size, plane_bytes = pixels * co * size;
    mls__scratch s = mls__scratch_at(r, slot);
    uint8_t *own = r->slot + (size_t)slot * r->slot_bytes;
    const uint8_t *zeros = mls__zeros_at(r, &s);
    const uint8_t *image = own, *error = s.error;
    uint32_t flip = 0;
    if (s.gathered->images && s.gathered->sum != index) mls__run_weight_flush(r, slot);
    s.gathered->sum = index;
    if (r->kind == MLS__F32) {
        own += (size_t)s.gathered->images * r->image_bytes;
        s.error += (size_t)s.gathered->images * r->error_bytes;
    }
    if (r->images)
        image = r->images + (size_t)n * r->images_step;
    else
        mls__pad_image(r, n, own, s.multiplier);
    if (r->errors) {
        error = r->errors + (size_t)n * r->errors_step, e_row = r->errors_row;
        flip = r->bias ? 0x80808080u : 0;
    } else if (r->first) {
        mls__fold f;
        f.code = r->first->code, f.format = r->first->format, f.multiplier = s.multiplier;
        f.channels = co, f.flip = 0;
        mls__multipliers(r, r->first, n, r->k1, s.multiplier);
        r->kernel->fold(&f, (size_t)n * pixels * co, pixels * co, 0, r->size, s.error);
    } else {
        memcpy(s.error, r->first32 + (size_t)n * pixels * co, pixels * co * 4);
    }
    if (r->kind == MLS__WIDE) {
        mls__sum sum = mls__sum_at(r, index);
        mls__weight_wide(r, n, (const int32_t *)(const void *)image,
                         (const int32_t *)(const void *)error, &sum);
        return;
    }
    if (r->kind == MLS__F32) { /* used where they are */
        if (++s.gathered->images == r->gather) mls__run_weight_flush(r, slot);
        return;
    }
    if (mls__pairs_kind(r->kind)) {
        size_t at = (size_t)s.gathered->images * mls__shifts(r);
        for (int32_t i = 0; i < r->blocks * MLS__LANE; i++) {
            uint32_t g = i < r->lanes ? mls__group(r->second, n, i % r->data.c) : 0;
            s.lane_k[at + (size_t)i] = mls__k(r->second->format, g);
        }
        for (int32_t i = 0; i < r->co; i++) {
            uint32_t g = mls__group(r->first, n, i < c->c_out ? i : 0);
            s.row_shift[at + (size_t)i] = r->scaling.fraction - mls__k(r->first->format, g);
        }
    }
    if (r->planes == 2) {
        uint8_t *hi = s.error + plane_bytes;
        r->kernel->split((const int16_t *)(const void *)error, (int16_t *)(void *)hi,
                         (int16_t *)(void *)s.error, pixels * co);
        error = s.error;
    }
    for (int32_t y = 0; y < r->out.h; y += r->band) {
        int32_t rows = r->out.h - y < r->band ? r->out.h - y : r->band;
        size_t at = (size_t)s.gathered->images;
        if (r->tiles) {
            mls__line_rows(r, &s, image, error, e_row, y, rows, at * r->line);
            if (r->band < r->out.h)
                mls__line_strip(r, &s, 1, rows, index);
            else if (++s.gathered->images == r->gather)
                mls__run_weight_flush(r, slot);
            continue;
        }
        for (int plane = 0; plane < r->planes; plane++) {
            mls__mix_error(r, error + (size_t)plane * plane_bytes + (size_t)y * e_row, e_row, flip,
                           rows, zeros, s.e + (size_t)plane * r->e_bytes + at * r->e.image);
        }
        mls__mix_image(r, image + (size_t)(y * c->stride) * image_row,
                       (rows - 1) * c->stride + c->kh, s.a + at * r->a.image);
        if (r->band == r->out.h) {
            if (++s.gathered->images == r->gather) mls__run_weight_flush(r, slot);
        } else {
            mls__weight_tiles(r, s.e, s.a, 1, y, rows, &s, index);
        }
    }
}

/* All sums together, scaled, to the output [c_out][kh][kw][c_in]; kernel rows ky0 .. ky1 - 1. */
static void mls__run_weight_finish(const mls__run *r, int32_t ky0, int32_t ky1)
{
    const mls_conv *c = &r->c;
    int32_t depth = r->depth, wide = r->kind != MLS__S8 || !mls__sums_fit(r);
    if (r->tiles) {
        for (int32_t ky = ky0; ky < ky1; ky++) mls__line_finish(r, ky);
        return;
    }
    size_t lanes = (size_t)r->blocks * MLS__LANE;
    for (int32_t ky = ky0; ky < ky1; ky++)
        for (int32_t co = 0; co < c->c_out; co++)
            for (int32_t first = 0; first < depth; first += MLS__TILE) {
                int32_t count = depth - first < MLS__TILE ? depth - first : MLS__TILE;
                size_t at = ((size_t)ky * (size_t)r->co + (size_t)co) * lanes + (size_t)first;
                float *to =
                    r->output + ((size_t)co * (size_t)c->kh + (size_t)ky) * (size_t)depth + first;
                int64_t acc[MLS__TILE];
                for (int32_t i = 0; i < r->sums; i++) {
                    mls__sum s = mls__sum_at(r, i);
                    const int32_t *c32 = s.head[1] ? 0 : s.c32 + at;
                    if (r->kind == MLS__F32) {
                        const float *part = (const float *)(const void *)(s.c32 + at);
                        if (i == 0)
                            memcpy(to, part, (size_t)count * sizeof *to);
                        else
                            r->kernel->add_floats(to, part, (size_t)count);
                        continue;
                    }
                    if (i == 0) memset(acc, 0, sizeof acc);
                    r->kernel->add(acc, r->kind == MLS__S8 ? c32 : 0, wide ? s.c64 + at : 0,
                                   -(int64_t)r->bias *
                                       s.error[(size_t)ky * (size_t)r->co + (size_t)co],
                                   (size_t)count);
                }
                if (r->kind == MLS__F32) continue;
                if (r->kind == MLS__WIDE && r->merged) {
                    for (int32_t m = 0; m < count; m++) {
                        acc[m] = (int64_t)mls__pair_value(
                            acc[m], r->first, mls__group(r->first, 0, co), r->second,
                            mls__group(r->second, 0, (first + m) % c->in.c), r->scaling.fraction);
                    }
                }
                r->kernel->emit(acc, (size_t)count, r->kind >= MLS__PAIRS8 ? 1 : r->fold,
                                r->scaling.tensor, r->scaling.units, to);
            }
}

/* ----------------------------------------------------------------------------------- >>wide
   Group pair by group pair: P_g in 32 bits and acc in 64 or doubles by the micro-kernel, or both in
   64. */

/* The least integer above every magnitude of a shifted P_g. shift: without the lane's k. largest:
   magnitude of a P_g, below 2^31. */
static int64_t mls__pair_bound(const mls__run *r, int32_t shift, int64_t largest)
{
    int by = shift - r->wide_least; /* at most F = 30 */
    return 1 + (by >= 0 ? largest << by : largest >> (by > -63 ? -by : 63));
}

/* Which pairs the kernel takes in one call: those from first on end before until[first], or before
   -until[first] if doubles hold their sums. */
static void mls__pairs_split(const mls__run *r, const int32_t *shift, int64_t largest,
                             int32_t *until)
{
    const int64_t room = r->kernel->doubles ? (int64_t)1 << 51 : 0;
    int32_t c = r->data.c, pair = 0, first;
    while (pair < c) {
        int64_t left = room;
        first = pair;
        while (pair < c && (left -= mls__pair_bound(r, shift[pair], largest)) >= 0) pair++;
        until[first] = -pair;
        if (pair > first) continue;
        while (pair < c && mls__pair_bound(r, shift[pair], largest) > room) pair++;
        until[first] = pair;
    }
}

static void mls__run_pairs(const mls__run *r, int32_t n, const uint8_t *image, int32_t *shift,
                           mls__phase p, int32_t index, float *to)
{
    int32_t *until = shift + r->data.c;
    int64_t terms = (int64_t)p.taps_y * p.taps_x;
    size_t c = (size_t)r->data.c, pair_lanes = c * MLS__LANE;
    size_t side_w = (size_t)(r->direction == MLS_FORWARD ? r->out.w : r->c.in.w);
    size_t pixel = mls__pairs_pixel(r), row_bytes = (size_t)r->cols * pixel,
           per_word = (size_t)(MLS__WORD / r->size);
    mls__pairs d;
    memset(&d, 0, sizeof d);
    for (size_t ch = 0; ch < c; ch++) {
        uint32_t g = mls__group(r->second, n, (int32_t)ch);
        shift[ch] = r->scaling.fraction - mls__k(r->second->format, g);
    }
    d.a_m = (ptrdiff_t)((size_t)p.stride * pixel), d.a_row = (ptrdiff_t)row_bytes;
    d.a_word = (ptrdiff_t)(per_word * pixel);
    mls__pairs_split(r, shift,
                     terms * mls__group_max(r->first->format) * mls__group_max(r->second->format),
                     until);
    d.rows = p.taps_y;
    d.words = (int32_t)(((size_t)p.taps_x + per_word - 1) / per_word);
    d.b_row = (size_t)r->words * MLS__LANE * MLS__WORD, d.b_pair = (size_t)r->taps_y * d.b_row;
    for (int32_t block = 0; block < r->blocks; block++) {
        size_t first = (size_t)block * MLS__LANE, lanes = (size_t)r->lanes - first;
        const uint8_t *b =
            r->packed + (size_t)index * r->phase_bytes + (size_t)block * c * d.b_pair;
        const int32_t *k = r->wide_k + (size_t)block * pair_lanes;
        const int32_t *init =
            r->bias_row + ((size_t)index * (size_t)r->blocks + (size_t)block) * pair_lanes;
        if (lanes > MLS__LANE) lanes = MLS__LANE;
        for (int32_t y = 0; y < p.h; y++) {
            float *out =
                to + ((size_t)(p.y + y * p.step) * side_w + (size_t)p.x) * (size_t)r->lanes + first;
            const uint8_t *a = image + (size_t)(p.row + y * p.stride) * row_bytes;
            int mr;
            for (int32_t x = 0; x < p.w; x += mr) {
                int64_t sum[MLS__ROWS * MLS__LANE];
                mr = mls__tile_rows(r->kernel->pairs_rows, 1, p.w - x);
                memset(sum, 0, (size_t)(mr * MLS__LANE) * sizeof sum[0]);
                d.wide = sum;
                for (int32_t pair = 0; pair < r->data.c; pair += d.pairs) {
                    d.doubles = until[pair] < 0;
                    d.pairs = (d.doubles ? -until[pair] : until[pair]) - pair;
                    d.a = a + (size_t)(p.col + x * p.stride) * pixel + (size_t)pair * MLS__WORD;
                    d.b = b + (size_t)pair * d.b_pair, d.shift = shift + pair;
                    d.k = k + pair * MLS__LANE, d.init = init + pair * MLS__LANE;
                    r->kernel->pairs(r->kind, mr, &d);
                }
                for (int32_t m = 0; m < mr && m < p.w - x; m++) {
                    r->kernel->emit(sum + m * MLS__LANE, lanes, 1, r->scaling.tensor,
                                    r->scaling.units,
                                    out + (size_t)((x + m) * p.step) * (size_t)r->lanes);
                }
            }
        }
    }
}

/* acc[lane] += shift(p[lane] * fractions, F - k - k) for the data group g of format f. */
static void mls__wide_add(const mls__run *r, mls_format f, uint32_t g, const int32_t *k,
                          const int32_t *fraction, const int64_t *p, int64_t *acc)
{
    int data_shift = r->scaling.fraction - mls__k(f, g), data_fraction = mls__fraction(f, g);
    for (int lane = 0; lane < MLS__LANE; lane++) {
        /* unsigned: lanes that nobody asked for hold anything */
        int64_t v = (int64_t)((uint64_t)p[lane] * (uint64_t)(data_fraction * fraction[lane]));
        int shift = data_shift - k[lane];
        if (shift >= 0)
            v = (int64_t)((uint64_t)v << shift);
        else
            v >>= -shift < 63 ? -shift : 63;
        acc[lane] = (int64_t)((uint64_t)acc[lane] + (uint64_t)v);
    }
}

/* k and fraction of the packed operand's groups, [block][pair][16]. */
static void mls__wide_scales(mls__run *r)
{
    int32_t pairs = r->merged ? 1 : r->data.c;
    r->wide_least = INT32_MAX;
    for (int32_t lane = 0; lane < r->blocks * MLS__LANE; lane++) {
        for (int32_t pair = 0; pair < pairs; pair++) {
            int32_t at = (lane / MLS__LANE * pairs + pair) * MLS__LANE + lane % MLS__LANE;
            uint32_t g = 0;
            if (lane < r->lanes) {
                g = r->direction == MLS_FORWARD ? mls__group(r->first, lane, pair)
                                                : mls__group(r->first, pair, lane);
            }
            r->wide_k[at] = mls__k(r->first->format, g);
            r->wide_m[at] = mls__fraction(r->first->format, g);
            if (lane < r->lanes && r->wide_k[at] < r->wide_least) r->wide_least = r->wide_k[at];
        }
    }
}

static void mls__run_wide(const mls__run *r, int32_t n, const int32_t *image, mls__phase p,
                          const uint8_t *packed, float *to)
{
    int32_t side_w = r->direction == MLS_FORWARD ? r->out.w : r->c.in.w;
    int32_t pairs = r->merged ? 1 : r->data.c, c = r->data.c;
    /* A pair of its own for each channel walks over the taps of that channel only. */
    int32_t cols = r->merged ? p.taps_x * c : p.taps_x, col_step = r->merged ? 1 : c;
    size_t row_lanes = (size_t)(r->merged ? r->taps_x * c : r->taps_x) * MLS__LANE;
    size_t pair_lanes = (size_t)r->taps_y * row_lanes;
    for (int32_t y = 0; y < p.h; y++)
        for (int32_t x = 0; x < p.w; x++) {
            const int32_t *a = image + ((size_t)(p.row + y * p.stride) * (size_t)r->cols +
                                        (size_t)(p.col + x * p.stride)) *
                                           (size_t)c;
            float *out =
                to + ((size_t)(p.y + y * p.step) * (size_t)side_w + (size_t)(p.x + x * p.step)) *
                         (size_t)r->lanes;
            for (int32_t block = 0; block < r->blocks; block++) {
                const int32_t *b = (const int32_t *)(const void *)packed +
                                   (size_t)block * (size_t)pairs * pair_lanes;
                int64_t acc[MLS__LANE] = {0};
                for (int32_t pair = 0; pair < pairs; pair++) {
                    int64_t sum[MLS__LANE] = {0};
                    size_t at = (size_t)(block * pairs + pair) * MLS__LANE;
                    r->kernel->wide(a + pair, (ptrdiff_t)r->cols * c, col_step,
                                    b + (size_t)pair * pair_lanes, (ptrdiff_t)row_lanes, MLS__LANE,
                                    p.taps_y, cols, sum);
                    mls__wide_add(r, r->second->format, mls__group(r->second, n, pair),
                                  r->wide_k + at, r->wide_m + at, sum, acc);
                }
                for (int32_t i = 0; i < MLS__LANE && block * MLS__LANE + i < r->lanes; i++) {
                    out[block * MLS__LANE + i] = mls__finish(acc[i], r->scaling);
                }
            }
        }
}

/* e: [pixel][co]; a lane is an element (kx, ci) of a row of taps. */
static void mls__weight_wide(const mls__run *r, int32_t n, const int32_t *image, const int32_t *e,
                             mls__sum *sum)
{
    const mls_conv *c = &r->c;
    int32_t ci = r->data.c;
    size_t lanes = (size_t)r->blocks * MLS__LANE;
    for (int32_t block = 0; block < r->blocks; block++) {
        int32_t k[MLS__LANE], fraction[MLS__LANE];
        for (int32_t i = 0; i < MLS__LANE; i++) {
            int32_t lane = block * MLS__LANE + i;
            uint32_t g = lane < r->lanes ? mls__group(r->second, n, lane % ci) : 0;
            k[i] = mls__k(r->second->format, g), fraction[i] = mls__fraction(r->second->format, g);
        }
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t co = 0; co < c->c_out; co++) {
                int64_t p[MLS__LANE] = {0};
                int64_t *acc = sum->c64 + ((size_t)ky * (size_t)r->co + (size_t)co) * lanes +
                               (size_t)block * MLS__LANE;
                r->kernel->wide(e + co, (ptrdiff_t)r->out.w * c->c_out, c->c_out,
                                image + (ptrdiff_t)ky * r->cols * ci + block * MLS__LANE,
                                (ptrdiff_t)c->stride * r->cols * ci, (ptrdiff_t)c->stride * ci,
                                r->out.h, r->out.w, p);
                if (r->merged) {
                    for (int i = 0; i < MLS__LANE; i++) {
                        acc[i] = (int64_t)((uint64_t)acc[i] + (uint64_t)p[i]);
                    }
                } else {
                    mls__wide_add(r, r->first->format, mls__group(r->first, n, co), k, fraction, p,
                                  acc);
                }
            }
    }
}

/* --------------------------------------------------------------------------------- >>public */

/* The scaling of 32-bit sums as a single product, where that gives the same bits: both powers of
   two are exact, unless something leaves the normal numbers. */
static float mls__single_scale(const mls__run *r)
{
    float folded = r->fold * r->scaling.tensor, both = folded * r->scaling.units;
    /* 2^31 or, of two planes, 2^48 times most is finite */
    const float least = 1.1754944e-38f, most = r->kind == MLS__S32 ? 1e24f : 1e28f;
    if (!(folded >= least && folded < most && both >= least && both < most)) return 0;
    return r->scaling.tensor >= least ? both : 0;
}

/* The fewest bits of a lower plane with which the upper one needs no more. */
static int mls__low_bits(int64_t largest)
{
    int bits = 1;
    while (1 << bits >> 1 < (largest >> bits) + 1) bits++;
    return bits;
}

/* The operands, whose scales may be others than those of the ones before. */
static mls_status mls__run_tensors(mls__run *r, const mls_tensor *first, const mls_tensor *second)
{
    r->first = first, r->second = second;
    r->scaling = mls__scaling_make(first, second);
    if (!((mls__bits(r->scaling.tensor) & 0x7fffffffu) < 0x7f800000u)) return MLS_ERROR_NONFINITE;
    if (r->kind <= MLS__S32) {
        r->fold = mls__pow2(r->scaling.fraction - r->k1 - r->k2);
        r->scale = mls__single_scale(r);
    }
    return MLS_OK;
}

/* What the formats and the class decide, with the exponents to which the operands are folded. */
static mls_status mls__run_scale(mls__run *r, int k1, int k2)
{
    int64_t b = mls__folded_max(r->first->format, k1), a = mls__folded_max(r->second->format, k2);
    if (r->kind == MLS__S32) {
        r->low_bits = mls__low_bits(a);
        a = 1 << r->low_bits >> 1; /* what either plane is at most */
    }
    r->k1 = k1, r->k2 = k2, r->largest = a;
    r->merged = mls__merged(&r->c, r->direction, r->first->format, r->second->format);
    if (r->kind == MLS__S8 || r->kind == MLS__PAIRS8) {
        r->bias = r->kind == MLS__S8 ? r->kernel->bias : r->kernel->pairs_bias;
        r->segment = INT32_MAX / ((r->bias ? 255 : 127) * 127);
    } else if (mls__kind16(r->kind)) {
        r->segment = INT32_MAX / (a * b);
        if (r->segment < MLS__FEW_TERMS && !mls__on_tiles(r)) {
            r->planes = 2; /* hi and lo are at most 128 */
            r->segment = INT32_MAX / (a * 128);
        }
    }
    return mls__run_tensors(r, r->first, r->second);
}

/* Whether two planes of the second operand hold what would go group pair by group pair, and take
   less time. */
static int mls__halves(const mls_conv *c, mls_direction direction, mls_format first,
                       mls_format second, int k1, int k2, int kind)
{
    int64_t b = mls__folded_max(first, k1), a = mls__folded_max(second, k2);
    int64_t per_word = kind == MLS__PAIRS8 ? 4 : 2, s = 1, taps = (int64_t)c->kh * c->kw, words;
    if (!mls__pairs_kind(kind) || direction == MLS_BACKWARD_WEIGHT) return 0;
    /* no shift may round */
    if (k1 + k2 > mls__fraction_bits(first, second)) return 0;
    if (a >= 1 << 30 || b > 32767) return 0;
    if (b > INT32_MAX / MLS__FEW_TERMS >> (mls__low_bits(a) - 1)) return 0;
    /* Shifts in doubles are as fast as 6 dot products for each pair and residue of the stride, the
       rest of two planes takes a quarter more than theirs; shifts in 64 bits are slower than all. */
    if (direction == MLS_BACKWARD_DATA) s = c->stride;
    words = c->kh * s * ((c->kw + s * per_word - 1) / (s * per_word));
    return !mls__kernels[mls__unit()].doubles || taps + taps / 4 <= words + 6 * s * s;
}

/* Chooses the class of an integer convolution of tensors that use k up to k1 and k2. */
static mls_status mls__run_class(mls__run *r, const mls_conv *conv, mls_direction direction,
                                 const mls_tensor *first, const mls_tensor *second, int k1, int k2)
{
    mls_conv c = mls__conv_defaults(conv);
    int kind;
    if (k1 < 0 || k2 < 0) return MLS_ERROR_FORMAT;
    kind = mls__unit()
               ? mls__class(&c, direction, first->format, second->format,
                            mls__folded_max(first->format, k1), mls__folded_max(second->format, k2))
               : MLS__REFERENCE;
    if (mls__halves(&c, direction, first->format, second->format, k1, k2, kind)) kind = MLS__S32;
    mls__run_begin(r, &c, direction, kind);
    r->first = first, r->second = second;
    return mls__run_scale(r, k1, k2);
}

/* Work before the first image and after the last. */
static void mls__run_first(mls__run *r)
{
    if (r->direction == MLS_BACKWARD_WEIGHT) {
        for (int32_t i = 0; i < r->sums; i++) mls__sum_start(r, i);
        for (int slot = 0; slot < r->slots; slot++) {
            mls__scratch s = mls__scratch_at(r, slot);
            s.gathered->images = s.gathered->sum = 0;
            if (r->tiles) mls__tap_offsets(r, s.tap);
            memset(mls__zeros_at(r, &s), r->errors && r->bias ? 0x80 : 0,
                   (size_t)r->c.c_out * (size_t)r->size);
        }
    } else {
        if (!r->packed_before) mls__pack_weights(r);
        if (mls__kind16(r->kind)) mls__rows_fit(r);
        if (r->kind >= MLS__PAIRS8) mls__wide_scales(r);
    }
}

struct mls_conv_call {
    mls__run run;
    size_t step; /* of the second operand's tensors */
    int32_t threads;
};

static int mls__same_format(mls_format a, mls_format b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* The tensor of image n, and which of its own images that is. */
static const mls_tensor *mls__image_of(const mls_conv_call *k, int32_t *n)
{
    const uint8_t *at = (const uint8_t *)(const void *)k->run.second;
    if (!k->step) return k->run.second;
    at += k->step * (size_t)*n, *n = 0;
    return (const mls_tensor *)(const void *)at;
}

/* Whether a tensor can be one of a convolution. */
static mls_status mls__tensor_fits(const mls_tensor *t, mls_shape shape, int pending)
{
    if (!t->group || !t->code || (pending && !t->peak)) return MLS_ERROR_ARGUMENT;
    return mls__same_shape(t->shape, shape) ? MLS_OK : MLS_ERROR_SHAPE;
}

/* Tensors: checks all of them, and chooses by what they really hold. */
static mls_status mls__open_tensors(mls_conv_call *k, const mls_conv *c, mls_direction direction,
                                    const mls_source *first, const mls_source *second)
{
    mls_shape out = mls_conv_output(c), weight = mls_conv_weight_shape(c);
    mls_shape s1 = direction == MLS_BACKWARD_WEIGHT ? out : weight;
    mls_shape s2 = direction == MLS_BACKWARD_DATA ? out : c->in;
    const mls_tensor *w = first->tensor, *t = second->tensor;
    int32_t tensors = second->step ? out.n : 1;
    int k1, k2 = 0;
    mls_status status;
    if (!w || !t || first->step || (second->step && direction == MLS_BACKWARD_WEIGHT)) {
        return MLS_ERROR_ARGUMENT;
    }
    if (second->step) s2.n = 1;
    k->run.second = t, k->step = second->step;
    status = mls__tensor_fits(w, s1, first->pending);
    for (int32_t i = 0; i < tensors && status == MLS_OK; i++) {
        int32_t n = i;
        status = mls__tensor_fits(mls__image_of(k, &n), s2, second->pending);
    }
    if (status == MLS_OK) status = mls_conv_check(c, direction, w->format, t->format, 0, 0);
    if (status != MLS_OK) return status;
    k1 = mls__k_used(w, first->pending);
    for (int32_t i = 0; i < tensors; i++) {
        int32_t n = i;
        const mls_tensor *one = mls__image_of(k, &n);
        int used =
            mls__same_format(one->format, t->format) ? mls__k_used(one, second->pending) : -1;
        if (used < 0) return MLS_ERROR_FORMAT;
        if (used > k2 && !(tensors > 1 && one->scale == 0)) k2 = used; /* of zeros any will do */
    }
    status = mls__run_class(&k->run, c, direction, w, t, k1, k2);
    for (int32_t i = 1; i < tensors && status == MLS_OK; i++) { /* their scales */
        mls__run one = k->run;
        int32_t n = i;
        status = mls__run_tensors(&one, w, mls__image_of(k, &n));
    }
    return status;
}

static mls_status mls__open_operands(mls_conv_call *k, const mls_conv *c, mls_direction direction,
                                     const mls_operand *first, const mls_operand *second);

/* Everything before the memory. */
static mls_status mls__open(mls_conv_call *k, const mls_conv *conv, mls_direction direction,
                            const mls_source *first, const mls_source *second, float *out)
{
    mls_status status = MLS_OK;
    mls_conv c;
    memset(k, 0, sizeof *k);
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    if (!mls_conv_output(conv).n) return MLS_ERROR_SHAPE;
    c = mls__conv_defaults(conv);
    if (first->operand || second->operand) {
        status = mls__open_operands(k, &c, direction, first->operand, second->operand);
    } else if (first->fp32 && second->fp32) {
        mls__run_begin(&k->run, &c, direction, MLS__F32);
        k->run.first32 = first->fp32, k->run.second32 = second->fp32;
    } else {
        status = mls__open_tensors(k, &c, direction, first, second);
        k->step = second->step;
    }
    k->run.output = out;
    return status;
}

MLS_DEF size_t mls_conv_call_size(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, int32_t threads)
{
    mls_format none;
    mls_conv c;
    size_t work;
    int fp32;
    memset(&none, 0, sizeof none);
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT || !mls_conv_output(conv).n) return 0;
    fp32 = mls__same_format(first, none) && mls__same_format(second, none);
    if (threads < 1 ||
        (!fp32 && (mls_format_check(first) != MLS_OK || mls_format_check(second) != MLS_OK))) {
        return 0;
    }
    c = mls__conv_defaults(conv);
    work = mls__direction_workspace(&c, direction, fp32 ? 0 : &first, fp32 ? 0 : &second, threads);
    return MLS__ALIGN + mls__align(sizeof(mls_conv_call), MLS__ALIGN) + work;
}

MLS_DEF mls_status mls_conv_begin(mls_conv_call **call, const mls_conv *conv,
                                  mls_direction direction, const mls_source *first,
                                  const mls_source *second, const mls_sink *sink, int32_t threads,
                                  void *work, size_t size)
{
    const size_t head = mls__align(sizeof(mls_conv_call), MLS__ALIGN);
    uint8_t *p = (uint8_t *)work;
    size_t skip = (MLS__ALIGN - (uintptr_t)p % MLS__ALIGN) % MLS__ALIGN;
    mls_status status;
    mls_conv_call *k;
    if (call) *call = 0;
    if (!call || !first || !second || !sink || !work || threads < 1) return MLS_ERROR_ARGUMENT;
    if (direction == MLS_BACKWARD_WEIGHT && !sink->out) return MLS_ERROR_ARGUMENT;
    if (size < skip + head) return MLS_ERROR_MEMORY;
    k = (mls_conv_call *)(void *)(p + skip);
    status = mls__open(k, conv, direction, first, second, sink->out);
    if (status != MLS_OK) return status;
    if (k->run.kind != MLS__REFERENCE) {
        status = mls__run_place(&k->run, p + skip + head, size - skip - head, threads, threads);
        if (status != MLS_OK) return status;
    }
    if (!mls__floats_good(threads)) return MLS_ERROR_FLOATS;
    k->threads = threads;
    if (k->run.kind != MLS__REFERENCE) mls__run_first(&k->run);
    *call = k;
    return MLS_OK;
}

/* Some images, at most run.together where they write some. */
static void mls__some_images(const mls_conv_call *k, int32_t n, int32_t count, int32_t thread,
                             float *out)
{
    const mls__run *r = &k->run;
    int32_t at = n;
    mls__run one;
    if (!out && r->direction != MLS_BACKWARD_WEIGHT) {
        out = r->output + (size_t)n * mls__image(r->direction == MLS_FORWARD ? r->out : r->c.in);
    }
    if (k->step) { /* with a scale of its own */
        one = *r, r = &one;
        mls__run_tensors(&one, k->run.first, mls__image_of(k, &at));
    }
    if (r->kind == MLS__REFERENCE) {
        if (r->direction == MLS_FORWARD) mls__forward_image(&r->c, r->first, r->second, at, out);
        if (r->direction == MLS_BACKWARD_DATA) {
            mls__backward_data_image(&r->c, r->first, r->second, at, out);
        }
    } else if (r->direction == MLS_BACKWARD_WEIGHT) {
        mls__run_weight_image(r, n, thread,
                              r->kind == MLS__F32 ? mls__block_of(n, r->out.n) : thread);
    } else {
        mls__run_images(r, at, count, thread, out);
    }
}

MLS_DEF void mls_conv_image(const mls_conv_call *k, int32_t n, int32_t thread, float *out)
{
    mls__some_images(k, n, 1, thread, out);
}

MLS_DEF void mls_conv_leave(const mls_conv_call *k, int32_t thread)
{
    const mls__run *r = &k->run;
    if (r->kind == MLS__REFERENCE) return;
    if (r->direction == MLS_BACKWARD_WEIGHT) mls__run_weight_flush(r, thread);
    mls__run_release(r);
}

/* Below about a tenth of a millisecond threads cost more than they give. */
static int mls__worth_threads(const mls__run *r)
{
    return mls__elements(r->out) * mls__image(mls_conv_weight_shape(&r->c)) > 1 << 22;
}

MLS_DEF void mls_conv_end(const mls_conv_call *k)
{
    const mls__run *r = &k->run;
    int many = mls__worth_threads(r);
    (void)many; /* without OpenMP */
    if (r->direction != MLS_BACKWARD_WEIGHT) return;
    if (r->kind == MLS__REFERENCE) {
        mls__backward_weight_reference(&r->c, r->first, r->second, r->output);
        return;
    }
    MLS__OMP(omp parallel for schedule(static) num_threads(k->threads) if (many))
    for (int32_t ky = 0; ky < r->c.kh; ky++) mls__run_weight_finish(r, ky, ky + 1);
}

/* A whole convolution. With less memory than all threads need fewer are used. */
static mls_status mls__convolve_all(const mls_conv *conv, mls_direction direction,
                                    const mls_source *first, const mls_source *second, float *out,
                                    void *work, size_t size)
{
    mls_conv_call k;
    const mls__run *r = &k.run;
    int32_t n, some = 1, blocks, many;
    mls_status status;
    if (!first || !second || !out) return MLS_ERROR_ARGUMENT;
    status = mls__open(&k, conv, direction, first, second, out);
    if (status != MLS_OK) return status;
    n = r->out.n, k.threads = MLS__THREADS();
    if (k.threads > n) k.threads = n;
    many = mls__worth_threads(r) || r->kind == MLS__REFERENCE;
    if (r->kind != MLS__REFERENCE) {
        status = mls__run_place(&k.run, work, size, 1, k.threads);
        if (status != MLS_OK) return status;
        k.threads = r->slots;
    }
    if (!mls__floats_good(many ? k.threads : 1)) return MLS_ERROR_FLOATS;
    if (r->kind != MLS__REFERENCE) mls__run_first(&k.run);
    blocks = k.threads;
    if (direction == MLS_BACKWARD_WEIGHT && r->kind == MLS__F32) {
        blocks = mls__blocks(n);
    } else if (direction != MLS_BACKWARD_WEIGHT && r->kind != MLS__REFERENCE) {
        int32_t share = (n + k.threads - 1) / k.threads;
        some = r->together < share ? r->together : share;
        blocks = (n + some - 1) / some;
    }
    MLS__OMP(omp parallel for schedule(static) num_threads(k.threads) if (many))
    for (int32_t b = 0; b < blocks; b++) {
        int32_t i = (int32_t)((int64_t)b * n / blocks);
        int32_t last = (int32_t)(((int64_t)b + 1) * n / blocks);
        if (some > 1) i = b * some, last = i + some < n ? i + some : n;
        for (; i < last; i += some) {
            mls__some_images(&k, i, some < last - i ? some : last - i, MLS__THREAD(), 0);
        }
        mls_conv_leave(&k, MLS__THREAD());
    }
    mls_conv_end(&k);
    return MLS_OK;
}

static mls_status mls__conv_integer(const mls_conv *conv, mls_direction direction,
                                    const mls_tensor *first, const mls_tensor *second,
                                    float *output, void *workspace, size_t size)
{
    mls_source a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.tensor = first, b.tensor = second;
    return mls__convolve_all(conv, direction, &a, &b, output, workspace, size);
}

static mls_status mls__conv_fp32(const mls_conv *conv, mls_direction direction, const float *first,
                                 const float *second, float *output, void *workspace, size_t size)
{
    mls_source a, b;
    if (!first || !second) return MLS_ERROR_ARGUMENT;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.fp32 = first, b.fp32 = second;
    return mls__convolve_all(conv, direction, &a, &b, output, workspace, size);
}

MLS_DEF mls_status mls_conv_forward(const mls_conv *conv, const mls_tensor *weight,
                                    const mls_tensor *input, float *output, void *workspace,
                                    size_t size)
{
    return mls__conv_integer(conv, MLS_FORWARD, weight, input, output, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_data(const mls_conv *conv, const mls_tensor *weight,
                                          const mls_tensor *error, float *dinput, void *workspace,
                                          size_t size)
{
    return mls__conv_integer(conv, MLS_BACKWARD_DATA, weight, error, dinput, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_weight(const mls_conv *conv, const mls_tensor *error,
                                            const mls_tensor *input, float *dweight,
                                            void *workspace, size_t size)
{
    return mls__conv_integer(conv, MLS_BACKWARD_WEIGHT, error, input, dweight, workspace, size);
}

MLS_DEF mls_status mls_conv_forward_fp32(const mls_conv *conv, const float *weight,
                                         const float *input, float *output, void *workspace,
                                         size_t size)
{
    return mls__conv_fp32(conv, MLS_FORWARD, weight, input, output, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_data_fp32(const mls_conv *conv, const float *weight,
                                               const float *error, float *dinput, void *workspace,
                                               size_t size)
{
    return mls__conv_fp32(conv, MLS_BACKWARD_DATA, weight, error, dinput, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_weight_fp32(const mls_conv *conv, const float *error,
                                                 const float *input, float *dweight,
                                                 void *workspace, size_t size)
{
    return mls__conv_fp32(conv, MLS_BACKWARD_WEIGHT, error, input, dweight, workspace, size);
}

MLS_DEF mls_status mls_conv_explain(const mls_conv *conv, mls_direction direction, mls_format first,
                                    mls_format second, char *text, size_t size)
{
    static const char *const how[] = {" int8: ",
                                      " int16: ",
                                      " int16 x two planes of int16: ",
                                      " fp32",
                                      " int8, group pair by group pair: ",
                                      " int16, group pair by group pair: ",
                                      " 64 bits in plain C, group pair by group pair: ",
                                      "the reference"};
    mls_format formats[2], zero;
    mls_status status;
    mls_conv c;
    int64_t most[2];
    int kind = MLS__F32;
    formats[0] = first, formats[1] = second;
    memset(&zero, 0, sizeof zero);
    if (text && size) text[0] = 0;
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    if (!mls_conv_output(conv).n) return MLS_ERROR_SHAPE;
    c = mls__conv_defaults(conv);
    if (memcmp(&first, &zero, sizeof zero) != 0 || memcmp(&second, &zero, sizeof zero) != 0) {
        status = mls_conv_check(&c, direction, first, second, text, size);
        if (status != MLS_OK) return status;
        for (int i = 0; i < 2; i++) most[i] = mls__folded_max(formats[i], mls__k_max(formats[i]));
        kind = MLS__REFERENCE;
        if (mls__unit()) kind = mls__class(&c, direction, first, second, most[0], most[1]);
        if (mls__halves(&c, direction, first, second, mls__k_max(first), mls__k_max(second), kind))
            kind = MLS__S32;
    }
    if (kind != MLS__REFERENCE) mls__say(text, size, mls_kernel_used());
    mls__say(text, size, how[kind]);
    if (kind == MLS__F32) return MLS_OK;
    if (kind == MLS__REFERENCE) {
        mls__say(text, size, mls__unit() ? ": sums of " : ": the scalar kernel was asked for");
        if (!mls__unit()) return MLS_OK;
        mls__say_int(text, size, mls__acc_bits(&c, direction, first, second));
        mls__say(text, size, " bits");
        return MLS_OK;
    }
    for (int i = 0; i < 2; i++) {
        mls__say(text, size, i ? " x " : kind <= MLS__S32 ? "up to " : "too wide to fold, up to ");
        mls__say_int(text, size, mls__folded_max(formats[i], 0));
        if (mls__k_max(formats[i])) mls__say(text, size, " * 2^");
        if (mls__k_max(formats[i])) mls__say_int(text, size, mls__k_max(formats[i]));
    }
    return MLS_OK;
}

MLS_DEF int mls_kernel_count(void)
{
    int count = 0;
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) count += mls__unit_here(unit);
    return count;
}

MLS_DEF const char *mls_kernel_name(int index)
{
    for (int unit = 0; unit < MLS__UNIT_COUNT && index >= 0; unit++) {
        if (mls__unit_here(unit) && index-- == 0) return mls__unit_names[unit];
    }
    return 0;
}

MLS_DEF const char *mls_kernel_used(void)
{
    return mls__unit_names[mls__unit()];
}

MLS_DEF mls_status mls_kernel_use(const char *name)
{
    if (!name) return MLS_ERROR_ARGUMENT;
    for (int unit = MLS__UNIT_COUNT - 1; unit >= 0; unit--) {
        if (strcmp(name, mls__unit_names[unit]) != 0 && strcmp(name, "auto") != 0) continue;
        if (!mls__unit_here(unit)) continue;
        MLS__PUT(&mls__unit_chosen, unit + 1);
        return MLS_OK;
    }
    return MLS_ERROR_KERNEL;
}

/* ------------------------------------------------------------------------------- >>prepared
   Weights: [elements, folded] [packed for forward] [packed for backward-data]; images: padded, one
   behind the other. Behind them multipliers, and the tensor without codes. */

typedef struct mls__layout {
    mls__run run[2]; /* weights: forward and backward-data; else the one that convolves the image */
    size_t packed[2], step, multipliers, tensor, bytes;
} mls__layout;

static mls_shape mls__role_shape(const mls_conv *c, mls_role role)
{
    return role == MLS_WEIGHT  ? mls_conv_weight_shape(c)
           : role == MLS_INPUT ? c->in
                               : mls_conv_output(c);
}

/* 0 for a bad argument. */
static int mls__layout_make(mls__layout *l, const mls_conv *conv, mls_role role, mls_format format,
                            int32_t bits)
{
    int kind = bits == 8 ? MLS__S8 : MLS__S16;
    size_t at, tensor;
    mls_shape shape;
    mls_conv c;
    memset(l, 0, sizeof *l);
    if (!conv || (unsigned)role > MLS_ERROR || (bits != 8 && bits != 16)) return 0;
    if (!mls_conv_output(conv).n || !mls_operand_bits(format)) return 0;
    c = mls__conv_defaults(conv);
    shape = mls__role_shape(&c, role);
    tensor = mls_tensor_size(format, shape);
    if (!tensor) return 0;
    for (int i = 0; i < 2; i++) {
        mls__run_begin(&l->run[i], &c, role == MLS_INPUT ? MLS_FORWARD : MLS_BACKWARD_DATA, kind);
        if (role == MLS_WEIGHT) l->run[i].direction = i ? MLS_BACKWARD_DATA : MLS_FORWARD;
        mls__run_size(&l->run[i], 1);
        l->run[i].bias = kind == MLS__S8 ? l->run[i].kernel->bias : 0;
        l->run[i].k1 = l->run[i].k2 = mls__k_max(format);
    }
    if (role == MLS_WEIGHT) {
        at = mls__align(mls__elements(shape) * (size_t)l->run[0].size, MLS__ALIGN);
        for (int i = 0; i < 2; i++) {
            l->packed[i] = at;
            at += mls__align(mls__packed_bytes(&l->run[i]), MLS__ALIGN);
        }
    } else {
        const mls__run *r = &l->run[0];
        l->step = mls__align(
            (size_t)r->rows * (size_t)r->cols * (size_t)r->data.c * (size_t)r->size, MLS__ALIGN);
        if (!mls__mul(l->step, (size_t)shape.n, &at)) return 0;
        at += r->image_bytes; /* what tiles touch behind the last one */
    }
    l->multipliers = at, at += mls__multiplier_bytes(&l->run[0]);
    l->tensor = at;
    l->bytes = MLS__ALIGN + at + tensor;
    return 1;
}

MLS_DEF int32_t mls_operand_bits(mls_format format)
{
    int64_t most;
    if (mls_format_check(format) != MLS_OK) return 0;
    most = mls__folded_max(format, mls__k_max(format));
    return most <= 127 ? 8 : most <= 32767 ? 16 : 0;
}

MLS_DEF size_t mls_operand_size(const mls_conv *conv, mls_role role, mls_format format,
                                int32_t bits)
{
    mls__layout l;
    return mls__layout_make(&l, conv, role, format, bits) ? l.bytes : 0;
}

/* The weights from their folded elements to both packed forms. */
static void mls__operand_pack(mls_operand *o, mls__layout *l)
{
    for (int i = 0; i < 2; i++) {
        mls__run *r = &l->run[i];
        mls__place_packed(r, o->data + l->packed[i]);
        r->first = &o->tensor, r->integers = o->data;
        mls__pack_weights(r);
        o->row_largest[i] = r->row_largest;
    }
}

MLS_DEF mls_status mls_operand_init(mls_operand *o, const mls_conv *conv, mls_role role,
                                    mls_format format, int32_t bits, void *memory, size_t size)
{
    mls__layout l;
    uint8_t *p = (uint8_t *)memory;
    mls_shape shape;
    if (!o || !conv || !memory || (unsigned)role > MLS_ERROR || (bits != 8 && bits != 16)) {
        return MLS_ERROR_ARGUMENT;
    }
    if (!mls_operand_bits(format) || mls_operand_bits(format) > bits) return MLS_ERROR_FORMAT;
    if (!mls__layout_make(&l, conv, role, format, bits)) return MLS_ERROR_SHAPE;
    if (size < l.bytes) return MLS_ERROR_MEMORY;
    memset(o, 0, sizeof *o);
    o->conv = mls__conv_defaults(conv), o->role = role, o->bits = bits, o->kernel = mls__unit();
    p += (MLS__ALIGN - (uintptr_t)p % MLS__ALIGN) % MLS__ALIGN;
    o->data = p;
    shape = mls__role_shape(&o->conv, role);
    memset(p, role == MLS_WEIGHT ? 0 : (int)l.run[0].bias, l.tensor);
    mls__tensor_place(&o->tensor, format, shape, p + l.tensor);
    mls__tensor_clear(&o->tensor);
    o->tensor.code = 0;
    if (role == MLS_WEIGHT) mls__operand_pack(o, &l);
    return MLS_OK;
}

/* Elements first .. first + count - 1, which stand at from, to their places in padded images. */
static void mls__operand_put(const mls_operand *o, const mls__layout *l, const uint8_t *from,
                             size_t first, size_t count)
{
    const mls__run *r = &l->run[0];
    size_t size = (size_t)r->size, c = (size_t)r->data.c, row = (size_t)r->data.w * c;
    size_t h = (size_t)r->data.h, most = (size_t)(r->cols - r->left) * c; /* of a row */
    while (count) {
        size_t line = first / row, at = first % row, n = row - at < count ? row - at : count;
        size_t y = line % h + (size_t)r->top;
        if (at < most && y < (size_t)r->rows) {
            uint8_t *to = o->data + line / h * l->step +
                          ((y * (size_t)r->cols + (size_t)r->left) * c + at) * size;
            memcpy(to, from, (n < most - at ? n : most - at) * size);
        }
        from += n * size, first += n, count -= n;
    }
}

MLS_DEF mls_status mls_operand_quantize(mls_operand *o, const float *x, uint64_t seed)
{
    enum {
        MLS__CHUNK = 4096 /* elements that wait in the L1 cache for their places */
    };
    mls__layout l;
    mls_status status;
    size_t elements;
    int64_t chunks, n;
    if (!o || !x || !o->data) return MLS_ERROR_ARGUMENT;
    if (o->kernel != mls__unit()) return MLS_ERROR_KERNEL;
    if (!mls__layout_make(&l, &o->conv, o->role, o->tensor.format, o->bits)) {
        return MLS_ERROR_ARGUMENT;
    }
    elements = mls__elements(o->tensor.shape), n = o->tensor.shape.n;
    chunks = (int64_t)((elements + MLS__CHUNK - 1) / MLS__CHUNK);
    MLS__OMP(omp parallel for schedule(static) if (chunks > 16))
    for (int64_t i = 0; i < n; i++) {
        mls__quantize_peaks(&o->tensor, x, (size_t)i, (size_t)i + 1);
    }
    status = mls__quantize_scales(&o->tensor);
    if (status != MLS_OK) return status;
    MLS__OMP(omp parallel for schedule(static) if (chunks > 16))
    for (int64_t i = 0; i < chunks; i++) {
        size_t first = (size_t)i * MLS__CHUNK, left = elements - first;
        size_t count = left < MLS__CHUNK ? left : (size_t)MLS__CHUNK, size = (size_t)l.run[0].size;
        uint8_t chunk[MLS__CHUNK * 2], *to = o->role == MLS_WEIGHT ? o->data + first * size : chunk;
        mls__quantize_integers(&o->tensor, x, seed, first, first + count, (int)size, l.run[0].k2,
                               o->role == MLS_WEIGHT ? 0 : (int)l.run[0].bias, to);
        if (o->role != MLS_WEIGHT) mls__operand_put(o, &l, chunk, first, count);
    }
    if (o->role == MLS_WEIGHT) mls__operand_pack(o, &l);
    return MLS_OK;
}

MLS_DEF mls_status mls_operand_load(mls_operand *o, const mls_tensor *t)
{
    mls__layout l;
    if (!o || !t || !o->data || !t->code || !t->group) return MLS_ERROR_ARGUMENT;
    if (o->kernel != mls__unit()) return MLS_ERROR_KERNEL;
    if (memcmp(&t->format, &o->tensor.format, sizeof t->format) != 0) return MLS_ERROR_FORMAT;
    if (!mls__same_shape(t->shape, o->tensor.shape)) return MLS_ERROR_SHAPE;
    if (mls__k_used(t, 0) < 0) return MLS_ERROR_FORMAT;
    if (!mls__layout_make(&l, &o->conv, o->role, o->tensor.format, o->bits)) {
        return MLS_ERROR_ARGUMENT;
    }
    o->tensor.scale = t->scale;
    memcpy(o->tensor.group, t->group, mls_group_count(t->format, t->shape) * sizeof *t->group);
    if (o->role == MLS_WEIGHT) {
        o->tensor.code = t->code;
        for (int i = 0; i < 2; i++) {
            mls__run *r = &l.run[i];
            mls__place_packed(r, o->data + l.packed[i]);
            r->first = &o->tensor;
            mls__pack_weights(r);
            o->row_largest[i] = r->row_largest;
        }
        o->tensor.code = 0;
    } else {
        l.run[0].second = t;
        for (int32_t n = 0; n < t->shape.n; n++) {
            mls__pad_image(&l.run[0], n, o->data + (size_t)n * l.step,
                           (int16_t *)(void *)(o->data + l.multipliers));
        }
    }
    return MLS_OK;
}

static int mls__same_conv(const mls_conv *a, const mls_conv *b)
{
    return mls__same_shape(a->in, b->in) && a->c_out == b->c_out && a->kh == b->kh &&
           a->kw == b->kw && a->stride == b->stride && a->pad == b->pad;
}

static mls_status mls__open_operands(mls_conv_call *k, const mls_conv *c, mls_direction direction,
                                     const mls_operand *first, const mls_operand *second)
{
    static const mls_role roles[3][2] = {
        {MLS_WEIGHT, MLS_INPUT}, {MLS_WEIGHT, MLS_ERROR}, {MLS_ERROR, MLS_INPUT}};
    const mls_operand *both[2];
    mls__layout l;
    mls_status status;
    mls__run *r = &k->run;
    int kind;
    both[0] = first, both[1] = second;
    for (int i = 0; i < 2; i++) {
        if (!both[i] || !both[i]->data || both[i]->role != roles[direction][i]) {
            return MLS_ERROR_ARGUMENT;
        }
        if (!mls__same_conv(&both[i]->conv, c)) return MLS_ERROR_SHAPE;
        if (both[i]->kernel != mls__unit()) return MLS_ERROR_KERNEL;
    }
    if (first->bits != second->bits) return MLS_ERROR_FORMAT;
    kind = first->bits == 8 ? MLS__S8 : MLS__S16;
    status = mls_conv_check(c, direction, first->tensor.format, second->tensor.format, 0, 0);
    if (status != MLS_OK) return status;
    if (kind == MLS__S8 && mls__class(c, direction, first->tensor.format, second->tensor.format,
                                      127, 127) != MLS__S8) {
        return MLS_ERROR_RANGE; /* 16 bits go by parts */
    }
    mls__run_begin(r, c, direction, kind);
    r->first = &first->tensor, r->second = &second->tensor;
    status = mls__run_scale(r, mls__k_max(first->tensor.format), mls__k_max(second->tensor.format));
    if (status != MLS_OK) return status;
    if (r->planes == 2) { /* they are not split */
        r->planes = 1;
        r->segment = INT32_MAX / (r->largest * mls__folded_max(r->first->format, r->k1));
    }
    mls__layout_make(&l, c, second->role, second->tensor.format, second->bits);
    r->images = second->data, r->images_step = l.step;
    mls__layout_make(&l, c, first->role, first->tensor.format, first->bits);
    if (direction == MLS_BACKWARD_WEIGHT) {
        const mls__run *e = &l.run[0];
        size_t pixel = (size_t)e->data.c * (size_t)e->size;
        r->errors_row = (size_t)e->cols * pixel, r->errors_step = l.step;
        r->errors = first->data + (size_t)e->top * r->errors_row + (size_t)e->left * pixel;
    } else {
        int which = direction == MLS_BACKWARD_DATA;
        r->packed_before = first->data + l.packed[which];
        r->row_largest = first->row_largest[which];
    }
    return MLS_OK;
}

MLS_DEF mls_status mls_conv_prepared(const mls_conv *conv, mls_direction direction,
                                     const mls_operand *first, const mls_operand *second,
                                     float *output, void *workspace, size_t size)
{
    mls_source a, b;
    if (!first || !second) return MLS_ERROR_ARGUMENT;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.operand = first, b.operand = second;
    return mls__convolve_all(conv, direction, &a, &b, output, workspace, size);
}

#endif /* MLS__CONV_IMPLEMENTED */
#endif /* MLS_IMPLEMENTATION */

/* ------------------------------------------------------------------------------- >>template
   Instantiated for every vector unit. A unit brings the two integer dot products; the rest is
   common. Vectors are typed as int32 and reinterpreted. */
#elif MLS__LANES > 1

enum {
    MLS__FN(mls__parts) = MLS__LANE / MLS__LANES
}; /* vectors of a block of 16 lanes */

typedef int64_t MLS__FN(mls__i64) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint64_t MLS__FN(mls__u64c) __attribute__((vector_size(4 * MLS__LANES)));
typedef int32_t MLS__FN(mls__half32) __attribute__((vector_size(2 * MLS__LANES)));

/* Sums wrap: lanes that nobody asked for hold anything. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__addi)(MLS__I a, MLS__I b)
{
    return (MLS__I)((MLS__FN(mls__u32))a + (MLS__FN(mls__u32))b);
}

/* acc + the products of the four bytes of each lane. On VNNI a is unsigned; elsewhere both are
   signed and at most 127, so that no pair of products can saturate: 2 * 127 * 127 < 32768. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot8)(MLS__I acc, MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif MLS__UNIT == MLS__ISA_AVXVNNI
    return (MLS__I)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)a, (__m256i)b);
#elif MLS__UNIT == MLS__ISA_AVX2
    __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)a), _mm256_sign_epi8((__m256i)b, (__m256i)a));
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif MLS__UNIT == MLS__ISA_SSE41
    __m128i pairs =
        _mm_maddubs_epi16(_mm_abs_epi8((__m128i)a), _mm_sign_epi8((__m128i)b, (__m128i)a));
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm_madd_epi16(pairs, _mm_set1_epi16(1)));
#elif MLS__UNIT == MLS__ISA_DOTPROD
    return (MLS__I)vdotq_s32((int32x4_t)acc, (int8x16_t)a, (int8x16_t)b);
#else
    int8x16_t x = (int8x16_t)a, y = (int8x16_t)b;
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(x), vget_high_s8(y)));
#if defined(__aarch64__)
    return MLS__FN(mls__addi)(acc, (MLS__I)vpaddq_s32(low, high));
#else
    return MLS__FN(mls__addi)(
        acc, (MLS__I)vcombine_s32(vpadd_s32(vget_low_s32(low), vget_high_s32(low)),
                                  vpadd_s32(vget_low_s32(high), vget_high_s32(high))));
#endif
#endif
}

/* acc + the products of the two int16 of each lane. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot16)(MLS__I acc, MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif MLS__UNIT == MLS__ISA_AVXVNNI
    return (MLS__I)_mm256_dpwssd_avx_epi32((__m256i)acc, (__m256i)a, (__m256i)b);
#elif MLS__UNIT == MLS__ISA_AVX2
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm256_madd_epi16((__m256i)a, (__m256i)b));
#elif MLS__UNIT == MLS__ISA_SSE41
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm_madd_epi16((__m128i)a, (__m128i)b));
#else
    int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    int32x4_t high = vmull_s16(vget_high_s16(x), vget_high_s16(y));
#if defined(__aarch64__)
    return MLS__FN(mls__addi)(acc, (MLS__I)vpaddq_s32(low, high));
#else
    return MLS__FN(mls__addi)(
        acc, (MLS__I)vcombine_s32(vpadd_s32(vget_low_s32(low), vget_high_s32(low)),
                                  vpadd_s32(vget_low_s32(high), vget_high_s32(high))));
#endif
#endif
}

/* int32 to int64: __builtin_convertvector takes five instructions where there is one. */
MLS__INLINE MLS__TARGET MLS__FN(mls__i64) MLS__FN(mls__widen)(MLS__FN(mls__half32) v)
{
#if MLS__LANES == 16
    return (MLS__FN(mls__i64))_mm512_maskz_cvtepi32_epi64(255, (__m256i)v);
#elif MLS__LANES == 8
    return (MLS__FN(mls__i64))_mm256_cvtepi32_epi64((__m128i)v);
#else
    return __builtin_convertvector(v, MLS__FN(mls__i64));
#endif
}

/* wide[0 .. lanes) += p shifted by shift to the left, or -shift to the right, rounded down. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__add_wide)(MLS__FN(mls__i64) * wide, MLS__I p,
                                                    MLS__I shift)
{
    MLS__I zero = MLS__SETI(0), left = MLS__MAXI(shift, zero);
    MLS__FN(mls__half32) half[2], by[2];
    p = p >> MLS__MINI(left - shift, MLS__SETI(31));
    memcpy(half, &p, sizeof p);
    memcpy(by, &left, sizeof left);
    for (int i = 0; i < 2; i++) {
        wide[i] += (MLS__FN(mls__i64))((MLS__FN(mls__u64c))MLS__FN(mls__widen)(half[i])
                                       << (MLS__FN(mls__u64c))MLS__FN(mls__widen)(by[i]));
    }
}

MLS__INLINE MLS__TARGET void MLS__FN(mls__store_part)(float *to, MLS__F v, int32_t n)
{
#if MLS__LANES == 16
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    for (int32_t i = 0; i < n; i++) to[i] = v[i];
#endif
}

#if MLS__LANES == 16
MLS__INLINE MLS__TARGET __m512d MLS__FN(mls__doubles)(__m256i v)
{
    return _mm512_maskz_cvtepi32_pd(255, v); /* without a mask gcc warns */
}
#endif

/* (float)(high * power + low); doubles hold the sum. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__join)(MLS__I high, MLS__I low, double power)
{
    MLS__F joined;
#if MLS__LANES == 16
    __m256i up[2], down[2];
    __m256 z[2];
    memcpy(up, &high, sizeof up);
    memcpy(down, &low, sizeof down);
    MLS__UNROLL
    for (int i = 0; i < 2; i++) {
        __m512d sum = _mm512_fmadd_pd(MLS__FN(mls__doubles)(up[i]), _mm512_set1_pd(power),
                                      MLS__FN(mls__doubles)(down[i]));
        z[i] = _mm512_maskz_cvtpd_ps(255, sum);
    }
    joined = (MLS__F)_mm512_maskz_insertf32x8(MLS__ALL16, _mm512_castps256_ps512(z[0]), z[1], 1);
#else
    for (int i = 0; i < MLS__LANES; i++) joined[i] = (float)(high[i] * power + low[i]);
#endif
    return joined;
}

/* What becomes of a row of the tile. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__put)(int kind, int parts, const mls__dot *d, int m,
                                               const MLS__I *acc)
{
    if (d->put == MLS__PUT_SUMS) {
        MLS__UNROLL
        for (int v = 0; v < parts; v++) {
            MLS__STORE(d->c + (size_t)m * d->c_step + (size_t)(v * MLS__LANES), MLS__FLOAT(acc[v]));
        }
    } else if (d->put != MLS__PUT_WIDE) {
        const int32_t *high = d->put == MLS__PUT_JOINED ? d->c + (size_t)m * d->c_step : 0;
        float *out = d->out + (size_t)m * d->out_step;
        MLS__UNROLL
        for (int v = 0; v < parts; v++) {
            int32_t left = d->lanes - v * MLS__LANES;
            MLS__F z = MLS__FLOAT(acc[v]);
            if (kind == MLS__S16 && high) {
                MLS__I up = MLS__BITS(MLS__LOAD(high + v * MLS__LANES));
                z = MLS__FN(mls__join)(up, acc[v], d->power) * MLS__SET(d->scale);
            } else if (kind != MLS__F32) {
                z = MLS__TO_FLOAT(acc[v]) * MLS__SET(d->scale);
            }
            if (left >= MLS__LANES)
                MLS__STORE(out + v * MLS__LANES, z);
            else if (left > 0)
                MLS__FN(mls__store_part)(out + v * MLS__LANES, z, left);
        }
    } else {
        int64_t *wide = d->wide + (size_t)m * d->wide_step;
        for (int v = 0; v < parts; v++) {
            MLS__FN(mls__i64) sum[2];
            MLS__I k = MLS__BITS(MLS__LOAD(d->lane_k + v * MLS__LANES));
            memcpy(sum, wide + v * MLS__LANES, sizeof sum);
            MLS__FN(mls__add_wide)(sum, acc[v], d->row_shift[m] - k);
            memcpy(wide + v * MLS__LANES, sum, sizeof sum);
        }
    }
}

/* acc + the products of each lane; half: those of the upper half may be anything. Two halves of a
   register of 64 bytes take as long as a whole one where the CPU's data paths have 32. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot_lanes)(int kind, int half, MLS__I acc, MLS__I a,
                                                       MLS__I b)
{
#if MLS__LANES == 16
    if (half) {
        __m256i sum, x, y; /* by memcpy: gcc warns of its own cast */
        memcpy(&sum, &acc, sizeof sum), memcpy(&x, &a, sizeof x), memcpy(&y, &b, sizeof y);
        sum = kind == MLS__S8    ? _mm256_dpbusd_epi32(sum, x, y)
              : kind == MLS__S16 ? _mm256_dpwssd_epi32(sum, x, y)
                                 : (__m256i)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)sum);
        return (MLS__I)_mm512_castsi256_si512(sum);
    }
#endif
    (void)half;
    if (kind == MLS__S8) return MLS__FN(mls__dot8)(acc, a, b);
    if (kind == MLS__S16) return MLS__FN(mls__dot16)(acc, a, b);
    return MLS__BITS(MLS__FMA(MLS__FLOAT(a), MLS__FLOAT(b), MLS__FLOAT(acc)));
}

/* The micro-kernel. kind, mr, nb and half are constants of each instance; half: at most half of the
   last block is asked for. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__tile)(int kind, int mr, int nb, int half,
                                                const mls__dot *d)
{
    enum {
        MLS__PARTS = MLS__FN(mls__parts)
    };
    const int parts = nb * MLS__PARTS - half * (MLS__PARTS / 2);
    MLS__I acc[MLS__ROWS][3 * MLS__PARTS];
    const ptrdiff_t step = d->a_m, a_word = d->a_word;
    const size_t b_word = d->b_word, b_block = d->b_block;
    const int32_t words = d->words;
    const int b_unsigned = d->b_unsigned;
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        MLS__UNROLL
        for (int v = 0; v < parts; v++) {
            acc[m][v] = MLS__SETI(0);
            if (d->init) {
                acc[m][v] = MLS__BITS(
                    MLS__LOAD(d->init + (size_t)m * d->init_step + (size_t)(v * MLS__LANES)));
            }
        }
    }
    for (int32_t image = 0; image < d->images; image++) {
        for (int32_t row = 0; row < d->rows; row++) {
            /* a pointer for three rows: the step reaches them with scaled addressing */
            const uint8_t *a[(MLS__ROWS + 2) / 3];
            const uint8_t *b = d->b + (size_t)image * d->b_image + (size_t)row * d->b_row;
            a[0] = d->a + image * d->a_image + row * d->a_row;
            for (int i = 1; i < (mr + 2) / 3; i++) a[i] = a[i - 1] + 3 * step;
            for (int32_t word = 0; word < words; word++) {
                MLS__I bv[3 * MLS__PARTS];
                MLS__UNROLL
                for (int v = 0; v < parts; v++) {
                    bv[v] = MLS__BITS(MLS__LOAD(b + (size_t)(v / MLS__PARTS) * b_block +
                                                (size_t)(v % MLS__PARTS * MLS__LANES * MLS__WORD)));
                }
                MLS__UNROLL
                for (int m = 0; m < mr; m++) {
                    int32_t w;
                    MLS__I av;
                    memcpy(&w, a[m / 3] + m % 3 * step, sizeof w);
                    av = MLS__SETI(w);
                    MLS__UNROLL
                    for (int v = 0; v < parts; v++) {
                        const int half_register = half && v == parts - 1;
                        acc[m][v] =
                            kind == MLS__S8 && b_unsigned
                                ? MLS__FN(mls__dot_lanes)(kind, half_register, acc[m][v], bv[v], av)
                                : MLS__FN(mls__dot_lanes)(kind, half_register, acc[m][v], av,
                                                          bv[v]);
                    }
                }
                MLS__UNROLL
                for (int i = 0; i < (mr + 2) / 3; i++) a[i] += a_word;
                b += b_word;
            }
        }
    }
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        if (m < d->count) MLS__FN(mls__put)(kind, parts, d, m, acc[m]);
    }
}

/* Tiles (rows, blocks, half) of this unit: at most those of mls__kernels. Half a block is worth its
   code from MLS__TALL rows on. */
/* clang-format off */
#if MLS__LANES == 16
#define MLS__TALL(nb) ((nb) == 2 ? 8 : 16)
#define MLS__TILES(X) \
    X(16, 1, 0) X(8, 1, 0) X(4, 1, 0) X(2, 1, 0) X(1, 1, 0) X(16, 1, 1) \
    X(8, 2, 0) X(7, 2, 0) X(4, 2, 0) X(2, 2, 0) X(1, 2, 0) X(8, 2, 1) \
    X(8, 3, 0) X(4, 3, 0) X(2, 3, 0) X(1, 3, 0)
#elif MLS__UNIT == MLS__ISA_SSE41
#define MLS__TALL(nb) 2
#define MLS__TILES(X) X(2, 1, 0) X(1, 1, 0) X(2, 1, 1)
#else
#define MLS__TALL(nb) 4
#define MLS__TILES(X) X(4, 1, 0) X(2, 1, 0) X(1, 1, 0) X(4, 1, 1)
#endif
/* clang-format on */

#define MLS__TILE_CASE(m, n, half)                    \
    case m * 8 + n * 2 + half:                        \
        MLS__FN(mls__tile)(MLS__KIND, m, n, half, d); \
        break;
#if MLS__UNIT != MLS__ISA_AMX /* there int8 goes to tiles */
static MLS__TARGET void MLS__FN(mls__dot_s8)(int tile, const mls__dot *d)
{
#define MLS__KIND MLS__S8
    switch (tile) {
        MLS__TILES(MLS__TILE_CASE)
    }
#undef MLS__KIND
}
#endif
static MLS__TARGET void MLS__FN(mls__dot_s16)(int tile, const mls__dot *d)
{
#define MLS__KIND MLS__S16
    switch (tile) {
        MLS__TILES(MLS__TILE_CASE)
    }
#undef MLS__KIND
}
#if !MLS__NEON || defined(__aarch64__)
static MLS__TARGET void MLS__FN(mls__dot_f32)(int tile, const mls__dot *d)
{
#define MLS__KIND MLS__F32
    switch (tile) {
        MLS__TILES(MLS__TILE_CASE)
    }
#undef MLS__KIND
}
#endif
#undef MLS__TILE_CASE
#undef MLS__TILES

static void MLS__FN(mls__dot)(int kind, int mr, int nb, const mls__dot *d)
{
    const int half = mr >= MLS__TALL(nb) && d->lanes <= nb * MLS__LANE - MLS__LANE / 2;
    const int tile = mr * 8 + nb * 2 + half;
    if (mls__kind16(kind) || kind == MLS__PAIRS16) MLS__FN(mls__dot_s16)(tile, d);
#if MLS__UNIT != MLS__ISA_AMX
    if (kind == MLS__S8) MLS__FN(mls__dot_s8)(tile, d);
#endif
#if MLS__NEON && !defined(__aarch64__) /* there NEON flushes denormals; PUT_FLOATS has none */
    if (kind == MLS__F32) mls__dot_scalar(kind, mr, nb, d);
#else
    if (kind == MLS__F32) MLS__FN(mls__dot_f32)(tile, d);
#endif
}
#undef MLS__TALL

#if MLS__LANES == 16
/* Sums of shifted group pairs as doubles around 1.5 * 2^52. From 2^52 to 2^53 neighbours are 1 apart,
   so that rounding a multiplication and addition towards minus infinity is the shift's rounding. */
#define MLS__MIDDLE 6755399441055744.0
MLS__INLINE MLS__TARGET void MLS__FN(mls__add_doubles)(MLS__FN(mls__i64) * sum, MLS__I p,
                                                       const __m512d *scale)
{
    __m256i half[2];
    memcpy(half, &p, sizeof p);
    MLS__UNROLL
    for (int i = 0; i < 2; i++) {
        sum[i] = (MLS__FN(mls__i64))_mm512_maskz_fmadd_round_pd(
            255, MLS__FN(mls__doubles)(half[i]), scale[i], (__m512d)sum[i],
            _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }
}
#endif

/* Group pairs: their sums P_g in 32 bits, shifted into wider ones. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__pairs_tile)(int kind, int mr, int doubles,
                                                      const mls__pairs *d)
{
    enum {
        MLS__PARTS = MLS__FN(mls__parts)
    };
    MLS__FN(mls__i64) wide[8][2 * MLS__PARTS], zero = {0};
    const ptrdiff_t step = d->a_m;
#if MLS__LANES == 16
    if (doubles) zero = (MLS__FN(mls__i64))_mm512_set1_pd(MLS__MIDDLE);
#endif
    (void)doubles;
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        MLS__UNROLL
        for (int v = 0; v < 2 * MLS__PARTS; v++) wide[m][v] = zero;
    }
    for (int32_t pair = 0; pair < d->pairs; pair++) {
        MLS__I acc[8][MLS__PARTS], shift[MLS__PARTS];
        MLS__UNROLL
        for (int v = 0; v < MLS__PARTS; v++) {
            size_t at = (size_t)(pair * MLS__LANE + v * MLS__LANES);
            MLS__I init = MLS__BITS(MLS__LOAD(d->init + at));
            shift[v] = d->shift[pair] - MLS__BITS(MLS__LOAD(d->k + at));
            MLS__UNROLL
            for (int m = 0; m < mr; m++) acc[m][v] = init;
        }
        for (int32_t row = 0; row < d->rows; row++) {
            const uint8_t *a = d->a + (size_t)pair * MLS__WORD + row * d->a_row;
            const uint8_t *b = d->b + (size_t)pair * d->b_pair + (size_t)row * d->b_row;
            for (int32_t word = 0; word < d->words; word++) {
                MLS__I bv[MLS__PARTS];
                MLS__UNROLL
                for (int v = 0; v < MLS__PARTS; v++) {
                    bv[v] = MLS__BITS(MLS__LOAD(b + (size_t)(v * MLS__LANES * MLS__WORD)));
                }
                MLS__UNROLL
                for (int m = 0; m < mr; m++) {
                    int32_t w;
                    MLS__I av;
                    memcpy(&w, a + m * step, sizeof w);
                    av = MLS__SETI(w);
                    MLS__UNROLL
                    for (int v = 0; v < MLS__PARTS; v++) {
                        acc[m][v] = kind == MLS__PAIRS8 ? MLS__FN(mls__dot8)(acc[m][v], av, bv[v])
                                                        : MLS__FN(mls__dot16)(acc[m][v], av, bv[v]);
                    }
                }
                a += d->a_word, b += MLS__LANE * MLS__WORD;
            }
        }
#if MLS__LANES == 16
        if (doubles) {
            __m256i half[2];
            __m512d scale[2];
            memcpy(half, shift, sizeof half);
            MLS__UNROLL
            for (int i = 0; i < 2; i++) {
                scale[i] =
                    _mm512_maskz_scalef_pd(255, _mm512_set1_pd(1), MLS__FN(mls__doubles)(half[i]));
            }
            MLS__UNROLL
            for (int m = 0; m < mr; m++) MLS__FN(mls__add_doubles)(wide[m], acc[m][0], scale);
            continue;
        }
#endif
        MLS__UNROLL
        for (int m = 0; m < mr; m++) {
            MLS__UNROLL
            for (int v = 0; v < MLS__PARTS; v++) {
                MLS__FN(mls__add_wide)(&wide[m][2 * v], acc[m][v], shift[v]);
            }
        }
    }
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        MLS__UNROLL
        for (int v = 0; v < 2 * MLS__PARTS; v++) {
            int64_t *to = d->wide + m * MLS__LANE + v * MLS__LANES / 2;
            MLS__FN(mls__u64c) sum;
            memcpy(&sum, to, sizeof sum);
            sum += (MLS__FN(mls__u64c))wide[m][v] - (MLS__FN(mls__u64c))zero;
            memcpy(to, &sum, sizeof sum);
        }
    }
}

#define MLS__PAIRS_CASE(rows, doubles)                            \
    case rows * 4 + doubles * 2:                                  \
        MLS__FN(mls__pairs_tile)(MLS__PAIRS8, rows, doubles, d);  \
        break;                                                    \
    case rows * 4 + doubles * 2 + 1:                              \
        MLS__FN(mls__pairs_tile)(MLS__PAIRS16, rows, doubles, d); \
        break;
static MLS__TARGET void MLS__FN(mls__dot_pairs)(int kind, int mr, const mls__pairs *d)
{
    switch (mr * 4 + (d->doubles ? 2 : 0) + (kind == MLS__PAIRS16)) {
        MLS__PAIRS_CASE(1, 0)
#if MLS__UNIT != MLS__ISA_SSE41
        MLS__PAIRS_CASE(2, 0)
#endif
#if MLS__LANES == 16
        MLS__PAIRS_CASE(4, 0)
        MLS__PAIRS_CASE(7, 0)
        MLS__PAIRS_CASE(8, 0)
        MLS__PAIRS_CASE(1, 1)
        MLS__PAIRS_CASE(2, 1)
        MLS__PAIRS_CASE(4, 1)
        MLS__PAIRS_CASE(7, 1)
        MLS__PAIRS_CASE(8, 1)
#endif
    default:
        MLS_ASSERT(0);
    }
}
#undef MLS__MIDDLE
#undef MLS__PAIRS_CASE

static MLS__TARGET void MLS__FN(mls__add_sums)(int64_t *sum, const int32_t *c32, const int64_t *c64,
                                               int64_t constant, size_t count)
{
    size_t i = 0;
    for (; i + MLS__LANES / 2 <= count; i += MLS__LANES / 2) {
        MLS__FN(mls__i64) v, w;
        MLS__FN(mls__half32) half;
        memcpy(&v, sum + i, sizeof v);
        v += constant;
        if (c32) memcpy(&half, c32 + i, sizeof half);
        if (c32) v += MLS__FN(mls__widen)(half);
        if (c64) memcpy(&w, c64 + i, sizeof w);
        if (c64) v += w;
        memcpy(sum + i, &v, sizeof v);
    }
    mls__add_sums_scalar(sum + i, c32 ? c32 + i : 0, c64 ? c64 + i : 0, constant, count - i);
}

static MLS__TARGET void MLS__FN(mls__add_floats)(float *sum, const float *part, size_t count)
{
    size_t i = 0;
#if !MLS__NEON || defined(__aarch64__) /* 32-bit NEON flushes denormals */
    for (; i + MLS__LANES <= count; i += MLS__LANES) {
        MLS__STORE(sum + i, MLS__LOAD(sum + i) + MLS__LOAD(part + i));
    }
#endif
    mls__add_floats_scalar(sum + i, part + i, count - i);
}

static MLS__TARGET void MLS__FN(mls__emit)(const int64_t *sum, size_t count, float fold,
                                           float tensor, float units, float *out)
{
    size_t i = 0;
#if !MLS__NEON || defined(__aarch64__) /* 32-bit NEON flushes denormals */
    typedef float half __attribute__((vector_size(2 * MLS__LANES)));
    for (; i + MLS__LANES / 2 <= count; i += MLS__LANES / 2) {
        MLS__FN(mls__i64) v;
        half z;
        memcpy(&v, sum + i, sizeof v);
#if MLS__LANES == 16
        z = (half)_mm512_maskz_cvtepi64_ps(255, (__m512i)v);
#else
        z = __builtin_convertvector(v, half);
#endif
        z = ((z * fold) * tensor) * units;
        memcpy(out + i, &z, sizeof z);
    }
#endif
    mls__emit_scalar(sum + i, count - i, fold, tensor, units, out + i);
}

static MLS__TARGET void MLS__FN(mls__next_pixel)(const uint8_t *from, uint8_t *to, size_t step,
                                                 size_t steps, size_t count, int shift)
{
    for (size_t j = 0; j < steps; j++, from += step, to += step) {
        size_t i = 0;
        for (; i + MLS__LANES <= count; i += MLS__LANES) {
            MLS__FN(mls__u32) now, then;
            memcpy(&now, from + i * MLS__WORD, sizeof now);
            memcpy(&then, from + step + i * MLS__WORD, sizeof then);
            if (shift) now = now >> shift | then << (32 - shift);
            memcpy(to + i * MLS__WORD, &now, sizeof now);
        }
        mls__next_pixel_scalar(from + i * MLS__WORD, to + i * MLS__WORD, step, 1, count - i, shift);
    }
}

typedef uint8_t MLS__FN(mls__bytes) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint16_t MLS__FN(mls__words) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint8_t MLS__FN(mls__half8) __attribute__((vector_size(2 * MLS__LANES)));
typedef int8_t MLS__FN(mls__some8) __attribute__((vector_size(2 * MLS__LANES)));
typedef int16_t MLS__FN(mls__some16) __attribute__((vector_size(4 * MLS__LANES)));
typedef int16_t MLS__FN(mls__s16) __attribute__((vector_size(2 * MLS__LANES)));

/* Byte i of the result is table[code[i]]; codes are below 16. */
MLS__INLINE MLS__TARGET MLS__FN(mls__bytes)
    MLS__FN(mls__lookup)(MLS__FN(mls__bytes) table, MLS__FN(mls__bytes) code)
{
#if MLS__LANES == 16
    return (MLS__FN(mls__bytes))_mm512_shuffle_epi8((__m512i)table, (__m512i)code);
#elif MLS__LANES == 8
    return (MLS__FN(mls__bytes))_mm256_shuffle_epi8((__m256i)table, (__m256i)code);
#elif MLS__NEON && defined(__aarch64__)
    return (MLS__FN(mls__bytes))vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)code);
#elif MLS__NEON
    uint8x8x2_t halves;
    halves.val[0] = vget_low_u8((uint8x16_t)table), halves.val[1] = vget_high_u8((uint8x16_t)table);
    return (MLS__FN(mls__bytes))vcombine_u8(vtbl2_u8(halves, vget_low_u8((uint8x16_t)code)),
                                            vtbl2_u8(halves, vget_high_u8((uint8x16_t)code)));
#else
    return (MLS__FN(mls__bytes))_mm_shuffle_epi8((__m128i)table, (__m128i)code);
#endif
}

/* Codes of up to 4 bits become integers by a table. Returns how many elements it did. */
MLS__INLINE MLS__TARGET size_t MLS__FN(mls__fold_nibbles)(const mls__fold *f, size_t first,
                                                          size_t count, size_t *channel, int size,
                                                          uint8_t *to)
{
    enum {
        MLS__STEP = 4 * MLS__LANES
    }; /* at most MLS__AHEAD */
    int8_t values[MLS__STEP];
    size_t i = 0, ch = *channel, channels = f->channels;
    MLS__FN(mls__bytes) table;
    int codes = 2 << (f->format.ex + f->format.mx);
    for (int j = 0; j < MLS__STEP; j++) {
        values[j] = (int8_t)mls__grid_signed(f->format, (uint32_t)(j % 16 % codes));
    }
    memcpy(&table, values, sizeof table);
    for (; i + MLS__STEP <= count; i += MLS__STEP) {
        MLS__FN(mls__half8) packed;
        MLS__FN(mls__some8) half;
        MLS__FN(mls__words) pair;
        MLS__FN(mls__bytes) q;
        memcpy(&packed, f->code + (first + i) / 2, sizeof packed);
        pair = __builtin_convertvector(packed, MLS__FN(mls__words));
        pair = (pair | pair << 4) & 0x0f0f;
        memcpy(&q, &pair, sizeof q);
        q = MLS__FN(mls__lookup)(table, q);
        for (size_t j = 0; j < 2; j++) {
            MLS__FN(mls__some16) wide, by;
            memcpy(&half, (const char *)&q + j * sizeof half, sizeof half);
            memcpy(&by, f->multiplier + ch + j * (MLS__STEP / 2), sizeof by);
            wide = __builtin_convertvector(half, MLS__FN(mls__some16)) * by;
            if (size == 1) {
                half = __builtin_convertvector(wide ^ (int16_t)f->flip, MLS__FN(mls__some8));
                memcpy(to + i + j * sizeof half, &half, sizeof half);
            } else {
                memcpy(to + 2 * i + j * sizeof wide, &wide, sizeof wide);
            }
        }
        ch += MLS__STEP;
        if (ch >= channels) ch = ch < 2 * channels ? ch - channels : ch % channels;
    }
    *channel = ch;
    return i;
}

static MLS__TARGET void MLS__FN(mls__fold)(const mls__fold *f, size_t first, size_t count,
                                           size_t ch, int size, uint8_t *to)
{
    int bits = 1 + f->format.ex + f->format.mx, mx = f->format.mx, sign = bits - 1;
    int32_t m_mask = (1 << mx) - 1, e_mask = (1 << f->format.ex) - 1;
    size_t i = 0, channels = f->channels;
    MLS__I zero = MLS__SETI(0);
    MLS__FN(mls__u16) by;
    if (bits <= 4 && first % 2) { /* a row that starts in the middle of a byte */
        mls__fold_scalar(f, first, count, ch, size, to);
        return;
    }
    if (bits <= 4 && size < 4) i = MLS__FN(mls__fold_nibbles)(f, first, count, &ch, size, to);
    for (; i + MLS__LANES <= count; i += MLS__LANES) {
        MLS__I code, e, m, q;
        if (bits <= 4) {
            typedef uint8_t half __attribute__((vector_size(MLS__LANES / 2)));
            MLS__FN(mls__u64) pair;
            half bytes;
            memcpy(&bytes, f->code + (first + i) / 2, sizeof bytes);
            pair = __builtin_convertvector(bytes, MLS__FN(mls__u64));
            pair = (pair | pair << 28) & 0x0000000f0000000fu;
            memcpy(&code, &pair, sizeof code);
        } else if (bits <= 8) {
            MLS__FN(mls__u8) bytes;
            memcpy(&bytes, f->code + first + i, sizeof bytes);
            code = __builtin_convertvector(bytes, MLS__I);
        } else {
            MLS__FN(mls__u16) words;
            memcpy(&words, f->code + 2 * (first + i), sizeof words);
            code = __builtin_convertvector(words, MLS__I);
        }
        m = code & m_mask, e = (code >> mx) & e_mask;
        q = m;
        if (f->format.ex) q = MLS__WHERE(e, (m | MLS__SETI(1 << mx)) << MLS__MAXI(e - 1, zero), m);
        memcpy(&by, f->multiplier + ch, sizeof by);
        q = q * __builtin_convertvector(by, MLS__I);
        e = zero - (code >> sign); /* all ones where negative */
        q = (q ^ e) - e;
        if (size == 1) {
            MLS__FN(mls__u8)
            bytes = __builtin_convertvector(q ^ (int32_t)f->flip, MLS__FN(mls__u8));
            memcpy(to + i, &bytes, sizeof bytes);
        } else if (size == 2) {
            MLS__FN(mls__u16) words = __builtin_convertvector(q, MLS__FN(mls__u16));
            memcpy(to + 2 * i, &words, sizeof words);
        } else {
            memcpy(to + 4 * i, &q, sizeof q);
        }
        ch += MLS__LANES;
        if (ch >= channels) ch = ch < 2 * channels ? ch - channels : ch % channels;
    }
    mls__fold_scalar(f, first + i, count - i, ch, size, to + i * (size_t)size);
}

/* 16 bytes, whatever the vector length, and two of them zipped by bytes or by pairs of bytes. */
typedef uint8_t MLS__FN(mls__b16) __attribute__((vector_size(16)));
typedef uint16_t MLS__FN(mls__h8) __attribute__((vector_size(16)));
#if defined(__clang__)
#define MLS__SHUFFLE(type, to, a, b, ...) type to = __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MLS__SHUFFLE(type, to, a, b, ...)  \
    const type to##_order = {__VA_ARGS__}; \
    type to = __builtin_shuffle(a, b, to##_order)
#endif
MLS__INLINE MLS__TARGET void MLS__FN(mls__zip8)(MLS__FN(mls__b16) a, MLS__FN(mls__b16) b,
                                                MLS__FN(mls__h8) * to)
{
    MLS__SHUFFLE(MLS__FN(mls__b16), low, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                 23);
    MLS__SHUFFLE(MLS__FN(mls__b16), high, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                 30, 15, 31);
    memcpy(&to[0], &low, 16);
    memcpy(&to[1], &high, 16);
}
MLS__INLINE MLS__TARGET void MLS__FN(mls__zip16)(MLS__FN(mls__h8) a, MLS__FN(mls__h8) b,
                                                 uint16_t flip, uint8_t *to)
{
    MLS__SHUFFLE(MLS__FN(mls__h8), low, a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    MLS__SHUFFLE(MLS__FN(mls__h8), high, a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    low = low ^ flip, high = high ^ flip;
    memcpy(to, &low, 16);
    memcpy(to + 16, &high, 16);
}
#undef MLS__SHUFFLE

/* 16 words of 4 pixels (or 2 of int16) that lie pixel bytes apart. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__words16)(const uint8_t *from, size_t pixel, int size,
                                                   uint32_t flip, uint8_t *to)
{
#if MLS__LANES == 16
    __m512i v;
    if (size == 1) {
        const __m512i dwords =
            _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        const __m512i bytes = _mm512_maskz_broadcast_i32x4(
            MLS__ALL16, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
        v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)from));
        v = _mm512_maskz_inserti32x4(
            MLS__ALL16, v, _mm_loadu_si128((const __m128i *)(const void *)(from + pixel)), 1);
        v = _mm512_maskz_inserti32x4(
            MLS__ALL16, v, _mm_loadu_si128((const __m128i *)(const void *)(from + 2 * pixel)), 2);
        v = _mm512_maskz_inserti32x4(
            MLS__ALL16, v, _mm_loadu_si128((const __m128i *)(const void *)(from + 3 * pixel)), 3);
        v = _mm512_maskz_permutexvar_epi32(MLS__ALL16, dwords, v);
        v = _mm512_shuffle_epi8(v, bytes);
    } else {
        const __m512i words =
            _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                             22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        v = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)from));
        v = _mm512_maskz_inserti64x4(
            255, v, _mm256_loadu_si256((const __m256i *)(const void *)(from + pixel)), 1);
        v = _mm512_permutexvar_epi16(words, v);
    }
    v = _mm512_xor_si512(v, _mm512_set1_epi32((int32_t)flip));
    memcpy(to, &v, sizeof v);
#else
    MLS__FN(mls__h8) a[2], b[2];
    if (size == 1) {
        MLS__FN(mls__b16) p[4];
        for (int j = 0; j < 4; j++) memcpy(&p[j], from + (size_t)j * pixel, 16);
        MLS__FN(mls__zip8)(p[0], p[1], a);
        MLS__FN(mls__zip8)(p[2], p[3], b);
    } else {
        memcpy(a, from, 32), memcpy(b, from + pixel, 32);
    }
    MLS__FN(mls__zip16)(a[0], b[0], (uint16_t)flip, to);
    MLS__FN(mls__zip16)(a[1], b[1], (uint16_t)flip, to + 32);
#endif
}

static MLS__TARGET void MLS__FN(mls__interleave)(const mls__mix_pixels *x)
{
    size_t size = (size_t)x->size, each = MLS__WORD / size, i = 0;
    size_t full = x->pixels / each < x->steps ? x->pixels / each : x->steps;
    for (; i + MLS__LANE <= x->count; i += MLS__LANE) {
        const uint8_t *from = x->from + i * size;
        uint8_t *to = x->to + i / MLS__LANE * x->to_block;
        if (size == 1) {
            for (size_t step = 0; step < full; step++, from += 4 * x->pixel, to += x->to_step) {
                MLS__FN(mls__words16)(from, x->pixel, 1, x->flip, to);
            }
        } else {
            for (size_t step = 0; step < full; step++, from += 2 * x->pixel, to += x->to_step) {
                MLS__FN(mls__words16)(from, x->pixel, 2, x->flip, to);
            }
        }
    }
    for (size_t step = 0; i < x->count && step < full; step++) mls__mix_rest(x, step, i);
    for (size_t step = full; step < x->steps; step++) mls__mix_rest(x, step, 0);
}

static MLS__TARGET void MLS__FN(mls__split)(const int16_t *v, int16_t *hi, int16_t *lo,
                                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int h = (v[i] + 128) >> 8, l = v[i] - h * 256;
        hi[i] = (int16_t)h, lo[i] = (int16_t)l; /* lo may be v */
    }
}

static MLS__TARGET void MLS__FN(mls__halve)(int16_t *v, int16_t *high, const int32_t *shift,
                                            size_t channels, size_t count, int bits)
{
    const int32_t round = 1 << bits >> 1;
    size_t ch = 0, i = 0;
    for (; i + MLS__LANES <= count; i += MLS__LANES) {
        MLS__FN(mls__s16) low, up;
        MLS__I x, by;
        memcpy(&low, v + i, sizeof low);
        memcpy(&by, shift + ch, sizeof by);
        x = __builtin_convertvector(low, MLS__I) << by;
        by = (x + round) >> bits;
        low = __builtin_convertvector(x - (by << bits), MLS__FN(mls__s16));
        up = __builtin_convertvector(by, MLS__FN(mls__s16));
        memcpy(v + i, &low, sizeof low);
        memcpy(high + i, &up, sizeof up);
        ch += MLS__LANES;
        if (ch >= channels) ch %= channels;
    }
    for (; i < count; i++) {
        int32_t x = v[i] * (1 << shift[ch]), up = (x + round) >> bits;
        high[i] = (int16_t)up, v[i] = (int16_t)(x - up * (1 << bits));
        if (++ch == channels) ch = 0;
    }
}

/* p[lane] += sum over rows, cols of a * b[lane]; gcc and clang make vectors of the inner loop. */
static MLS__TARGET void MLS__FN(mls__wide)(const int32_t *a, ptrdiff_t a_row, ptrdiff_t a_col,
                                           const int32_t *b, ptrdiff_t b_row, ptrdiff_t b_col,
                                           int32_t rows, int32_t cols, int64_t *p)
{
    int64_t sum[MLS__LANE];
    memcpy(sum, p, sizeof sum);
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t col = 0; col < cols; col++) {
            const int32_t *from = b + row * b_row + col * b_col;
            int64_t av = a[row * a_row + col * a_col];
            for (int i = 0; i < MLS__LANE; i++) {
                sum[i] = (int64_t)((uint64_t)sum[i] + (uint64_t)av * (uint64_t)from[i]);
            }
        }
    }
    memcpy(p, sum, sizeof sum);
}

#if MLS__UNIT == MLS__ISA_AMX
/* Tiles of AMX: 16 rows of 64 bytes. Inline assembly, as compilers differ in what they believe the
   intrinsics to read and write. MLS_AMX_EMULATE runs the same code on tiles in memory, for CPUs that
   have none. */
#define MLS__TARGET_TILES \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,amx-tile,amx-int8")))

typedef struct mls__tile_shapes { /* what ldtilecfg reads */
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} mls__tile_shapes;

#ifdef MLS_AMX_EMULATE
static __thread struct {
    mls__tile_shapes shapes;
    int32_t tile[8][16][16];
} mls__amx;

static void mls__tile_shape(const mls__tile_shapes *t)
{
    memset(&mls__amx, 0, sizeof mls__amx);
    mls__amx.shapes = *t;
}
static void mls__tile_move(int t, void *p, ptrdiff_t step, int store)
{
    for (int row = 0; row < mls__amx.shapes.rows[t]; row++) {
        uint8_t *at = (uint8_t *)p + row * step;
        if (store) memcpy(at, mls__amx.tile[t][row], mls__amx.shapes.bytes[t]);
        if (!store) memset(mls__amx.tile[t][row], 0, 64);
        if (!store) memcpy(mls__amx.tile[t][row], at, mls__amx.shapes.bytes[t]);
    }
}
static void mls__tile_dot(int c, int a, int b, int a_signed, int b_signed)
{
    const mls__tile_shapes *t = &mls__amx.shapes;
    for (int m = 0; m < t->rows[c]; m++)
        for (int k = 0; k < t->bytes[a] / 4; k++)
            for (int n = 0; n < t->bytes[c] / 4; n++) {
                uint8_t x[4], y[4];
                memcpy(x, &mls__amx.tile[a][m][k], 4), memcpy(y, &mls__amx.tile[b][k][n], 4);
                for (int i = 0; i < 4; i++) {
                    int32_t product =
                        (a_signed ? (int8_t)x[i] : x[i]) * (b_signed ? (int8_t)y[i] : y[i]);
                    mls__amx.tile[c][m][n] =
                        (int32_t)((uint32_t)mls__amx.tile[c][m][n] + (uint32_t)product);
                }
            }
}
#define MLS__TILE_SHAPE(t)          mls__tile_shape(t)
#define MLS__TILE_ZERO(t)           memset(mls__amx.tile[t], 0, sizeof mls__amx.tile[t])
#define MLS__TILE_LOAD(t, p, step)  mls__tile_move(t, (void *)(uintptr_t)(p), (ptrdiff_t)(step), 0)
#define MLS__TILE_STORE(t, p, step) mls__tile_move(t, p, step, 1)
#define MLS__TILE_SS(c, a, b)       mls__tile_dot(c, a, b, 1, 1)
#define MLS__TILE_SU(c, a, b)       mls__tile_dot(c, a, b, 1, 0)
#define MLS__TILE_US(c, a, b)       mls__tile_dot(c, a, b, 0, 1)
#define MLS__TILE_UU(c, a, b)       mls__tile_dot(c, a, b, 0, 0)
#define MLS__TILE_RELEASE()         memset(&mls__amx, 0, sizeof mls__amx)
#else
/* clang-format off */
#define MLS__TILE_SHAPE(t) __asm__ volatile("ldtilecfg %0" : : "m"(*(t)))
#define MLS__TILE_ZERO(t)  __asm__ volatile("tilezero %%tmm" #t : :)
#define MLS__TILE_LOAD(t, p, step) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((ptrdiff_t)(step)) : "memory")
#define MLS__TILE_STORE(t, p, step) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((ptrdiff_t)(step)) : "memory")
/* signed or unsigned bytes of a, of b */
#define MLS__TILE_SS(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_SU(c, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_US(c, a, b) __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_UU(c, a, b) __asm__ volatile("tdpbuud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_RELEASE()   __asm__ volatile("tilerelease" : :)
/* clang-format on */
#endif

enum {
    MLS__TILE_BYTES = 1024
};

/* Rows of the tiles in this thread; 0: none are set up. */
static __thread int mls__tiles_shaped;

static MLS__TARGET_TILES void mls__tiles_release(void)
{
    if (mls__tiles_shaped) MLS__TILE_RELEASE();
    mls__tiles_shaped = 0;
}

/* 0 to 3: sums, 4 and 5: a, all of so many rows; 6 and 7: b, 16 words. */
static MLS__TARGET_TILES void mls__tiles_shape(int rows)
{
    mls__tile_shapes t;
    if (mls__tiles_shaped == rows) return;
    memset(&t, 0, sizeof t);
    t.palette = 1;
    for (int i = 0; i < 8; i++) t.rows[i] = (uint8_t)(i < 6 ? rows : 16), t.bytes[i] = 64;
    MLS__TILE_SHAPE(&t);
    mls__tiles_shaped = rows;
}

/* Tiles whose sums are done. They become floats row by row while the next ones are summed: stores in
   one burst would stall, and every load behind them that is the same modulo 4096. */
typedef struct mls__tiles_done {
    __attribute__((aligned(64))) int32_t sums[4 * 256]; /* [tile][block][row][16] */
    const int32_t *from;
    float *to, *next;      /* of the second tile */
    int32_t col, next_col; /* on the line */
    int32_t left;          /* rows of both */
    int32_t nb, lanes;     /* blocks, lanes that exist */
} mls__tiles_done;

/* 16 sums of 64 bits, scaled. */
MLS__INLINE MLS__TARGET MLS__F mls__tiles_float64(const MLS__FN(mls__i64) * v, const float *factors)
{
    __m256 low = _mm512_maskz_cvtepi64_ps(255, (__m512i)v[0]);
    __m256 high = _mm512_maskz_cvtepi64_ps(255, (__m512i)v[1]);
    MLS__F z = (MLS__F)_mm512_maskz_insertf32x8(MLS__ALL16, _mm512_castps256_ps512(low), high, 1);
    return ((z * factors[0]) * factors[1]) * factors[2];
}

/* low + middle * 256 + high * 65536 in 64 bits. */
MLS__INLINE MLS__TARGET void mls__tiles_join(const int32_t *sums, MLS__FN(mls__i64) * v)
{
    for (int i = 0; i < 2; i++) {
        MLS__FN(mls__half32) part[3];
        for (int j = 0; j < 3; j++) memcpy(&part[j], sums + j * 256 + i * 8, sizeof part[j]);
        v[i] = MLS__FN(mls__widen)(part[0]) + MLS__FN(mls__widen)(part[1]) * 256 +
               MLS__FN(mls__widen)(part[2]) * 65536;
    }
}

/* 16 sums to floats; wide: of 16-bit integers, in three parts. */
MLS__INLINE MLS__TARGET void mls__tiles_floats(const mls__area *x, int wide, const int32_t *sums,
                                               int32_t lanes, float *out)
{
    const float scale = x->scale;
    MLS__I v = MLS__BITS(MLS__LOAD(sums));
    MLS__F z;
    if (wide && scale > 0) {
        v = MLS__FN(mls__addi)(v, MLS__BITS(MLS__LOAD(sums + 256)) << 8);
        v = MLS__FN(mls__addi)(v, MLS__BITS(MLS__LOAD(sums + 512)) << 16);
    }
    z = MLS__TO_FLOAT(v);
    if (scale > 0) {
        z = z * scale;
    } else if (wide) {
        MLS__FN(mls__i64) w[2];
        mls__tiles_join(sums, w);
        z = mls__tiles_float64(w, x->factors);
    } else {
        z = ((z * x->factors[0]) * x->factors[1]) * x->factors[2];
    }
    if (lanes >= MLS__LANES)
        MLS__STORE(out, z);
    else
        MLS__FN(mls__store_part)(out, z, lanes);
}

/* Some more rows of them, m of which are a tile. */
MLS__INLINE MLS__TARGET void mls__tiles_rows(const mls__area *x, int wide, mls__tiles_done *d,
                                             int32_t m, int32_t count)
{
    const size_t step = x->out_x;
    const int plain = !wide && x->scale > 0 && d->lanes >= d->nb * MLS__LANE;
    const MLS__F scale = MLS__SET(x->scale);
    if (count > d->left) count = d->left;
    while (count > 0) {
        const int32_t *from = d->from;
        float *to = d->to;
        int32_t tile = d->left > m ? d->left - m : d->left,
                end = d->col < x->run ? x->run : x->pitch;
        int32_t part = tile < count ? tile : count, skip = d->col >= x->run;
        if (part > end - d->col) part = end - d->col;
        d->left -= part, count -= part, d->from += part * 16, d->col += part;
        if (!skip) d->to += (size_t)part * step;
        if (d->col == x->run) d->to += x->out_y - (size_t)x->run * step;
        if (d->col == x->pitch) d->col = 0;
        if (d->left == m) d->from = d->sums + 512, d->to = d->next, d->col = d->next_col;
        if (skip) continue;
        if (plain && d->nb == 1) {
            for (; part > 0; part--, from += 16, to += step) {
                MLS__STORE(to, MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(from))) * scale);
            }
        } else if (plain) {
            for (; part > 0; part--, from += 16, to += step) {
                MLS__STORE(to, MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(from))) * scale);
                MLS__STORE(to + 16, MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(from + 256))) * scale);
            }
        }
        for (; part > 0; part--, from += 16, to += step) {
            mls__tiles_floats(x, wide, from, d->lanes, to);
            if (d->nb > 1) mls__tiles_floats(x, wide, from + 256, d->lanes - MLS__LANE, to + 16);
        }
    }
}

/* Rows for every step of the next sums. */
MLS__INLINE int32_t mls__tiles_share(const mls__area *x, const mls__tiles_done *before)
{
    int32_t steps = x->rows * (x->words / MLS__TILE_WORDS);
    return (before->left + steps - 1) / steps;
}

/* Sums of na tiles of m outputs times nb blocks, of bytes. */
MLS__INLINE MLS__TARGET_TILES void mls__tiles_sum8(int na, int nb, const mls__area *x,
                                                   const uint8_t *a0, const uint8_t *a1,
                                                   const uint8_t *b, int32_t m,
                                                   mls__tiles_done *before, mls__tiles_done *now)
{
    const ptrdiff_t step = x->a_x, a_row = x->a_row, b_block = x->b_block, b_row = x->b_row;
    const int32_t words = x->words, some = mls__tiles_share(x, before);
    MLS__TILE_ZERO(0);
    if (nb > 1) MLS__TILE_ZERO(1);
    if (na > 1) MLS__TILE_ZERO(2);
    if (na > 1 && nb > 1) MLS__TILE_ZERO(3);
    for (int32_t row = x->rows; row > 0; row--, a0 += a_row, a1 += a_row, b += b_row) {
        const uint8_t *a0_at = a0, *a1_at = a1, *b_at = b;
        for (int32_t word = words; word > 0; word -= 16, a0_at += 64, a1_at += 64, b_at += 1024) {
            MLS__TILE_LOAD(6, b_at, 64);
            MLS__TILE_LOAD(4, a0_at, step);
            MLS__TILE_SS(0, 4, 6);
            if (nb > 1) MLS__TILE_LOAD(7, b_at + b_block, 64);
            if (nb > 1) MLS__TILE_SS(1, 4, 7);
            if (na > 1) MLS__TILE_LOAD(5, a1_at, step);
            if (na > 1) MLS__TILE_SS(2, 5, 6);
            if (na > 1 && nb > 1) MLS__TILE_SS(3, 5, 7);
            mls__tiles_rows(x, 0, before, m, some);
        }
    }
    MLS__TILE_STORE(0, now->sums, 64);
    if (nb > 1) MLS__TILE_STORE(1, now->sums + 256, 64);
    if (na > 1) MLS__TILE_STORE(2, now->sums + 512, 64);
    if (na > 1 && nb > 1) MLS__TILE_STORE(3, now->sums + 768, 64);
}

#define MLS__TILES_SUM(na, nb)                                                                 \
    static MLS__TARGET_TILES void mls__tiles_sum8_##na##nb(                                    \
        const mls__area *x, const uint8_t *a0, const uint8_t *a1, const uint8_t *b, int32_t m, \
        mls__tiles_done *before, mls__tiles_done *now)                                         \
    {                                                                                          \
        mls__tiles_sum8(na, nb, x, a0, a1, b, m, before, now);                                 \
    }
MLS__TILES_SUM(1, 1)
MLS__TILES_SUM(1, 2)
MLS__TILES_SUM(2, 1)
MLS__TILES_SUM(2, 2)
#undef MLS__TILES_SUM

/* Of one tile and one block of 16-bit integers: low low, low high + high low, high high. */
static MLS__TARGET_TILES void mls__tiles_sum16(const mls__area *x, const uint8_t *a,
                                               const uint8_t *b, int32_t m, mls__tiles_done *before,
                                               mls__tiles_done *now)
{
    const ptrdiff_t step = x->a_x, a_row = x->a_row, b_row = x->b_row;
    const ptrdiff_t a_high = x->a_plane, b_high = x->b_plane;
    const int32_t words = x->words, some = mls__tiles_share(x, before);
    MLS__TILE_ZERO(0);
    MLS__TILE_ZERO(1);
    MLS__TILE_ZERO(2);
    for (int32_t row = x->rows; row > 0; row--, a += a_row, b += b_row) {
        const uint8_t *a_at = a, *b_at = b;
        for (int32_t word = words; word > 0; word -= 16, a_at += 64, b_at += 1024) {
            MLS__TILE_LOAD(4, a_at, step);
            MLS__TILE_LOAD(6, b_at, 64);
            MLS__TILE_UU(0, 4, 6);
            MLS__TILE_LOAD(7, b_at + b_high, 64);
            MLS__TILE_US(1, 4, 7);
            MLS__TILE_LOAD(5, a_at + a_high, step);
            MLS__TILE_SS(2, 5, 7);
            MLS__TILE_SU(1, 5, 6);
            mls__tiles_rows(x, 1, before, m, some);
        }
    }
    MLS__TILE_STORE(0, now->sums, 64);
    MLS__TILE_STORE(1, now->sums + 256, 64);
    MLS__TILE_STORE(2, now->sums + 512, 64);
}

/* Short lines are one long line, with outputs between them that nobody asks for, where that takes
   less time; a tile takes about as much as 11 rows more. */
static void mls__tiles_line(mls__area *x)
{
    int32_t pitch = (int32_t)(x->a_y / x->a_x), across = (x->w + 15) / 16;
    int64_t line = (int64_t)(x->h - 1) * pitch + x->w, m = (x->w + across - 1) / across;
    x->run = x->pitch = INT32_MAX;
    if (line <= INT32_MAX && (line + 15) / 16 * (16 + 11) < (int64_t)x->h * across * (m + 11)) {
        x->run = x->w, x->pitch = pitch, x->w = (int32_t)line, x->h = 1;
    }
}

static MLS__TARGET_TILES void mls__tiles_area(const mls__area *area)
{
    mls__area line = *area;
    const mls__area *x = &line;
    mls__tiles_done done[2];
    int32_t across, m, na, at = 0, y = 0, turn = 0, wide = area->a_plane != 0;
    int64_t count;
    mls__tiles_line(&line);
    /* tiles across a line; the last one begins where all of it is inside */
    across = (x->w + 15) / 16, m = (x->w + across - 1) / across;
    count = (int64_t)x->h * across;
    done[1].left = done[1].nb = done[1].lanes = 0;
    mls__tiles_shape(m);
    for (int64_t i = 0; i < count; i += na) {
        const uint8_t *a[2];
        float *out[2];
        int32_t nb, col[2];
        na = count - i > 1 && !wide ? 2 : 1;
        for (int32_t j = 0; j < na; j++) {
            int32_t left = at + m < x->w ? at : x->w - m, row = y + left / x->pitch;
            col[j] = left % x->pitch;
            a[j] = x->a + y * x->a_y + left * x->a_x;
            out[j] = x->out + (size_t)(col[j] < x->run ? row : row + 1) * x->out_y +
                     (size_t)(col[j] < x->run ? col[j] : 0) * x->out_x;
            at += m;
            if (at >= x->w) at = 0, y++;
        }
        if (na == 1) a[1] = a[0], out[1] = out[0], col[1] = col[0];
        for (int32_t lane = 0; lane < x->lanes; lane += nb * MLS__LANE, turn = !turn) {
            const uint8_t *b = x->b + lane / MLS__LANE * x->b_block;
            mls__tiles_done *now = &done[turn];
            mls__tiles_done *before = &done[!turn];
            nb = x->lanes - lane > MLS__LANE && !wide ? 2 : 1;
            now->from = now->sums, now->to = out[0] + lane, now->next = out[1] + lane;
            now->col = col[0], now->next_col = col[1];
            now->left = na * m, now->nb = nb, now->lanes = x->lanes - lane;
            if (wide)
                mls__tiles_sum16(x, a[0], b, m, before, now);
            else if (na == 2 && nb == 2)
                mls__tiles_sum8_22(x, a[0], a[1], b, m, before, now);
            else if (na == 2)
                mls__tiles_sum8_21(x, a[0], a[1], b, m, before, now);
            else if (nb == 2)
                mls__tiles_sum8_12(x, a[0], a[1], b, m, before, now);
            else
                mls__tiles_sum8_11(x, a[0], a[1], b, m, before, now);
        }
    }
    if (wide)
        mls__tiles_rows(x, 1, &done[!turn], m, INT32_MAX);
    else
        mls__tiles_rows(x, 0, &done[!turn], m, INT32_MAX);
}

/* Sums of na taps of a block of a times nb blocks of b. */
MLS__INLINE MLS__TARGET_TILES void mls__tiles_strip8(int na, int nb, const mls__strip *x,
                                                     const uint8_t *a0, const uint8_t *a1,
                                                     const uint8_t *b, int32_t words, int fresh,
                                                     int32_t *c0, int32_t *c1)
{
    const size_t step = x->a_channel, b_block = x->b_block;
    if (fresh) {
        MLS__TILE_ZERO(0);
        if (nb > 1) MLS__TILE_ZERO(1);
        if (na > 1) MLS__TILE_ZERO(2);
        if (na > 1 && nb > 1) MLS__TILE_ZERO(3);
    } else {
        MLS__TILE_LOAD(0, c0, 64);
        if (nb > 1) MLS__TILE_LOAD(1, c0 + 256, 64);
        if (na > 1) MLS__TILE_LOAD(2, c1, 64);
        if (na > 1 && nb > 1) MLS__TILE_LOAD(3, c1 + 256, 64);
    }
    for (; words > 0; words -= 16, a0 += 64, a1 += 64, b += 1024) {
        MLS__TILE_LOAD(6, b, 64);
        MLS__TILE_LOAD(4, a0, step);
        MLS__TILE_SS(0, 4, 6);
        if (nb > 1) MLS__TILE_LOAD(7, b + b_block, 64);
        if (nb > 1) MLS__TILE_SS(1, 4, 7);
        if (na > 1) MLS__TILE_LOAD(5, a1, step);
        if (na > 1) MLS__TILE_SS(2, 5, 6);
        if (na > 1 && nb > 1) MLS__TILE_SS(3, 5, 7);
    }
    MLS__TILE_STORE(0, c0, 64);
    if (nb > 1) MLS__TILE_STORE(1, c0 + 256, 64);
    if (na > 1) MLS__TILE_STORE(2, c1, 64);
    if (na > 1 && nb > 1) MLS__TILE_STORE(3, c1 + 256, 64);
}

static MLS__TARGET_TILES void mls__tiles_strip16(const mls__strip *x, const uint8_t *a,
                                                 const uint8_t *b, int32_t words, int64_t *c)
{
    __attribute__((aligned(64))) int32_t sums[3 * 256];
    const size_t step = x->a_channel, a_high = x->a_plane, b_high = x->b_plane;
    MLS__TILE_ZERO(0);
    MLS__TILE_ZERO(1);
    MLS__TILE_ZERO(2);
    for (; words > 0; words -= 16, a += 64, b += 1024) {
        MLS__TILE_LOAD(4, a, step);
        MLS__TILE_LOAD(6, b, 64);
        MLS__TILE_UU(0, 4, 6);
        MLS__TILE_LOAD(7, b + b_high, 64);
        MLS__TILE_US(1, 4, 7);
        MLS__TILE_LOAD(5, a + a_high, step);
        MLS__TILE_SS(2, 5, 7);
        MLS__TILE_SU(1, 5, 6);
    }
    MLS__TILE_STORE(0, sums, 64);
    MLS__TILE_STORE(1, sums + 256, 64);
    MLS__TILE_STORE(2, sums + 512, 64);
    for (int row = 0; row < 16; row++, c += 16) {
        MLS__FN(mls__i64) v[2], w[2];
        mls__tiles_join(sums + row * 16, v);
        memcpy(w, c, sizeof w);
        w[0] += v[0], w[1] += v[1];
        memcpy(c, w, sizeof w);
    }
}

/* All taps of a block of a times nb blocks of b, over words that stay in the L1 cache. */
MLS__INLINE MLS__TARGET_TILES void mls__tiles_taps(int nb, const mls__strip *x, const uint8_t *a,
                                                   const uint8_t *b, int32_t words, int fresh,
                                                   size_t at)
{
    const size_t tap_tiles = (size_t)(x->a_blocks * x->b_blocks) * 256;
    for (int32_t tap = 0; tap < x->taps; tap += 2, at += 2 * tap_tiles) {
        const uint8_t *a0 = a + x->a_tap[tap];
        if (x->a_plane) {
            mls__tiles_strip16(x, a0, b, words, x->c64 + at);
            if (tap + 1 == x->taps) break;
            mls__tiles_strip16(x, a + x->a_tap[tap + 1], b, words, x->c64 + at + tap_tiles);
        } else if (tap + 1 == x->taps) {
            mls__tiles_strip8(1, nb, x, a0, a0, b, words, fresh, x->c32 + at, x->c32 + at);
        } else {
            mls__tiles_strip8(2, nb, x, a0, a + x->a_tap[tap + 1], b, words, fresh, x->c32 + at,
                              x->c32 + at + tap_tiles);
        }
    }
}

static MLS__TARGET_TILES void mls__tiles_strip(const mls__strip *x)
{
    int32_t nb, bytes = x->a_plane ? 2 * (16 + 16) : 16 + 32; /* of a pixel */
    int32_t most = MLS__L1 / bytes / 64 * MLS__TILE_WORDS;
    mls__tiles_shape(16);
    for (int32_t block = 0; block < x->b_blocks; block += nb) {
        nb = x->b_blocks - block > 1 && !x->a_plane ? 2 : 1;
        for (int32_t word = 0; word < x->words; word += most) {
            int32_t words = x->words - word < most ? x->words - word : most;
            const uint8_t *b = x->b + (size_t)block * x->b_block + (size_t)word * 64;
            for (int32_t i = 0; i < x->a_blocks; i++) {
                const uint8_t *a = x->a + (size_t)(i * MLS__LANE) * x->a_channel + (size_t)word * 4;
                size_t at = (size_t)(i * x->b_blocks + block) * 256;
                int fresh = x->fresh && word == 0;
                if (nb == 2)
                    mls__tiles_taps(2, x, a, b, words, fresh, at);
                else
                    mls__tiles_taps(1, x, a, b, words, fresh, at);
            }
        }
    }
}

static MLS__TARGET void mls__tiles_bytes(const int16_t *v, size_t count, uint8_t *low,
                                         uint8_t *high)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m512i x;
        __m256i l, h;
        memcpy(&x, v + i, sizeof x);
        l = _mm512_maskz_cvtepi16_epi8(0xffffffffu, x);
        h = _mm512_maskz_cvtepi16_epi8(0xffffffffu, _mm512_srai_epi16(x, 8));
        memcpy(low + i, &l, sizeof l);
        memcpy(high + i, &h, sizeof h);
    }
    for (; i < count; i++) low[i] = (uint8_t)(v[i] & 255), high[i] = (uint8_t)(v[i] >> 8);
}

/* One plane of 16 integers. */
MLS__INLINE MLS__TARGET __m128i mls__tiles_plane(const uint8_t *from, int size, int plane)
{
    __m256i x;
    if (size == 1) return _mm_loadu_si128((const __m128i *)(const void *)from);
    x = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return _mm256_maskz_cvtepi16_epi8(0xffff, plane ? _mm256_srai_epi16(x, 8) : x);
}

/* 16 words of 4 pixels. */
MLS__INLINE MLS__TARGET __m512i mls__tiles_word(const uint8_t *from, size_t pixel, int size,
                                                int plane)
{
    const __m512i dwords = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_maskz_broadcast_i32x4(
        MLS__ALL16, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m512i v = _mm512_castsi128_si512(mls__tiles_plane(from, size, plane));
    v = _mm512_maskz_inserti32x4(MLS__ALL16, v, mls__tiles_plane(from + pixel, size, plane), 1);
    v = _mm512_maskz_inserti32x4(MLS__ALL16, v, mls__tiles_plane(from + 2 * pixel, size, plane), 2);
    v = _mm512_maskz_inserti32x4(MLS__ALL16, v, mls__tiles_plane(from + 3 * pixel, size, plane), 3);
    return _mm512_shuffle_epi8(_mm512_maskz_permutexvar_epi32(MLS__ALL16, dwords, v), bytes);
}

static MLS__TARGET void mls__tiles_words(const mls__line *x)
{
    const int size = x->size, plane = x->plane;
    for (size_t block = 0; block < x->blocks; block++) {
        const uint8_t *from = x->from + block * (size_t)(MLS__LANE * size);
        uint8_t *to = x->to + block * x->step;
        for (size_t i = 0; i < x->pixels; i += 4, from += 4 * x->pixel, to += 64) {
            __m512i v = size == 1 ? mls__tiles_word(from, x->pixel, 1, 0)
                        : plane   ? mls__tiles_word(from, x->pixel, 2, 1)
                                  : mls__tiles_word(from, x->pixel, 2, 0);
            memcpy(to, &v, sizeof v);
        }
    }
}

/* Transposes 16 x 16 words. */
MLS__INLINE MLS__TARGET void mls__tiles_turn16(__m512i *v)
{
    const __mmask8 all = 255;
    __m512i w[16];
    MLS__UNROLL
    for (int i = 0; i < 16; i += 2) {
        w[i] = _mm512_maskz_unpacklo_epi32(MLS__ALL16, v[i], v[i + 1]);
        w[i + 1] = _mm512_maskz_unpackhi_epi32(MLS__ALL16, v[i], v[i + 1]);
    }
    MLS__UNROLL
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_maskz_unpacklo_epi64(all, w[i], w[i + 2]);
        v[i + 1] = _mm512_maskz_unpackhi_epi64(all, w[i], w[i + 2]);
        v[i + 2] = _mm512_maskz_unpacklo_epi64(all, w[i + 1], w[i + 3]);
        v[i + 3] = _mm512_maskz_unpackhi_epi64(all, w[i + 1], w[i + 3]);
    }
    MLS__UNROLL
    for (int i = 0; i < 16; i += 8) {
        MLS__UNROLL
        for (int j = 0; j < 4; j++) {
            w[i + j] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, v[i + j], v[i + j + 4], 0x88);
            w[i + j + 4] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, v[i + j], v[i + j + 4], 0xdd);
        }
    }
    MLS__UNROLL
    for (int j = 0; j < 8; j++) {
        v[j] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, w[j], w[j + 8], 0x88);
        v[j + 8] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, w[j], w[j + 8], 0xdd);
    }
}

static MLS__TARGET void mls__tiles_turn(const mls__line *x)
{
    const int size = x->size, plane = x->plane;
    for (size_t block = 0; block < x->blocks; block++) {
        const uint8_t *from = x->from + block * (size_t)(MLS__LANE * size);
        uint8_t *to = x->to + block * MLS__LANE * x->step;
        for (size_t i = 0; i < x->pixels; i += 64, from += 64 * x->pixel, to += 64) {
            __m512i v[16];
            MLS__UNROLL
            for (size_t j = 0; j < 16; j++) {
                const uint8_t *at = from + 4 * j * x->pixel;
                v[j] = size == 1 ? mls__tiles_word(at, x->pixel, 1, 0)
                       : plane   ? mls__tiles_word(at, x->pixel, 2, 1)
                                 : mls__tiles_word(at, x->pixel, 2, 0);
            }
            mls__tiles_turn16(v);
            MLS__UNROLL
            for (size_t j = 0; j < 16; j++) memcpy(to + j * x->step, &v[j], 64);
        }
    }
}

static MLS__TARGET void mls__tiles_put(const int32_t *c32, const int64_t *c64, const float *factors,
                                       int32_t rows, int32_t cols, float *to, size_t step)
{
    __m512i v[16];
    MLS__UNROLL
    for (int i = 0; i < 16; i++) {
        MLS__F z;
        if (c32) {
            z = MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(c32 + i * 16)));
            z = ((z * factors[0]) * factors[1]) * factors[2];
        } else {
            MLS__FN(mls__i64) w[2];
            memcpy(w, c64 + i * 16, sizeof w);
            z = mls__tiles_float64(w, factors);
        }
        memcpy(&v[i], &z, sizeof z);
    }
    mls__tiles_turn16(v);
    for (int32_t i = 0; i < cols; i++) {
        MLS__F z;
        memcpy(&z, &v[i], sizeof z);
        MLS__FN(mls__store_part)(to + (size_t)i * step, z, rows);
    }
}

static const mls__tiles mls__tiles_amx = {mls__tiles_area,   mls__tiles_strip, mls__tiles_bytes,
                                          mls__tiles_words,  mls__tiles_turn,  mls__tiles_put,
                                          mls__tiles_release};
#endif

#endif /* template */
